#include "handlers/cache_disk.h"

#include "base/log.h"
#include "exchange/directories.h"
#include "fiber/offload.h"
#include "handlers/cache.h"
#include "handlers/handlers.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- Keys

struct disk_config {
	struct config_place place;
	struct config_text path;
	int64_t size;
	const char *resolved;
};

static const struct config_key disk_keys[] = {
	{"path", CONFIG_TEXT, offsetof(struct disk_config, path),
	 .help = "the directory, for usher alone; made when it is not there", .form = "a path such as /var/cache/usher",
	 .required = true},
	{"size", CONFIG_SIZE, offsetof(struct disk_config, size), "1GiB", "how much stored answers may take there",
	 .min = 1 << 20, .max = INT64_C(1) << 50},
	{0},
};

static const struct config_section disk_section = {
	.name = "cache_disk",
	.help = "A directory in which stored answers outlive usher, and those lie that are too large or too old for "
		"memory.",
	.size = sizeof(struct disk_config),
	.keys = disk_keys,
	.place_offset = offsetof(struct disk_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "path",
};

static bool load(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section)
{
	struct disk_config *config = value;
	*ret_section = config;
	if (config)
		config->resolved = config_resolve(load, &config->path).data;
	return !config || config->resolved;
}

const struct top_section_type cache_disk_section = {
	.key = {.name = "cache_disk",
		.kind = CONFIG_OPTIONAL,
		.section = &disk_section,
		.help = "a directory in which stored answers outlive usher, and those lie that are too large or too "
			"old "
			"for memory",
		.form = "a path, or a map such as {path: /var/cache/usher, size: 10GiB}"},
	.load = load,
};

// --- Opening

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closed = PTHREAD_COND_INITIALIZER;
static struct cache_disk *shared; // under the lock
static unsigned closing;	  // disks that threads of their own are closing; under the lock
static char *used_path;
static struct cache_disk *prepared; // for the configuration that is to come; NULL: it has the one in use, or none
static char *prepared_path;

struct cache_disk *cache_disk_hold(void)
{
	pthread_mutex_lock(&lock);
	struct cache_disk *disk = shared;
	if (disk)
		cache_disk_ref(disk);
	pthread_mutex_unlock(&lock);
	return disk;
}

static void *close_disk(void *argument)
{
	cache_disk_close(argument);
	pthread_mutex_lock(&lock);
	closing--;
	pthread_cond_broadcast(&closed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

// What is to be written is written first. Without a thread for it, it waits here.
void cache_disk_release(struct cache_disk *disk)
{
	pthread_t thread;
	if (!disk || !cache_disk_unref(disk))
		return;
	pthread_mutex_lock(&lock);
	closing++;
	pthread_mutex_unlock(&lock);
	if (pthread_create(&thread, NULL, close_disk, disk) == 0)
		pthread_detach(thread);
	else
		(void)close_disk(disk);
}

const char *cache_disk_path(const struct snapshot *snapshot, const struct config_place **ret_place)
{
	const struct disk_config *config = snapshot_section(snapshot, &cache_disk_section);
	if (config)
		*ret_place = &config->place;
	return config ? config->resolved : NULL;
}

static const char *words_of(int error)
{
	switch (error) {
	case -EBUSY:
		return "another usher uses it";
	case -EACCES:
		return "the user that the worker runs as may not write there";
	case -EOPNOTSUPP:
		return "its file system cannot make files without a name (O_TMPFILE)";
	default:
		return strerror(-error);
	}
}

static int open_at(const struct disk_config *config, struct cache_disk **ret_disk)
{
	struct cache_store *store = cache_shared_store();
	int taken = store ? directories_take(config->resolved) : -ENOMEM;
	return taken < 0 ? taken : cache_disk_open(taken, (uint64_t)config->size, cache_store_purges(store), ret_disk);
}

bool cache_disk_prepare(const struct snapshot *snapshot, char *ret_failure, size_t size)
{
	const struct disk_config *config = snapshot_section(snapshot, &cache_disk_section);
	if (!config || (used_path && strcmp(config->resolved, used_path) == 0))
		return true;
	prepared_path = strdup(config->resolved);
	int error = prepared_path ? open_at(config, &prepared) : -ENOMEM;
	if (error == 0)
		return true;
	snprintf(ret_failure, size, "%s:%u:%u: cache_disk: %s: %s", config->place.file, (unsigned)config->place.line,
		 (unsigned)config->place.column, config->resolved, words_of(error));
	cache_disk_discard();
	return false;
}

void cache_disk_discard(void)
{
	cache_disk_release(prepared);
	prepared = NULL;
	free(prepared_path);
	prepared_path = NULL;
}

// Purges that came since it was prepared are written there, too.
static void replace(void)
{
	struct cache_disk *former = shared; // nobody else writes it
	if (former && cache_disk_leave(former) < 0)
		log_warning("cache_disk: %s: what is there could not be marked as forgotten; remove it before it is "
			    "used again",
			    used_path);
	pthread_mutex_lock(&lock);
	shared = prepared;
	pthread_mutex_unlock(&lock);
	if (prepared && cache_disk_purge(prepared) < 0)
		log_warning("cache_disk: %s: purges cannot be written", prepared_path);
	cache_disk_release(former);
	free(used_path);
	used_path = prepared_path;
	prepared = NULL;
	prepared_path = NULL;
}

void cache_disk_use(const struct snapshot *snapshot)
{
	const struct disk_config *config = snapshot_section(snapshot, &cache_disk_section);
	if (prepared || (!config && used_path))
		replace();
	else if (config)
		cache_disk_set_budget(shared, (uint64_t)config->size);
}

void cache_disk_end(void)
{
	cache_disk_discard();
	pthread_mutex_lock(&lock);
	struct cache_disk *disk = shared;
	shared = NULL;
	pthread_mutex_unlock(&lock);
	cache_disk_release(disk);
	pthread_mutex_lock(&lock);
	while (closing > 0)
		pthread_cond_wait(&closed, &lock);
	pthread_mutex_unlock(&lock);
	free(used_path);
	used_path = NULL;
}

// --- Off the loop

struct looking {
	struct cache_disk *disk;
	const struct cache_wanted *wanted;
	struct cache_object *object;
};

static void look(void *argument)
{
	struct looking *looking = argument;
	const struct cache_wanted *wanted = looking->wanted;
	looking->object = cache_disk_find(looking->disk, wanted->key, wanted->hash, wanted->variant, wanted->request);
}

// When too many wait for the disk, the servers are asked.
struct cache_object *cache_disk_look(const struct cache_wanted *wanted, struct cache_store *store)
{
	struct looking looking = {.disk = cache_disk_hold(), .wanted = wanted};
	if (looking.disk && cache_disk_may_have(looking.disk, wanted->key))
		(void)offload(look, &looking);
	cache_disk_release(looking.disk);
	if (looking.object && !looking.object->file)
		(void)cache_store_put(store, looking.object, wanted->request);
	return looking.object;
}

struct forgetting {
	struct cache_disk *disk;
	struct slice key;
	bool is_soft;
	unsigned count;
};

static void forget(void *argument)
{
	struct forgetting *forgetting = argument;
	forgetting->count = cache_disk_drop(forgetting->disk, forgetting->key, forgetting->is_soft);
}

unsigned cache_disk_forget(struct slice key, bool is_soft)
{
	struct forgetting forgetting = {.disk = cache_disk_hold(), .key = key, .is_soft = is_soft};
	if (forgetting.disk)
		offload_surely(forget, &forgetting);
	cache_disk_release(forgetting.disk);
	return forgetting.count;
}

static void drop_broken(void *argument)
{
	struct cache_disk *disk = cache_disk_hold();
	if (disk)
		cache_disk_drop_broken(disk, argument);
	cache_disk_release(disk);
}

void cache_disk_note_broken(const struct cache_object *object)
{
	offload_surely(drop_broken, (void *)object);
}

void cache_disk_write(struct cache_object *object)
{
	struct cache_disk *disk = cache_disk_hold();
	if (disk)
		cache_disk_put(disk, object);
	cache_disk_release(disk);
}
