#include "base/text.h"
#include "cache/disk_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

// The file holds the purges that may still matter. What was written after the last of them is told by its number.

#define FILE_NAME "purges"
#define NEW_NAME "purges.new"
#define KIND UINT64_C(0x7573686572000002)

enum { FILE_MAX = 4 * 1024 * 1024 };

struct record {
	uint64_t kind, last, swept;
};

struct entry {
	uint32_t kind, is_soft;
	uint64_t length;
};

// --- Writing

static size_t size_of(const struct cache_purges *purges)
{
	size_t size = sizeof(struct record) + sizeof(uint64_t);
	for (size_t i = 0; i < CACHE_PURGES_KEPT; i++)
		size += sizeof(struct entry) + purges->kept[i].text.length;
	return size;
}

static char *put(char *to, const void *bytes, size_t length)
{
	if (length > 0)
		memcpy(to, bytes, length);
	return to + length;
}

// Which nothing that is stored has seen, nor any that is kept.
static uint64_t number_for_all(const struct cache_purges *purges)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	uint64_t number = (uint64_t)now.tv_sec << 20, last = cache_purges_last(purges);
	return number > last + CACHE_PURGES_KEPT ? number : last + CACHE_PURGES_KEPT + 1;
}

// To be freed; NULL when memory is out.
static char *write_all(struct cache_disk *disk, size_t *ret_length)
{
	struct cache_purges *purges = disk->purges;
	pthread_mutex_lock(&purges->lock);
	size_t size = size_of(purges);
	char *bytes = malloc(size), *to = bytes;
	const struct record record = {KIND, disk->is_left ? number_for_all(purges) : cache_purges_last(purges),
				      disk->is_left ? 0 : atomic_load(&disk->swept)};
	if (bytes)
		to = put(to, &record, sizeof record);
	for (size_t i = 0; bytes && i < CACHE_PURGES_KEPT; i++) {
		const struct cache_purge *purge = &purges->kept[i];
		const struct entry entry = {purge->kind, purge->is_soft, purge->text.length};
		to = put(to, &entry, sizeof entry);
		to = put(to, purge->text.data, purge->text.length);
	}
	pthread_mutex_unlock(&purges->lock);
	if (!bytes)
		return NULL;
	uint64_t sum = XXH3_64bits(bytes, size - sizeof sum);
	(void)put(to, &sum, sizeof sum);
	*ret_length = size;
	return bytes;
}

static int replace_file(struct cache_disk *disk, const char *bytes, size_t length)
{
	int descriptor = openat(disk->root, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (descriptor < 0)
		return -errno;
	int error = cache_file_write_all(descriptor, bytes, length, 0);
	if (error == 0 && fsync(descriptor) < 0)
		error = -errno;
	close(descriptor);
	if (error == 0 && (renameat(disk->root, NEW_NAME, disk->root, FILE_NAME) < 0 || fsync(disk->root) < 0))
		error = -errno;
	return error;
}

int disk_purges_save(struct cache_disk *disk)
{
	size_t length;
	pthread_mutex_lock(&disk->saving);
	char *bytes = write_all(disk, &length);
	int error = bytes ? replace_file(disk, bytes, length) : -ENOMEM;
	pthread_mutex_unlock(&disk->saving);
	free(bytes);
	return error;
}

// --- Reading

static bool take(struct slice *rest, void *ret_bytes, size_t length)
{
	if (rest->length < length)
		return false;
	memcpy(ret_bytes, rest->data, length);
	*rest = slice_after(*rest, length);
	return true;
}

bool disk_purges_read(struct cache_disk *disk, struct slice bytes)
{
	struct cache_purge kept[CACHE_PURGES_KEPT];
	struct record record;
	uint64_t sum;
	if (bytes.length < sizeof record + sizeof sum)
		return false;
	struct slice rest = slice_first(bytes, bytes.length - sizeof sum);
	memcpy(&sum, rest.data + rest.length, sizeof sum);
	if (sum != XXH3_64bits(rest.data, rest.length) || !take(&rest, &record, sizeof record) || record.kind != KIND)
		return false;
	for (size_t i = 0; i < CACHE_PURGES_KEPT; i++) {
		struct entry entry;
		if (!take(&rest, &entry, sizeof entry) || entry.length > rest.length || entry.kind > CACHE_PURGE_TAG)
			return false;
		kept[i] = (struct cache_purge){entry.kind, slice_first(rest, entry.length), entry.is_soft != 0};
		rest = slice_after(rest, entry.length);
	}
	atomic_store(&disk->swept, record.swept);
	disk->must_sweep = record.swept < record.last;
	return cache_purges_restore(disk->purges, record.last, kept);
}

static int read_all(int descriptor, char **ret_bytes, size_t *ret_length)
{
	struct stat status;
	if (fstat(descriptor, &status) < 0)
		return -errno;
	size_t length = status.st_size < FILE_MAX ? (size_t)status.st_size : FILE_MAX;
	char *bytes = malloc(length + 1);
	ssize_t got = bytes ? pread(descriptor, bytes, length, 0) : -1;
	if (got < 0) {
		free(bytes);
		return -EIO;
	}
	*ret_bytes = bytes;
	*ret_length = (size_t)got;
	return 0;
}

// Without knowing what was purged, nothing that is there may be used.
static int forget_all(struct cache_disk *disk)
{
	const struct cache_purge none[CACHE_PURGES_KEPT] = {0};
	disk->must_sweep = true;
	atomic_store(&disk->swept, 0);
	return cache_purges_restore(disk->purges, number_for_all(disk->purges), none) ? 0 : -ENOMEM;
}

int disk_purges_load(struct cache_disk *disk)
{
	char *bytes = NULL;
	size_t length = 0;
	int descriptor = openat(disk->root, FILE_NAME, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return errno == ENOENT ? 0 : -errno;
	int error = read_all(descriptor, &bytes, &length);
	close(descriptor);
	if (error)
		return error;
	// The numbers of purges that others than these know nothing of are not theirs.
	bool good = cache_purges_last(disk->purges) == 0 && disk_purges_read(disk, slice_from(bytes, length));
	free(bytes);
	return good ? 0 : forget_all(disk);
}
