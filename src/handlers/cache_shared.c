// The cache's store: one for the process, whatever the configuration; and what the operator does with it.
#include "base/text.h"
#include "cache/fetch.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "handlers/cache.h"
#include "handlers/cache_disk.h"
#include "handlers/cache_fetching.h"
#include "handlers/handlers.h"
#include "http/uri.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_STANDARD (UINT64_C(64) << 20)

// Of a URL that is to be forgotten: targets are shorter.
enum { KEY_MAX = 16 * 1024 };

static pthread_once_t store_once = PTHREAD_ONCE_INIT;
static uint64_t first_budget_bytes = BUDGET_STANDARD;
static struct cache_store *store;

static void make_store(void)
{
	store = cache_store_new(first_budget_bytes);
}

struct cache_store *cache_shared_store(void)
{
	(void)pthread_once(&store_once, make_store);
	return store;
}

const struct top_section_type cache_memory_section = {
	.key = {.name = "cache_memory",
		.kind = CONFIG_SIZE,
		.standard = "64MiB",
		.min = 1 << 20,
		.max = INT64_C(1) << 40,
		.help = "how much memory stored answers may take, all of theirs counted",
		.form = "a size such as 64MiB or 2GiB"},
};

static uint64_t budget_of(const struct snapshot *snapshot)
{
	const int64_t *bytes = snapshot_section(snapshot, &cache_memory_section);
	return bytes ? (uint64_t)*bytes : BUDGET_STANDARD;
}

void cache_memory_prepare(const struct snapshot *snapshot)
{
	if (!store)
		first_budget_bytes = budget_of(snapshot);
}

void cache_memory_use(const struct snapshot *snapshot)
{
	struct cache_store *shared = cache_shared_store();
	if (shared)
		cache_store_set_budget(shared, budget_of(snapshot));
}

void cache_read_status(struct cache_store_status *ret_status)
{
	struct cache_store *shared = cache_shared_store();
	*ret_status = (struct cache_store_status){0};
	if (shared)
		cache_store_read_status(shared, ret_status);
}

bool cache_key_of_url(struct slice url, char *room, size_t size, struct slice *ret_key)
{
	size_t colon = slice_find(url, ':');
	struct slice scheme = slice_first(url, colon), rest = slice_after(url, colon);
	if (!slice_starts_with(rest, SLICE("://")))
		return false;
	rest = slice_after(rest, 3);
	size_t slash = slice_find(rest, '/');
	struct slice authority = slice_first(rest, slash), path = slice_after(rest, slash), host;
	uint16_t port;
	struct text text;
	text_init(&text, room, size);
	if (scheme.length == 0 || path.length == 0 || !uri_parse_authority(authority, &host, &port))
		return false;
	for (size_t i = 0; i < scheme.length; i++)
		text_add_char(&text, ascii_lower(scheme.data[i]));
	text_add_string(&text, "://");
	for (size_t i = 0; i < host.length; i++)
		text_add_char(&text, ascii_lower(host.data[i]));
	text_add(&text, path);
	*ret_key = text_slice(&text);
	return !text.overflow;
}

unsigned cache_forget(struct cache_store *from, struct slice key, uint64_t hash)
{
	cache_fetch_forget(key, hash);
	unsigned in_memory = cache_store_drop(from, key, hash), on_disk = cache_disk_forget(key, false);
	return in_memory > on_disk ? in_memory : on_disk;
}

int cache_purge(struct slice url, bool is_soft)
{
	char room[KEY_MAX];
	struct slice key;
	struct cache_store *shared = cache_shared_store();
	if (!cache_key_of_url(url, room, sizeof room, &key))
		return -EINVAL;
	if (!shared)
		return 0;
	uint64_t hash = cache_store_hash(shared, key);
	if (!is_soft)
		return (int)cache_forget(shared, key, hash);
	unsigned in_memory = cache_store_outdate(shared, key, hash), on_disk = cache_disk_forget(key, true);
	return (int)(in_memory > on_disk ? in_memory : on_disk);
}

static int64_t purge(enum cache_purge_kind kind, struct slice text, bool is_soft)
{
	struct cache_store *shared = cache_shared_store();
	if (!shared)
		return 0;
	if (!cache_purges_add(cache_store_purges(shared), &(struct cache_purge){kind, text, is_soft}))
		return -ENOMEM;
	struct cache_disk *disk = cache_disk_hold();
	int error = disk ? cache_disk_purge(disk) : 0;
	cache_disk_release(disk);
	int64_t count = cache_store_sweep(shared);
	return error ? error : count;
}

int64_t cache_purge_prefix(struct slice url, bool is_soft)
{
	char room[KEY_MAX];
	struct slice key;
	if (!cache_key_of_url(url, room, sizeof room, &key))
		return -EINVAL;
	return purge(CACHE_PURGE_PREFIX, key, is_soft);
}

int64_t cache_purge_tag(struct slice tag, bool is_soft)
{
	for (size_t i = 0; i < tag.length; i++)
		if (tag.data[i] <= ' ' || tag.data[i] == ',')
			return -EINVAL;
	return tag.length > 0 ? purge(CACHE_PURGE_TAG, tag, is_soft) : -EINVAL;
}

int64_t cache_purge_all(bool is_soft)
{
	return purge(CACHE_PURGE_PREFIX, SLICE_EMPTY, is_soft);
}

// --- Seeing

struct collection {
	struct slice key;
	bool is_prefix;
	struct cache_object **objects;
	unsigned count, most;
};

static void collect(struct cache_object *object, void *argument)
{
	struct collection *collection = argument;
	bool wanted = collection->is_prefix ? slice_starts_with(object->key, collection->key)
					    : slice_equal(object->key, collection->key);
	if (!wanted || collection->count == collection->most)
		return;
	cache_object_ref(object);
	collection->objects[collection->count++] = object;
}

static int visit_all(struct collection *collection, void (*visit)(struct cache_object *object, void *argument))
{
	struct cache_store *shared = cache_shared_store();
	if (shared)
		cache_store_visit(shared, visit, collection);
	return (int)collection->count;
}

static bool is_same(const struct cache_disk *disk, const struct cache_object *a, const struct cache_object *b)
{
	return slice_equal(a->key, b->key) && cache_disk_selector(disk, a) == cache_disk_selector(disk, b);
}

// So many were found on the disk, behind those in memory: what is in both counts once.
static void add_found(struct collection *collection, struct cache_disk *disk, unsigned found)
{
	unsigned in_memory = collection->count;
	struct cache_object **objects = collection->objects;
	for (unsigned i = in_memory; i < in_memory + found; i++) {
		unsigned j = 0;
		while (j < in_memory && !is_same(disk, objects[j], objects[i]))
			j++;
		if (j < in_memory)
			cache_object_unref(objects[i]);
		else
			objects[collection->count++] = objects[i];
	}
}

int cache_list(struct slice prefix, struct cache_object **ret_objects, unsigned most, bool *ret_is_all)
{
	char room[KEY_MAX];
	struct collection collection = {.is_prefix = true, .objects = ret_objects, .most = most};
	bool is_all = true;
	if (prefix.length > 0 && !cache_key_of_url(prefix, room, sizeof room, &collection.key))
		return -EINVAL;
	struct cache_disk *disk = cache_disk_hold();
	unsigned in_memory = (unsigned)visit_all(&collection, collect);
	if (disk)
		add_found(&collection, disk,
			  cache_disk_list_prefix(disk, collection.key, ret_objects + in_memory, most - in_memory,
						 &is_all));
	cache_disk_release(disk);
	*ret_is_all = is_all && in_memory < most;
	return (int)collection.count;
}

int cache_show(struct slice url, struct cache_object **ret_objects, unsigned most)
{
	char room[KEY_MAX];
	struct collection collection = {.objects = ret_objects, .most = most};
	if (!cache_key_of_url(url, room, sizeof room, &collection.key))
		return -EINVAL;
	struct cache_disk *disk = cache_disk_hold();
	unsigned in_memory = (unsigned)visit_all(&collection, collect);
	if (disk)
		add_found(&collection, disk,
			  cache_disk_list(disk, collection.key, 0, ret_objects + in_memory, most - in_memory));
	cache_disk_release(disk);
	return (int)collection.count;
}

static uint32_t uses_of(const struct cache_object *object)
{
	return atomic_load_explicit(&object->uses, memory_order_relaxed);
}

// Into its place among those that are used most.
static void rank(struct cache_object *object, void *argument)
{
	struct collection *collection = argument;
	unsigned place = collection->count;
	while (place > 0 && uses_of(collection->objects[place - 1]) < uses_of(object))
		place--;
	if (place == collection->most || object->status == CACHE_MARK)
		return;
	cache_object_ref(object);
	if (collection->count == collection->most)
		cache_object_unref(collection->objects[--collection->count]);
	memmove(&collection->objects[place + 1], &collection->objects[place],
		(collection->count - place) * sizeof(struct cache_object *));
	collection->objects[place] = object;
	collection->count++;
}

static int compare_uses(const void *a, const void *b)
{
	uint32_t uses_a = uses_of(*(struct cache_object *const *)a), uses_b = uses_of(*(struct cache_object *const *)b);
	return (uses_a < uses_b) - (uses_a > uses_b);
}

// Twice as many are found at first: of memory and of the disk.
int cache_top(struct cache_object **ret_objects, unsigned most)
{
	struct collection collection = {.objects = ret_objects, .most = most / 2};
	struct cache_disk *disk = cache_disk_hold();
	(void)visit_all(&collection, rank);
	if (disk)
		add_found(&collection, disk, cache_disk_top(disk, ret_objects + collection.count, most / 2));
	cache_disk_release(disk);
	qsort(ret_objects, collection.count, sizeof(struct cache_object *), compare_uses);
	while (collection.count > most / 2)
		cache_object_unref(ret_objects[--collection.count]);
	return (int)collection.count;
}
