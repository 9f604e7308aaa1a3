#include "handlers/cache_invalidate.h"

#include "handlers/cache.h"
#include "handlers/cache_fetching.h"

enum { KEY_MAX = 8 * 1024 };

// "https://example.com" of the target's key, which a path follows.
static struct slice origin_of(const struct exchange *exchange, struct slice key)
{
	return slice_first(key, exchange->scheme.length + 3 + exchange->host.length);
}

// Of references without an authority, those to a path (RFC 3986 section 4.2): others would have to be resolved, and
// servers do not send them.
static void forget_reference(struct exchange *exchange, struct cache_store *store, struct slice origin,
			     struct slice reference)
{
	char room[KEY_MAX];
	struct slice key;
	reference = slice_first(reference, slice_find(reference, '#'));
	if (slice_starts_with(reference, SLICE("/")) && !slice_starts_with(reference, SLICE("//"))) {
		key = arena_printf(exchange_arena(exchange), "%.*s%.*s", SLICE_ARGUMENTS(origin),
				   SLICE_ARGUMENTS(reference));
		if (!key.data)
			return;
	} else if (!cache_key_of_url(reference, room, sizeof room, &key) || !slice_starts_with(key, origin) ||
		   !slice_starts_with(slice_after(key, origin.length), SLICE("/"))) {
		return;
	}
	(void)cache_forget(store, key, cache_store_hash(store, key));
}

void cache_invalidate(struct exchange *exchange, struct cache_store *store, struct slice key, uint64_t hash)
{
	const struct response *response = exchange_response(exchange);
	struct slice origin = origin_of(exchange, key);
	if (exchange_failed(exchange) || response->status < 200 || response->status >= 400)
		return;
	(void)cache_forget(store, key, hash);
	for (uint32_t i = 0; i < response->fields.count; i++) {
		const struct field *field = &response->fields.items[i];
		if (field->id == FIELD_LOCATION || slice_equal_nocase(field->name, SLICE("Content-Location")))
			forget_reference(exchange, store, origin, field->value);
	}
}

// --- PURGE

bool cache_is_purge(const struct exchange *exchange, const struct cache_config *config)
{
	const struct request *request = &exchange->transaction.request;
	return config->purgers && request->method == METHOD_OTHER && slice_equal(request->method_name, SLICE("PURGE"));
}

void cache_answer_purge(struct exchange *exchange, const struct cache_config *config, struct cache_store *store,
			struct slice key, uint64_t hash)
{
	if (!network_set_contains(config->purgers, &exchange->client)) {
		exchange_fail(exchange, FAULT_REFUSED, "purge", "cache.purge does not name this address");
		return;
	}
	unsigned count = cache_forget(store, key, hash);
	struct slice text = arena_printf(exchange_arena(exchange), "%u stored answers forgotten\n", count);
	trace_note(&exchange->trace, "purge", SLICE_EMPTY, NULL, 0, count);
	if (text.data)
		exchange_answer(exchange, 200, SLICE("text/plain; charset=utf-8"), text);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "purge", NULL);
}
