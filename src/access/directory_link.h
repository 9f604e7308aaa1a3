// One connection to a server of a directory (LDAP, RFC 4511), by OpenLDAP's library: its steps, each with a time by
// which it ends whatever the server does, and a bound on what it may send. All of them block.
#ifndef USHER_ACCESS_DIRECTORY_LINK_H
#define USHER_ACCESS_DIRECTORY_LINK_H

#include "base/slice.h"

#include <ldap.h>
#include <stdbool.h>
#include <stdint.h>

struct directory_link_settings {
	const char *url; // ldap://host:port or ldaps://host:port
	bool starttls;
	const char *authorities; // the path of a file; NULL: there is no TLS
	int64_t connect_ns, answer_ns;
};

struct directory_link;

// Not connected yet. The settings' texts are the caller's, and outlive it. NULL when memory is out.
struct directory_link *directory_link_new(const struct directory_link_settings *settings);
void directory_link_free(struct directory_link *link); // NULL is allowed

// Each of these gives a result code of LDAP: LDAP_SUCCESS, what the server said, or a negative one of the library's.

// Connects, with TLS where the settings say so: the server's certificate has to be good, and for its name.
int directory_link_connect(struct directory_link *link);

// Binds by a name and a password (RFC 4513 section 5.1.3), neither of them empty: with an empty one, a server might
// take it for an anonymous or unauthenticated bind, and say yes (sections 5.1.1 and 5.1.2).
int directory_link_bind(struct directory_link *link, struct slice name, struct slice password);

// Looks for at most `limit` entries. *ret_entries is freed by ldap_msgfree, also when there was an error. References to
// other servers are not followed.
int directory_link_search(struct directory_link *link, const char *base, int scope, const char *filter,
			  const char *const *attributes, int limit, LDAPMessage **ret_entries);

LDAP *directory_link_handle(struct directory_link *link);

// What it did last, a literal; what went wrong, in words, for a log; and how long it took.
const char *directory_link_step(const struct directory_link *link);
struct slice directory_link_words(struct directory_link *link, int code, char *room, size_t size);
int64_t directory_link_took_ns(const struct directory_link *link);

// By the clock that only goes forward.
int64_t directory_clock_ns(void);

#endif
