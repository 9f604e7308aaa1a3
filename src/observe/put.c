#include "observe/put.h"

#include "base/check.h"

#include <stdbool.h>

static const char DIGITS[] = "0123456789abcdef";

char *put_number(char *to, uint64_t number)
{
	char digits[20];
	unsigned count = 0;
	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (count > 0)
		*to++ = digits[--count];
	return to;
}

char *put_milliseconds(char *to, uint64_t nanoseconds)
{
	uint64_t microseconds = nanoseconds / 1000;
	unsigned fraction = (unsigned)(microseconds % 1000);
	to = put_number(to, microseconds / 1000);
	*to++ = '.';
	*to++ = (char)('0' + fraction / 100);
	*to++ = (char)('0' + fraction / 10 % 10);
	*to++ = (char)('0' + fraction % 10);
	return to;
}

// The first bits of the bytes of a word that are zero; bytes above such a one may be
// reported wrongly, so it only tells whether there is any.
static inline uint64_t zero_bytes(uint64_t word)
{
	return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

static inline uint64_t each_byte(unsigned char byte)
{
	return UINT64_C(0x0101010101010101) * byte;
}

// Whether none of eight bytes needs a second look: all print, none is a quote or backslash.
static inline bool all_plain(uint64_t word)
{
	uint64_t below_blank = (word - each_byte(0x20)) & ~word;
	uint64_t special = zero_bytes(word ^ each_byte('"')) | zero_bytes(word ^ each_byte('\\')) |
			   zero_bytes(word ^ each_byte(0x7f)) | below_blank | word;
	return (special & UINT64_C(0x8080808080808080)) == 0;
}

// Copies words while all their bytes are plain; moves both on. Writes 8 bytes at a time, below `end`.
static inline void copy_plain(char **to, const char *end, struct slice *value)
{
	while (value->length >= 8 && end - *to >= 8) {
		uint64_t word;
		memcpy(&word, value->data, 8);
		if (!all_plain(word))
			return;
		memcpy(*to, &word, 8);
		*to += 8;
		*value = slice_after(*value, 8);
	}
}

// What follows the backslash, or 'x' for the hexadecimal form.
static char escape_letter(unsigned char byte)
{
	switch (byte) {
	case '"':
	case '\\':
		return (char)byte;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	case '\v':
		return 'v';
	default:
		return 'x';
	}
}

static char *put_escaped(char *to, unsigned char byte)
{
	char letter = escape_letter(byte);
	*to++ = '\\';
	*to++ = letter;
	if (letter == 'x') {
		*to++ = DIGITS[byte >> 4];
		*to++ = DIGITS[byte & 15];
	}
	return to;
}

static inline bool prints_quoted(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

// The longest piece that one byte or code point can become, and the mark of a cut.
enum { PIECE_MAX = 6, CUT_LENGTH = 3 };

char *put_quoted(char *to, size_t room, struct slice value)
{
	check(room >= PUT_ROOM_MIN);
	char *end = to + room - CUT_LENGTH;
	for (;;) {
		copy_plain(&to, end, &value);
		if (value.length == 0)
			return to;
		if (end - to < PIECE_MAX)
			return put_string(to, "...");
		unsigned char byte = (unsigned char)value.data[0];
		if (prints_quoted(byte))
			*to++ = (char)byte;
		else
			to = put_escaped(to, byte);
		value = slice_after(value, 1);
	}
}

// All that print but blanks, quotes, backslashes and parentheses.
static const bool prints_bare[256] = {
	['!'] = true,
	['#' ... '\''] = true,
	['*' ... '['] = true,
	[']' ... '~'] = true,
};

char *put_bare(char *to, size_t room, struct slice value)
{
	check(room >= PUT_ROOM_MIN);
	const char *end = to + room - CUT_LENGTH - PIECE_MAX;
	for (size_t i = 0; i < value.length; i++) {
		if (to > end)
			return put_string(to, "...");
		unsigned char byte = (unsigned char)value.data[i];
		if (prints_bare[byte])
			*to++ = (char)byte;
		else
			to = put_escaped(to, byte);
	}
	return to;
}

// How many bytes the UTF-8 sequence at the start has (RFC 3629 section 4), or 0 when it is none.
static unsigned utf8_length(struct slice text)
{
	const unsigned char *at = (const unsigned char *)text.data;
	unsigned length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	if (at[0] < 0xc2 || at[0] > 0xf4 || length > text.length)
		return 0;
	unsigned char least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80; // no longer than needed
	unsigned char most = at[0] == 0xed   ? 0x9f
			     : at[0] == 0xf4 ? 0x8f
					     : 0xbf; // no surrogates, nothing above U+10FFFF
	if (at[1] < least || at[1] > most)
		return 0;
	for (unsigned i = 2; i < length; i++) {
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	}
	return length;
}

static char *put_unicode(char *to, unsigned code)
{
	to = put_string(to, "\\u00");
	*to++ = DIGITS[code >> 4];
	*to++ = DIGITS[code & 15];
	return to;
}

// Puts what the value begins with, and returns how many bytes of it that were.
static unsigned put_json_piece(char **to, struct slice value)
{
	unsigned char byte = (unsigned char)value.data[0];
	if (byte >= 0x80) {
		unsigned length = utf8_length(value);
		if (length == 0)
			*to = put_string(*to, "\xef\xbf\xbd");
		else if (byte == 0xc2 && (unsigned char)value.data[1] < 0xa0)
			*to = put_unicode(*to, (unsigned char)value.data[1]);
		else
			*to = put_bytes(*to, slice_first(value, length));
		return length == 0 ? 1 : length;
	}
	if (prints_quoted(byte)) {
		*(*to)++ = (char)byte;
	} else if (byte == '"' || byte == '\\') {
		*(*to)++ = '\\';
		*(*to)++ = (char)byte;
	} else {
		*to = put_unicode(*to, byte);
	}
	return 1;
}

char *put_json(char *to, size_t room, struct slice value)
{
	check(room >= PUT_ROOM_MIN);
	char *end = to + room - CUT_LENGTH;
	for (;;) {
		copy_plain(&to, end, &value);
		if (value.length == 0)
			return to;
		if (end - to < PIECE_MAX)
			return put_string(to, "...");
		value = slice_after(value, put_json_piece(&to, value));
	}
}
