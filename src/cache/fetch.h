// Fetches under way: one exchange asks a server, and all who miss the same read the answer as it comes, on
// whatever threads.
//
// Who misses joins (the first one has to make the fetch), waits until the answer's head has decided what becomes of
// it, and reads its content. The fetch itself knows nothing of who reads, and goes on when all have left.
//
//	struct cache_reader reader;
//	if (cache_fetch_join(&reader, &wanted, true, &is_first)) {
//		if (is_first)
//			... ask the server on a fiber of its own, which calls cache_fetch_answer, _fill, _end ...
//		if (cache_reader_wait(&reader, deadline_ns) == 0 && reader.object)
//			while (cache_reader_read(&reader, &bytes) == 0 && bytes.length > 0) ...
//		cache_reader_leave(&reader);
//	}
#ifndef USHER_CACHE_FETCH_H
#define USHER_CACHE_FETCH_H

#include "base/fault.h"
#include "base/slice.h"
#include "cache/disk.h"
#include "cache/object.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

struct cache_fetch;

enum cache_fetch_state {
	CACHE_FETCH_ASKS,   // no answer yet, but for interim ones
	CACHE_FETCH_FILLS,  // the object is there; its content comes
	CACHE_FETCH_WHOLE,  // the object is there, whole
	CACHE_FETCH_CUT,    // its content broke off
	CACHE_FETCH_PASSES, // the answer is not for others: each has to ask for himself
	CACHE_FETCH_FAILED, // there was no answer
};

// What is fetched: fetches of the same key and variant serve each other, as far as the answer's Vary tells.
struct cache_wanted {
	struct slice key;
	uint64_t hash, variant;
	const struct fields *request;
};

// What became of it; known in the states but ASKS and FILLS.
struct cache_outcome {
	struct fault fault; // NONE: there was an answer
	unsigned status;    // of the answer that came; 304: what was stored goes on
	int64_t retry_after_ns;
};

// Who waits for a fetch and reads from it. One fiber's.
struct cache_reader {
	struct cache_fetch *fetch;
	struct cache_object *object;  // once the head is there: a reference, for what it says and has so far
	int64_t length;		      // of its content; -1: not known
	enum cache_fetch_state state; // when the reader looked last
	uint64_t position;	      // in the content
	char *block;		      // of what is read from a file; NULL
	uint32_t piece;		      // the last one that it was lent
	uint32_t interims;	      // that it has seen
	bool holds_piece;
};

// --- Those who read

// Joins a fetch that is under way, or makes one (*ret_is_first), which whoever made it has to end by
// cache_fetch_end. Without is_shared, always a new one that nobody else joins. False when memory is out.
bool cache_fetch_join(struct cache_reader *reader, const struct cache_wanted *wanted, bool is_shared,
		      bool *ret_is_first);

// Suspends until it is decided what becomes of the answer (any state but ASKS), or an interim answer is there: 0;
// -ETIMEDOUT or -ECANCELED.
int cache_reader_wait(struct cache_reader *reader, int64_t deadline_ns);

// The next interim answer that it has not seen yet, which lives until the reader leaves; NULL.
const struct response *cache_reader_interim(struct cache_reader *reader);

// The next bytes of the content, lent until the next call; empty at its end. May suspend: -ECANCELED; -EPIPE when
// it broke off, for the reason in cache_reader_outcome; -EIO when the disk failed, or memory is out.
int cache_reader_read(struct cache_reader *reader, struct slice *ret_bytes);

// Whether the next read returns at once: 1; 0 when not; -1 when nothing follows.
int cache_reader_look(struct cache_reader *reader);

// What became of it; good until the reader leaves.
const struct cache_outcome *cache_reader_outcome(const struct cache_reader *reader);

// Does nothing when it has left already.
void cache_reader_leave(struct cache_reader *reader);

// --- The one who fetches

// How much content is stored.
struct cache_fetch_bounds {
	uint64_t memory_bytes;	 // in memory
	uint64_t most_bytes;	 // in all; what is more than memory_bytes goes to the disk
	struct cache_disk *disk; // NULL: there is none, and most_bytes is memory_bytes
	uint64_t filling_bytes;	 // of memory that all fetches have at once
};

// An interim answer (1xx), for those who wait and those who join before the answer is there. What is more than a few is
// left out, as is what there is no memory for.
void cache_fetch_inform(struct cache_fetch *fetch, const struct response *interim);

// Claims room in memory for the content, of what all fetches may have: false when that is too much. Until the end.
bool cache_fetch_claim(struct cache_fetch *fetch, uint64_t room_bytes, uint64_t most_bytes);

// The answer's head: FILLS, with an object that nobody else has yet and without content; its room is for all of it,
// when its length (-1: not known) is known and within memory_bytes. Takes the reference.
void cache_fetch_answer(struct cache_fetch *fetch, struct cache_object *object, int64_t length,
			const struct cache_fetch_bounds *bounds);

// More of the content: 0. May suspend: what goes to the disk is written first, and what is more than may be stored, or
// than there is memory for, goes on for those who read already, but no faster than they take it. -EPIPE when nobody
// reads what is not stored either; -ECANCELED; -ENOMEM.
int cache_fetch_fill(struct cache_fetch *fetch, struct slice bytes);

// The trailers behind the content, once all of that has come: who takes them reads them from the object at the end.
// They are lost where memory is out.
void cache_fetch_trail(struct cache_fetch *fetch, const struct fields *trailers);

// The whole object, with a reference of its own, in room that fits; with its content in a file, where that was too
// large for memory: then it is stored on the disk already. NULL when there was more than may be stored, or memory is
// out. May suspend.
struct cache_object *cache_fetch_take(struct cache_fetch *fetch);

// What has come so far, where all of that is in memory, and the object it came into, lent to the fetcher; else NULL.
const struct cache_object *cache_fetch_beginning(const struct cache_fetch *fetch, struct slice *ret_content);

// The end, in one of the states but ASKS and FILLS. WHOLE: with an object in the place of what was told by
// cache_fetch_answer (NULL: that one); one with its content in a file, readers read themselves. Others: with the
// reason. Gives back the maker's reference.
void cache_fetch_end(struct cache_fetch *fetch, enum cache_fetch_state state, struct cache_object *object,
		     const struct cache_outcome *outcome);

// From now on nobody joins who has not yet.
void cache_fetch_hide(struct cache_fetch *fetch);

// Forgets, of the fetches under way, those of the key: what they bring is not joined any more, and
// cache_fetch_is_forgotten tells that it is not to be stored.
void cache_fetch_forget(struct slice key, uint64_t hash);
bool cache_fetch_is_forgotten(const struct cache_fetch *fetch);

// How many read or wait.
unsigned cache_fetch_readers(struct cache_fetch *fetch);

#endif
