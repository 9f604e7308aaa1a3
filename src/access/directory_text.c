#include "access/directory_text.h"

#include "access/users.h"
#include "config/utf8.h"

#include <ldap.h>

// --- Escaping

static bool is_plain_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == '@';
}

struct slice directory_escape(struct slice value, struct arena *arena)
{
	static const char hexadecimal[] = "0123456789abcdef";
	char *to = arena_alloc(arena, value.length * 3 + 1), *end = to;
	if (!to)
		return (struct slice){0};
	for (size_t i = 0; i < value.length; i++) {
		unsigned char byte = (unsigned char)value.data[i];
		if (is_plain_byte(value.data[i])) {
			*end++ = value.data[i];
			continue;
		}
		*end++ = '\\';
		*end++ = hexadecimal[byte >> 4];
		*end++ = hexadecimal[byte & 15];
	}
	*end = '\0';
	return slice_from(to, (size_t)(end - to));
}

// --- Names of users

static bool is_utf8(struct slice text)
{
	size_t length = 1;
	while (text.length > 0 && (length = utf8_length(text)) > 0)
		text = slice_after(text, length);
	return length > 0;
}

bool directory_is_user(struct slice name)
{
	if (name.length == 0 || name.length > USERS_NAME_MAX || !slice_is_printable(name) || !is_utf8(name))
		return false;
	for (size_t i = 0; i + 1 < name.length; i++)
		if (name.data[i] == ' ' && name.data[i + 1] == ' ')
			return false;
	return name.data[0] != ' ' && name.data[name.length - 1] != ' ';
}

bool directory_is_plain(struct slice name)
{
	static const char others[] = "@\\,=+\"<>;#/:*?|[]";
	for (const char *other = others; *other; other++)
		if (slice_find(name, *other) < name.length)
			return false;
	return true;
}

// --- Names and filters

static LDAPDN read_dn(struct slice text)
{
	LDAPDN dn = NULL;
	if (!text.data || ldap_str2dn(text.data, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		return NULL;
	return dn;
}

static size_t count_of(LDAPDN dn)
{
	size_t count = 0;
	while (dn && dn[count])
		count++;
	return count;
}

bool directory_is_dn(struct slice text)
{
	LDAPDN dn = read_dn(text);
	bool is_dn = count_of(dn) > 0;
	ldap_dnfree(dn);
	return is_dn;
}

// The library reads filters where it sends them alone; here it has nobody to send to.
bool directory_is_filter(struct slice text)
{
	static const char nowhere[] = "ldapi://%2Fdev%2Fnull";
	LDAP *ldap = NULL;
	int number, code = ldap_initialize(&ldap, nowhere);
	if (code == LDAP_SUCCESS)
		code = ldap_search_ext(ldap, "", LDAP_SCOPE_BASE, text.data, NULL, 0, NULL, NULL, NULL, 0, &number);
	if (ldap)
		(void)ldap_unbind_ext(ldap, NULL, NULL);
	return slice_starts_with(text, SLICE("(")) && code == LDAP_SERVER_DOWN;
}

struct slice directory_attribute_of(struct slice text)
{
	static const struct slice wanted = {"=$user", 6};
	for (size_t i = 0; i + wanted.length <= text.length; i++) {
		if (!slice_starts_with(slice_after(text, i), wanted))
			continue;
		size_t start = i;
		while (start > 0 && (is_plain_byte(text.data[start - 1]) || text.data[start - 1] == ';'))
			start--;
		return slice_from(text.data + start, i - start);
	}
	return SLICE("");
}

static struct slice slice_of(struct berval value)
{
	return slice_from(value.bv_val, value.bv_len);
}

static bool rdn_equal(LDAPRDN left, LDAPRDN right)
{
	size_t i = 0;
	for (; left[i] && right[i]; i++)
		if (!slice_equal_nocase(slice_of(left[i]->la_attr), slice_of(right[i]->la_attr)) ||
		    !slice_equal_nocase(slice_of(left[i]->la_value), slice_of(right[i]->la_value)))
			return false;
	return !left[i] && !right[i];
}

bool directory_is_below(struct slice name, struct slice base)
{
	LDAPDN below = read_dn(name), above = read_dn(base);
	size_t below_count = count_of(below), above_count = count_of(above);
	bool is_below = above_count > 0 && below_count > above_count;
	for (size_t i = 1; is_below && i <= above_count; i++)
		is_below = rdn_equal(below[below_count - i], above[above_count - i]);
	ldap_dnfree(below);
	ldap_dnfree(above);
	return is_below;
}

struct slice directory_common_name(struct slice name, struct arena *arena)
{
	LDAPDN dn = read_dn(name);
	struct slice value = {0};
	if (count_of(dn) > 0 && dn[0][0] && !dn[0][1])
		value = arena_copy(arena, slice_of(dn[0][0]->la_value));
	ldap_dnfree(dn);
	return value;
}
