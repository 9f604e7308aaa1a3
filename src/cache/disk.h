// The disk store: responses in files of a directory, within a budget of bytes, that outlive the process.
//
// What is stored in memory is written here as well, by a thread of its own, and read when memory has it no more. Files
// appear whole, by renaming; each is checked when it is read, and one that is not as it was written is dropped. A
// directory is usable at once: what is in it is found out bit by bit, and where a request asks first.
//
// Nothing here suspends. What may wait for the disk says so: call it off the loop.
#ifndef USHER_CACHE_DISK_H
#define USHER_CACHE_DISK_H

#include "cache/file.h"
#include "cache/object.h"
#include "cache/purge.h"

#include <stdbool.h>
#include <stdint.h>

struct cache_disk;

// Takes the directory, an open descriptor that is its own from now on, for this process alone, and starts the thread.
// The purges go on where the directory left them, and are written there from now on; where there were others meanwhile,
// nothing that is stored, there or in memory, is used any more. With one reference. 0; -EBUSY when somebody has it;
// -errno. May wait for the disk.
int cache_disk_open(int directory, uint64_t budget_bytes, struct cache_purges *purges, struct cache_disk **ret_disk);

// Ends the thread, once what is to be written is written. Nobody else may be in it.
void cache_disk_close(struct cache_disk *disk);

// Whoever may use it while others close it holds a reference. Unref: whether it was the last one; who gave that back
// has to close it.
void cache_disk_ref(struct cache_disk *disk);
bool cache_disk_unref(struct cache_disk *disk);

// Nobody will tell this directory any more what is to be forgotten: what is there is not used again, whoever opens it.
// 0 or -errno. May wait for the disk.
int cache_disk_leave(struct cache_disk *disk);

void cache_disk_set_budget(struct cache_disk *disk, uint64_t budget_bytes);

// Whether something with the key may be there.
bool cache_disk_may_have(struct cache_disk *disk, struct slice key);

// The newest response with the key and the variant that matches the request's fields, with a reference, and the hash
// given (the memory's); its content is in memory where it is small. NULL. May wait for the disk.
struct cache_object *cache_disk_find(struct cache_disk *disk, struct slice key, uint64_t hash, uint64_t variant,
				     const struct fields *request);

// All responses with the key that are there, at most so many, with a reference of each: how many. What tells two of
// them apart is cache_disk_selector. May wait for the disk.
unsigned cache_disk_list(struct cache_disk *disk, struct slice key, uint64_t hash, struct cache_object **ret_objects,
			 unsigned most);
uint64_t cache_disk_selector(const struct cache_disk *disk, const struct cache_object *object);

// All whose keys begin so, and those that were found most often since they were written or usher started, in order; at
// most so many, with a reference of each, and of their content only the length (.data is NULL). Of very many files some
// are looked at: *ret_is_all is false then. May wait for the disk.
unsigned cache_disk_list_prefix(struct cache_disk *disk, struct slice prefix, struct cache_object **ret_objects,
				unsigned most, bool *ret_is_all);
unsigned cache_disk_top(struct cache_disk *disk, struct cache_object **ret_objects, unsigned most);

// Writes it in a while, in the place of those that would have answered the same request, if the disk keeps up. Takes a
// reference of its own; its asked_after is the caller's now. What a crash takes away before is not there.
void cache_disk_put(struct cache_disk *disk, struct cache_object *object);

// Drops all responses with the key, or (softly) lets them be stale, also those that are to be written; how many there
// were. They do not come back, whatever happens. May wait for the disk.
unsigned cache_disk_drop(struct cache_disk *disk, struct slice key, bool is_soft);

// Makes the last purge outlive the process, then has the thread go through all files. 0 or -errno. May wait for the
// disk.
int cache_disk_purge(struct cache_disk *disk);

// Drops what is stored for the object's key, as the file of its content is not what was written. May wait for the disk.
void cache_disk_drop_broken(struct cache_disk *disk, const struct cache_object *object);

// --- Content that is written while it comes, in a file that is gone when it is not put

struct cache_spool;

// 0 or -errno. May wait for the disk, as all of these.
int cache_spool_new(struct cache_disk *disk, struct cache_spool **ret_spool);
void cache_spool_free(struct cache_spool *spool); // NULL is allowed

// -ENOSPC when it would take more than the whole budget; -errno. Nothing can be added any more then.
int cache_spool_append(struct cache_spool *spool, struct slice bytes);

// Where it is written; the spool's own reference.
struct cache_file *cache_spool_file(const struct cache_spool *spool);

// Ends it, and stores the object with this content: returned with a reference, or NULL when it was not stored.
struct cache_object *cache_spool_put(struct cache_spool *spool, const struct cache_object *object,
				     uint64_t asked_after);

// ---

struct cache_disk_status {
	uint64_t objects, bytes, budget_bytes;
	uint64_t found;		     // by cache_disk_find
	uint64_t written, unwritten; // unwritten: the disk was full, or did not keep up
	uint64_t broken;	     // files that were not what was written
	uint64_t purged;	     // files that sweeps after purges found to be meant
	bool is_known;		     // all of the directory
	bool is_sweeping;	     // a purge's sweep is not at its end
};
void cache_disk_read_status(struct cache_disk *disk, struct cache_disk_status *ret_status);

#endif
