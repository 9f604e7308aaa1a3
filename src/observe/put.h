// Putting values into a line of text, escaped so that no value can end its place in it.
//
// Each function writes at `to` and returns where it stopped. The caller has made sure of
// the room: put_number takes 20 bytes at most, put_milliseconds 24, the others what
// they are told.
#ifndef USHER_OBSERVE_PUT_H
#define USHER_OBSERVE_PUT_H

#include "base/slice.h"

#include <stdint.h>

// The least room that the escaping functions work with.
enum { PUT_ROOM_MIN = 32 };

static inline char *put_bytes(char *to, struct slice bytes)
{
	if (bytes.length)
		memcpy(to, bytes.data, bytes.length);
	return to + bytes.length;
}

static inline char *put_string(char *to, const char *string)
{
	return put_bytes(to, slice_from_string(string));
}

char *put_number(char *to, uint64_t number);

// Nanoseconds as milliseconds with three digits behind the point: "12.045".
char *put_milliseconds(char *to, uint64_t nanoseconds);

// As Apache writes values in its logs: \" and \\, \b \f \n \r \t \v, and \xNN for all other bytes
// that do not print. What would take more than `room` bytes is cut and ends in "...".
char *put_quoted(char *to, size_t room, struct slice value);

// The same, for a place without quotes around it: blanks become \x20, parentheses \x28 and
// \x29.
char *put_bare(char *to, size_t room, struct slice value);

// The inside of a JSON string (RFC 8259 section 7), valid whatever the bytes: those that are
// not UTF-8 become U+FFFD, control characters (DEL and C1 too) \u00NN. Cut as above.
char *put_json(char *to, size_t room, struct slice value);

#endif
