// A hash table of named things, chained through an entry that each embeds.
//
// For what the configuration names: pools and hosts. It neither owns nor frees its entries.
// Not for sharing between threads without a lock.
#ifndef USHER_UPSTREAM_NAME_TABLE_H
#define USHER_UPSTREAM_NAME_TABLE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_entry {
	struct name_entry *next;
	uint64_t hash;
	struct slice name; // lives as long as the entry is in the table
};

// Zeroed to begin with.
struct name_table {
	struct name_entry **buckets;
	size_t bucket_count; // a power of two, or 0
	size_t count;
};

// The first entry of that name, or NULL; and the next one of the same name.
struct name_entry *name_table_find(const struct name_table *table, struct slice name);
struct name_entry *name_table_find_next(const struct name_entry *entry);

// Puts it in, beside others of the same name. False when memory is out.
bool name_table_add(struct name_table *table, struct name_entry *entry, struct slice name);

// Takes it out; the table's memory goes with the last one.
void name_table_remove(struct name_table *table, struct name_entry *entry);

#endif
