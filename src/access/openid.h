// OpenID Connect, a relying party's side (Core 1.0; Discovery 1.0; RFC 6749, 7636 and 9207): what is read and written,
// as pure functions over texts. Who asks, and when, is in handlers/access_openid.
#ifndef USHER_ACCESS_OPENID_H
#define USHER_ACCESS_OPENID_H

#include "access/openid_state.h"
#include "base/slice.h"
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>

// --- What a provider says of itself (Discovery 1.0 section 3)

struct openid_metadata {
	json_t *document; // owns the texts
	const char *authorization, *token, *keys;
	const char *userinfo, *end_session; // NULL: there is none
	bool takes_basic, takes_post;	    // ways in which clients show their secret
	bool tells_issuer;		    // in what it sends back (RFC 9207)
};

// Where that stands (section 4): "https://id.example.com/.well-known/openid-configuration".
void openid_discovery_url(struct text *to, struct slice issuer);

// Reads it. False, with words of what is wrong (a literal), when it is another issuer's, or not whole, or names what is
// no URL of https, or of http where that is allowed.
bool openid_metadata_read(struct slice content, struct slice issuer, bool http_allowed,
			  struct openid_metadata *ret_metadata, const char **ret_why);
void openid_metadata_free(struct openid_metadata *metadata);

// --- Sending visitors there

struct openid_request {
	const char *endpoint;
	struct slice client_id, redirect_uri, scope, state, nonce;
	struct slice verifier; // of which the provider gets the digest (RFC 7636 section 4.2, S256)
};

// The address to send a visitor to. False when memory is out.
bool openid_request_write(struct text *to, const struct openid_request *request);

// --- What they come back with (RFC 6749 section 4.1.2, RFC 9207)

enum { OPENID_CODE_MAX = 2048, OPENID_ISSUER_MAX = 1024, OPENID_ERROR_MAX = 64 };

struct openid_callback {
	struct slice state;
	struct slice code, error; // one of both; the other is empty
	struct slice issuer;	  // .data NULL: it is not told
	char state_room[OPENID_STATE_MAX + 1], code_room[OPENID_CODE_MAX + 1], issuer_room[OPENID_ISSUER_MAX + 1],
		error_room[OPENID_ERROR_MAX + 1];
};

// False when something is missing, malformed, or longer than it may be. The texts are in the struct.
bool openid_callback_read(struct slice query, struct openid_callback *ret_callback);

// --- What the provider gives for a code (Core 1.0 section 3.1.3.3)

struct openid_tokens {
	json_t *document; // owns the texts
	struct slice id_token, access_token;
};

bool openid_tokens_read(struct slice content, struct openid_tokens *ret_tokens);
void openid_tokens_free(struct openid_tokens *tokens);

// What is wrong with the claims of an ID token whose signature, issuer, audience and times are right (Core 1.0 section
// 3.1.3.7, rules 4, 5 and 11): a literal; NULL: nothing.
const char *openid_fault_of_claims(const json_t *claims, struct slice client_id, struct slice nonce);

#endif
