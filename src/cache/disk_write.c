#include "base/check.h"
#include "base/log.h"
#include "cache/disk_local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- Writing one object

// What is being made of it.
struct writing {
	struct cache_disk *disk;
	struct disk_job *job;
	struct disk_name name;
	struct cache_file *body; // NULL: it goes into the head; holds a reference
	uint64_t bytes;
};

static int write_body(struct writing *writing)
{
	const struct cache_object *object = writing->job->object;
	if (object->file) {
		writing->body = object->file;
		cache_file_ref(object->file);
		return 0;
	}
	if (object->body.length <= CACHE_INLINE_MAX)
		return 0;
	int descriptor = disk_create(writing->disk, writing->name.hash);
	if (descriptor < 0)
		return descriptor;
	writing->body = cache_file_new(descriptor, writing->name.number, 0);
	struct cache_file_writer *writer = writing->body ? cache_file_writer_new(writing->body) : NULL;
	int error = writer ? cache_file_append(writer, object->body) : -ENOMEM;
	if (error == 0)
		error = cache_file_finish(writer);
	cache_file_writer_free(writer);
	return error;
}

static int link_body(struct writing *writing)
{
	char room[DISK_NAME_MAX];
	if (!writing->body)
		return 0;
	writing->bytes += disk_rounded(cache_file_size(writing->body->length));
	return disk_link(writing->disk, writing->body->descriptor, disk_path(room, &writing->name, true));
}

// The head comes last: without it nothing is there.
static int write_head(struct writing *writing)
{
	char room[DISK_NAME_MAX];
	const struct cache_object *object = writing->job->object;
	const struct cache_head_place place = {
		.number = writing->name.number,
		.body_number = writing->body ? writing->body->number : 0,
		.body_length = writing->body ? writing->body->length : object->body.length,
	};
	size_t length = 0;
	char *bytes = cache_head_write(object, &place, writing->job->asked_after, &length);
	int descriptor = bytes ? disk_create(writing->disk, writing->name.hash) : -ENOMEM;
	int error = descriptor < 0 ? descriptor : cache_file_write_all(descriptor, bytes, length, 0);
	if (error == 0 && writing->job->is_lasting && fsync(descriptor) < 0)
		error = -errno;
	if (error == 0)
		error = disk_link(writing->disk, descriptor, disk_path(room, &writing->name, false));
	if (descriptor >= 0)
		close(descriptor);
	free(bytes);
	writing->bytes += disk_rounded(length);
	return error;
}

// Those that it replaces, which would have answered the same.
static void drop_former(struct cache_disk *disk, const struct disk_name *name)
{
	uint64_t number = name->number;
	struct disk_entry *entry;
	while ((entry = disk_index_older(&disk->index, name->hash, number))) {
		number = entry->name.number;
		if (entry->name.selector == name->selector)
			disk_drop_entry(disk, entry);
	}
}

// What came meanwhile counts: it was dropped, or purged.
static int appear(struct writing *writing)
{
	struct cache_disk *disk = writing->disk;
	struct disk_job *job = writing->job;
	bool was_outdated = atomic_load(&job->object->is_outdated);
	pthread_mutex_lock(&disk->lock);
	bool stays = !job->is_dropped && cache_purges_spare(disk->purges, job->object, &job->asked_after) &&
		     was_outdated == atomic_load(&job->object->is_outdated) &&
		     disk_index_add(&disk->index, &writing->name, writing->bytes, writing->body != NULL);
	if (stays)
		drop_former(disk, &writing->name);
	pthread_mutex_unlock(&disk->lock);
	return stays ? 0 : -ECANCELED;
}

// What was dropped before must not be there even for a moment, of which a crash would make more.
static bool is_dropped(struct writing *writing)
{
	pthread_mutex_lock(&writing->disk->lock);
	bool dropped = writing->job->is_dropped;
	pthread_mutex_unlock(&writing->disk->lock);
	return dropped;
}

static int write_object(struct writing *writing)
{
	struct disk_job *job = writing->job;
	if (is_dropped(writing) || !cache_purges_spare(writing->disk->purges, job->object, &job->asked_after))
		return -ECANCELED;
	int error = write_body(writing);
	if (error == 0)
		error = link_body(writing);
	if (error == 0)
		error = write_head(writing);
	if (error == 0)
		error = appear(writing);
	if (error)
		disk_unlink(writing->disk, &writing->name, writing->body != NULL);
	return error;
}

// --- Jobs

void disk_job_add(struct cache_disk *disk, struct disk_job *job, bool is_running)
{
	job->is_running = is_running;
	pthread_mutex_lock(&disk->lock);
	list_push_back(&disk->jobs, &job->link);
	disk->job_count++;
	disk->job_bytes += job->object->size_bytes;
	pthread_cond_broadcast(&disk->changed);
	pthread_mutex_unlock(&disk->lock);
}

static void remove_job(struct cache_disk *disk, struct disk_job *job)
{
	pthread_mutex_lock(&disk->lock);
	list_remove(&job->link);
	disk->job_count--;
	disk->job_bytes -= job->object->size_bytes;
	pthread_cond_broadcast(&disk->changed);
	pthread_mutex_unlock(&disk->lock);
}

bool disk_job_run(struct cache_disk *disk, struct disk_job *job)
{
	disk_scan(disk, job->hash);
	struct writing writing = {
		.disk = disk,
		.job = job,
		.name = {job->hash, cache_disk_selector(disk, job->object), atomic_fetch_add(&disk->next_number, 1)},
	};
	int error = write_object(&writing);
	cache_file_unref(writing.body);
	remove_job(disk, job);
	if (error == 0)
		atomic_fetch_add(&disk->written, 1);
	else if (error != -ECANCELED)
		disk_note_unwritten(disk, error, job->object->size_bytes);
	disk_evict(disk, 0);
	return error == 0;
}

void disk_note_unwritten(struct cache_disk *disk, int error, uint64_t bytes)
{
	atomic_fetch_add(&disk->unwritten, 1);
	log_warning("cache_disk: an answer could not be written: %s", strerror(-error));
	if (error == -ENOSPC)
		disk_evict(disk, 2 * bytes);
}

void disk_evict(struct cache_disk *disk, uint64_t more_bytes)
{
	uint64_t budget = atomic_load(&disk->budget_bytes), unnamed = atomic_load(&disk->unnamed_bytes);
	uint64_t most = budget > unnamed ? budget - unnamed : 0;
	struct disk_entry *victim;
	pthread_mutex_lock(&disk->lock);
	if (more_bytes > 0 && most > disk->index.bytes)
		most = disk->index.bytes;
	most = most > more_bytes ? most - more_bytes : 0;
	while (disk->index.bytes > most && (victim = disk_index_victim(&disk->index)))
		disk_drop_entry(disk, victim);
	pthread_mutex_unlock(&disk->lock);
}

void disk_outdate(struct cache_disk *disk, struct cache_object *object, const struct disk_name *name, bool is_lasting)
{
	struct disk_job job = {
		.object = object, .hash = name->hash, .asked_after = object->asked_after, .is_lasting = is_lasting};
	disk_job_add(disk, &job, true);
	if (!disk_job_run(disk, &job))
		disk_drop(disk, name);
}

// --- Purging

static void sweep_file(struct cache_disk *disk, const struct disk_name *name)
{
	struct cache_object *object;
	if (disk_read(disk, name, 0, &object) < 0)
		return;
	bool was_outdated = atomic_load(&object->is_outdated);
	bool is_spared = disk_is_spared(disk, object);
	bool is_outdated = is_spared && !was_outdated && atomic_load(&object->is_outdated);
	if (!is_spared)
		disk_drop(disk, name);
	else if (is_outdated)
		disk_outdate(disk, object, name, false);
	if (!is_spared || is_outdated)
		atomic_fetch_add(&disk->purged, 1);
	cache_object_unref(object);
}

static bool is_closing(struct cache_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	bool closing = disk->is_closing;
	pthread_mutex_unlock(&disk->lock);
	return closing;
}

// What is written meanwhile is looked at when it appears. When this does not come to its end, files are looked at when
// they are found.
static void look_at_all(struct cache_disk *disk)
{
	uint64_t last = cache_purges_last(disk->purges);
	struct disk_walk walk = {0};
	bool is_all = false, closes = false;
	disk_scan_all(disk);
	while (!closes && disk_walk_on(disk, &walk, &is_all))
		for (uint64_t i = 0; i < walk.count && !(closes = is_closing(disk)); i++)
			sweep_file(disk, &walk.entries[i].name);
	disk_walk_end(&walk);
	if (closes || !is_all || disk_sync_all(disk) < 0)
		return;
	atomic_store(&disk->swept, last);
	(void)disk_purges_save(disk);
}

static void sweep(struct cache_disk *disk)
{
	look_at_all(disk);
	pthread_mutex_lock(&disk->lock);
	disk->is_sweeping = false;
	pthread_mutex_unlock(&disk->lock);
}

// --- The thread

enum task { TASK_NONE, TASK_WRITE, TASK_SWEEP, TASK_SCAN };

static struct disk_job *waiting_job(struct cache_disk *disk)
{
	for (struct list_link *link = disk->jobs.next; link != &disk->jobs; link = link->next) {
		struct disk_job *job = LIST_ENTRY(link, struct disk_job, link);
		if (!job->is_running)
			return job;
	}
	return NULL;
}

// With the lock held. False: there is nothing to do now.
static bool take_task(struct cache_disk *disk, unsigned scanned, enum task *ret_task, struct disk_job **ret_job)
{
	struct disk_job *job = waiting_job(disk);
	if (job) {
		job->is_running = true;
		*ret_job = job;
		*ret_task = TASK_WRITE;
	} else if (disk->is_closing) {
		*ret_task = TASK_NONE;
	} else if (disk->must_sweep) {
		disk->must_sweep = false;
		disk->is_sweeping = true;
		*ret_task = TASK_SWEEP;
	} else {
		*ret_task = TASK_SCAN;
		return scanned < DISK_DIRECTORIES;
	}
	return true;
}

static enum task next_task(struct cache_disk *disk, unsigned scanned, struct disk_job **ret_job)
{
	enum task task;
	pthread_mutex_lock(&disk->lock);
	while (!take_task(disk, scanned, &task, ret_job))
		pthread_cond_wait(&disk->changed, &disk->lock);
	pthread_mutex_unlock(&disk->lock);
	return task;
}

static void write_job(struct cache_disk *disk, struct disk_job *job)
{
	(void)disk_job_run(disk, job);
	cache_object_unref(job->object);
	free(job);
}

void *disk_run(void *argument)
{
	struct cache_disk *disk = argument;
	struct disk_job *job = NULL;
	unsigned scanned = 0;
	for (;;) {
		switch (next_task(disk, scanned, &job)) {
		case TASK_WRITE:
			write_job(disk, job);
			break;
		case TASK_SWEEP:
			sweep(disk);
			break;
		case TASK_SCAN:
			disk_scan(disk, scanned++);
			disk_evict(disk, 0);
			break;
		case TASK_NONE:
			return NULL;
		}
	}
}
