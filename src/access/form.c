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

bool form_has(struct slice form, struct slice name)
{
	struct slice field, key, value;
	for (bool more = form.length > 0; more;) {
		more = slice_cut(form, '&', &field, &form);
		(void)slice_cut(field, '=', &key, &value);
		if (slice_equal(key, name))
			return true;
	}
	return false;
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

void form_encode(struct text *to, struct slice value)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < value.length; i++) {
		char c = value.data[i];
		if (syntax_is(c, SYNTAX_UNRESERVED)) {
			text_add_char(to, c);
			continue;
		}
		text_add_char(to, '%');
		text_add_char(to, digits[(unsigned char)c >> 4]);
		text_add_char(to, digits[c & 15]);
	}
}

void form_add(struct text *form, const char *name, struct slice value)
{
	if (form->length > 0)
		text_add_char(form, '&');
	text_add_string(form, name);
	text_add_char(form, '=');
	form_encode(form, value);
}
