#include "base/slice.h"

bool slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.length != b.length)
		return false;
	for (size_t i = 0; i < a.length; i++) {
		if (a.data[i] != b.data[i] && ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
			return false;
	}
	return true;
}

size_t slice_find(struct slice whole, char byte)
{
	if (whole.length == 0)
		return 0;
	const char *found = memchr(whole.data, byte, whole.length);
	return found != NULL ? (size_t)(found - whole.data) : whole.length;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice whole)
{
	while (whole.length > 0 && is_blank(whole.data[0])) {
		whole.data++;
		whole.length--;
	}
	while (whole.length > 0 && is_blank(whole.data[whole.length - 1]))
		whole.length--;
	return whole;
}

bool slice_cut(struct slice whole, char separator, struct slice *ret_before, struct slice *ret_after)
{
	size_t at = slice_find(whole, separator);
	*ret_before = slice_first(whole, at);
	if (at == whole.length)
		return false;
	*ret_after = slice_after(whole, at + 1);
	return true;
}

bool slice_next_line(struct slice *rest, struct slice *ret_line)
{
	if (rest->length == 0)
		return false;
	if (!slice_cut(*rest, '\n', ret_line, rest))
		*rest = SLICE_EMPTY;
	if (slice_ends_with(*ret_line, SLICE("\r")))
		ret_line->length--;
	return true;
}

size_t slice_count(struct slice whole, char byte)
{
	size_t count = 0;
	for (size_t i = 0; i < whole.length; i++)
		count += whole.data[i] == byte;
	return count;
}

bool slice_is_printable(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return false;
	return true;
}

// The index of the comma that ends the first member, or the length. In a quoted string a
// backslash takes the meaning from what follows it (RFC 9110 section 5.6.4).
static size_t find_member_end(struct slice list)
{
	bool quoted = false;
	for (size_t i = 0; i < list.length; i++) {
		char c = list.data[i];
		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' && quoted)
			i++;
		else if (c == ',' && !quoted)
			return i;
	}
	return list.length;
}

bool slice_next_member(struct slice *rest, struct slice *ret_member)
{
	while (rest->length > 0) {
		size_t end = find_member_end(*rest);
		struct slice member = slice_trim(slice_first(*rest, end));
		*rest = slice_after(*rest, end + 1);
		if (member.length > 0) {
			*ret_member = member;
			return true;
		}
	}
	return false;
}

bool slice_to_number(struct slice digits, uint64_t *ret_number)
{
	// 19 digits always fit into 64 bits.
	if (digits.length == 0 || digits.length > 19)
		return false;
	uint64_t number = 0;
	for (size_t i = 0; i < digits.length; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(digits.data[i] - '0');
	}
	*ret_number = number;
	return true;
}
