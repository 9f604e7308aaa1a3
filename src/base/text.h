// A text builder over a buffer that the caller gives: for heads, log lines, pages.
//
// It never allocates and never writes past the buffer. What no longer fits is left out
// whole, and `overflow` stays set; the caller looks once, at the end.
#ifndef USHER_BASE_TEXT_H
#define USHER_BASE_TEXT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data;
	size_t length, capacity;
	bool overflow;
};

static inline void text_init(struct text *text, char *buffer, size_t capacity)
{
	*text = (struct text){.data = buffer, .capacity = capacity};
}

// Room for `count` bytes, already counted as written, which the caller fills in; NULL, and
// overflow, when they do not fit.
static inline char *text_room(struct text *text, size_t count)
{
	if (text->overflow || count > text->capacity - text->length) {
		text->overflow = true;
		return NULL;
	}
	char *room = text->data + text->length;
	text->length += count;
	return room;
}

static inline void text_add(struct text *text, struct slice bytes)
{
	char *room = text_room(text, bytes.length);
	if (room != NULL && bytes.length > 0)
		memcpy(room, bytes.data, bytes.length);
}

static inline void text_add_string(struct text *text, const char *string)
{
	text_add(text, slice_from_string(string));
}

static inline void text_add_char(struct text *text, char c)
{
	char *room = text_room(text, 1);
	if (room != NULL)
		*room = c;
}

// In decimal.
void text_add_number(struct text *text, uint64_t number);
void text_add_signed(struct text *text, int64_t number);

// In lower-case hexadecimal, `digits` of them (1 to 16), with leading zeros; 0: as many as
// the number needs.
void text_add_hex(struct text *text, uint64_t number, unsigned digits);

// In base64, with padding (RFC 4648 section 4): BASE64_LENGTH bytes.
void text_add_base64(struct text *text, struct slice bytes);

// As snprintf, with one byte of room more for its NUL; slower than the others.
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct slice text_slice(const struct text *text)
{
	return slice_from(text->data, text->length);
}

#endif
