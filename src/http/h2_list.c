// Header lists that are sent.
#include "base/check.h"
#include "base/text.h"
#include "http/body.h"
#include "http/h2_message.h"
#include "http/syntax.h"

enum {
	PSEUDO_MAX = 5, // :method, :scheme, :authority, :path, :protocol
	OWN_MAX = 3,	// content-length, te, expect
	NUMBER_BYTES_MAX = 20,
};

#define ID(id) (UINT64_C(1) << FIELD_##id)

// RFC 9113 section 8.2.2, and what the list has in another place or way.
static const uint64_t never_listed = ID(CONNECTION) | ID(PROXY_CONNECTION) | ID(KEEP_ALIVE) | ID(TRANSFER_ENCODING) |
				     ID(UPGRADE) | ID(HTTP2_SETTINGS) | ID(CONTENT_LENGTH);

struct list {
	nghttp2_nv *items;
	size_t count, capacity;
	struct arena *arena;
	bool failed; // memory is out
};

static void list_begin(struct list *list, struct arena *arena, size_t capacity)
{
	*list = (struct list){.arena = arena, .capacity = capacity};
	list->items = arena_alloc(arena, capacity * sizeof(*list->items));
	list->failed = !list->items;
}

static ssize_t list_end(const struct list *list, nghttp2_nv **ret_list)
{
	if (list->failed)
		return -1;
	*ret_list = list->items;
	return (ssize_t)list->count;
}

// What must not be in a value becomes a space, as when HTTP/1.1 is written; none may begin or
// end with one (RFC 9113 section 8.2.1).
static struct slice clean_value(struct list *list, struct slice value)
{
	const char *end = value.data + value.length;
	if (value.length > 0 && syntax_skip_value(value.data, end) < end) {
		value = arena_copy(list->arena, value);
		if (!value.data) {
			list->failed = true;
			return SLICE("");
		}
		end = value.data + value.length;
		for (char *at = (char *)value.data; (at = (char *)syntax_skip_value(at, end)) < end;)
			*at++ = ' ';
	}
	return slice_trim(value);
}

static struct slice lower_name(struct list *list, const struct field *field)
{
	if (field->id != FIELD_OTHER)
		return field_name_lower(field->id);
	size_t at = 0;
	while (at < field->name.length && (field->name.data[at] < 'A' || field->name.data[at] > 'Z'))
		at++;
	if (at == field->name.length)
		return field->name;
	struct slice copy = arena_copy(list->arena, field->name);
	if (!copy.data) {
		list->failed = true;
		return SLICE("");
	}
	for (char *c = (char *)copy.data + at; c < copy.data + copy.length; c++)
		*c = ascii_lower(*c);
	return copy;
}

static void add(struct list *list, struct slice name, struct slice value)
{
	if (list->failed)
		return;
	check(list->count < list->capacity);
	list->items[list->count++] = (nghttp2_nv){
		.name = (uint8_t *)name.data,
		.namelen = name.length,
		.value = (uint8_t *)value.data,
		.valuelen = value.length,
	};
}

static void add_field(struct list *list, const struct field *field)
{
	add(list, lower_name(list, field), clean_value(list, field->value));
	// No value comes twice, so that it would only push others out of the compression's table,
	// and be searched for in vain.
	if (field->id == FIELD_X_REQUEST_ID && !list->failed)
		list->items[list->count - 1].flags = NGHTTP2_NV_FLAG_NO_INDEX;
}

static void add_fields(struct list *list, const struct fields *fields, uint64_t skipped)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (!((never_listed | skipped) >> fields->items[i].id & 1))
			add_field(list, &fields->items[i]);
}

static void add_number(struct list *list, struct slice name, uint64_t number)
{
	struct text text;
	char *digits = arena_alloc(list->arena, NUMBER_BYTES_MAX);
	if (!digits) {
		list->failed = true;
		return;
	}
	text_init(&text, digits, NUMBER_BYTES_MAX);
	text_add_number(&text, number);
	add(list, name, text_slice(&text));
}

ssize_t h2_response_list(const struct response *response, struct arena *arena, nghttp2_nv **ret_list)
{
	struct list list;
	check(response->status >= 100 && response->status <= 599);
	list_begin(&list, arena, response->fields.count + 2);
	add_number(&list, SLICE(":status"), response->status);
	add_fields(&list, &response->fields, 0);
	if (response->framing == BODY_LENGTH)
		add_number(&list, SLICE("content-length"), response->content_length);
	return list_end(&list, ret_list);
}

// A target that was rewritten may hold anything; it is written as for HTTP/1.1.
static struct slice clean_target(struct list *list, struct slice target)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t clean = 0;
	while (clean < target.length && (uint8_t)(target.data[clean] - '!') <= '~' - '!')
		clean++;
	if (clean == target.length)
		return target;
	char *copy = arena_alloc(list->arena, target.length * 3), *to = copy;
	if (!copy) {
		list->failed = true;
		return SLICE("");
	}
	for (size_t i = 0; i < target.length; i++) {
		uint8_t byte = (uint8_t)target.data[i];
		if ((uint8_t)(byte - '!') <= '~' - '!') {
			*to++ = (char)byte;
		} else {
			*to++ = '%';
			*to++ = digits[byte >> 4];
			*to++ = digits[byte & 15];
		}
	}
	return slice_from(copy, (size_t)(to - copy));
}

// RFC 9113 section 8.3.1; RFC 8441 section 4 for a change of protocol.
static void add_request_line(struct list *list, const struct client_request *request)
{
	bool is_extended = request->upgrade.length > 0;
	add(list, SLICE(":method"), is_extended ? SLICE("CONNECT") : request->method_name);
	if (is_extended)
		add(list, SLICE(":protocol"), request->upgrade);
	if (request->method != METHOD_CONNECT) {
		add(list, SLICE(":scheme"), request->scheme);
		add(list, SLICE(":path"), clean_target(list, request->target));
	}
	add(list, SLICE(":authority"), request->authority);
}

static bool is_websocket_key(const struct field *field)
{
	return field->id == FIELD_OTHER && slice_equal_nocase(field->name, SLICE("Sec-WebSocket-Key"));
}

ssize_t h2_request_list(const struct client_request *request, struct arena *arena, nghttp2_nv **ret_list)
{
	struct list list;
	uint64_t skipped = request->skipped | ID(HOST) | ID(TE) | ID(EXPECT);
	list_begin(&list, arena, request->fields->count + request->own.count + PSEUDO_MAX + OWN_MAX);
	add_request_line(&list, request);
	for (uint32_t i = 0; i < request->fields->count; i++) {
		const struct field *field = &request->fields->items[i];
		bool goes = !((never_listed | skipped) >> field->id & 1);
		if (goes && !(request->upgrade.length > 0 && is_websocket_key(field)))
			add_field(&list, field);
	}
	add_fields(&list, &request->own, 0);
	if (request->hold_body)
		add(&list, SLICE("expect"), SLICE("100-continue"));
	if (request->takes_trailers)
		add(&list, SLICE("te"), SLICE("trailers"));
	if (request->framing == BODY_LENGTH)
		add_number(&list, SLICE("content-length"), (uint64_t)request->body->length);
	return list_end(&list, ret_list);
}

ssize_t h2_trailers_list(const struct fields *fields, struct arena *arena, nghttp2_nv **ret_list)
{
	struct list list;
	list_begin(&list, arena, fields->count + 1);
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (field_may_be_trailer(field->id))
			add_field(&list, field);
	}
	return list_end(&list, ret_list);
}
