// Requests for sites with TLS that come without it: they are sent to https://.
//
// Every route of such a site has this handler, unless `tls.redirect` is off; but for routes
// that name the path of ACME's challenges (RFC 8555 section 8.3), which come without TLS.
#include "config/load.h"
#include "exchange/escape.h"
#include "exchange/exchange.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"
#include "handlers/handlers.h"
#include "tls/server.h"

enum { HTTPS_PORT = 443 };

struct https {
	uint16_t port; // 0: there is nowhere to send requests to
	bool requires_certificate;
};

static bool is_of_challenges(const struct route_path *path)
{
	return (path->kind == PATH_EXACT || path->kind == PATH_PREFIX) &&
	       slice_starts_with(path->text, SLICE("/.well-known/acme-challenge/"));
}

static bool https_applies(const struct route *route)
{
	const struct tls_site *tls = route->site->tls;
	return tls && (tls->redirects || tls->requires_certificate) && !is_of_challenges(&route->match->path);
}

// The port that browsers would take, or else the first one that is configured.
static uint16_t find_port(const struct snapshot *snapshot)
{
	uint16_t first = 0;
	for (size_t i = 0; i < snapshot->listen_count; i++) {
		const struct listen *listen = &snapshot->listens[i];
		uint16_t port = listen->tls ? address_port(&listen->address) : 0;
		if (port == HTTPS_PORT)
			return port;
		first = first ? first : port;
	}
	return first;
}

static bool https_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config)
{
	struct https *https = config_alloc(load, sizeof *https);
	if (!https)
		return false;
	https->port = route->site->tls->redirects ? find_port(snapshot) : 0;
	https->requires_certificate = route->site->tls->requires_certificate;
	*ret_config = https;
	return true;
}

// --- Handling

static struct slice location_of(struct exchange *exchange, uint16_t port);

// 308 keeps method and body; for requests without a body, 301 is what every client knows.
static void redirect(struct exchange *exchange, uint16_t port)
{
	enum method method = exchange_request(exchange)->method;
	struct arena *arena = exchange_arena(exchange);
	// Only HTTP/1.0 may come without a host.
	if (exchange->host.length == 0) {
		exchange_fail(exchange, FAULT_BAD_HOST, "redirect to https", "the request has no Host");
		return;
	}
	struct slice location = location_of(exchange, port);
	if (!location.data || !fields_set(&exchange_response(exchange)->fields, arena, FIELD_LOCATION, location)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "redirect to https", NULL);
		return;
	}
	exchange_answer(exchange, method == METHOD_GET || method == METHOD_HEAD ? 301 : 308, SLICE_EMPTY, SLICE(""));
}

static void https_handle(struct exchange *exchange, const void *config)
{
	const struct https *https = config;
	// What a trusted proxy got by https is not sent around in circles.
	if (https->port && !slice_equal(exchange->scheme, SLICE("https")))
		redirect(exchange, https->port);
	else if (https->requires_certificate && !exchange->transaction.client->tls)
		exchange_fail(exchange, FAULT_MISDIRECTED, "redirect to https",
			      "the site requires a client certificate, which only TLS can show");
	else
		exchange_next(exchange);
}

// --- Helpers

static struct slice location_of(struct exchange *exchange, uint16_t port)
{
	struct arena *arena = exchange_arena(exchange);
	bool is_asterisk = exchange_request(exchange)->target_form == TARGET_ASTERISK;
	struct slice target = is_asterisk ? SLICE("/") : exchange->target;
	struct slice host = exchange->host;
	if (port != HTTPS_PORT)
		host = arena_printf(arena, "%.*s:%u", SLICE_ARGUMENTS(host), port);
	if (!host.data)
		return SLICE_EMPTY;
	struct slice location = arena_printf(arena, "https://%.*s%.*s", SLICE_ARGUMENTS(host), SLICE_ARGUMENTS(target));
	return location.data ? escape(location, ESCAPE_URI, arena) : location;
}

const struct handler_type https_handler = {
	.order = HANDLER_HTTPS,
	.applies = https_applies,
	.load = https_load,
	.handle = https_handle,
};
