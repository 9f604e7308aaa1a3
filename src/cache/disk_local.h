// What the files of the disk store share.
#ifndef USHER_CACHE_DISK_LOCAL_H
#define USHER_CACHE_DISK_LOCAL_H

#include "base/hash.h"
#include "cache/disk.h"
#include "cache/disk_index.h"
#include "cache/head.h"

#include <pthread.h>

enum {
	DISK_DIRECTORIES = 256, // by the last byte of the hash
	DISK_NAME_MAX = 64,
	DISK_SYNC_WORDS = 16,
	DISK_JOBS = 1024,		   // that wait to be written
	DISK_JOB_BYTES = 16 * 1024 * 1024, // of theirs, in all
};

// An object to be written.
struct disk_job {
	struct list_link link;
	struct cache_object *object;
	uint64_t hash, asked_after;
	bool is_running;
	bool is_dropped; // it is not to appear any more
	bool is_lasting; // it is on the disk for good when it is written
};

struct cache_disk {
	_Atomic uint32_t references;
	int root; // directory
	int lock_file;
	struct hash_key key;
	struct cache_purges *purges;
	_Atomic uint64_t next_number;
	_Atomic uint64_t budget_bytes;
	_Atomic uint64_t unnamed_bytes; // of files that are being written
	_Atomic uint64_t swept;		// all files have been looked at for purges to this one
	_Atomic uint64_t found, written, unwritten, broken, purged;
	_Atomic bool is_scanned[DISK_DIRECTORIES];
	pthread_mutex_t scanning; // for finding out what is in a directory
	pthread_mutex_t saving;	  // for the file of purges, and is_left
	bool is_left;		  // nothing that is there may be used again
	pthread_mutex_t syncing;
	pthread_mutex_t lock; // for all below; nobody waits for the disk with it
	pthread_cond_t changed;
	struct disk_index index;
	struct list_link jobs;
	uint32_t job_count;
	uint64_t job_bytes;
	bool is_closing, must_sweep, is_sweeping;
	// By directory, disk_sync.c: what may come back, and who is at it.
	uint64_t unsynced[DISK_DIRECTORIES][DISK_SYNC_WORDS];
	uint32_t unlinking[DISK_DIRECTORIES];
	bool is_syncing[DISK_DIRECTORIES];
	pthread_t thread;
};

// --- disk_files.c: names, and what is done with files by them

// The path from the root, with its end, of a head or of content.
const char *disk_path(char room[DISK_NAME_MAX], const struct disk_name *name, bool is_body);

// A file that is gone when it is closed, unless it is given a name: its descriptor or -errno.
int disk_create(struct cache_disk *disk, uint64_t hash);
int disk_link(struct cache_disk *disk, int descriptor, const char *path);

// Makes what is missing of the directory, and takes it for this process: 0 or -errno.
int disk_files_begin(struct cache_disk *disk);

// Finds out what is in the directory of a hash, where that is not known; in all.
void disk_scan(struct cache_disk *disk, uint64_t hash);
void disk_scan_all(struct cache_disk *disk);

void disk_unlink(struct cache_disk *disk, const struct disk_name *name, bool has_body);
void disk_unlink_noted(struct cache_disk *disk, const struct disk_name *name, bool has_body); // for disk_sync.c already

// The path of the directory of a hash from the root.
const char *disk_directory(char room[DISK_NAME_MAX], uint64_t hash);

// The object of a file: 0; -ENOENT; -EBADMSG when it is not what was written; -errno.
int disk_read(struct cache_disk *disk, const struct disk_name *name, uint64_t hash, struct cache_object **ret_object);

// The same without the content, of which only the length is told; its hash is 0.
int disk_read_head(struct cache_disk *disk, const struct disk_name *name, struct cache_object **ret_object);

// What a file takes of a disk.
uint64_t disk_rounded(uint64_t bytes);

// --- disk_list.c: going through all that is there, with the lock held for a few at a time

struct disk_walk {
	struct disk_entry *entries; // copies, of which only name and uses are of use; to be freed by disk_walk_end
	uint64_t count, room, bucket, bucket_count;
};

// The next ones; false at the end, or when memory is out (*ret_is_all tells). When the index grows meanwhile, some come
// twice.
bool disk_walk_on(struct cache_disk *disk, struct disk_walk *walk, bool *ret_is_all);
void disk_walk_end(struct disk_walk *walk);

// --- disk_sync.c: what outlives a loss of power

// Around unlinking a file with the hash; with the lock held.
void disk_unlink_begins(struct cache_disk *disk, uint64_t hash);
void disk_unlink_ends(struct cache_disk *disk, uint64_t hash);

// Whether one with the hash that was unlinked may come back when the power is lost; with the lock held.
bool disk_may_come_back(struct cache_disk *disk, uint64_t hash);

// Waits until none can, of the hash's directory or of all, and until what was written is on the disk for good
// (disk_sync: the names of it): 0 or -errno, which is logged.
int disk_sync(struct cache_disk *disk, uint64_t hash);
int disk_sync_all(struct cache_disk *disk);

// --- disk_purges.c: the purges, in a file of their own: 0 or -errno

int disk_purges_load(struct cache_disk *disk);
int disk_purges_save(struct cache_disk *disk);

// Takes what the file says; false, with nothing taken, when it is not what was written.
bool disk_purges_read(struct cache_disk *disk, struct slice bytes);

// --- disk_write.c

// Puts the job on the list, which it must be on while it is run.
void disk_job_add(struct cache_disk *disk, struct disk_job *job, bool is_running);

// Writes the job's object, replaces what would have answered the same, and keeps to the budget; the job is off the list
// then. False: it was dropped meanwhile, or could not be written.
bool disk_job_run(struct cache_disk *disk, struct disk_job *job);

// Writes the object, which has become stale, in the place of the file with the name, which goes in any case. Where it
// is_lasting, it is on the disk for good once the directory is synced.
void disk_outdate(struct cache_disk *disk, struct cache_object *object, const struct disk_name *name, bool is_lasting);

// Something of so many bytes could not be written, which is logged and counted; from a disk that is full before the
// budget is, so much goes.
void disk_note_unwritten(struct cache_disk *disk, int error, uint64_t bytes);

// Lets go what is too much, and so many bytes more.
void disk_evict(struct cache_disk *disk, uint64_t more_bytes);

// The thread.
void *disk_run(void *argument);

// --- disk.c

uint64_t disk_hash(const struct cache_disk *disk, struct slice key);

// The newest one with the hash that is older than a number; false: there is none.
bool disk_next_name(struct cache_disk *disk, uint64_t hash, uint64_t number, struct disk_name *ret_name);

// Takes an entry out and its files away; with the lock held, which is given back meanwhile.
void disk_drop_entry(struct cache_disk *disk, struct disk_entry *entry);

// Drops the one with the name, if it is still there.
void disk_drop(struct cache_disk *disk, const struct disk_name *name);

// Whether what was read from a file just now may be used, as purges have it. It may have become stale.
bool disk_is_spared(struct cache_disk *disk, struct cache_object *object);

#endif
