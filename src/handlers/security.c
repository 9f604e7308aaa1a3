// security: fields of answers that tell browsers to be careful.
//
// What a server says itself stands, for it knows its pages better.
#include "config/load.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "handlers/handlers.h"
#include "http/syntax.h"

#include <stddef.h>

// --- Keys

enum { FIELDS = 7 };

struct security_config {
	struct config_place place;
	bool on, override;
	struct config_text values[FIELDS];
};

static const struct slice names[FIELDS] = {
	{"X-Content-Type-Options", 22},	      {"X-Frame-Options", 15},	       {"Referrer-Policy", 15},
	{"Permissions-Policy", 18},	      {"Content-Security-Policy", 23}, {"Cross-Origin-Opener-Policy", 26},
	{"Cross-Origin-Resource-Policy", 28},
};

#define VALUE(index) offsetof(struct security_config, values[index])

static const struct config_key security_keys[] = {
	{"on", CONFIG_BOOL, offsetof(struct security_config, on), "true", "false: nothing is added here"},
	{"override", CONFIG_BOOL, offsetof(struct security_config, override), "false",
	 "these take the place of what servers say themselves"},
	{"content_type", CONFIG_TEXT, VALUE(0), "nosniff",
	 "X-Content-Type-Options: browsers take answers for what they are said to be; off: left out"},
	{"frame", CONFIG_TEXT, VALUE(1), "SAMEORIGIN",
	 "X-Frame-Options: who may show the pages within his own (SAMEORIGIN, DENY); off: left out"},
	{"referrer", CONFIG_TEXT, VALUE(2), "strict-origin-when-cross-origin",
	 "Referrer-Policy: what other sites learn of where a visitor came from; off: left out"},
	{"permissions", CONFIG_TEXT, VALUE(3), "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
	 "Permissions-Policy: what pages may not use; off: left out"},
	{"content", CONFIG_TEXT, VALUE(4), "off",
	 "Content-Security-Policy: from where pages may take scripts, styles and the like; it has to fit the pages"},
	{"opener", CONFIG_TEXT, VALUE(5), "same-origin-allow-popups",
	 "Cross-Origin-Opener-Policy: which windows pages share with others; off: left out"},
	{"resource", CONFIG_TEXT, VALUE(6), "off",
	 "Cross-Origin-Resource-Policy: who may use what is here in his pages"},
	{0},
};

static const struct config_section security_section = {
	.name = "security",
	.help = "Fields of answers that tell browsers to be careful. `hsts` is a key of its own.",
	.size = sizeof(struct security_config),
	.keys = security_keys,
	.place_offset = offsetof(struct security_config, place),
	.shorthand = "on",
};

// --- Loading

static bool security_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			  const void **ret_config)
{
	struct security_config *config = value;
	*ret_config = config;
	for (size_t i = 0; i < FIELDS; i++) {
		struct slice text = config->values[i].text;
		if (syntax_skip_value(text.data, text.data + text.length) == text.data + text.length)
			continue;
		config_error(load, config->values[i].place, "control characters cannot be sent in a field");
		return false;
	}
	return true;
}

// --- Handling

static void security_handle(struct exchange *exchange, const void *value)
{
	const struct security_config *config = value;
	exchange_next(exchange);
	if (!config->on || exchange_failed(exchange))
		return;
	struct fields *fields = &exchange_response(exchange)->fields;
	for (size_t i = 0; i < FIELDS; i++) {
		struct slice text = config->values[i].text;
		if (slice_equal(text, SLICE("off")) || (!config->override && fields_find_name(fields, names[i])))
			continue;
		if (!fields_set_name(fields, exchange_arena(exchange), names[i], text)) {
			exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "add security fields", NULL);
			return;
		}
	}
}

const struct handler_type security_handler = {
	.order = HANDLER_SECURITY,
	.key = {.name = "security",
		.kind = CONFIG_OPTIONAL,
		.section = &security_section,
		.help = "Fields of answers that tell browsers to be careful.",
		.form = "true, false, or a map such as {frame: DENY}"},
	.load = security_load,
	.handle = security_handle,
};
