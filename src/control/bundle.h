// A bundle: the bytes of every file, directory pattern and environment variable that
// loading a configuration looked at.
//
// The master records one while it loads and checks; the worker loads from it alone, and
// so gets exactly what was checked, without any right to read files. It travels as a sealed
// memory file (memfd), which nobody can change any more.
#ifndef USHER_CONTROL_BUNDLE_H
#define USHER_CONTROL_BUNDLE_H

#include "config/load.h"
#include "control/watch_list.h"

#include <stdbool.h>
#include <stddef.h>

// Passes everything on to another source and keeps what that answers. It stays where it is.
struct bundle_recorder {
	struct config_source source;	     // to load from
	struct config_source watched_source; // what that one names for watched files
	struct config_source *inner;
	struct watch_list watched; // what was asked of watched_source; the caller's to take
	int descriptor;
	int error; // the first one, or 0
};

// Begins a record of what `inner` answers: 0 or -errno.
int bundle_record(struct bundle_recorder *recorder, struct config_source *inner);

// Ends it: the sealed bundle's descriptor, which is the caller's, or -errno.
int bundle_finish(struct bundle_recorder *recorder);

// Ends it without a result; what is watched stays.
void bundle_discard(struct bundle_recorder *recorder);

// Whether the same was recorded, byte for byte.
bool bundle_equal(int one, int other);

// Answers from a bundle, and from nothing else; but for watched files, when source.watched is
// set to where they are to come from.
struct bundle_replay {
	struct config_source source; // to load from; first
	const char *data;
	size_t size;
	size_t next; // loading asks in the order in which it was recorded
};

// Opens a bundle for replay; the descriptor stays the caller's. 0, or -errno (-EBADMSG when
// it is no bundle).
int bundle_replay(struct bundle_replay *replay, int descriptor);
void bundle_replay_end(struct bundle_replay *replay);

#endif
