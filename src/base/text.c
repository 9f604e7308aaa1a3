#include "base/text.h"

#include "base/base64.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>

void text_add_number(struct text *text, uint64_t number)
{
	char digits[20];
	size_t first = sizeof digits;
	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	text_add(text, slice_from(digits + first, sizeof digits - first));
}

void text_add_signed(struct text *text, int64_t number)
{
	if (number >= 0) {
		text_add_number(text, (uint64_t)number);
		return;
	}
	size_t before = text->length;
	text_add_char(text, '-');
	text_add_number(text, 0 - (uint64_t)number);
	if (text->overflow)
		text->length = before; // whole or not at all
}

void text_add_hex(struct text *text, uint64_t number, unsigned digits)
{
	check(digits <= 16);
	if (digits == 0) {
		digits = 1;
		while (digits < 16 && number >> (digits * 4) != 0)
			digits++;
	}
	char *room = text_room(text, digits);
	if (room == NULL)
		return;
	for (unsigned i = 0; i < digits; i++)
		room[i] = "0123456789abcdef"[number >> ((digits - 1 - i) * 4) & 15];
}

void text_add_base64(struct text *text, struct slice bytes)
{
	char *room = text_room(text, BASE64_LENGTH(bytes.length));
	if (room != NULL)
		(void)base64_encode(BASE64_PADDED, bytes, room);
}

void text_printf(struct text *text, const char *format, ...)
{
	if (text->overflow)
		return;
	// vsnprintf wants a byte for its NUL, so what fills the buffer to the last counts as
	// overflow too.
	size_t room = text->capacity - text->length;
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text->data + text->length, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room) {
		text->overflow = true;
		return;
	}
	text->length += (size_t)length;
}
