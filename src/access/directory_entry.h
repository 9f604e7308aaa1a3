// What a directory's entries say of a user: his name, address of mail and groups.
#ifndef USHER_ACCESS_DIRECTORY_ENTRY_H
#define USHER_ACCESS_DIRECTORY_ENTRY_H

#include "access/directory.h"
#include "base/arena.h"

#include <ldap.h>

// Reads the user's own entry; the name that he logged in by is spelt as the entry spells it. The arena
// is for what is needed meanwhile; groups for which it has no room are left out.
void directory_entry_read(LDAP *ldap, LDAPMessage *entry, const struct directory_settings *settings, struct slice user,
			  struct arena *arena, struct source_answer *answer);

// The name of a user of whom no entry is known: in small letters, since directories take large and small ones for the
// same. Without the blanks or bytes that directory_is_user refuses.
void directory_entry_name(struct slice user, struct source_answer *answer);

// Reads entries of groups.
void directory_entry_groups(LDAP *ldap, LDAPMessage *entries, const struct directory_settings *settings,
			    struct source_answer *answer);

#endif
