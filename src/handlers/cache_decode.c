#include "handlers/cache_decode.h"

#include "cache/claims.h"
#include "cache/vary.h"
#include "http/decoded.h"

struct claim {
	struct exchange_end end;
	uint64_t bytes;
};

static struct cache_claims claims;

static void give_back(struct exchange *exchange, struct exchange_end *end)
{
	cache_claims_give(&claims, LIST_ENTRY((void *)end, struct claim, end)->bytes);
}

bool cache_decode_claim(struct exchange *exchange, const struct cache_object *object, const struct fields *request,
			struct slice beginning, uint64_t most_bytes)
{
	enum coding coding = cache_object_undoes(object, request);
	if (coding == CODING_IDENTITY)
		return true;
	struct claim *claim = arena_zalloc(exchange_arena(exchange), sizeof *claim);
	if (!claim)
		return false;
	claim->bytes = decoded_body_memory(coding, beginning);
	if (!cache_claims_take(&claims, claim->bytes, most_bytes))
		return false;
	exchange_at_end(exchange, &claim->end, give_back);
	return true;
}

bool cache_decode_head(struct exchange *exchange)
{
	struct fields *fields = &exchange_response(exchange)->fields;
	struct slice etag = fields_value(fields, FIELD_ETAG);
	(void)fields_remove(fields, FIELD_CONTENT_ENCODING);
	(void)fields_remove_name(fields, SLICE("Accept-Ranges"));
	(void)fields_remove_name(fields, SLICE("Repr-Digest"));
	cache_remove_digests(fields);
	if (!etag.data || slice_starts_with(etag, SLICE("W/")))
		return true;
	struct slice weak = arena_printf(exchange_arena(exchange), "W/%.*s", SLICE_ARGUMENTS(etag));
	return weak.data && fields_set(fields, exchange_arena(exchange), FIELD_ETAG, weak);
}

struct decoding {
	struct exchange_end end;
	struct decoded_body *body;
};

static void end_decoding(struct exchange *exchange, struct exchange_end *end)
{
	decoded_body_end(LIST_ENTRY((void *)end, struct decoding, end)->body);
}

bool cache_decode_body(struct exchange *exchange, enum coding coding)
{
	struct response *response = exchange_response(exchange);
	struct arena *arena = exchange_arena(exchange);
	struct decoding *decoding = arena_zalloc(arena, sizeof *decoding);
	if (!decoding || !(decoding->body = decoded_body_new(arena, coding, response->body)))
		return false;
	exchange_at_end(exchange, &decoding->end, end_decoding);
	response->framing = BODY_CHUNKED;
	response->content_length = 0;
	response->body = decoded_body_of(decoding->body);
	return true;
}
