// A connection to Redis: commands, one after the other or several at once, by TCP, TLS or a UNIX socket.
//
// All of it waits, for at most REDIS_TIMEOUT_MS at each step (looking up a name may take the system longer): for
// threads, never for fibers. After a failure the connection is good for nothing but redis_free.
#ifndef USHER_ACCESS_REDIS_H
#define USHER_ACCESS_REDIS_H

#include "base/slice.h"

#include <hiredis/hiredis.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDIS_TIMEOUT_MS = 1000, REDIS_WORDS_MAX = 12, REDIS_REASON_MAX = 256 };

struct redis_address {
	const char *host; // a name or an address; the path of a UNIX socket where port is 0
	uint16_t port;
	const char *user, *password; // NULL: none
	X509_STORE *trust;	     // by TLS, with a server that these vouch for; NULL: in the clear
};

struct redis;

// Connects, and logs in. NULL with words of why.
struct redis *redis_connect(const struct redis_address *address, char ret_why[REDIS_REASON_MAX]);
void redis_free(struct redis *redis); // NULL is allowed

// A command of so many words. False with words.
bool redis_send(struct redis *redis, const struct slice *words, unsigned count, char ret_why[REDIS_REASON_MAX]);

// The answer to the first command that has none yet, the caller's (freeReplyObject). NULL with words: also when the
// answer is an error, or none of that type (REDIS_REPLY_...; 0: any).
redisReply *redis_receive(struct redis *redis, int type, char ret_why[REDIS_REASON_MAX]);

#endif
