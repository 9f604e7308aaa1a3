// cors: which other sites' pages may ask, and read the answers (the Fetch Standard, section 3.2).
//
// Preflights are answered here. Servers' own words on this are taken off: there is one rule, this one.
#include "config/load.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "fiber/loop.h"
#include "handlers/handlers.h"
#include "http/syntax.h"
#include "http/uri.h"

#include <stddef.h>

// --- Keys

struct cors_config {
	struct config_place place;
	struct config_texts origins, methods, headers, expose;
	bool credentials;
	int64_t max_age_ns;
	// Made of these.
	bool any;
	struct slice methods_text, headers_text, expose_text, max_age_text;
};

static const struct config_key cors_keys[] = {
	{"origins", CONFIG_TEXTS, offsetof(struct cors_config, origins), .required = true,
	 .help = "the sites, such as https://app.example.com, https://*.example.com for all hosts below one, or `*` "
		 "for any",
	 .form = "an origin such as https://app.example.com"},
	{"methods", CONFIG_TEXTS, offsetof(struct cors_config, methods),
	 .help = "the methods beside GET, HEAD and POST that their pages may use"},
	{"headers", CONFIG_TEXTS, offsetof(struct cors_config, headers),
	 .help = "the fields that their pages may send beside the usual ones, such as Authorization"},
	{"expose", CONFIG_TEXTS, offsetof(struct cors_config, expose),
	 .help = "the fields of answers that their pages may read beside the usual ones"},
	{"credentials", CONFIG_BOOL, offsetof(struct cors_config, credentials), "false",
	 "their pages may ask with the visitor's cookies; not for `*`"},
	{"max_age", CONFIG_DURATION, offsetof(struct cors_config, max_age_ns), "10m",
	 "how long a browser remembers what it was told", .min = 0},
	{0},
};

static const struct config_section cors_section = {
	.name = "cors",
	.help = "Which other sites' pages may ask here, and read the answers.",
	.size = sizeof(struct cors_config),
	.keys = cors_keys,
	.place_offset = offsetof(struct cors_config, place),
	.shorthand = "origins",
};

// --- Loading

static bool load_list(struct config_load *load, const struct config_texts *texts, struct slice *ret_text)
{
	struct slice text = SLICE("");
	for (size_t i = 0; i < texts->count; i++) {
		if (!syntax_all(texts->items[i].text, SYNTAX_TOKEN)) {
			config_error(load, texts->items[i].place, "\"%.*s\" is no method, and no name of a field",
				     SLICE_ARGUMENTS(texts->items[i].text));
			return false;
		}
		text = arena_printf(config_arena(load), "%.*s%s%.*s", SLICE_ARGUMENTS(text), i ? ", " : "",
				    SLICE_ARGUMENTS(texts->items[i].text));
	}
	*ret_text = text;
	return text.data != NULL;
}

// "https://*.example.com" is looked at as "https://x.example.com".
static bool is_origin(struct slice origin)
{
	struct slice scheme, host;
	uint16_t port;
	size_t colon = slice_find(origin, ':');
	scheme = slice_first(origin, colon);
	struct slice rest = slice_after(origin, colon);
	if (!slice_starts_with(rest, SLICE("://")) ||
	    (!slice_equal(scheme, SLICE("http")) && !slice_equal(scheme, SLICE("https"))))
		return false;
	rest = slice_after(rest, 3);
	if (slice_starts_with(rest, SLICE("*.")))
		rest = slice_after(rest, 2);
	return slice_find(rest, '/') == rest.length && slice_find(rest, '*') == rest.length &&
	       uri_parse_authority(rest, &host, &port);
}

static bool cors_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		      const void **ret_config)
{
	struct cors_config *config = value;
	*ret_config = config;
	for (size_t i = 0; i < config->origins.count; i++) {
		const struct config_text *origin = &config->origins.items[i];
		config->any |= slice_equal(origin->text, SLICE("*"));
		if (slice_equal(origin->text, SLICE("*")) || is_origin(origin->text))
			continue;
		config_error(load, origin->place,
			     "\"%.*s\" is no origin such as https://app.example.com, without a path",
			     SLICE_ARGUMENTS(origin->text));
		return false;
	}
	if (config->any && config->credentials) {
		config_error(load, config_where(load, config, "credentials"),
			     "any site at all could ask in a visitor's name; name the origins");
		return false;
	}
	config->max_age_text = arena_printf(config_arena(load), "%lld", (long long)(config->max_age_ns / SECOND_NS));
	return load_list(load, &config->methods, &config->methods_text) &&
	       load_list(load, &config->headers, &config->headers_text) &&
	       load_list(load, &config->expose, &config->expose_text) && config->max_age_text.data;
}

// --- Handling

static bool is_meant(struct slice rule, struct slice origin)
{
	size_t star = slice_find(rule, '*');
	if (star == rule.length)
		return slice_equal_nocase(rule, origin);
	struct slice start = slice_first(rule, star), end = slice_after(rule, star + 1);
	return origin.length > start.length + end.length &&
	       slice_equal_nocase(slice_first(origin, start.length), start) &&
	       slice_equal_nocase(slice_after(origin, origin.length - end.length), end);
}

static bool is_allowed(const struct cors_config *config, struct slice origin)
{
	for (size_t i = 0; i < config->origins.count && !config->any; i++)
		if (is_meant(config->origins.items[i].text, origin))
			return true;
	return config->any;
}

static void take_off(struct fields *fields)
{
	static const struct slice start = {"Access-Control-", 15};
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (!slice_equal_nocase(slice_first(fields->items[i].name, start.length), start))
			fields->items[kept++] = fields->items[i];
	fields->count = kept;
}

static bool add(struct exchange *exchange, struct slice name, struct slice value)
{
	return value.length == 0 ||
	       fields_add_name(&exchange_response(exchange)->fields, exchange_arena(exchange), name, value);
}

// What the answer depends on, caches have to know, whoever asks.
static bool tell_origin(struct exchange *exchange, const struct cors_config *config, struct slice origin)
{
	if (!config->any && !add(exchange, SLICE("Vary"), SLICE("Origin")))
		return false;
	if (origin.length == 0 || !is_allowed(config, origin))
		return true;
	return add(exchange, SLICE("Access-Control-Allow-Origin"), config->any ? SLICE("*") : origin) &&
	       add(exchange, SLICE("Access-Control-Allow-Credentials"),
		   config->credentials ? SLICE("true") : SLICE_EMPTY);
}

static bool is_preflight(const struct exchange *exchange, struct slice origin)
{
	const struct request *request = &exchange->transaction.request;
	return request->method == METHOD_OPTIONS && origin.length > 0 &&
	       fields_find_name(&request->fields, SLICE("Access-Control-Request-Method"));
}

static bool answer_preflight(struct exchange *exchange, const struct cors_config *config, struct slice origin)
{
	bool good = tell_origin(exchange, config, origin);
	if (is_allowed(config, origin))
		good = good && add(exchange, SLICE("Access-Control-Allow-Methods"), config->methods_text) &&
		       add(exchange, SLICE("Access-Control-Allow-Headers"), config->headers_text) &&
		       add(exchange, SLICE("Access-Control-Max-Age"), config->max_age_text);
	if (good)
		exchange_answer(exchange, 204, SLICE_EMPTY, SLICE_EMPTY);
	return good;
}

static bool tell(struct exchange *exchange, const struct cors_config *config, struct slice origin)
{
	take_off(&exchange_response(exchange)->fields);
	bool is_for_it = origin.length > 0 && is_allowed(config, origin);
	return tell_origin(exchange, config, origin) &&
	       (!is_for_it || add(exchange, SLICE("Access-Control-Expose-Headers"), config->expose_text));
}

static void cors_handle(struct exchange *exchange, const void *value)
{
	const struct cors_config *config = value;
	struct slice origin = fields_value(&exchange_request(exchange)->fields, FIELD_ORIGIN);
	bool good = true;
	if (is_preflight(exchange, origin)) {
		good = answer_preflight(exchange, config, origin);
	} else {
		exchange_next(exchange);
		good = exchange_failed(exchange) || tell(exchange, config, origin);
	}
	if (!good)
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "tell what other sites may do", NULL);
}

const struct handler_type cors_handler = {
	.order = HANDLER_CORS,
	.key = {.name = "cors",
		.kind = CONFIG_OPTIONAL,
		.section = &cors_section,
		.help = "Which other sites' pages may ask here, and read the answers.",
		.form = "an origin such as https://app.example.com, or a map"},
	.load = cors_load,
	.handle = cors_handle,
};
