#include "cache/disk_local.h"

#include <errno.h>
#include <stdlib.h>

struct cache_spool {
	struct cache_disk *disk;
	struct cache_file *file;
	struct cache_file_writer *writer;
	uint64_t bytes;
};

int cache_spool_new(struct cache_disk *disk, struct cache_spool **ret_spool)
{
	uint64_t number = atomic_fetch_add(&disk->next_number, 1);
	struct cache_spool *spool = calloc(1, sizeof *spool);
	int descriptor = spool ? disk_create(disk, number) : -ENOMEM;
	if (descriptor < 0) {
		free(spool);
		return descriptor;
	}
	spool->disk = disk;
	spool->file = cache_file_new(descriptor, number, 0);
	spool->writer = spool->file ? cache_file_writer_new(spool->file) : NULL;
	if (!spool->writer) {
		cache_spool_free(spool);
		return -ENOMEM;
	}
	*ret_spool = spool;
	return 0;
}

void cache_spool_free(struct cache_spool *spool)
{
	if (!spool)
		return;
	atomic_fetch_sub(&spool->disk->unnamed_bytes, spool->bytes);
	cache_file_writer_free(spool->writer);
	cache_file_unref(spool->file);
	free(spool);
}

int cache_spool_append(struct cache_spool *spool, struct slice bytes)
{
	struct cache_disk *disk = spool->disk;
	uint64_t budget = atomic_load(&disk->budget_bytes);
	uint64_t unnamed = atomic_fetch_add(&disk->unnamed_bytes, bytes.length) + bytes.length;
	spool->bytes += bytes.length;
	if (unnamed > budget)
		return -ENOSPC;
	disk_evict(disk, 0);
	int error = cache_file_append(spool->writer, bytes);
	if (error)
		disk_note_unwritten(disk, error, spool->bytes);
	return error;
}

struct cache_file *cache_spool_file(const struct cache_spool *spool)
{
	return spool->file;
}

struct cache_object *cache_spool_put(struct cache_spool *spool, const struct cache_object *object, uint64_t asked_after)
{
	if (cache_file_finish(spool->writer) < 0)
		return NULL;
	struct cache_object *whole = cache_object_with_file(object, spool->file);
	if (!whole)
		return NULL;
	struct disk_job job = {
		.object = whole,
		.hash = disk_hash(spool->disk, object->key),
		.asked_after = asked_after,
	};
	disk_job_add(spool->disk, &job, true);
	if (disk_job_run(spool->disk, &job))
		return whole;
	cache_object_unref(whole);
	return NULL;
}
