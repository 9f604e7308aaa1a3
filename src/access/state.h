// The state store: makes what is kept (access/kept.h) outlive the process, in a file, and shares it with other ushers,
// in a Redis.
//
// One thread does all that may wait. Requests only look into memory; who notes something waits until it is written,
// and no longer than STATE_WAIT_NS: what could not be written by then is in memory, and is written as soon as it can
// be. One store for the process; without one, everything is in memory alone.
#ifndef USHER_ACCESS_STATE_H
#define USHER_ACCESS_STATE_H

#include "access/kept.h"
#include "access/state_file.h"
#include "access/state_redis.h"

#include <stdbool.h>
#include <stdint.h>

#define STATE_WAIT_NS (INT64_C(3) * 1000000000)

struct state_settings {
	const char *path;			  // of a directory, for messages; NULL: no file
	int directory;				  // an open descriptor, the store's own from now on
	const struct state_redis_settings *redis; // NULL: none; must live as long as the store
};

// Opens it, reads what is there, and starts the thread. False with words when the file cannot be opened. When that may
// pass (a full disk), or there is no file and the Redis does not answer, it is opened in doubt: what was before now is
// covered until all could be read. May wait for the disk and the network.
bool state_open(const struct state_settings *settings, char ret_why[STATE_REASON_MAX]);

// Writes what is to be written, and ends the thread; once nobody notes anything any more.
void state_close(void);

bool state_is_open(void);

// Notes it. False when it was covered already, also by what another process has noted. Suspends on a fiber; elsewhere
// it waits.
bool state_note(const struct kept *kept);

struct state_status {
	bool is_open;
	bool has_file, file_works, has_redis, redis_works;
	uint64_t noted, waiting; // waiting: to be written
	uint64_t kept;
};
void state_read_status(struct state_status *ret_status);

#endif
