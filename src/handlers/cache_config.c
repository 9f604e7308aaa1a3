#include "handlers/cache_config.h"

#include "base/hash.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"

#include <stddef.h>

// --- Keys

static const struct config_key stale_keys[] = {
	{"if_error", CONFIG_DURATION, offsetof(struct cache_stale_config, if_error_ns), "off",
	 "how long after its freshness an answer is used while no server can be reached or the server answers 500, "
	 "502, "
	 "503 or 504; answers may say it themselves (stale-if-error), and must-revalidate forbids it"},
	{"while_revalidate", CONFIG_DURATION, offsetof(struct cache_stale_config, while_revalidate_ns), "off",
	 "how long after its freshness an answer is used while usher fetches it anew, so that no visitor waits; "
	 "answers "
	 "may say it themselves (stale-while-revalidate), and must-revalidate forbids it"},
	{0},
};

static const struct config_section stale_section = {
	.name = "cache.stale",
	.help = "When stored answers are used though they are not fresh any more.",
	.size = sizeof(struct cache_stale_config),
	.keys = stale_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key heuristic_keys[] = {
	{"percent", CONFIG_INTEGER, offsetof(struct cache_heuristic_config, percent), "0",
	 "answers that do not say how long they are fresh are so for this share of the time since they were last "
	 "modified "
	 "(RFC 9111 section 4.2.2); 0: they are not",
	 .max = 100},
	{"max", CONFIG_DURATION, offsetof(struct cache_heuristic_config, max_ns), "1d", "but no longer than this",
	 .min = 1000000000},
	{0},
};

static const struct config_section heuristic_section = {
	.name = "cache.heuristic",
	.help = "Freshness that is guessed for answers that do not tell it.",
	.size = sizeof(struct cache_heuristic_config),
	.keys = heuristic_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key cache_keys[] = {
	{"on", CONFIG_BOOL, offsetof(struct cache_config, on), "true", "false: nothing is stored or reused here"},
	{"ttl", CONFIG_DURATION, offsetof(struct cache_config, ttl_ns), "off",
	 "how long answers are fresh that do not say it themselves (max-age, s-maxage, Expires); off: as they say"},
	{"override", CONFIG_BOOL, offsetof(struct cache_config, override), "false",
	 "`ttl` counts whatever answers say of their freshness; not for those that are private or not to be stored"},
	{"max_object", CONFIG_SIZE, offsetof(struct cache_config, max_object_bytes), "1MiB",
	 "answers with more content are not stored", .min = 1, .max = 1 << 30},
	{"ignore_set_cookie", CONFIG_BOOL, offsetof(struct cache_config, ignore_set_cookie), "false",
	 "answers that set cookies are stored, too, without the cookies; else they are taken for one visitor's alone"},
	{"status", CONFIG_BOOL, offsetof(struct cache_config, status), "false",
	 "answers tell what the cache did: Cache-Status (RFC 9211)"},
	{"stale", CONFIG_SECTION, offsetof(struct cache_config, stale),
	 .help = "when stored answers are used though they are not fresh any more", .section = &stale_section},
	{"refresh", CONFIG_BOOL, offsetof(struct cache_config, refresh), "true",
	 "answers that are asked for often are fetched anew shortly before they are stale, not all at one time; of "
	 "those that are fresh for ten seconds at least"},
	{"heuristic", CONFIG_SECTION, offsetof(struct cache_config, heuristic),
	 .help = "freshness that is guessed for answers that do not tell it", .section = &heuristic_section},
	{0},
};

const struct config_section cache_section = {
	.name = "cache",
	.help = "Answers that may be reused are reused, from memory (RFC 9111).",
	.size = sizeof(struct cache_config),
	.keys = cache_keys,
	.place_offset = offsetof(struct cache_config, place),
	.shorthand = "on",
};

// --- Loading

// A route that asks more of a request than its path shares its targets with the routes behind it: their
// answers are not each other's. It is told by its place among those with its path, which a change elsewhere
// does not move.
static uint64_t variant_of(const struct route *route)
{
	uint64_t place = 1;
	if (!route->match || !route->match->conditions)
		return 0;
	for (const struct route *other = route->site->routes; other < route; other++)
		place += other->match && other->match->conditions && slice_equal(other->path_text, route->path_text);
	return hash_fast(route->path_text) + place;
}

// Several routes may share the value.
bool cache_config_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config)
{
	struct cache_config *config = config_alloc(load, sizeof *config);
	if (!config)
		return false;
	*config = *(const struct cache_config *)value;
	config->variant = variant_of(route);
	*ret_config = config;
	return true;
}
