// Texts of LDAP: what a visitor wrote, made safe for distinguished names and for filters.
#ifndef USHER_ACCESS_DIRECTORY_TEXT_H
#define USHER_ACCESS_DIRECTORY_TEXT_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>

// One value within a distinguished name (RFC 4514 section 2.4) or a filter (RFC 4515 section 3): in both grammars a
// backslash and two hexadecimal digits are the byte, and so all bytes but letters, digits and a few others are written.
// .data is NULL when memory is out.
struct slice directory_escape(struct slice value, struct arena *arena);

// Whether it may be a user's name: UTF-8 that is printable, of at most 128 bytes, and without the blanks that
// directories pass over when they compare (RFC 4518 section 2.6.1), by which one user would have many names.
bool directory_is_user(struct slice name);

// Whether the name says the user alone, where it is put into a text such as "$user@corp.example.com": it has nothing by
// which a server would take the whole for a distinguished name, or for a user of another domain.
bool directory_is_plain(struct slice name);

// Whether it is a distinguished name that is not empty; with a NUL behind it.
bool directory_is_dn(struct slice text);

// Whether it is a filter (RFC 4515) that may be sent; with a NUL behind it.
bool directory_is_filter(struct slice text);

// The attribute that is compared with "$user" in a filter such as "(&(objectClass=person)(uid=$user))", or in a name
// such as "uid=$user,ou=people"; empty when there is none.
struct slice directory_attribute_of(struct slice text);

// Whether a name, as a server gave it, stands below a base, by its components. Both with a NUL behind them; false for
// what is no name.
bool directory_is_below(struct slice name, struct slice base);

// The value of a name's first component, "makers" of "cn=makers,ou=groups"; .data is NULL for what is no name, and
// when memory is out.
struct slice directory_common_name(struct slice name, struct arena *arena);

#endif
