// Users of a directory: LDAP (RFC 4511), Active Directory. A user's password is right when a server lets him bind by
// it: by a name made of a template, or by the one of the entry that a search finds.
#ifndef USHER_ACCESS_DIRECTORY_H
#define USHER_ACCESS_DIRECTORY_H

#include "access/source.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A NUL is behind each text; absent ones have .data NULL, or no length.
struct directory_groups {
	struct slice attribute;	  // of the user's entry: names of groups, or texts
	struct slice base;	  // only those below it; with `filter`, where they are searched
	struct slice filter;	  // with $dn and $user
	struct slice name;	  // the attribute of a group that is found
	const struct slice *keep; // only these; "web-*" stands for all that begin so
	size_t keep_count;
};

struct directory_settings {
	const struct slice *servers; // ldap://host:port, ldaps://host:port; in the order in which they are tried
	size_t server_count;
	bool starttls;
	struct slice authorities; // in PEM; empty: there is no TLS
	int64_t connect_ns, answer_ns;
	struct slice bind;	       // with $user; without it, `base` and `filter` find the name to bind by
	struct slice reader, password; // who searches; without, nobody in particular does
	struct slice base, filter;     // with $user
	struct slice user, email;      // attributes of the entry
	struct directory_groups groups;
};

struct directory;

// The settings' texts are the caller's, and outlive it. Connects to nothing. NULL when memory is out, or a template is
// wrong: *ret_why is a literal, and *ret_wrong the text that it is about.
struct directory *directory_new(const struct directory_settings *settings, struct slice *ret_wrong,
				const char **ret_why);
void directory_free(struct directory *directory);

// As in struct source; self is a directory.
enum source_verdict directory_verify(void *self, const struct source_question *question,
				     struct source_answer *ret_answer);

#endif
