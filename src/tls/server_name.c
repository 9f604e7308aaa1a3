#include "tls/server_name.h"

enum { NAME_TYPE_HOST = 0 };

static bool take_number(struct slice *rest, unsigned bytes, size_t *ret_number)
{
	if (rest->length < bytes)
		return false;
	size_t number = 0;
	for (unsigned i = 0; i < bytes; i++)
		number = number << 8 | (unsigned char)rest->data[i];
	*rest = slice_after(*rest, bytes);
	*ret_number = number;
	return true;
}

// What a length in front of it bounds; all of `rest`, which OpenSSL demands as well: a list
// has one entry, as there is one type of name.
static bool is_whole(struct slice *rest)
{
	size_t length;
	return take_number(rest, 2, &length) && length == rest->length;
}

// Letters, digits, hyphens and the underscores that some use, in labels that are not empty.
static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool server_name_parse(struct slice extension, char buffer[SERVER_NAME_MAX], struct slice *ret_host)
{
	size_t type;
	struct slice name = extension;
	if (!is_whole(&name) || !take_number(&name, 1, &type) || type != NAME_TYPE_HOST || !is_whole(&name))
		return false;
	if (slice_ends_with(name, SLICE(".")))
		name = slice_first(name, name.length - 1);
	if (name.length == 0 || name.length > SERVER_NAME_MAX)
		return false;
	char before = '.';
	for (size_t i = 0; i < name.length; i++) {
		char c = ascii_lower(name.data[i]);
		if (!is_host_byte(c) || (c == '.' && before == '.'))
			return false;
		buffer[i] = before = c;
	}
	if (before == '.')
		return false;
	*ret_host = slice_from(buffer, name.length);
	return true;
}
