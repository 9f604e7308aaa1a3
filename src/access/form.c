#include "access/form.h"

#include "http/syntax.h"

static bool decode(struct slice text, char *room, size_t size, struct slice *ret_value)
{
	size_t length = 0;
	for (const char *at = text.data, *end = at + text.length; at < end;) {
		char c = syntax_form_byte(&at, end);
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
