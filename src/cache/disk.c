#include "cache/disk.h"

#include "base/check.h"
#include "base/log.h"
#include "cache/disk_local.h"
#include "cache/vary.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	TRIES = 16,   // of responses with one key
	WORTH_S = 10, // what is of use for less is not written
};

// --- Opening

static void free_disk(struct cache_disk *disk)
{
	disk_index_fini(&disk->index);
	if (disk->lock_file >= 0)
		close(disk->lock_file);
	close(disk->root);
	pthread_mutex_destroy(&disk->scanning);
	pthread_mutex_destroy(&disk->saving);
	pthread_mutex_destroy(&disk->syncing);
	pthread_mutex_destroy(&disk->lock);
	pthread_cond_destroy(&disk->changed);
	free(disk);
}

// Signals are for the loops' threads.
static int start(struct cache_disk *disk)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&disk->thread, NULL, disk_run, disk);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -failed;
}

// Numbers go up also over restarts.
static uint64_t first_number(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int cache_disk_open(int directory, uint64_t budget_bytes, struct cache_purges *purges, struct cache_disk **ret_disk)
{
	struct cache_disk *disk = calloc(1, sizeof *disk);
	if (!disk) {
		close(directory);
		return -ENOMEM;
	}
	atomic_init(&disk->references, 1);
	disk->root = directory;
	disk->lock_file = -1;
	disk->purges = purges;
	atomic_init(&disk->budget_bytes, budget_bytes);
	atomic_init(&disk->next_number, first_number());
	pthread_mutex_init(&disk->scanning, NULL);
	pthread_mutex_init(&disk->saving, NULL);
	pthread_mutex_init(&disk->syncing, NULL);
	pthread_mutex_init(&disk->lock, NULL);
	pthread_cond_init(&disk->changed, NULL);
	list_init(&disk->jobs);
	int error = disk_index_init(&disk->index) ? disk_files_begin(disk) : -ENOMEM;
	if (error == 0)
		error = disk_purges_load(disk);
	if (error == 0)
		error = start(disk);
	if (error == 0)
		*ret_disk = disk;
	else
		free_disk(disk);
	return error;
}

void cache_disk_close(struct cache_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	disk->is_closing = true;
	pthread_cond_broadcast(&disk->changed);
	pthread_mutex_unlock(&disk->lock);
	pthread_join(disk->thread, NULL);
	check(list_is_empty(&disk->jobs));
	free_disk(disk);
}

void cache_disk_ref(struct cache_disk *disk)
{
	atomic_fetch_add_explicit(&disk->references, 1, memory_order_relaxed);
}

bool cache_disk_unref(struct cache_disk *disk)
{
	return atomic_fetch_sub_explicit(&disk->references, 1, memory_order_acq_rel) == 1;
}

int cache_disk_leave(struct cache_disk *disk)
{
	pthread_mutex_lock(&disk->saving);
	disk->is_left = true;
	pthread_mutex_unlock(&disk->saving);
	return disk_purges_save(disk);
}

void cache_disk_set_budget(struct cache_disk *disk, uint64_t budget_bytes)
{
	atomic_store(&disk->budget_bytes, budget_bytes);
}

// --- What tells responses apart

uint64_t disk_hash(const struct cache_disk *disk, struct slice key)
{
	return hash_keyed(&disk->key, key);
}

uint64_t cache_disk_selector(const struct cache_disk *disk, const struct cache_object *object)
{
	uint64_t selector = hash_number(object->variant);
	for (uint32_t i = 0; i < object->vary_count; i++) {
		struct field field = cache_object_field(object, object->field_count + i);
		uint64_t value = field.value.data ? hash_keyed(&disk->key, field.value) : 0;
		selector = hash_number(selector ^ hash_keyed(&disk->key, field.name)) ^ value;
	}
	return selector;
}

// --- Dropping

void disk_drop_entry(struct cache_disk *disk, struct disk_entry *entry)
{
	struct disk_name name = entry->name;
	bool has_body = entry->has_body;
	disk_index_remove(&disk->index, entry);
	disk_unlink_begins(disk, name.hash);
	pthread_mutex_unlock(&disk->lock);
	disk_unlink_noted(disk, &name, has_body);
	pthread_mutex_lock(&disk->lock);
	disk_unlink_ends(disk, name.hash);
}

void disk_drop(struct cache_disk *disk, const struct disk_name *name)
{
	pthread_mutex_lock(&disk->lock);
	struct disk_entry *entry = disk_index_find(&disk->index, name);
	if (entry)
		disk_drop_entry(disk, entry);
	pthread_mutex_unlock(&disk->lock);
}

// With the lock held: whether one of the jobs with the hash is being written.
static bool drop_jobs(struct cache_disk *disk, uint64_t hash)
{
	bool runs = false;
	for (struct list_link *link = disk->jobs.next; link != &disk->jobs; link = link->next) {
		struct disk_job *job = LIST_ENTRY(link, struct disk_job, link);
		job->is_dropped |= job->hash == hash;
		runs |= job->hash == hash && job->is_running;
	}
	return runs;
}

static void outdate(struct cache_disk *disk, const struct disk_name *name)
{
	struct cache_object *object;
	if (disk_read(disk, name, 0, &object) < 0)
		return;
	atomic_store(&object->is_outdated, true);
	disk_outdate(disk, object, name, true);
	cache_object_unref(object);
}

unsigned cache_disk_drop(struct cache_disk *disk, struct slice key, bool is_soft)
{
	uint64_t hash = disk_hash(disk, key), number = UINT64_MAX;
	unsigned count = 0;
	struct disk_entry *entry;
	disk_scan(disk, hash);
	pthread_mutex_lock(&disk->lock);
	while (drop_jobs(disk, hash))
		pthread_cond_wait(&disk->changed, &disk->lock);
	for (; (entry = disk_index_older(&disk->index, hash, number)); count++) {
		struct disk_name name = entry->name;
		number = name.number;
		if (!is_soft) {
			disk_drop_entry(disk, entry);
			continue;
		}
		pthread_mutex_unlock(&disk->lock);
		outdate(disk, &name);
		pthread_mutex_lock(&disk->lock);
	}
	bool must_sync = count > 0 || disk_may_come_back(disk, hash);
	pthread_mutex_unlock(&disk->lock);
	if (must_sync)
		(void)disk_sync(disk, hash);
	return count;
}

void cache_disk_drop_broken(struct cache_disk *disk, const struct cache_object *object)
{
	atomic_fetch_add(&disk->broken, 1);
	log_warning("cache_disk: a file is not what was written; what is stored for %.*s is dropped",
		    SLICE_ARGUMENTS(slice_first(object->key, 200)));
	(void)cache_disk_drop(disk, object->key, false);
}

int cache_disk_purge(struct cache_disk *disk)
{
	int error = disk_purges_save(disk);
	pthread_mutex_lock(&disk->lock);
	disk->must_sweep = true;
	pthread_cond_broadcast(&disk->changed);
	pthread_mutex_unlock(&disk->lock);
	return error;
}

// --- Finding

bool cache_disk_may_have(struct cache_disk *disk, struct slice key)
{
	uint64_t hash = disk_hash(disk, key);
	if (!atomic_load(&disk->is_scanned[hash % DISK_DIRECTORIES]))
		return true;
	pthread_mutex_lock(&disk->lock);
	bool has = disk_index_older(&disk->index, hash, UINT64_MAX) != NULL;
	pthread_mutex_unlock(&disk->lock);
	return has;
}

// The purges that were swept before have been seen, whatever the file says.
bool disk_is_spared(struct cache_disk *disk, struct cache_object *object)
{
	uint64_t swept = atomic_load(&disk->swept);
	if (object->asked_after < swept)
		object->asked_after = swept;
	return cache_purges_spare(disk->purges, object, &object->asked_after);
}

bool disk_next_name(struct cache_disk *disk, uint64_t hash, uint64_t number, struct disk_name *ret_name)
{
	pthread_mutex_lock(&disk->lock);
	const struct disk_entry *entry = disk_index_older(&disk->index, hash, number);
	if (entry)
		*ret_name = entry->name;
	pthread_mutex_unlock(&disk->lock);
	return entry != NULL;
}

static void note_use(struct cache_disk *disk, const struct disk_name *name)
{
	atomic_fetch_add(&disk->found, 1);
	pthread_mutex_lock(&disk->lock);
	struct disk_entry *entry = disk_index_find(&disk->index, name);
	if (entry) {
		entry->is_used = true;
		entry->uses += entry->uses < UINT32_MAX;
	}
	pthread_mutex_unlock(&disk->lock);
}

static void note_failure(struct cache_disk *disk, const struct disk_name *name, int error)
{
	if (error == -EBADMSG) {
		atomic_fetch_add(&disk->broken, 1);
		log_warning("cache_disk: a file is not what was written, and is dropped");
	} else if (error != -ENOENT) {
		log_warning("cache_disk: a file could not be read: %s", strerror(-error));
	}
	if (error == -EBADMSG || error == -ENOENT)
		disk_drop(disk, name);
}

// *ret_object is NULL when the file has another one, or none. False when it is gone: a newer one may be there.
static bool try_file(struct cache_disk *disk, const struct disk_name *name, struct slice key, uint64_t hash,
		     uint64_t variant, const struct fields *request, struct cache_object **ret_object)
{
	struct cache_object *object = NULL;
	int error = disk_read(disk, name, hash, &object);
	*ret_object = NULL;
	if (error) {
		note_failure(disk, name, error);
		return error != -ENOENT;
	}
	bool is_other =
		!slice_equal(object->key, key) || object->variant != variant || !cache_object_matches(object, request);
	if (!is_other && disk_is_spared(disk, object)) {
		note_use(disk, name);
		*ret_object = object;
		return true;
	}
	if (!is_other)
		disk_drop(disk, name);
	cache_object_unref(object);
	return true;
}

struct cache_object *cache_disk_find(struct cache_disk *disk, struct slice key, uint64_t hash, uint64_t variant,
				     const struct fields *request)
{
	struct disk_name name = {.hash = disk_hash(disk, key), .number = UINT64_MAX};
	struct cache_object *object = NULL;
	disk_scan(disk, name.hash);
	for (unsigned i = 0; i < TRIES && !object && disk_next_name(disk, name.hash, name.number, &name); i++)
		if (!try_file(disk, &name, key, hash, variant, request, &object))
			name.number = UINT64_MAX;
	return object;
}

// --- Storing

static bool is_worth(const struct cache_object *object)
{
	const struct cache_times *times = &object->times;
	int64_t stale_s = times->stale_error_s > times->stale_while_s ? times->stale_error_s : times->stale_while_s;
	return times->lifetime_s - times->initial_age_s + stale_s >= WORTH_S;
}

static bool has_room(struct cache_disk *disk, const struct cache_object *object)
{
	pthread_mutex_lock(&disk->lock);
	bool has = disk->job_count < DISK_JOBS && disk->job_bytes + object->size_bytes <= DISK_JOB_BYTES;
	pthread_mutex_unlock(&disk->lock);
	return has;
}

void cache_disk_put(struct cache_disk *disk, struct cache_object *object)
{
	if (!is_worth(object))
		return;
	struct disk_job *job = has_room(disk, object) ? malloc(sizeof *job) : NULL;
	if (!job) {
		atomic_fetch_add(&disk->unwritten, 1);
		return;
	}
	cache_object_ref(object);
	*job = (struct disk_job){
		.object = object,
		.hash = disk_hash(disk, object->key),
		.asked_after = object->asked_after,
	};
	disk_job_add(disk, job, false);
}

// ---

void cache_disk_read_status(struct cache_disk *disk, struct cache_disk_status *ret_status)
{
	bool is_known = true;
	for (size_t i = 0; i < DISK_DIRECTORIES; i++)
		is_known = is_known && atomic_load(&disk->is_scanned[i]);
	pthread_mutex_lock(&disk->lock);
	*ret_status = (struct cache_disk_status){
		.objects = disk->index.count,
		.bytes = disk->index.bytes,
		.budget_bytes = atomic_load(&disk->budget_bytes),
		.found = atomic_load(&disk->found),
		.written = atomic_load(&disk->written),
		.unwritten = atomic_load(&disk->unwritten),
		.broken = atomic_load(&disk->broken),
		.purged = atomic_load(&disk->purged),
		.is_known = is_known,
		.is_sweeping = disk->must_sweep || disk->is_sweeping,
	};
	pthread_mutex_unlock(&disk->lock);
}
