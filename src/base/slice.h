// A slice: bytes that somebody else owns.
//
// The currency of the whole program: header names, paths, bodies are slices into the
// buffers that they arrived in. A slice is never NUL-terminated and never freed; it is
// good for as long as its owner says.
#ifndef USHER_BASE_SLICE_H
#define USHER_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *data;
	size_t length;
};

// A slice of a string literal.
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_EMPTY ((struct slice){0})
// For "%.*s" in printf.
#define SLICE_ARGUMENTS(slice) (int)(slice).length, (slice).data

static inline struct slice slice_from(const void *data, size_t length)
{
	return (struct slice){data, length};
}

static inline struct slice slice_from_string(const char *string)
{
	return (struct slice){string, strlen(string)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool slice_starts_with(struct slice whole, struct slice start)
{
	return whole.length >= start.length && (start.length == 0 || memcmp(whole.data, start.data, start.length) == 0);
}

static inline bool slice_ends_with(struct slice whole, struct slice end)
{
	return whole.length >= end.length &&
	       (end.length == 0 || memcmp(whole.data + whole.length - end.length, end.data, end.length) == 0);
}

// The slice without its first `count` bytes (all of them when it has fewer).
static inline struct slice slice_after(struct slice whole, size_t count)
{
	count = count < whole.length ? count : whole.length;
	return (struct slice){whole.data + count, whole.length - count};
}

// The first `count` bytes (all of them when it has fewer).
static inline struct slice slice_first(struct slice whole, size_t count)
{
	return (struct slice){whole.data, count < whole.length ? count : whole.length};
}

// ASCII only, as HTTP's field names, host names and schemes are compared.
bool slice_equal_nocase(struct slice a, struct slice b);

// The index of the first `byte`, or the slice's length.
size_t slice_find(struct slice whole, char byte);

// Without the blanks (space and horizontal tab) at both ends.
struct slice slice_trim(struct slice whole);

// Splits at the first `separator`: true and both sides, or false and the whole in
// *ret_before.
bool slice_cut(struct slice whole, char separator, struct slice *ret_before, struct slice *ret_after);

// Takes the next line off the front of *rest, without its end ("\n" or "\r\n"). False at the end; what follows the last
// end is a line unless it is empty.
bool slice_next_line(struct slice *rest, struct slice *ret_line);

// How often the byte stands in it.
size_t slice_count(struct slice whole, char byte);

// Whether it has no control characters (below a blank, and DEL); tabs are some.
bool slice_is_printable(struct slice text);

// Takes the next comma-separated member of an HTTP list (RFC 9110 section 5.6.1) off
// the front of *rest, trimmed; empty members are passed over; commas in quoted strings
// do not split. False at the end.
bool slice_next_member(struct slice *rest, struct slice *ret_member);

// A decimal number of 1 to 19 digits and nothing else; false for anything else.
bool slice_to_number(struct slice digits, uint64_t *ret_number);

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#endif
