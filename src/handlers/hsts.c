// hsts: tells browsers to come by https only, for a while (RFC 6797).
#include "config/load.h"
#include "exchange/exchange.h"
#include "fiber/loop.h"
#include "handlers/handlers.h"

#include <stddef.h>

#define YEAR_S (INT64_C(365) * 24 * 3600)

// --- Keys

struct hsts_config {
	struct config_place place;
	int64_t max_age_ns;
	bool subdomains, preload;
};

// https://hstspreload.org: what the lists that browsers come with ask of a site.
static bool finish(struct config_load *load, void *section_struct)
{
	const struct hsts_config *config = section_struct;
	if (config->max_age_ns > 0 && config->max_age_ns < SECOND_NS) {
		config_error(load, config_where(load, config, "max_age"), "hsts.max_age is in whole seconds");
		return false;
	}
	if (!config->preload || (config->subdomains && config->max_age_ns >= YEAR_S * SECOND_NS))
		return true;
	config_error(load, config_where(load, config, "preload"),
		     "browsers' lists take only sites with `subdomains: true` and a max_age of at least 365d");
	return false;
}

static const struct config_key keys[] = {
	{"max_age", CONFIG_DURATION, offsetof(struct hsts_config, max_age_ns), "365d",
	 "how long a browser comes by https only, counted from its last visit; `off`: browsers forget what they "
	 "were told"},
	{"subdomains", CONFIG_BOOL, offsetof(struct hsts_config, subdomains), "false",
	 "the same for every host below this one"},
	{"preload", CONFIG_BOOL, offsetof(struct hsts_config, preload), "false",
	 "browsers may have the site on the list that they come with; hard to take back. Needs `subdomains` and a "
	 "max_age of at least 365d"},
	{0},
};

static const struct config_section section = {
	.name = "hsts",
	.help = "Tells browsers to come by https only (RFC 6797). It is said in answers over https, usher's own error "
		"pages included, and takes the place of what a server says.",
	.size = sizeof(struct hsts_config),
	.keys = keys,
	.place_offset = offsetof(struct hsts_config, place),
	.shorthand = "max_age",
	.finish = finish,
};

// --- Loading

static bool hsts_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		      const void **ret_config)
{
	const struct hsts_config *config = value;
	struct slice *text = config_alloc(load, sizeof *text);
	if (!text)
		return false;
	*text = arena_printf(config_arena(load), "max-age=%lld%s%s", (long long)(config->max_age_ns / SECOND_NS),
			     config->subdomains ? "; includeSubDomains" : "", config->preload ? "; preload" : "");
	*ret_config = text;
	return text->data != NULL;
}

// --- Handling

static void hsts_handle(struct exchange *exchange, const void *config)
{
	const struct slice *value = config;
	// RFC 6797 section 7.2: not over what anybody could have written into.
	if (slice_equal(exchange->scheme, SLICE("https")))
		exchange_always(exchange, SLICE("Strict-Transport-Security"), *value);
	if (!exchange_failed(exchange))
		exchange_next(exchange);
}

const struct handler_type hsts_handler = {
	.order = HANDLER_HSTS,
	.key =
		{
			.name = "hsts",
			.kind = CONFIG_OPTIONAL,
			.section = &section,
			.help = "tells browsers to come by https only",
		},
	.load = hsts_load,
	.handle = hsts_handle,
};
