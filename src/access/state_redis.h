// What is kept (access/kept.h), shared by several ushers in a Redis: each puts its own there, and follows those of the
// others. For access/state; the same shape as access/state_file.h.
//
// Under a prefix there are: "kept", a hash of all; "until", when each may go; "log", a stream of what changed; and
// "secret", of sessions. Everything here may wait for the network. Of one thread at a time.
#ifndef USHER_ACCESS_STATE_REDIS_H
#define USHER_ACCESS_STATE_REDIS_H

#include "access/redis.h"
#include "access/session.h"
#include "access/state_file.h"

#include <stdbool.h>

struct state_redis_settings {
	struct redis_address address;
	const char *prefix;
};

struct state_redis;

// Connects. NULL with words. The settings must live as long as it.
struct state_redis *state_redis_open(const struct state_redis_settings *settings, char ret_why[STATE_REASON_MAX]);
void state_redis_close(struct state_redis *redis); // NULL is allowed

// As the functions of state_file.
bool state_redis_learn(struct state_redis *redis, state_file_visitor *each, void *argument,
		       char ret_why[STATE_REASON_MAX]);
bool state_redis_write(struct state_redis *redis, const struct kept *const *kept, bool *ret_new, unsigned count,
		       char ret_why[STATE_REASON_MAX]);
bool state_redis_secret(struct state_redis *redis, unsigned char secret[SEAL_KEY_BYTES],
			char ret_why[STATE_REASON_MAX]);
bool state_redis_drop_old(struct state_redis *redis, int64_t now_s, char ret_why[STATE_REASON_MAX]);

#endif
