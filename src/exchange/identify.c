// Who the client is, and what the request is called.
#include "base/random.h"
#include "exchange/exchange.h"
#include "exchange/life.h"
#include "exchange/snapshot.h"
#include "http/forwarded.h"

enum { REQUEST_ID_LENGTH = 32, REQUEST_ID_MAX = 128 };

// Walks from the nearest proxy outwards, as long as each hop is one that is trusted: the
// first that is not is the client. What lies beyond it is hearsay.
static bool visit_hop(void *argument, const struct forwarded_hop *hop)
{
	struct exchange *exchange = argument;
	struct address address;
	if (!address_parse_ip(hop->node, 0, &address))
		return false;
	exchange->client = address;
	if (slice_equal_nocase(hop->proto, SLICE("https")))
		exchange->scheme = SLICE("https");
	else if (slice_equal_nocase(hop->proto, SLICE("http")))
		exchange->scheme = SLICE("http");
	if (hop->host.length)
		exchange->forwarded_host = hop->host;
	return network_set_contains(&exchange->snapshot->trusted_proxies, &address);
}

static bool request_id_is_valid(struct slice id)
{
	if (id.length == 0 || id.length > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < id.length; i++)
		if (id.data[i] <= ' ' || id.data[i] > '~' || id.data[i] == '"' || id.data[i] == '\\')
			return false;
	return true;
}

static struct slice make_request_id(struct arena *arena)
{
	static const char digits[] = "0123456789abcdef";
	char *id = arena_alloc(arena, REQUEST_ID_LENGTH);
	if (!id)
		return SLICE_EMPTY;
	uint64_t bits = 0;
	for (size_t i = 0; i < REQUEST_ID_LENGTH; i++, bits >>= 4) {
		if (i % 16 == 0)
			bits = random_number();
		id[i] = digits[bits & 15];
	}
	return slice_from(id, REQUEST_ID_LENGTH);
}

bool exchange_identify(struct exchange *exchange)
{
	const struct client *connection = exchange->transaction.client;
	const struct fields *fields = &exchange_request(exchange)->fields;
	struct arena *arena = exchange_arena(exchange);
	exchange->client = connection->peer;
	exchange->scheme = connection->tls ? SLICE("https") : connection->scheme;
	exchange->peer_is_trusted = network_set_contains(&exchange->snapshot->trusted_proxies, &connection->peer);
	if (exchange->peer_is_trusted) {
		// A field that is spoilt before it names anybody must not make the client pass
		// for the proxy, whose address rules may favour.
		if (!forwarded_read(fields, visit_hop, exchange) && address_equal(&exchange->client, &connection->peer))
			exchange_fail(exchange, FAULT_BAD_REQUEST, "identify client",
				      "Forwarded or X-Forwarded-For is malformed, or they differ");
		struct slice id = fields_value(fields, FIELD_X_REQUEST_ID);
		if (request_id_is_valid(id))
			exchange->request_id = id;
	}
	if (!exchange->request_id.length)
		exchange->request_id = make_request_id(arena);
	char *text = arena_alloc(arena, ADDRESS_TEXT_MAX);
	if (!text || !exchange->request_id.length)
		return false;
	exchange->client_text = address_format_ip(&exchange->client, text);
	return true;
}
