#include "handlers/cache_config.h"

#include "base/hash.h"
#include "config/value.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"
#include "fiber/loop.h"

#include <stddef.h>
#include <string.h>

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

static const struct config_key key_keys[] = {
	{"host", CONFIG_BOOL, offsetof(struct cache_key_config, host), "true",
	 "false: all hosts of the site share their answers, under the site's first one"},
	{"query", CONFIG_TEXTS, offsetof(struct cache_key_config, query), "*",
	 "the query parameters that count, in this order, whatever order they come in; the others are taken for ones "
	 "that "
	 "change nothing (*: the whole query as it is written)"},
	{"headers", CONFIG_TEXTS, offsetof(struct cache_key_config, headers),
	 .help = "request fields whose values count, though answers do not name them in Vary"},
	{"cookies", CONFIG_TEXTS, offsetof(struct cache_key_config, cookies), .help = "cookies whose values count"},
	{"country", CONFIG_BOOL, offsetof(struct cache_key_config, country), "false",
	 "the country counts that the client is in, by the key `geo`"},
	{0},
};

static const struct config_section key_section = {
	.name = "cache.key",
	.help = "What tells stored answers apart, beside scheme, host and path.",
	.size = sizeof(struct cache_key_config),
	.keys = key_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key vary_keys[] = {
	{"device", CONFIG_BOOL, offsetof(struct cache_vary_config, device), "false",
	 "answers are told apart by desktop, mobile and tablet, which servers are told in X-Device, and no more by the "
	 "whole User-Agent where they say so in Vary"},
	{"languages", CONFIG_TEXTS, offsetof(struct cache_vary_config, languages),
	 .help = "the languages that there are, such as [en, de, fr]: servers are asked in the one that a visitor "
		 "prefers, the first where none suits, and answers are told apart by it"},
	{0},
};

static const struct config_section vary_section = {
	.name = "cache.vary",
	.help = "Classes of visitors that answers are told apart by.",
	.size = sizeof(struct cache_vary_config),
	.keys = vary_keys,
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
	 "answers with more content are not stored; what is more than 7 MiB needs `cache_disk`, as a rule", .min = 1,
	 .max = INT64_C(1) << 40},
	{"ignore_set_cookie", CONFIG_BOOL, offsetof(struct cache_config, ignore_set_cookie), "false",
	 "answers that set cookies are stored, too, without the cookies; else they are taken for one visitor's alone"},
	{"status", CONFIG_BOOL, offsetof(struct cache_config, status), "false",
	 "answers tell what the cache did: Cache-Status (RFC 9211)"},
	{"stale", CONFIG_SECTION, offsetof(struct cache_config, stale),
	 .help = "when stored answers are used though they are not fresh any more", .section = &stale_section},
	{"refresh", CONFIG_BOOL, offsetof(struct cache_config, refresh), "true",
	 "answers that are asked for often are fetched anew shortly before they are stale, not all at one time; of "
	 "those that are fresh for ten seconds at least"},
	{"ttl_by_status", CONFIG_PAIRS, offsetof(struct cache_config, status_ttl_texts),
	 .help = "`ttl` for answers with these statuses, in its place: {404: 10s, 500-504: 1s}",
	 .form = "a duration such as 10s"},
	{"key", CONFIG_SECTION, offsetof(struct cache_config, key),
	 .help = "what tells answers apart, beside scheme, host and path", .section = &key_section},
	{"vary", CONFIG_SECTION, offsetof(struct cache_config, vary),
	 .help = "classes of visitors that answers are told apart by", .section = &vary_section},
	{"obey", CONFIG_BOOL, offsetof(struct cache_config, obey), "false",
	 "visitors' no-cache, max-age, min-fresh and max-stale count (RFC 9111 section 5.2.1), so that a reload in the "
	 "browser asks the server; otherwise only no-store and only-if-cached do"},
	{"methods", CONFIG_TEXTS, offsetof(struct cache_config, method_texts), "[GET, HEAD]",
	 "the methods that are answered from the cache: GET, and HEAD from what GET stored; without HEAD, the server "
	 "is "
	 "asked for that",
	 .form = "GET or HEAD"},
	{"whole", CONFIG_BOOL, offsetof(struct cache_config, whole), "false",
	 "a part that is asked for (Range) makes the whole be fetched and stored, and is taken from it; otherwise only "
	 "the part is"},
	{"bypass", CONFIG_LIST, offsetof(struct cache_config, bypass_list),
	 .help = "requests that are not answered from the cache, and whose answers are not stored: as in `match`",
	 .section = &route_match_section},
	{"no_store", CONFIG_LIST, offsetof(struct cache_config, no_store_list),
	 .help = "requests whose answers are not stored, though they may be answered from the cache: as in `match`",
	 .section = &route_match_section},
	{"purge", CONFIG_TEXTS, offsetof(struct cache_config, purge_texts),
	 .help = "the addresses and networks that may make a URL forgotten with the method PURGE; others get 403 for "
		 "it; "
		 "without this key, servers get it",
	 .form = "an address or a network such as 10.0.0.0/8"},
	{"min_uses", CONFIG_INTEGER, offsetof(struct cache_config, min_uses), "1",
	 "an answer is stored when it is asked for so often", .min = 1, .max = 100},
	{"heuristic", CONFIG_SECTION, offsetof(struct cache_config, heuristic),
	 .help = "freshness that is guessed for answers that do not tell it", .section = &heuristic_section},
	{0},
};

const struct config_section cache_section = {
	.name = "cache",
	.help = "Answers that may be reused are reused, from memory or a disk (RFC 9111).",
	.size = sizeof(struct cache_config),
	.keys = cache_keys,
	.place_offset = offsetof(struct cache_config, place),
	.shorthand = "on",
};

bool cache_matches_hold(const struct cache_matches *matches, struct exchange *exchange)
{
	for (uint32_t i = 0; i < matches->count; i++)
		if (route_match_holds(&matches->items[i], exchange) != MATCH_FAILS)
			return true;
	return false;
}

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

static bool load_status_ttls(struct config_load *load, struct cache_config *config)
{
	static const struct config_key duration = {.name = "ttl_by_status", .kind = CONFIG_DURATION, .min = 1000000000};
	const struct config_pairs *texts = &config->status_ttl_texts;
	config->status_ttls = config_alloc(load, CACHE_STATUS_TTLS_MAX * sizeof *config->status_ttls);
	if (!config->status_ttls)
		return false;
	for (size_t i = 0; i < texts->count; i++) {
		const struct config_pair *pair = &texts->items[i];
		struct config_texts statuses = {(struct config_text *)&pair->name, 1};
		struct cache_status_ttl *place = &config->status_ttls[config->status_ttl_count];
		uint32_t one;
		int64_t ttl_ns;
		if (config->status_ttl_count == CACHE_STATUS_TTLS_MAX) {
			config_error(load, pair->name.place, "more than %d statuses and ranges", CACHE_STATUS_TTLS_MAX);
			return false;
		}
		if (!status_ranges_load(load, &statuses, 200, &place->range, 1, &one))
			return false;
		if (!value_duration(&duration, pair->value.text, &ttl_ns) || ttl_ns < SECOND_NS) {
			config_error(load, pair->value.place,
				     "\"%.*s\" is no time to be fresh; expected a duration of at least 1s, such as 10s",
				     SLICE_ARGUMENTS(pair->value.text));
			return false;
		}
		place->ttl_s = ttl_ns / SECOND_NS;
		config->status_ttl_count++;
	}
	return true;
}

static bool load_matches(struct config_load *load, const struct snapshot *snapshot, const struct cache_config *config,
			 const struct config_list *list, struct cache_matches *ret_matches)
{
	if (list->count == 0)
		return true;
	struct route_match *matches = config_alloc(load, list->count * sizeof *matches);
	if (!matches)
		return false;
	memset(matches, 0, list->count * sizeof *matches);
	for (size_t i = 0; i < list->count; i++) {
		const char *item = (const char *)list->items + i * route_match_section.size;
		if (!route_match_load(load, snapshot, (const struct route_match_config *)item, &matches[i]))
			return false;
		if (!matches[i].conditions) {
			config_error(load, config->place,
				     "a condition for the cache that says nothing holds for all "
				     "requests; expected one such as {header: {Cookie: \"~ session=\"}}");
			return false;
		}
	}
	*ret_matches = (struct cache_matches){matches, (uint32_t)list->count};
	return true;
}

// Why a method is none that the cache answers; NULL: it is one.
static const char *refusal_of(struct slice method)
{
	if (slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD")))
		return NULL;
	if (slice_equal_nocase(method, SLICE("GET")) || slice_equal_nocase(method, SLICE("HEAD")))
		return "methods are written in capitals";
	if (slice_equal_nocase(method, SLICE("POST")))
		return "what is posted has to reach the server each time, as it may change something there (RFC 9110 "
		       "section 9.3.3)";
	if (slice_equal_nocase(method, SLICE("QUERY")))
		return "its answer depends on the request's content, which is no part of the key";
	return "answers to it are nothing that could be used again (RFC 9110 section 9.2.3)";
}

static bool load_methods(struct config_load *load, struct cache_config *config)
{
	const struct config_texts *texts = &config->method_texts;
	bool has_get = false;
	for (size_t i = 0; i < texts->count; i++) {
		const struct config_text *method = &texts->items[i];
		const char *refusal = refusal_of(method->text);
		if (refusal) {
			config_error(load, method->place, "the cache does not answer %.*s: %s; expected GET or HEAD",
				     SLICE_ARGUMENTS(method->text), refusal);
			return false;
		}
		has_get = has_get || slice_equal(method->text, SLICE("GET"));
		config->answers_head = config->answers_head || slice_equal(method->text, SLICE("HEAD"));
	}
	if (!has_get)
		config_error(load, texts->count > 0 ? texts->items[0].place : config->place,
			     "without GET there is nothing to answer from: HEAD is answered from what GET stored; to "
			     "have no cache here, write cache: false");
	return has_get;
}

static bool load_purgers(struct config_load *load, struct cache_config *config)
{
	if (config->purge_texts.count == 0)
		return true;
	struct network_set *set = config_alloc(load, sizeof *set);
	config->purgers = set;
	return set && network_set_load(load, &config->purge_texts, set);
}

static struct cache_counts *count_of(struct config_load *load, const struct route *route)
{
	char *site = config_alloc(load, route->site->name.length + 1);
	char *path = config_alloc(load, route->path_text.length + 1);
	if (!site || !path)
		return NULL;
	memcpy(site, route->site->name.data, route->site->name.length);
	memcpy(path, route->path_text.data, route->path_text.length);
	return cache_counts_of(site, path);
}

static bool check_country(struct config_load *load, const struct snapshot *snapshot, const struct cache_config *config)
{
	if (!config->key.country || snapshot->has_geo)
		return true;
	config_error(load, config_where(load, &config->key, "country"),
		     "nothing says where addresses are; add `geo: GeoLite2-Country.mmdb` at the top");
	return false;
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
	config->counts = count_of(load, route);
	*ret_config = config;
	if (!config->counts || !check_country(load, snapshot, value))
		return false;
	return load_status_ttls(load, config) && load_methods(load, config) && load_purgers(load, config) &&
	       load_matches(load, snapshot, config, &config->bypass_list, &config->bypass) &&
	       load_matches(load, snapshot, config, &config->no_store_list, &config->no_store);
}
