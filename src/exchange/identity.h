// Fields that tell servers who a visitor is: usher's word alone.
#ifndef USHER_EXCHANGE_IDENTITY_H
#define USHER_EXCHANGE_IDENTITY_H

#include "http/fields.h"

struct exchange;

// Takes off what a client says of its identity: X-Forwarded-User, -Groups, -Email, -Preferred-Username, X-Remote-User,
// Remote-User and their like, also with "_" for "-", which many servers take for the same.
void identity_remove_fields(struct fields *fields);

// Tells the exchange's user and groups in X-Forwarded-User and X-Forwarded-Groups, in the place of any that are there.
// False when memory is out.
bool identity_tell(struct exchange *exchange);

#endif
