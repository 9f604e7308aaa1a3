// What is on the disk: a table of the files by their keys' hashes, in memory, and the order in which they go. Not
// locked.
#ifndef USHER_CACHE_DISK_INDEX_H
#define USHER_CACHE_DISK_INDEX_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

// What a file's name says. Of those with the same hash and selector, the newest (by its number) holds.
struct disk_name {
	uint64_t hash;	   // of the key
	uint64_t selector; // of what else tells responses with the key apart
	uint64_t number;
};

struct disk_entry {
	struct disk_entry *next;
	struct list_link link;
	struct disk_name name;
	uint64_t bytes; // of its files
	uint32_t uses;	// since it was written or found out
	bool has_body;	// in a file of its own
	bool is_used;	// since it was written, or passed over
};

struct disk_index {
	struct disk_entry **buckets;
	uint64_t bucket_count, count, bytes;
	struct list_link entries; // newest first
};

// False when memory is out.
bool disk_index_init(struct disk_index *index);
void disk_index_fini(struct disk_index *index);

// NULL when memory is out.
struct disk_entry *disk_index_add(struct disk_index *index, const struct disk_name *name, uint64_t bytes,
				  bool has_body);

// Frees it.
void disk_index_remove(struct disk_index *index, struct disk_entry *entry);

// The newest with the hash that is older than a number; NULL.
struct disk_entry *disk_index_older(const struct disk_index *index, uint64_t hash, uint64_t number);

// The one with that name; NULL.
struct disk_entry *disk_index_find(const struct disk_index *index, const struct disk_name *name);

// The one that is to go: the oldest that was not used since it was passed over last. NULL: it is empty.
struct disk_entry *disk_index_victim(struct disk_index *index);

#endif
