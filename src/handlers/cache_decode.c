#include "handlers/cache_decode.h"

#include "cache/object.h"
#include "http/decoded.h"

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
