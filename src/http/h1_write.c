#include "base/check.h"
#include "http/h1.h"
#include "http/syntax.h"

enum { FIELD_EXTRA_BYTES = 4 }; // ": " and CRLF

size_t h1_fields_bound(const struct fields *fields)
{
	size_t bound = 2;
	for (uint32_t i = 0; i < fields->count; i++)
		bound += fields->items[i].name.length + fields->items[i].value.length + FIELD_EXTRA_BYTES;
	return bound;
}

static inline char *put(char *at, struct slice bytes)
{
	if (bytes.length > 0)
		memcpy(at, bytes.data, bytes.length);
	return at + bytes.length;
}

// Copies a value; what must not be in one becomes a space (RFC 9110 section 5.5), so that
// nothing that a handler makes up from a client's words can begin a line of its own.
static inline char *put_value(char *at, struct slice value)
{
	char *end = put(at, value);
	while ((at = (char *)syntax_skip_value(at, end)) < end)
		*at++ = ' ';
	return end;
}

// A target is clean as the parser leaves it; one that was rewritten may hold anything.
static void add_target(struct text *text, struct slice target)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = target.data, *end = target.data + target.length;
	while (at < end) {
		const char *clean = at;
		while (at < end && (uint8_t)(*at - '!') <= '~' - '!')
			at++;
		text_add(text, slice_from(clean, (size_t)(at - clean)));
		if (at < end) {
			uint8_t byte = (uint8_t)*at++;
			char encoded[3] = {'%', digits[byte >> 4], digits[byte & 15]};
			text_add(text, slice_from(encoded, sizeof(encoded)));
		}
	}
}

void h1_write_request_line(struct text *text, struct slice method, struct slice target)
{
	check(syntax_all(method, SYNTAX_TOKEN));
	check(target.length > 0);
	text_add(text, method);
	text_add_char(text, ' ');
	add_target(text, target);
	text_add(text, SLICE(" HTTP/1.1\r\n"));
}

void h1_write_status_line(struct text *text, unsigned status, struct slice reason)
{
	check(status >= 100 && status <= 599);
	static const char start[] = "HTTP/1.1 ";
	char *at = text_room(text, sizeof(start) - 1 + 4 + reason.length + 2);
	if (at == NULL)
		return;
	at = put(at, SLICE("HTTP/1.1 "));
	*at++ = (char)('0' + status / 100);
	*at++ = (char)('0' + status / 10 % 10);
	*at++ = (char)('0' + status % 10);
	*at++ = ' ';
	at = put_value(at, reason);
	*at++ = '\r';
	*at = '\n';
}

void h1_write_field(struct text *text, struct slice name, struct slice value)
{
	char *at = text_room(text, name.length + value.length + FIELD_EXTRA_BYTES);
	if (at == NULL)
		return;
	at = put(at, name);
	*at++ = ':';
	*at++ = ' ';
	at = put_value(at, value);
	*at++ = '\r';
	*at = '\n';
}

void h1_write_fields(struct text *text, const struct fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (field->id != FIELD_CONTENT_LENGTH && field->id != FIELD_TRANSFER_ENCODING &&
		    field->id != FIELD_CONNECTION)
			h1_write_field(text, field->name, field->value);
	}
}

size_t h1_chunk_line(char line[H1_CHUNK_LINE_MAX], uint64_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t count = size == 0 ? 1 : (size_t)(67 - __builtin_clzll(size)) / 4;
	for (size_t i = count; i > 0; i--, size >>= 4)
		line[i - 1] = digits[size & 15];
	line[count] = '\r';
	line[count + 1] = '\n';
	return count + 2;
}
