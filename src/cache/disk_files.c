#include "base/check.h"
#include "base/text.h"
#include "cache/disk_local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEX = 16, STEM = 3 * HEX + 2, HEAD_MAX = CACHE_INLINE_MAX + 1024 * 1024, LOCK_TRIES = 20, PAGE = 4096 };

#define BODY_END ".body"

// --- Names: "5c/00d1…5c-91…-18…", and the same with ".body"

const char *disk_path(char room[DISK_NAME_MAX], const struct disk_name *name, bool is_body)
{
	struct text text;
	text_init(&text, room, DISK_NAME_MAX);
	text_add_hex(&text, name->hash % DISK_DIRECTORIES, 2);
	text_add_char(&text, '/');
	text_add_hex(&text, name->hash, HEX);
	text_add_char(&text, '-');
	text_add_hex(&text, name->selector, HEX);
	text_add_char(&text, '-');
	text_add_hex(&text, name->number, HEX);
	text_add_string(&text, is_body ? BODY_END : "");
	text_add_char(&text, '\0');
	check(!text.overflow);
	return room;
}

static bool read_hex(struct slice digits, uint64_t *ret_number)
{
	uint64_t number = 0;
	for (size_t i = 0; i < digits.length; i++) {
		char c = digits.data[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		number = number * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret_number = number;
	return true;
}

static bool read_name(const char *text, struct disk_name *ret_name, bool *ret_is_body)
{
	struct slice rest = slice_from_string(text);
	*ret_is_body = slice_ends_with(rest, SLICE(BODY_END));
	return rest.length == STEM + (*ret_is_body ? strlen(BODY_END) : 0) && text[HEX] == '-' &&
	       text[2 * HEX + 1] == '-' && read_hex(slice_first(rest, HEX), &ret_name->hash) &&
	       read_hex(slice_first(slice_after(rest, HEX + 1), HEX), &ret_name->selector) &&
	       read_hex(slice_first(slice_after(rest, 2 * HEX + 2), HEX), &ret_name->number);
}

const char *disk_directory(char room[DISK_NAME_MAX], uint64_t hash)
{
	struct text text;
	text_init(&text, room, DISK_NAME_MAX);
	text_add_hex(&text, hash % DISK_DIRECTORIES, 2);
	text_add_char(&text, '\0');
	return room;
}

// --- The directory

// A process that is just ending may still have it.
static int take_lock(int descriptor)
{
	const struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};
	for (unsigned i = 0; flock(descriptor, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (i == LOCK_TRIES)
			return -EBUSY;
		(void)nanosleep(&moment, NULL);
	}
	return 0;
}

// Files are named by it: one that nobody has written whole is made anew, and what has other names goes in time.
static int read_key(struct cache_disk *disk)
{
	if (pread(disk->lock_file, &disk->key, sizeof disk->key, 0) == sizeof disk->key)
		return 0;
	hash_key_make(&disk->key);
	return cache_file_write_all(disk->lock_file, &disk->key, sizeof disk->key, 0);
}

int disk_files_begin(struct cache_disk *disk)
{
	char room[DISK_NAME_MAX];
	disk->lock_file = openat(disk->root, "usher-cache", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int error = disk->lock_file < 0 ? -errno : take_lock(disk->lock_file);
	if (error == 0)
		error = read_key(disk);
	for (uint64_t i = 0; i < DISK_DIRECTORIES && error == 0; i++)
		if (mkdirat(disk->root, disk_directory(room, i), 0700) < 0 && errno != EEXIST)
			error = -errno;
	if (error)
		return error;
	// Whether the file system can do what is needed is known at once.
	int descriptor = disk_create(disk, 0);
	if (descriptor < 0)
		return descriptor;
	close(descriptor);
	return 0;
}

// --- Files

int disk_create(struct cache_disk *disk, uint64_t hash)
{
	char room[DISK_NAME_MAX];
	int descriptor = openat(disk->root, disk_directory(room, hash), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return descriptor < 0 ? -errno : descriptor;
}

int disk_link(struct cache_disk *disk, int descriptor, const char *path)
{
	char from[DISK_NAME_MAX];
	struct text text;
	text_init(&text, from, sizeof from);
	text_printf(&text, "/proc/self/fd/%d", descriptor);
	text_add_char(&text, '\0');
	return linkat(AT_FDCWD, from, disk->root, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

void disk_unlink_noted(struct cache_disk *disk, const struct disk_name *name, bool has_body)
{
	char room[DISK_NAME_MAX];
	(void)unlinkat(disk->root, disk_path(room, name, false), 0);
	if (has_body)
		(void)unlinkat(disk->root, disk_path(room, name, true), 0);
}

void disk_unlink(struct cache_disk *disk, const struct disk_name *name, bool has_body)
{
	pthread_mutex_lock(&disk->lock);
	disk_unlink_begins(disk, name->hash);
	pthread_mutex_unlock(&disk->lock);
	disk_unlink_noted(disk, name, has_body);
	pthread_mutex_lock(&disk->lock);
	disk_unlink_ends(disk, name->hash);
	pthread_mutex_unlock(&disk->lock);
}

uint64_t disk_rounded(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

// --- Reading

static int open_body(struct cache_disk *disk, const struct disk_name *name, const struct cache_head_place *place,
		     struct cache_file **ret_file)
{
	char room[DISK_NAME_MAX];
	struct stat status;
	int descriptor = openat(disk->root, disk_path(room, name, true), O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return errno == ENOENT ? -EBADMSG : -errno;
	if (fstat(descriptor, &status) < 0 || (uint64_t)status.st_size != cache_file_size(place->body_length)) {
		close(descriptor);
		return -EBADMSG;
	}
	*ret_file = cache_file_new(descriptor, place->body_number, place->body_length);
	return *ret_file ? 0 : -ENOMEM;
}

static int read_head(int descriptor, char **ret_bytes, size_t *ret_length)
{
	struct stat status;
	if (fstat(descriptor, &status) < 0)
		return -errno;
	if (status.st_size <= 0 || status.st_size > HEAD_MAX)
		return -EBADMSG;
	size_t length = (size_t)status.st_size;
	char *bytes = malloc(length);
	if (!bytes)
		return -ENOMEM;
	ssize_t got = pread(descriptor, bytes, length, 0);
	if (got != (ssize_t)length) {
		int error = got < 0 ? -errno : -EBADMSG;
		free(bytes);
		return error;
	}
	*ret_bytes = bytes;
	*ret_length = length;
	return 0;
}

static int read_object(struct cache_disk *disk, const struct disk_name *name, uint64_t hash,
		       struct cache_object **ret_object, struct cache_head_place *ret_place)
{
	char room[DISK_NAME_MAX], *bytes = NULL;
	size_t length = 0;
	int descriptor = openat(disk->root, disk_path(room, name, false), O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	int error = read_head(descriptor, &bytes, &length);
	close(descriptor);
	if (error)
		return error;
	bool good = cache_head_read(slice_from(bytes, length), name->number, hash, ret_object, ret_place);
	free(bytes);
	return good ? 0 : -EBADMSG;
}

int disk_read_head(struct cache_disk *disk, const struct disk_name *name, struct cache_object **ret_object)
{
	struct cache_object *object;
	struct cache_head_place place;
	int error = read_object(disk, name, 0, &object, &place);
	if (error)
		return error;
	struct cache_object *head = cache_object_with(object, SLICE_EMPTY, 0);
	cache_object_unref(object);
	if (!head)
		return -ENOMEM;
	head->body = (struct slice){NULL, place.body_length};
	*ret_object = head;
	return 0;
}

int disk_read(struct cache_disk *disk, const struct disk_name *name, uint64_t hash, struct cache_object **ret_object)
{
	struct cache_object *object;
	struct cache_head_place place;
	struct cache_file *file = NULL;
	int error = read_object(disk, name, hash, &object, &place);
	if (error)
		return error;
	if (place.body_number == 0) {
		*ret_object = object;
		return 0;
	}
	error = open_body(disk, name, &place, &file);
	if (error == 0) {
		*ret_object = cache_object_with_file(object, file);
		cache_file_unref(file);
		error = *ret_object ? 0 : -ENOMEM;
	}
	cache_object_unref(object);
	return error;
}

// --- Finding out what is there

static uint64_t size_of(struct cache_disk *disk, const struct disk_name *name, bool is_body)
{
	char room[DISK_NAME_MAX];
	struct stat status;
	bool is_there = fstatat(disk->root, disk_path(room, name, is_body), &status, AT_SYMLINK_NOFOLLOW) == 0;
	return is_there ? disk_rounded((uint64_t)status.st_size) : 0;
}

static void note_number(struct cache_disk *disk, uint64_t number)
{
	uint64_t next = atomic_load(&disk->next_number);
	while (next <= number && !atomic_compare_exchange_weak(&disk->next_number, &next, number + 1))
		;
}

// A crash between writing one and unlinking the one that it replaces left both.
static void drop_replaced(struct cache_disk *disk, const struct disk_name *name)
{
	uint64_t number = UINT64_MAX;
	struct disk_entry *entry;
	bool is_newest = true;
	pthread_mutex_lock(&disk->lock);
	while ((entry = disk_index_older(&disk->index, name->hash, number))) {
		number = entry->name.number;
		if (entry->name.selector != name->selector)
			continue;
		if (!is_newest)
			disk_drop_entry(disk, entry);
		is_newest = false;
	}
	pthread_mutex_unlock(&disk->lock);
}

static void take_head(struct cache_disk *disk, const struct disk_name *name)
{
	uint64_t body = size_of(disk, name, true), bytes = size_of(disk, name, false) + body;
	pthread_mutex_lock(&disk->lock);
	bool is_known = disk_index_find(&disk->index, name) || disk_index_add(&disk->index, name, bytes, body > 0);
	pthread_mutex_unlock(&disk->lock);
	if (is_known)
		drop_replaced(disk, name);
}

// Content whose head is not there: a crash came between the two.
static void take_body(struct cache_disk *disk, const struct disk_name *name)
{
	if (size_of(disk, name, false) == 0)
		disk_unlink(disk, name, true);
}

static void scan(struct cache_disk *disk, uint64_t hash)
{
	char room[DISK_NAME_MAX];
	int descriptor = openat(disk->root, disk_directory(room, hash), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = descriptor < 0 ? NULL : fdopendir(descriptor);
	struct disk_name name;
	bool is_body;
	if (!directory && descriptor >= 0)
		close(descriptor);
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		if (!read_name(entry->d_name, &name, &is_body) || (name.hash ^ hash) % DISK_DIRECTORIES != 0)
			continue;
		note_number(disk, name.number);
		if (is_body)
			take_body(disk, &name);
		else
			take_head(disk, &name);
	}
	if (directory)
		closedir(directory);
}

void disk_scan(struct cache_disk *disk, uint64_t hash)
{
	_Atomic bool *is_scanned = &disk->is_scanned[hash % DISK_DIRECTORIES];
	if (atomic_load(is_scanned))
		return;
	pthread_mutex_lock(&disk->scanning);
	if (!atomic_load(is_scanned))
		scan(disk, hash);
	atomic_store(is_scanned, true);
	pthread_mutex_unlock(&disk->scanning);
}

void disk_scan_all(struct cache_disk *disk)
{
	for (uint64_t i = 0; i < DISK_DIRECTORIES; i++)
		disk_scan(disk, i);
}
