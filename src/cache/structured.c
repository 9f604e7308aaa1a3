#include "cache/structured.h"

enum { INTEGER_DIGITS = 15, DECIMAL_DIGITS = 12, FRACTION_DIGITS = 3 };

// The parsing of RFC 8941 section 4.2: each function takes what it reads off the front, and fails where
// the text is not what it should be.

static bool is_next(const struct slice *rest, char c)
{
	return rest->length > 0 && rest->data[0] == c;
}

static bool take(struct slice *rest, char c)
{
	if (!is_next(rest, c))
		return false;
	*rest = slice_after(*rest, 1);
	return true;
}

static void skip(struct slice *rest, bool tabs_too)
{
	while (is_next(rest, ' ') || (tabs_too && is_next(rest, '\t')))
		*rest = slice_after(*rest, 1);
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool take_key(struct slice *rest, struct slice *ret_key)
{
	size_t length = 0;
	while (length < rest->length) {
		char c = rest->data[length];
		bool first = is_lower(c) || c == '*';
		if (!first && (length == 0 || !(is_digit(c) || c == '_' || c == '-' || c == '.')))
			break;
		length++;
	}
	*ret_key = slice_first(*rest, length);
	*rest = slice_after(*rest, length);
	return length > 0;
}

// --- Bare items

static bool take_number(struct slice *rest, struct structured_member *member)
{
	bool negative = take(rest, '-');
	int64_t number = 0;
	unsigned digits = 0, fraction = 0;
	for (; rest->length > 0 && is_digit(rest->data[0]) && digits <= INTEGER_DIGITS; digits++) {
		number = number * 10 + (rest->data[0] - '0');
		*rest = slice_after(*rest, 1);
	}
	member->kind = STRUCTURED_INTEGER;
	member->number = negative ? -number : number;
	if (digits == 0 || digits > INTEGER_DIGITS)
		return false;
	if (!take(rest, '.'))
		return true;
	for (; rest->length > 0 && is_digit(rest->data[0]) && fraction <= FRACTION_DIGITS; fraction++)
		*rest = slice_after(*rest, 1);
	member->kind = STRUCTURED_OTHER;
	return digits <= DECIMAL_DIGITS && fraction > 0 && fraction <= FRACTION_DIGITS;
}

static bool take_string(struct slice *rest)
{
	while (rest->length > 0) {
		char c = rest->data[0];
		*rest = slice_after(*rest, 1);
		if (c == '"')
			return true;
		if (c < ' ' || c > '~')
			return false;
		if (c == '\\' && !take(rest, '"') && !take(rest, '\\'))
			return false;
	}
	return false;
}

static bool take_bytes(struct slice *rest)
{
	while (rest->length > 0) {
		char c = rest->data[0];
		*rest = slice_after(*rest, 1);
		if (c == ':')
			return true;
		if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '/' && c != '=')
			return false;
	}
	return false;
}

static bool is_token_byte(char c)
{
	return is_alpha(c) || is_digit(c) || (c > ' ' && c <= '~' && slice_find(SLICE("!#$%&'*+-.^_`|~:/"), c) < 17);
}

static bool take_boolean(struct slice *rest, struct structured_member *member)
{
	member->kind = STRUCTURED_BOOLEAN;
	member->number = is_next(rest, '1');
	return take(rest, '1') || take(rest, '0');
}

static bool take_item(struct slice *rest, struct structured_member *member)
{
	member->kind = STRUCTURED_OTHER;
	member->number = 0;
	if (rest->length == 0)
		return false;
	char c = rest->data[0];
	if (is_digit(c) || c == '-')
		return take_number(rest, member);
	if (take(rest, '?'))
		return take_boolean(rest, member);
	if (take(rest, '"'))
		return take_string(rest);
	if (take(rest, ':'))
		return take_bytes(rest);
	if (!is_alpha(c) && c != '*')
		return false;
	while (rest->length > 0 && is_token_byte(rest->data[0]))
		*rest = slice_after(*rest, 1);
	return true;
}

static bool take_parameters(struct slice *rest)
{
	while (take(rest, ';')) {
		struct slice key;
		struct structured_member ignored;
		skip(rest, false);
		if (!take_key(rest, &key) || (take(rest, '=') && !take_item(rest, &ignored)))
			return false;
	}
	return true;
}

// --- Members

static bool take_inner_list(struct slice *rest)
{
	for (;;) {
		struct structured_member ignored;
		skip(rest, false);
		if (take(rest, ')'))
			return true;
		if (!take_item(rest, &ignored) || !take_parameters(rest))
			return false;
		if (!is_next(rest, ' ') && !is_next(rest, ')'))
			return false;
	}
}

static bool take_member(struct slice *rest, struct structured_member *ret_member)
{
	if (!take_key(rest, &ret_member->key))
		return false;
	ret_member->kind = STRUCTURED_BOOLEAN;
	ret_member->number = 1;
	if (!take(rest, '='))
		return take_parameters(rest);
	if (!take(rest, '('))
		return take_item(rest, ret_member) && take_parameters(rest);
	ret_member->kind = STRUCTURED_OTHER;
	ret_member->number = 0;
	return take_inner_list(rest) && take_parameters(rest);
}

// A member and the comma behind it; *ret_more, whether another one follows.
static bool take_whole(struct slice *rest, struct structured_member *ret_member, bool *ret_more)
{
	if (!take_member(rest, ret_member))
		return false;
	skip(rest, true);
	*ret_more = take(rest, ',');
	if (*ret_more)
		skip(rest, true);
	return *ret_more ? rest->length > 0 : rest->length == 0;
}

static struct slice without_blanks(struct slice text)
{
	skip(&text, false);
	while (text.length > 0 && text.data[text.length - 1] == ' ')
		text.length--;
	return text;
}

bool structured_is_dictionary(struct slice text)
{
	struct slice rest = without_blanks(text);
	struct structured_member member;
	bool more = rest.length > 0;
	while (more)
		if (!take_whole(&rest, &member, &more))
			return false;
	return true;
}

bool structured_next(struct slice *rest, struct structured_member *ret_member)
{
	bool more;
	*rest = without_blanks(*rest);
	return rest->length > 0 && take_whole(rest, ret_member, &more);
}
