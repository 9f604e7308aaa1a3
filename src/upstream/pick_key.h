// What of a request decides which server it meets, where the same should meet the same:
// the client, the path, a header, a cookie, ...
#ifndef USHER_UPSTREAM_PICK_KEY_H
#define USHER_UPSTREAM_PICK_KEY_H

#include "base/hash.h"
#include "base/slice.h"
#include "config/load.h"
#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;

enum pick_key_source {
	PICK_KEY_CLIENT, // its address; of IPv6 its /64, which one visitor has
	PICK_KEY_HOST,	 // as sites are found
	PICK_KEY_PATH,	 // as rules compare it
	PICK_KEY_URI,	 // the same and the query
	PICK_KEY_HEADER,
	PICK_KEY_COOKIE,
	PICK_KEY_QUERY, // a parameter, as it is written
};

struct pick_key {
	enum pick_key_source source;
	struct slice name; // of the header field, cookie or parameter
	enum field_id id;  // of the header field
};

// What is expected, for error messages and the reference.
#define PICK_KEY_FORM "client, host, path, uri, \"header NAME\", \"cookie NAME\" or \"query NAME\""

// Reads "client", "header X-User", ...; the name is lent by the text. False after config_error.
bool pick_key_load(struct config_load *load, const struct config_text *text, struct pick_key *ret_key);

// A number for the request, the same for all that are equal in the key. A request without the
// header, cookie or parameter counts by its client. Does not suspend, does not allocate.
//
// With the same `secret` several ushers choose the same servers; who does not know it cannot
// aim at one (SipHash).
uint64_t pick_key_hash(const struct pick_key *key, const struct hash_key *secret, const struct exchange *exchange);

#endif
