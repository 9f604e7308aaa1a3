// Users, their hashes and their groups: files of htpasswd, of htgroup and of API keys, read into frozen tables.
#ifndef USHER_ACCESS_USERS_H
#define USHER_ACCESS_USERS_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { USERS_NAME_MAX = 128 };

struct user {
	struct slice name, hash; // with a NUL behind each; an API key's hash: SHA-256, in lower-case hexadecimal
	struct slice groups;	 // separated by commas
	struct slice email;	 // empty: not known
	struct slice told;	 // fields of requests that servers get of him, "Name: value\n" each
	struct slice claims;	 // what else rules look at, "name\tvalue\n" each
};

struct users {
	struct user *items; // by name
	size_t count;
	const struct user **by_hash; // of API keys; NULL otherwise
	struct slice dummy;	     // one of the hashes: who is not there costs as much as who is; empty without users
	uint64_t digest;	     // of the files: another content is another digest
};

// What is wrong with a line.
struct users_fault {
	unsigned line; // from 1
	const char *why;
};

// Reads a file of "name:hash" lines; blank ones, and those that begin with #, are passed over; what is behind a second
// colon counts not. The names and hashes are copied to the arena. Hashes of the old kinds are refused unless they are
// allowed. False when a line is wrong, or memory is out (line 0).
bool users_read(struct users *users, struct slice content, bool old_allowed, struct arena *arena,
		struct users_fault *ret_fault);

// Reads a file of "name:SHA-256" lines, of API keys as `usher user key` makes them. As users_read.
bool users_read_keys(struct users *keys, struct slice content, struct arena *arena, struct users_fault *ret_fault);

// Adds the groups of a file of "group: user user" lines. Users that are not there are passed over. As users_read.
bool users_read_groups(struct users *users, struct slice content, struct arena *arena, struct users_fault *ret_fault);

// NULL: there is none.
const struct user *users_find(const struct users *users, struct slice name);

enum { API_KEY_DIGITS = 64 };

// A key's hash, as its file has it. False without memory.
bool api_key_digest(struct slice key, char ret_digits[API_KEY_DIGITS + 1]);

// Whose API key it is, of keys that users_read_keys read. NULL: nobody's.
const struct user *users_find_key(const struct users *keys, struct slice key);

// Whether it can be a group's name: 1 to 128 printable bytes, without a comma.
bool users_is_group(struct slice group);

// Whether he is in the group.
bool user_is_in(const struct user *user, struct slice group);

#endif
