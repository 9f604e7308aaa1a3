// redirect: sends the client elsewhere.
#include "config/load.h"
#include "exchange/escape.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "exchange/variables.h"
#include "handlers/handlers.h"

#include <stddef.h>

// --- Keys

struct redirect_config {
	struct config_place place;
	struct config_text to;
	int status; // index into statuses
};

static const char *const statuses[] = {"301", "302", "303", "307", "308", NULL};
static const uint16_t status_numbers[] = {301, 302, 303, 307, 308};

static const struct config_key keys[] = {
	{"to", CONFIG_TEXT, offsetof(struct redirect_config, to),
	 .help = "where to: a URL, or a path on the same site; with variables: $uri is the path and query of the "
		 "request",
	 .form = "a URL such as https://$host$uri, or a path", .required = true},
	{"status", CONFIG_CHOICE, offsetof(struct redirect_config, status), "302",
	 "302 and 307: for now; 301 and 308: for good, which browsers remember; 307 and 308 keep the method and the "
	 "body",
	 .choices = statuses},
	{0},
};

static const struct config_section section = {
	.name = "redirect",
	.help = "Sends the client elsewhere.",
	.size = sizeof(struct redirect_config),
	.keys = keys,
	.place_offset = offsetof(struct redirect_config, place),
	.shorthand = "to",
};

// --- Loading

struct redirect {
	struct template to;
	unsigned status;
	bool absolute; // begins with a scheme, or "//"
	bool needs_host;
};

// RFC 3986 section 3.1: what a URL with a scheme begins with.
static bool has_scheme(struct slice text)
{
	size_t colon = slice_find(text, ':');
	return colon > 0 && colon < text.length && colon < slice_find(text, '/') && colon < slice_find(text, '$');
}

static bool redirect_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			  const void **ret_config)
{
	const struct redirect_config *config = value;
	struct config_text to = config->to;
	struct redirect *redirect = config_alloc(load, sizeof *redirect);
	if (!redirect)
		return false;
	*ret_config = redirect;
	redirect->status = status_numbers[config->status];
	redirect->absolute = has_scheme(to.text) || slice_starts_with(to.text, SLICE("//"));
	if (!redirect->absolute && !slice_starts_with(to.text, SLICE("/")) && !slice_starts_with(to.text, SLICE("$"))) {
		config_error(load, to.place,
			     "expected a URL such as https://$host$uri, or a path that starts with \"/\"");
		return false;
	}
	if (slice_find(to.text, ' ') < to.text.length) {
		config_error(load, to.place, "a URL has no blanks; write %%20");
		return false;
	}
	to.text = escape(to.text, ESCAPE_URI, config_arena(load));
	if (!to.text.data || !variables_load(load, &to, route->captures, &redirect->to))
		return false;
	redirect->needs_host = redirect->to.used >> VARIABLE_HOST & 1;
	return true;
}

// --- Handling

static struct slice safe_location(const struct redirect *redirect, struct slice location, struct arena *arena);

static void redirect_handle(struct exchange *exchange, const void *config)
{
	const struct redirect *redirect = config;
	struct arena *arena = exchange_arena(exchange);
	struct slice values[VARIABLE_COUNT];
	// Only HTTP/1.0 may come without a host.
	if (redirect->needs_host && exchange->host.length == 0) {
		exchange_fail(exchange, FAULT_BAD_HOST, "redirect", "the request has no Host to be redirected to");
		return;
	}
	variables_fill(exchange, &redirect->to, exchange->captures, values);
	// "*" (OPTIONS) is not a path that anything can be put before.
	if (exchange_request(exchange)->target_form == TARGET_ASTERISK)
		values[VARIABLE_URI] = values[VARIABLE_PATH] = SLICE("/");
	struct slice location = safe_location(redirect, template_expand(&redirect->to, values, arena), arena);
	if (!location.data || !fields_set(&exchange_response(exchange)->fields, arena, FIELD_LOCATION, location)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "redirect", NULL);
		return;
	}
	exchange_answer(exchange, redirect->status, SLICE_EMPTY, SLICE(""));
}

// --- Helpers

// A path stays a path: "//host" and "/\host" would lead browsers to another site, and a
// request can begin like that.
static struct slice safe_location(const struct redirect *redirect, struct slice location, struct arena *arena)
{
	location = escape(location, ESCAPE_URI, arena);
	while (!redirect->absolute && slice_starts_with(location, SLICE("//")))
		location = slice_after(location, 1);
	return location;
}

const struct handler_type redirect_handler = {
	.order = HANDLER_REDIRECT,
	.key =
		{
			.name = "redirect",
			.kind = CONFIG_OPTIONAL,
			.section = &section,
			.help = "sends the client elsewhere",
		},
	.load = redirect_load,
	.handle = redirect_handle,
	.ends = true,
};
