// Which bytes may stand where: one table lookup for each question that HTTP's and the
// URI's grammars ask of a byte, and scans for the ends of runs.
#ifndef USHER_HTTP_SYNTAX_H
#define USHER_HTTP_SYNTAX_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum syntax {
	SYNTAX_TOKEN = 1,	// tchar (RFC 9110 section 5.6.2)
	SYNTAX_VALUE = 2,	// field-vchar, space or tab (RFC 9110 section 5.5)
	SYNTAX_QUOTED = 4,	// qdtext (RFC 9110 section 5.6.4)
	SYNTAX_PATH = 8,	// of a path in a request target (uri.h), without "%"
	SYNTAX_QUERY = 16,	// of a query in a request target (uri.h), without "%"
	SYNTAX_UNRESERVED = 32, // RFC 3986 section 2.3
	SYNTAX_HEX = 64,	// HEXDIG in either case
	SYNTAX_SCHEME = 128,	// of a scheme after its first letter (RFC 3986 section 3.1)
};

extern const uint8_t syntax_of[256];

static inline bool syntax_is(char byte, enum syntax syntax)
{
	return (syntax_of[(uint8_t)byte] & syntax) != 0;
}

// Whether the slice has at least one byte, and all of them are of the syntax.
bool syntax_all(struct slice bytes, enum syntax syntax);

// The value of a hexadecimal digit; for anything else, anything.
static inline unsigned syntax_hex_value(char digit)
{
	return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)((digit | 0x20) - 'a' + 10);
}

// Whether the slice starts with "%" and two hexadecimal digits (RFC 3986 section 2.1).
static inline bool syntax_is_percent_encoded(const char *at, const char *end)
{
	return end - at >= 3 && at[0] == '%' && syntax_is(at[1], SYNTAX_HEX) && syntax_is(at[2], SYNTAX_HEX);
}

// The byte that such a one stands for.
static inline char syntax_percent_value(const char *at)
{
	return (char)(syntax_hex_value(at[1]) << 4 | syntax_hex_value(at[2]));
}

// The next byte of what forms write (HTML's application/x-www-form-urlencoded): "+" is a blank, and %XX a byte. *at is
// before the end, and moves on.
static inline char syntax_form_byte(const char **at, const char *end)
{
	const char *here = *at;
	bool is_encoded = syntax_is_percent_encoded(here, end);
	*at += is_encoded ? 3 : 1;
	return is_encoded ? syntax_percent_value(here) : *here == '+' ? ' ' : *here;
}

// The first byte in at..end that is not of the syntax, or end.
static inline const char *syntax_skip(const char *at, const char *end, enum syntax syntax)
{
	while (at < end && syntax_is(*at, syntax))
		at++;
	return at;
}

#ifdef __SSE2__
// A bit for each of 16 bytes that is DEL, or not above `highest`; a tab where it counts.
static inline unsigned syntax_control_mask(const char *at, char highest, bool tab_is_control)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(highest)), bytes);
	if (!tab_is_control)
		control = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')), control);
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(control, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
}
#endif

// As syntax_skip with SYNTAX_VALUE, 16 bytes at a time: values are the most of every head.
static inline const char *syntax_skip_value(const char *at, const char *end)
{
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		unsigned mask = syntax_control_mask(at, 0x1f, false);
		if (mask != 0)
			return at + __builtin_ctz(mask);
	}
#endif
	return syntax_skip(at, end, SYNTAX_VALUE);
}

// The first blank or control character in at..end, or end.
static inline const char *syntax_skip_word(const char *at, const char *end)
{
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		unsigned mask = syntax_control_mask(at, ' ', true);
		if (mask != 0)
			return at + __builtin_ctz(mask);
	}
#endif
	while (at < end && (uint8_t)*at > ' ' && *at != 0x7f)
		at++;
	return at;
}

#endif
