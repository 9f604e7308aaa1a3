// What an issuer of tokens says of a user (claims): who he is, what servers are told of him, and what rules look at.
// For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_CLAIMS_H
#define USHER_HANDLERS_ACCESS_CLAIMS_H

#include "access/users.h"
#include "base/arena.h"
#include "config/load.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// A claim that a rule looks at, and one of the values that it wants.
struct access_claim {
	const struct access_claim *next;
	struct slice name, value;
};

// Which claims are taken, and for what.
struct access_claims {
	struct config_text user, groups, email;
	struct config_pairs fields;	   // of requests, and the claims that they tell
	const struct access_claim *wanted; // by rules
};

// The keys of a section with these claims, beside `user`.
// clang-format off
#define ACCESS_CLAIMS_KEYS(type, member)                                                                               \
	{"groups", CONFIG_TEXT, offsetof(type, member.groups), "groups",                                               \
	 "the claim that names his groups, as a list; within another one: realm_access.roles"},                        \
	{"email", CONFIG_TEXT, offsetof(type, member.email), "email", "the claim that has his address of mail"},       \
	{"fields", CONFIG_PAIRS, offsetof(type, member.fields),                                                        \
	 .help = "fields of requests that tell servers more of him, and the claims that they tell; from outside these "\
		 "fields are not passed on",                                                                           \
	 .form = "a map such as {X-Department: department}"}
// clang-format on

// Whether the names of the fields can be told. False after config_error.
bool access_claims_check(struct config_load *load, const struct access_claims *claims);

// Who it is, in the arena; NULL, with words of what is wrong (a literal). Claims that are no text, number, truth value,
// or list of these, are passed over, and so are texts with control characters, and very long ones; a list is joined by
// commas, without those of its texts that have one.
const struct user *access_claims_user(const struct access_claims *claims, const json_t *said, struct arena *arena,
				      const char **ret_why);

// Whether one that is taken is not among those that were said.
bool access_claims_miss(const struct access_claims *claims, const json_t *said);

// Of all that decides what is kept of a user.
uint64_t access_claims_digest(const struct access_claims *claims);

// Whether the user has, for each name among the pairs, one of its values.
bool access_claims_hold(const struct config_pairs *pairs, const struct user *user);

#endif
