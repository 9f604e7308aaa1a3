#include "exchange/escape.h"

#include "base/text.h"
#include "http/syntax.h"

#include <string.h>

enum { ESCAPED_BYTE_MAX = 6 }; // \u00XX, &quot;

static struct slice html_of(char byte)
{
	switch (byte) {
	case '&':
		return SLICE("&amp;");
	case '<':
		return SLICE("&lt;");
	case '>':
		return SLICE("&gt;");
	case '"':
		return SLICE("&quot;");
	case '\'':
		return SLICE("&#39;");
	default:
		return SLICE_EMPTY;
	}
}

// Whether the byte may stand in a URI as it is.
static bool is_uri_byte(char byte)
{
	return byte > ' ' && byte < 0x7f && !strchr("\"%<>\\^`{|}", byte);
}

static bool stands(char byte, enum escape_kind kind)
{
	switch (kind) {
	case ESCAPE_HTML:
		return html_of(byte).length == 0;
	case ESCAPE_JSON:
		return (unsigned char)byte >= ' ' && byte != '"' && byte != '\\' && byte != 0x7f;
	case ESCAPE_PATH:
		return syntax_is(byte, SYNTAX_PATH);
	case ESCAPE_QUERY:
		return syntax_is(byte, SYNTAX_QUERY);
	case ESCAPE_PARAMETER:
		return syntax_is(byte, SYNTAX_QUERY) && byte != '&' && byte != '=' && byte != '+' && byte != ';';
	case ESCAPE_URI:
		return is_uri_byte(byte);
	}
	return false;
}

static void write_escaped(struct text *out, char byte, enum escape_kind kind)
{
	static const char digits[] = "0123456789ABCDEF";
	if (kind == ESCAPE_HTML) {
		text_add(out, html_of(byte));
		return;
	}
	if (kind == ESCAPE_JSON && (byte == '"' || byte == '\\')) {
		text_add_char(out, '\\');
		text_add_char(out, byte);
		return;
	}
	text_add(out, kind == ESCAPE_JSON ? SLICE("\\u00") : SLICE("%"));
	text_add_char(out, digits[(unsigned char)byte >> 4]);
	text_add_char(out, digits[byte & 15]);
}

struct slice escape(struct slice text, enum escape_kind kind, struct arena *arena)
{
	bool keeps_encodings = kind != ESCAPE_HTML && kind != ESCAPE_JSON;
	const char *end = text.data + text.length, *at = text.data;
	while (at < end && (stands(*at, kind) || (keeps_encodings && syntax_is_percent_encoded(at, end))))
		at++;
	if (at == end)
		return text;
	struct text out;
	size_t room = (size_t)(at - text.data) + (size_t)(end - at) * ESCAPED_BYTE_MAX;
	char *buffer = arena_alloc(arena, room);
	if (!buffer)
		return SLICE_EMPTY;
	text_init(&out, buffer, room);
	text_add(&out, slice_first(text, (size_t)(at - text.data)));
	for (; at < end; at++) {
		if (stands(*at, kind) || (keeps_encodings && syntax_is_percent_encoded(at, end)))
			text_add_char(&out, *at);
		else
			write_escaped(&out, *at, kind);
	}
	return text_slice(&out);
}
