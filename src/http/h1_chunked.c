// The decoder of the chunked coding: a line at a time byte by byte, data as it comes.
#include "http/h1.h"
#include "http/syntax.h"

enum {
	SIZE_DIGITS_MAX = 16,
	// Extensions mean nothing to usher and are not sent on; these bounds keep a sender
	// from hiding endless work in them (RFC 9112 section 7.1.1).
	LINE_BYTES_MAX = 256,
	EXTENSION_BYTES_MAX = 16 * 1024,
};

enum state {
	STATE_SIZE, // line_bytes counts its digits
	STATE_EXTENSION_NAME_START,
	STATE_EXTENSION_NAME,
	STATE_EXTENSION_VALUE_START,
	STATE_EXTENSION_TOKEN,
	STATE_EXTENSION_QUOTED,
	STATE_EXTENSION_QUOTED_PAIR,
	STATE_EXTENSION_QUOTED_END,
	STATE_SIZE_LF,
	STATE_DATA,
	STATE_DATA_CR,
	STATE_DATA_LF,
	STATE_TRAILERS,
	STATE_BAD,
};

void h1_chunked_init(struct h1_chunked *chunked)
{
	*chunked = (struct h1_chunked){.state = STATE_SIZE};
}

static const char *step_size(struct h1_chunked *chunked, char byte)
{
	if (syntax_is(byte, SYNTAX_HEX)) {
		if (chunked->line_bytes > SIZE_DIGITS_MAX)
			return "a chunk size of more than 16 digits";
		chunked->size = chunked->size << 4 | syntax_hex_value(byte);
		if (chunked->size > INT64_MAX)
			return "a chunk size above 2^63-1";
		return NULL;
	}
	if (chunked->line_bytes == 1)
		return "a chunk size that is not hexadecimal";
	if (byte == '\r')
		chunked->state = STATE_SIZE_LF;
	else if (byte == ';')
		chunked->state = STATE_EXTENSION_NAME_START;
	else
		return byte == '\n' ? "a bare LF ends a chunk size" : "a chunk size that is not hexadecimal";
	return NULL;
}

// After a whole name or value: the next extension, or the end of the line. Blanks around
// ";" and "=" are "bad" whitespace (RFC 9112 section 7.1.1), and refused.
static const char *step_extension_end(struct h1_chunked *chunked, char byte)
{
	if (byte == '\r')
		chunked->state = STATE_SIZE_LF;
	else if (byte == ';')
		chunked->state = STATE_EXTENSION_NAME_START;
	else
		return byte == '\n' ? "a bare LF ends a chunk extension" : "a malformed chunk extension";
	return NULL;
}

// chunk-ext = *( ";" token [ "=" ( token / quoted-string ) ] )
static const char *step_extension(struct h1_chunked *chunked, char byte)
{
	static const char *const malformed = "a malformed chunk extension";
	if (++chunked->extension_bytes > EXTENSION_BYTES_MAX)
		return "chunk extensions of more than 16 KiB in a body";
	switch (chunked->state) {
	case STATE_EXTENSION_NAME_START:
		chunked->state = STATE_EXTENSION_NAME;
		return syntax_is(byte, SYNTAX_TOKEN) ? NULL : malformed;
	case STATE_EXTENSION_NAME:
		if (syntax_is(byte, SYNTAX_TOKEN))
			return NULL;
		if (byte != '=')
			return step_extension_end(chunked, byte);
		chunked->state = STATE_EXTENSION_VALUE_START;
		return NULL;
	case STATE_EXTENSION_VALUE_START:
		chunked->state = byte == '"' ? STATE_EXTENSION_QUOTED : STATE_EXTENSION_TOKEN;
		return byte == '"' || syntax_is(byte, SYNTAX_TOKEN) ? NULL : malformed;
	case STATE_EXTENSION_TOKEN:
		return syntax_is(byte, SYNTAX_TOKEN) ? NULL : step_extension_end(chunked, byte);
	case STATE_EXTENSION_QUOTED:
		if (byte == '"')
			chunked->state = STATE_EXTENSION_QUOTED_END;
		else if (byte == '\\')
			chunked->state = STATE_EXTENSION_QUOTED_PAIR;
		else if (!syntax_is(byte, SYNTAX_QUOTED))
			return malformed;
		return NULL;
	case STATE_EXTENSION_QUOTED_PAIR:
		chunked->state = STATE_EXTENSION_QUOTED;
		return syntax_is(byte, SYNTAX_VALUE) ? NULL : malformed;
	default: // STATE_EXTENSION_QUOTED_END
		return step_extension_end(chunked, byte);
	}
}

// One byte that is not of a chunk's data. NULL, or what is bad.
static const char *step(struct h1_chunked *chunked, char byte)
{
	switch (chunked->state) {
	case STATE_SIZE_LF:
		if (byte != '\n')
			return "a bare CR in a chunk line";
		chunked->state = chunked->size > 0 ? STATE_DATA : STATE_TRAILERS;
		chunked->chunk_left = chunked->size;
		chunked->size = 0;
		chunked->line_bytes = 0;
		return NULL;
	case STATE_DATA_CR:
		chunked->state = STATE_DATA_LF;
		return byte == '\r' ? NULL : "a chunk's data is not followed by CRLF";
	case STATE_DATA_LF:
		chunked->state = STATE_SIZE;
		return byte == '\n' ? NULL : "a chunk's data is not followed by CRLF";
	default:
		if (++chunked->line_bytes > LINE_BYTES_MAX)
			return "a chunk line of more than 256 bytes";
		return chunked->state == STATE_SIZE ? step_size(chunked, byte) : step_extension(chunked, byte);
	}
}

enum h1_chunked_result h1_chunked_read(struct h1_chunked *chunked, struct slice *input, struct slice *ret_data,
				       const char **ret_detail)
{
	while (chunked->state != STATE_TRAILERS) {
		if (chunked->state == STATE_DATA && chunked->chunk_left == 0)
			chunked->state = STATE_DATA_CR;
		if (chunked->state == STATE_BAD) {
			*ret_detail = "not chunked coding";
			return H1_CHUNKED_BAD;
		}
		if (input->length == 0)
			return H1_CHUNKED_MORE;
		if (chunked->state == STATE_DATA) {
			*ret_data = slice_first(*input, chunked->chunk_left);
			*input = slice_after(*input, ret_data->length);
			chunked->chunk_left -= ret_data->length;
			return H1_CHUNKED_DATA;
		}
		const char *detail = step(chunked, input->data[0]);
		*input = slice_after(*input, 1);
		if (detail != NULL) {
			chunked->state = STATE_BAD;
			*ret_detail = detail;
			return H1_CHUNKED_BAD;
		}
	}
	return H1_CHUNKED_TRAILERS;
}
