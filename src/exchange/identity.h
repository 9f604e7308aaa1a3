// Fields that tell servers who a visitor is: usher's word alone.
#ifndef USHER_EXCHANGE_IDENTITY_H
#define USHER_EXCHANGE_IDENTITY_H

#include "http/fields.h"

struct exchange;

// Takes off what a client says of its identity: X-Forwarded-User, -Groups, -Email, -Preferred-Username, X-Remote-User,
// Remote-User and their like, and the fields that are the configuration's own (snapshot_own_field); also with "_" for
// "-", which many servers take for the same.
void identity_remove(struct exchange *exchange);

// Names of such fields, from which a rule chooses: no client can send what is always taken off. They end with NULL.
extern const char *const identity_user_fields[];
extern const char *const identity_groups_fields[];
extern const char *const identity_email_fields[];

// Tells the exchange's user, groups and address of mail, as far as they are known, in the fields with these names, in
// the place of any that are there. False when memory is out.
bool identity_tell(struct exchange *exchange, const char *user_field, const char *groups_field,
		   const char *email_field);

// Whether a name is one of those that are always taken off.
bool identity_is_known(struct slice name);

#endif
