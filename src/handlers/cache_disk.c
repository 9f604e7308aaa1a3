#include "handlers/cache_disk.h"

#include "base/log.h"
#include "exchange/directories.h"
#include "fiber/offload.h"
#include "handlers/cache.h"
#include "handlers/handlers.h"

#include <errno.h>
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

static _Atomic(struct cache_disk *) shared;
static char *used_path;

struct cache_disk *cache_shared_disk(void)
{
	return atomic_load_explicit(&shared, memory_order_acquire);
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

static int open_at(const struct disk_config *config)
{
	struct cache_store *store = cache_shared_store();
	struct cache_disk *disk;
	int taken = store ? directories_take(config->resolved) : -ENOMEM;
	if (taken < 0)
		return taken;
	int error = cache_disk_open(taken, (uint64_t)config->size, cache_store_purges(store), &disk);
	if (error == 0)
		atomic_store_explicit(&shared, disk, memory_order_release);
	return error;
}

static bool open_disk(const struct disk_config *config, char *ret_failure, size_t size)
{
	used_path = strdup(config->resolved);
	int error = used_path ? open_at(config) : -ENOMEM;
	if (error == 0)
		return true;
	snprintf(ret_failure, size, "%s:%u:%u: cache_disk: %s: %s", config->place.file, (unsigned)config->place.line,
		 (unsigned)config->place.column, config->resolved, words_of(error));
	free(used_path);
	used_path = NULL;
	return false;
}

bool cache_disk_use(const struct snapshot *snapshot, char *ret_failure, size_t size)
{
	const struct disk_config *config = snapshot_section(snapshot, &cache_disk_section);
	if (!cache_shared_disk())
		return !config || open_disk(config, ret_failure, size);
	if (config && strcmp(config->resolved, used_path) == 0)
		cache_disk_set_budget(cache_shared_disk(), (uint64_t)config->size);
	else
		log_warning("cache_disk: %s stays in use until usher is restarted", used_path);
	return true;
}

void cache_disk_end(void)
{
	struct cache_disk *disk = atomic_exchange(&shared, NULL);
	if (disk)
		cache_disk_close(disk);
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
struct cache_object *cache_disk_look(const struct cache_wanted *wanted)
{
	struct looking looking = {.disk = cache_shared_disk(), .wanted = wanted};
	if (looking.disk && cache_disk_may_have(looking.disk, wanted->key))
		(void)offload(look, &looking);
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
	struct forgetting forgetting = {.disk = cache_shared_disk(), .key = key, .is_soft = is_soft};
	if (forgetting.disk)
		offload_surely(forget, &forgetting);
	return forgetting.count;
}

static void drop_broken(void *argument)
{
	cache_disk_drop_broken(cache_shared_disk(), argument);
}

void cache_disk_note_broken(const struct cache_object *object)
{
	offload_surely(drop_broken, (void *)object);
}
