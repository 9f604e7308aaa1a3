#include "upstream/name_table.h"

#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 16 };

static struct name_entry *find_from(struct name_entry *entry, struct slice name, uint64_t hash)
{
	while (entry && !(entry->hash == hash && slice_equal(entry->name, name)))
		entry = entry->next;
	return entry;
}

struct name_entry *name_table_find(const struct name_table *table, struct slice name)
{
	if (table->bucket_count == 0)
		return NULL;
	uint64_t hash = hash_fast(name);
	return find_from(table->buckets[hash & (table->bucket_count - 1)], name, hash);
}

struct name_entry *name_table_find_next(const struct name_entry *entry)
{
	return find_from(entry->next, entry->name, entry->hash);
}

static void put(struct name_entry **buckets, size_t bucket_count, struct name_entry *entry)
{
	struct name_entry **bucket = &buckets[entry->hash & (bucket_count - 1)];
	entry->next = *bucket;
	*bucket = entry;
}

static bool grow(struct name_table *table)
{
	size_t bucket_count = table->bucket_count ? table->bucket_count * 2 : BUCKETS_MIN;
	struct name_entry **buckets = calloc(bucket_count, sizeof(*buckets));
	if (!buckets)
		return false;
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct name_entry *next;
		for (struct name_entry *entry = table->buckets[i]; entry; entry = next) {
			next = entry->next;
			put(buckets, bucket_count, entry);
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->bucket_count = bucket_count;
	return true;
}

bool name_table_add(struct name_table *table, struct name_entry *entry, struct slice name)
{
	// A table that cannot grow any more only becomes slower.
	if (table->count >= table->bucket_count && !grow(table) && table->bucket_count == 0)
		return false;
	entry->name = name;
	entry->hash = hash_fast(name);
	put(table->buckets, table->bucket_count, entry);
	table->count++;
	return true;
}

void name_table_remove(struct name_table *table, struct name_entry *entry)
{
	check(table->count > 0);
	struct name_entry **at = &table->buckets[entry->hash & (table->bucket_count - 1)];
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	entry->next = NULL;
	if (--table->count == 0) {
		free(table->buckets);
		*table = (struct name_table){0};
	}
}
