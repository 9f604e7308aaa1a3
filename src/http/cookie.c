#include "http/cookie.h"

#include "http/syntax.h"

enum { NAME_MAX_BYTES = 128 };

bool cookie_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
	while (rest->length > 0) {
		struct slice pair, name, value;
		if (!slice_cut(*rest, ';', &pair, rest))
			*rest = SLICE_EMPTY;
		if (!slice_cut(pair, '=', &name, &value))
			continue;
		*ret_name = slice_trim(name);
		*ret_value = slice_trim(value);
		return true;
	}
	return false;
}

struct slice cookie_find(const struct fields *fields, struct slice name)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		struct slice rest = fields->items[i].value, found, value;
		while (fields->items[i].id == FIELD_COOKIE && cookie_next(&rest, &found, &value))
			if (slice_equal(found, name))
				return value;
	}
	return SLICE_EMPTY;
}

bool cookie_is_name(struct slice text)
{
	return text.length <= NAME_MAX_BYTES && syntax_all(text, SYNTAX_TOKEN);
}
