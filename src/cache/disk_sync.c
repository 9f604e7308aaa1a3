#include "base/log.h"
#include "cache/disk_local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// A file that was unlinked may be there again after a loss of power, until its directory is synced. Where that could
// bring back what was forgotten since, whoever forgets it waits for the sync; evicting and replacing do not wait. What
// was unlinked since the last sync is known by some bits of its hash.

enum { WORD_BITS = 64 };

static uint64_t *word_of(struct cache_disk *disk, uint64_t hash, uint64_t *ret_bit)
{
	uint64_t place = hash / DISK_DIRECTORIES % (DISK_SYNC_WORDS * WORD_BITS);
	*ret_bit = UINT64_C(1) << (place % WORD_BITS);
	return &disk->unsynced[hash % DISK_DIRECTORIES][place / WORD_BITS];
}

void disk_unlink_begins(struct cache_disk *disk, uint64_t hash)
{
	uint64_t bit;
	*word_of(disk, hash, &bit) |= bit;
	disk->unlinking[hash % DISK_DIRECTORIES]++;
}

void disk_unlink_ends(struct cache_disk *disk, uint64_t hash)
{
	disk->unlinking[hash % DISK_DIRECTORIES]--;
	pthread_cond_broadcast(&disk->changed);
}

bool disk_may_come_back(struct cache_disk *disk, uint64_t hash)
{
	uint64_t bit;
	return disk->is_syncing[hash % DISK_DIRECTORIES] || (*word_of(disk, hash, &bit) & bit) != 0;
}

// From here on what is unlinked is for the next sync.
static void begin(struct cache_disk *disk, uint64_t from, uint64_t to)
{
	pthread_mutex_lock(&disk->lock);
	for (uint64_t i = from; i < to; i++) {
		while (disk->unlinking[i] > 0)
			pthread_cond_wait(&disk->changed, &disk->lock);
		disk->is_syncing[i] = true;
		memset(disk->unsynced[i], 0, sizeof disk->unsynced[i]);
	}
	pthread_mutex_unlock(&disk->lock);
}

static void end(struct cache_disk *disk, uint64_t from, uint64_t to, int error)
{
	pthread_mutex_lock(&disk->lock);
	for (uint64_t i = from; i < to; i++) {
		disk->is_syncing[i] = false;
		if (error)
			memset(disk->unsynced[i], 0xff, sizeof disk->unsynced[i]);
	}
	pthread_mutex_unlock(&disk->lock);
	if (error)
		log_warning("cache_disk: what was forgotten may come back if the power is lost: %s", strerror(-error));
}

static int sync_directory(struct cache_disk *disk, uint64_t hash)
{
	char room[DISK_NAME_MAX];
	int descriptor = openat(disk->root, disk_directory(room, hash), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = descriptor < 0 || fsync(descriptor) < 0 ? -errno : 0;
	if (descriptor >= 0)
		close(descriptor);
	return error;
}

int disk_sync(struct cache_disk *disk, uint64_t hash)
{
	uint64_t place = hash % DISK_DIRECTORIES;
	pthread_mutex_lock(&disk->syncing);
	begin(disk, place, place + 1);
	int error = sync_directory(disk, hash);
	end(disk, place, place + 1, error);
	pthread_mutex_unlock(&disk->syncing);
	return error;
}

int disk_sync_all(struct cache_disk *disk)
{
	pthread_mutex_lock(&disk->syncing);
	begin(disk, 0, DISK_DIRECTORIES);
	int error = syncfs(disk->root) < 0 ? -errno : 0;
	end(disk, 0, DISK_DIRECTORIES, error);
	pthread_mutex_unlock(&disk->syncing);
	return error;
}
