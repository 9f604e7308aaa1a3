// What the state store's file and its Redis tell each other. For access/state.
#ifndef USHER_ACCESS_STATE_SHARE_H
#define USHER_ACCESS_STATE_SHARE_H

#include "access/state_file.h"
#include "access/state_redis.h"

#include <stdbool.h>

struct state_share {
	struct state_redis *redis;
	struct state_file *file; // NULL: there is none now
	char why[STATE_REASON_MAX];
	// The file, in its turn, may fail; what was to be done with the Redis is done all the same.
	bool file_failed;
	char file_why[STATE_REASON_MAX];
};

// With a Redis that is connected anew: all have the secret of who was first; what the Redis has is learnt, and it gets
// what the file has. False with words in `why`.
bool state_share_begin(struct state_share *share);

// What others have put there since, which goes into the file, too: it holds where the Redis is away.
bool state_share_learn(struct state_share *share);

#endif
