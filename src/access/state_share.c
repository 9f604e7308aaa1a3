#include "access/state_share.h"

#include <string.h>

enum { BATCH = 64 };

struct batch {
	struct state_share *share;
	struct kept kept[BATCH];
	unsigned count;
	bool failed;
};

static void flush(struct batch *batch, bool to_redis)
{
	struct state_share *share = batch->share;
	const struct kept *pointers[BATCH];
	bool is_new[BATCH];
	for (unsigned i = 0; i < batch->count; i++)
		pointers[i] = &batch->kept[i];
	if (batch->count > 0 && !batch->failed)
		batch->failed =
			to_redis ? !state_redis_write(share->redis, pointers, is_new, batch->count, share->why)
				 : !state_file_write(share->file, pointers, is_new, batch->count, share->file_why);
	batch->count = 0;
}

// --- From the Redis

static void add_for_file(void *argument, const struct kept *kept)
{
	struct batch *batch = argument;
	batch->kept[batch->count++] = *kept;
	if (batch->count == BATCH)
		flush(batch, false);
}

bool state_share_learn(struct state_share *share)
{
	struct batch batch = {.share = share};
	bool good = state_redis_learn(share->redis, share->file ? add_for_file : NULL, &batch, share->why);
	if (share->file)
		flush(&batch, false);
	share->file_failed = share->file_failed || batch.failed;
	return good;
}

// --- To the Redis

// Floors of the file are for what this file has lost: the Redis has not lost it.
static void add_for_redis(void *argument, const struct kept *kept)
{
	struct batch *batch = argument;
	if (kept->subject_length == 0)
		return;
	batch->kept[batch->count++] = *kept;
	if (batch->count == BATCH)
		flush(batch, true);
}

static bool tell_all(struct state_share *share)
{
	struct batch batch = {.share = share};
	if (!share->file)
		return true;
	if (!state_file_read_all(share->file, add_for_redis, &batch, share->file_why))
		share->file_failed = true;
	flush(&batch, true);
	return !batch.failed;
}

static bool share_secret(struct state_share *share)
{
	unsigned char secret[SEAL_KEY_BYTES];
	seal_own_secret(secret);
	bool good = state_redis_secret(share->redis, secret, share->why);
	if (good)
		seal_set_own_secret(secret);
	if (good && share->file && !state_file_secret(share->file, secret, true, share->file_why))
		share->file_failed = true;
	explicit_bzero(secret, sizeof secret);
	return good;
}

bool state_share_begin(struct state_share *share)
{
	return share_secret(share) && state_share_learn(share) && tell_all(share);
}
