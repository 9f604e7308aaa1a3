// A strict reader of JSON, to hold the writer to its word.
#include "support.h"

#include <ctype.h>

static bool take_value(struct slice *rest);

static bool take(struct slice *rest, char c)
{
	if (rest->length == 0 || rest->data[0] != c)
		return false;
	*rest = slice_after(*rest, 1);
	return true;
}

static bool take_utf8(struct slice *rest)
{
	const unsigned char *at = (const unsigned char *)rest->data;
	static const struct {
		unsigned char first, last, second_first, second_last, length;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (at[0] < forms[i].first || at[0] > forms[i].last)
			continue;
		if (rest->length < forms[i].length || at[1] < forms[i].second_first || at[1] > forms[i].second_last)
			return false;
		for (int j = 2; j < forms[i].length; j++) {
			if (at[j] < 0x80 || at[j] > 0xbf)
				return false;
		}
		*rest = slice_after(*rest, forms[i].length);
		return true;
	}
	return false;
}

static bool take_string(struct slice *rest)
{
	if (!take(rest, '"'))
		return false;
	while (rest->length > 0) {
		unsigned char c = (unsigned char)rest->data[0];
		if (take(rest, '"'))
			return true;
		if (c < 0x20 || c == 0x7f)
			return false;
		if (c >= 0x80) {
			if (!take_utf8(rest))
				return false;
			continue;
		}
		*rest = slice_after(*rest, 1);
		if (c != '\\')
			continue;
		if (rest->length == 0 || !strchr("\"\\/bfnrtu", rest->data[0]))
			return false;
		bool hexadecimal = rest->data[0] == 'u';
		*rest = slice_after(*rest, 1);
		for (int i = 0; hexadecimal && i < 4; i++) {
			if (rest->length == 0 || !isxdigit((unsigned char)rest->data[0]))
				return false;
			*rest = slice_after(*rest, 1);
		}
	}
	return false;
}

static bool take_digits(struct slice *rest)
{
	size_t count = 0;
	while (rest->length > 0 && isdigit((unsigned char)rest->data[0])) {
		*rest = slice_after(*rest, 1);
		count++;
	}
	return count > 0;
}

static bool take_number(struct slice *rest)
{
	take(rest, '-');
	if (!take(rest, '0') && !take_digits(rest))
		return false;
	return !take(rest, '.') || take_digits(rest);
}

static bool take_members(struct slice *rest, bool named, char end)
{
	if (take(rest, end))
		return true;
	do {
		if (named && (!take_string(rest) || !take(rest, ':')))
			return false;
		if (!take_value(rest))
			return false;
	} while (take(rest, ','));
	return take(rest, end);
}

static bool take_word(struct slice *rest, struct slice word)
{
	bool taken = slice_starts_with(*rest, word);
	if (taken)
		*rest = slice_after(*rest, word.length);
	return taken;
}

static bool take_value(struct slice *rest)
{
	if (rest->length == 0)
		return false;
	switch (rest->data[0]) {
	case '"':
		return take_string(rest);
	case '{':
		take(rest, '{');
		return take_members(rest, true, '}');
	case '[':
		take(rest, '[');
		return take_members(rest, false, ']');
	case 't':
		return take_word(rest, SLICE("true"));
	case 'f':
		return take_word(rest, SLICE("false"));
	case 'n':
		return take_word(rest, SLICE("null"));
	default:
		return take_number(rest);
	}
}

bool test_is_json(struct slice text)
{
	return take_value(&text) && text.length == 0;
}

struct slice test_json_member(struct slice object, const char *name)
{
	struct slice rest = object;
	if (!take(&rest, '{'))
		return SLICE_EMPTY;
	do {
		struct slice start = rest;
		if (!take_string(&rest))
			break;
		struct slice found = slice_from(start.data + 1, (size_t)(rest.data - start.data) - 2);
		if (!take(&rest, ':'))
			break;
		start = rest;
		if (!take_value(&rest))
			break;
		if (slice_equal(found, slice_from_string(name)))
			return slice_from(start.data, (size_t)(rest.data - start.data));
	} while (take(&rest, ','));
	return SLICE_EMPTY;
}
