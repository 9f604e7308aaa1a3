#include "cache/disk_local.h"

#include <stdlib.h>

// What an operator sees of the disk, and going through all of it.

enum { WALK_ROOM = 512, LOOKS_MAX = 10000 };

// --- Going through all

static uint64_t chain_length(const struct disk_entry *entry)
{
	uint64_t length = 0;
	for (; entry; entry = entry->next)
		length++;
	return length;
}

// With the lock held: the buckets from where it is that fit. How much room the next one takes, when none did.
static uint64_t take_buckets(struct cache_disk *disk, struct disk_walk *walk)
{
	const struct disk_index *index = &disk->index;
	walk->bucket = walk->bucket_count == index->bucket_count ? walk->bucket : 0;
	walk->bucket_count = index->bucket_count;
	walk->count = 0;
	for (; walk->bucket < walk->bucket_count; walk->bucket++) {
		uint64_t length = chain_length(index->buckets[walk->bucket]);
		if (walk->count + length > walk->room)
			return walk->count == 0 ? length : 0;
		for (const struct disk_entry *entry = index->buckets[walk->bucket]; entry; entry = entry->next)
			walk->entries[walk->count++] = *entry;
	}
	return 0;
}

static bool make_room(struct disk_walk *walk, uint64_t room)
{
	struct disk_entry *entries = realloc(walk->entries, room * sizeof *entries);
	if (!entries)
		return false;
	walk->entries = entries;
	walk->room = room;
	return true;
}

bool disk_walk_on(struct cache_disk *disk, struct disk_walk *walk, bool *ret_is_all)
{
	uint64_t lacking = walk->room == 0 ? WALK_ROOM : 0;
	*ret_is_all = false;
	do {
		if (lacking > 0 && !make_room(walk, lacking))
			return false;
		pthread_mutex_lock(&disk->lock);
		lacking = take_buckets(disk, walk);
		pthread_mutex_unlock(&disk->lock);
	} while (lacking > 0);
	*ret_is_all = walk->count == 0;
	return walk->count > 0;
}

void disk_walk_end(struct disk_walk *walk)
{
	free(walk->entries);
}

// --- Lists

unsigned cache_disk_list(struct cache_disk *disk, struct slice key, uint64_t hash, struct cache_object **ret_objects,
			 unsigned most)
{
	struct disk_name name = {.hash = disk_hash(disk, key), .number = UINT64_MAX};
	unsigned count = 0;
	disk_scan(disk, name.hash);
	while (count < most && disk_next_name(disk, name.hash, name.number, &name)) {
		struct cache_object *object;
		if (disk_read(disk, &name, hash, &object) < 0)
			continue;
		if (slice_equal(object->key, key) && disk_is_spared(disk, object))
			ret_objects[count++] = object;
		else
			cache_object_unref(object);
	}
	return count;
}

// False: it is none of those that are meant, or of no use any more.
static bool look(struct cache_disk *disk, const struct disk_entry *entry, struct slice prefix,
		 struct cache_object **ret_object)
{
	struct cache_object *object;
	if (disk_read_head(disk, &entry->name, &object) < 0)
		return false;
	if (!slice_starts_with(object->key, prefix) || !disk_is_spared(disk, object)) {
		cache_object_unref(object);
		return false;
	}
	atomic_store(&object->uses, entry->uses);
	*ret_object = object;
	return true;
}

unsigned cache_disk_list_prefix(struct cache_disk *disk, struct slice prefix, struct cache_object **ret_objects,
				unsigned most, bool *ret_is_all)
{
	struct disk_walk walk = {0};
	unsigned count = 0, looks = 0;
	disk_scan_all(disk);
	while (count < most && looks < LOOKS_MAX && disk_walk_on(disk, &walk, ret_is_all))
		for (uint64_t i = 0; i < walk.count && count < most; i++, looks++)
			count += look(disk, &walk.entries[i], prefix, &ret_objects[count]);
	disk_walk_end(&walk);
	return count;
}

struct ranking {
	struct disk_entry *entries; // those that were used most, in order
	unsigned count, most;
};

static bool is_same(const struct disk_name *a, const struct disk_name *b)
{
	return a->hash == b->hash && a->selector == b->selector && a->number == b->number;
}

static void rank(struct ranking *ranking, const struct disk_entry *entry)
{
	unsigned place = 0;
	for (unsigned i = 0; i < ranking->count; i++)
		if (is_same(&ranking->entries[i].name, &entry->name))
			return;
	while (place < ranking->count && ranking->entries[place].uses >= entry->uses)
		place++;
	if (place == ranking->most || entry->uses == 0)
		return;
	ranking->count += ranking->count < ranking->most;
	for (unsigned i = ranking->count - 1; i > place; i--)
		ranking->entries[i] = ranking->entries[i - 1];
	ranking->entries[place] = *entry;
}

unsigned cache_disk_top(struct cache_disk *disk, struct cache_object **ret_objects, unsigned most)
{
	struct disk_walk walk = {0};
	struct ranking ranking = {.entries = malloc(most * sizeof(struct disk_entry)), .most = most};
	unsigned count = 0;
	bool is_all;
	while (ranking.entries && disk_walk_on(disk, &walk, &is_all))
		for (uint64_t i = 0; i < walk.count; i++)
			rank(&ranking, &walk.entries[i]);
	for (unsigned i = 0; i < ranking.count; i++)
		count += look(disk, &ranking.entries[i], SLICE_EMPTY, &ret_objects[count]);
	disk_walk_end(&walk);
	free(ranking.entries);
	return count;
}
