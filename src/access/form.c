#include "access/form.h"

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(struct slice text, char *room, size_t size, struct slice *ret_value)
{
	size_t length = 0;
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i] == '+' ? ' ' : text.data[i];
		int high = c == '%' && i + 2 < text.length ? hex_of(text.data[i + 1]) : -1;
		int low = high >= 0 ? hex_of(text.data[i + 2]) : -1;
		if (low >= 0) {
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0' || length + 1 >= size)
			return false;
		room[length++] = c;
	}
	room[length] = '\0';
	*ret_value = slice_from(room, length);
	return true;
}

bool form_find(struct slice form, struct slice name, char *room, size_t size, struct slice *ret_value)
{
	struct slice field, key, value;
	for (bool more = form.length > 0; more;) {
		more = slice_cut(form, '&', &field, &form);
		if (slice_cut(field, '=', &key, &value) && slice_equal(key, name))
			return decode(value, room, size, ret_value);
	}
	return false;
}
