// A bundle: the bytes of every file, directory pattern and environment variable that
// loading a configuration looked at.
//
// The master records one while it loads and checks; the worker loads from it alone, and
// so gets exactly what was checked, without any right to read files. It travels as a sealed
// memory file (memfd), which nobody can change any more.
#ifndef USHER_CONTROL_BUNDLE_H
#define USHER_CONTROL_BUNDLE_H

#include "config/load.h"

#include <stddef.h>

// Passes everything on to another source and keeps what that answers.
struct bundle_recorder {
	struct config_source source; // to load from; first
	struct config_source *inner;
	int descriptor;
	int error; // the first one of writing, or 0
};

// Begins a record of what `inner` answers: 0 or -errno.
int bundle_record(struct bundle_recorder *recorder, struct config_source *inner);

// Ends it: the sealed bundle's descriptor, which is the caller's, or -errno.
int bundle_finish(struct bundle_recorder *recorder);

// Ends it without a result.
void bundle_discard(struct bundle_recorder *recorder);

// Answers from a bundle, and from nothing else.
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
