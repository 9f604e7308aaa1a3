// The keys that session tickets are sealed with (RFC 5077, RFC 8446 section 4.6.1).
//
// Those of the process are shared by all threads and outlive every configuration, so that
// clients resume across reloads. They are replaced every eight hours and forgotten a day after
// they were made: what was recorded before can then be read by nobody.
#ifndef USHER_TLS_TICKETS_H
#define USHER_TLS_TICKETS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// How long a session may be resumed: a ticket of the last moment of its key still lives so long.
enum { TICKETS_NEW_KEY_SECONDS = 8 * 3600, TICKETS_KEY_SECONDS = 24 * 3600 };
enum { TICKETS_SESSION_SECONDS = TICKETS_KEY_SECONDS - TICKETS_NEW_KEY_SECONDS };

enum { TICKET_NAME_SIZE = 16, TICKET_KEYS_MAX = TICKETS_KEY_SECONDS / TICKETS_NEW_KEY_SECONDS + 1 };

struct ticket_key {
	unsigned char name[TICKET_NAME_SIZE];
	unsigned char encryption[32];	  // AES-256
	unsigned char authentication[32]; // HMAC-SHA256
	int64_t made_s;
};

// Keys, the newest first; of any thread. Times are seconds of a clock that never goes back.
struct ticket_keys {
	pthread_rwlock_t lock;
	struct ticket_key keys[TICKET_KEYS_MAX];
	unsigned count;
};

#define TICKET_KEYS_INITIALIZER                                                                                        \
	{                                                                                                              \
		.lock = PTHREAD_RWLOCK_INITIALIZER                                                                     \
	}

// The key to seal with, made now if the last one is too old.
void ticket_keys_newest(struct ticket_keys *keys, int64_t now_s, struct ticket_key *ret_key);

// The key of that name; false when there is none, or none any more. *ret_newest says that it is
// still the one to seal with.
bool ticket_keys_find(struct ticket_keys *keys, const unsigned char name[TICKET_NAME_SIZE], int64_t now_s,
		      struct ticket_key *ret_key, bool *ret_newest);

// Has sessions of the context go into tickets, sealed with the process's keys, or has it make
// none at all. False when memory is out.
bool tickets_apply(bool is_on, SSL_CTX *context);

// Lets a connection that began with another context do what `context` does.
void tickets_follow(SSL *ssl, const SSL_CTX *context);

#endif
