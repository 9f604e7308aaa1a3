#include "cache/disk_index.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 1024 };

bool disk_index_init(struct disk_index *index)
{
	*index = (struct disk_index){.bucket_count = FIRST_BUCKETS};
	list_init(&index->entries);
	index->buckets = calloc(FIRST_BUCKETS, sizeof(struct disk_entry *));
	return index->buckets != NULL;
}

void disk_index_fini(struct disk_index *index)
{
	for (struct list_link *link; (link = list_pop_front(&index->entries));)
		free(LIST_ENTRY(link, struct disk_entry, link));
	free(index->buckets);
}

static struct disk_entry **bucket_of(const struct disk_index *index, uint64_t hash)
{
	return &index->buckets[hash & (index->bucket_count - 1)];
}

// Without memory for more buckets, chains grow.
static void grow(struct disk_index *index)
{
	struct disk_index larger = {.bucket_count = index->bucket_count * 2};
	larger.buckets = calloc(larger.bucket_count, sizeof(struct disk_entry *));
	if (!larger.buckets)
		return;
	for (struct list_link *link = index->entries.next; link != &index->entries; link = link->next) {
		struct disk_entry *entry = LIST_ENTRY(link, struct disk_entry, link);
		entry->next = *bucket_of(&larger, entry->name.hash);
		*bucket_of(&larger, entry->name.hash) = entry;
	}
	free(index->buckets);
	index->buckets = larger.buckets;
	index->bucket_count = larger.bucket_count;
}

struct disk_entry *disk_index_add(struct disk_index *index, const struct disk_name *name, uint64_t bytes, bool has_body)
{
	struct disk_entry *entry = malloc(sizeof *entry);
	if (!entry)
		return NULL;
	*entry = (struct disk_entry){
		.next = *bucket_of(index, name->hash), .name = *name, .bytes = bytes, .has_body = has_body};
	*bucket_of(index, name->hash) = entry;
	list_push_front(&index->entries, &entry->link);
	index->bytes += bytes;
	if (++index->count > index->bucket_count)
		grow(index);
	return entry;
}

void disk_index_remove(struct disk_index *index, struct disk_entry *entry)
{
	struct disk_entry **at = bucket_of(index, entry->name.hash);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	list_remove(&entry->link);
	index->count--;
	index->bytes -= entry->bytes;
	free(entry);
}

struct disk_entry *disk_index_older(const struct disk_index *index, uint64_t hash, uint64_t number)
{
	struct disk_entry *newest = NULL;
	for (struct disk_entry *entry = *bucket_of(index, hash); entry; entry = entry->next)
		if (entry->name.hash == hash && entry->name.number < number &&
		    (!newest || newest->name.number < entry->name.number))
			newest = entry;
	return newest;
}

struct disk_entry *disk_index_find(const struct disk_index *index, const struct disk_name *name)
{
	struct disk_entry *entry = *bucket_of(index, name->hash);
	while (entry && !(entry->name.hash == name->hash && entry->name.selector == name->selector &&
			  entry->name.number == name->number))
		entry = entry->next;
	return entry;
}

// Ends: whoever is passed over is not used any more.
struct disk_entry *disk_index_victim(struct disk_index *index)
{
	while (!list_is_empty(&index->entries)) {
		struct disk_entry *entry = LIST_ENTRY(index->entries.previous, struct disk_entry, link);
		if (!entry->is_used)
			return entry;
		entry->is_used = false;
		list_remove(&entry->link);
		list_push_front(&index->entries, &entry->link);
	}
	return NULL;
}
