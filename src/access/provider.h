// Issuers of tokens as their URLs tell of them: their keys (a JWK set, RFC 7517), and of OpenID Connect providers where
// visitors log in.
//
// They are of the process: found by what they were configured with, shared by all configurations that have the same,
// kept over reloads, and fetched and renewed by a thread of its own each, so that one that is slow delays no other.
// What came last stays good while the source is away.
#ifndef USHER_ACCESS_PROVIDER_H
#define USHER_ACCESS_PROVIDER_H

#include "access/jwt.h"
#include "access/openid.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct provider;

struct provider_settings {
	bool is_openid;	  // the URL is an issuer, and discovery tells where its keys are; else it is a JWK set's
	struct slice url; // of https, or of http: then others that it names may be so, too
	struct slice authorities; // PEM: whom to believe; empty: the system's
	int64_t refresh_s;	  // so often it is fetched anew, unless its Cache-Control says sooner
};

// Nothing in it changes.
struct provider_facts {
	struct jwt_keys *keys;
	struct openid_metadata metadata; // of one of OpenID Connect
};

// The one with these settings. Nothing is fetched before provider_start, and all in the background. NULL when memory is
// out.
struct provider *provider_get(const struct provider_settings *settings);
void provider_unref(struct provider *provider); // the last one forgets it

// What is known; NULL: nothing yet. Good until the fiber suspends. Takes no lock.
const struct provider_facts *provider_facts(const struct provider *provider);

// Its settings, as long as it is held.
const struct provider_settings *provider_settings(const struct provider *provider);

// For what the facts do not have: has them fetched anew, at most once in PROVIDER_PAUSE_SECONDS, however many ask, and
// waits until that is done, or what is under way is. False, at once, when it was done a moment ago. Suspends.
enum { PROVIDER_PAUSE_SECONDS = 10 };
bool provider_renew(struct provider *provider);

// Whether one more visitor may be logged in through it: so many at once may keep threads waiting for it.
enum { PROVIDER_LOGINS_MAX = 32 };
bool provider_enter(struct provider *provider);
void provider_leave(struct provider *provider);

// When it is fetched again: after it answered with this Cache-Control (empty: none), and after so many failures in a
// row.
int64_t provider_refresh_s(const struct provider_settings *settings, struct slice cache_control);
int64_t provider_retry_s(unsigned failures);

// Begins to fetch, for the whole process. Ends it; waits for the threads.
void provider_start(void);
void provider_stop(void);

#endif
