// A loss of power: of the names in a directory, what changed since it was synced is as it was before. Whatever that
// brings back, nothing that was forgotten is found again.
#include "cache/disk.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// --- The file system

enum { CHANGES_MAX = 4096 };

struct change {
	char directory[8]; // "5c"
	char name[128];	   // "5c/…"
	bool is_removal;
};

static char path[] = "/tmp/usher-test-power-XXXXXX";
static int root = -1, saved = -1; // what was removed is kept in the second one
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct change changes[CHANGES_MAX];
static unsigned change_count;
static _Atomic bool fails;

int __real_unlinkat(int directory, const char *name, int flags);
int __real_linkat(int from_directory, const char *from, int directory, const char *name, int flags);
int __real_fsync(int descriptor);
int __real_syncfs(int descriptor);
int __wrap_unlinkat(int directory, const char *name, int flags);
int __wrap_linkat(int from_directory, const char *from, int directory, const char *name, int flags);
int __wrap_fsync(int descriptor);
int __wrap_syncfs(int descriptor);

static void note(const char *name, bool is_removal)
{
	assert_true(change_count < CHANGES_MAX);
	struct change *change = &changes[change_count++];
	snprintf(change->directory, sizeof change->directory, "%.2s", name);
	snprintf(change->name, sizeof change->name, "%s", name);
	change->is_removal = is_removal;
}

static const char *saved_name(char room[32], unsigned number)
{
	snprintf(room, 32, "%u", number);
	return room;
}

int __wrap_unlinkat(int directory, const char *name, int flags)
{
	char room[32];
	pthread_mutex_lock(&lock);
	if (__real_linkat(directory, name, saved, saved_name(room, change_count), 0) == 0)
		note(name, true);
	int result = __real_unlinkat(directory, name, flags);
	pthread_mutex_unlock(&lock);
	return result;
}

int __wrap_linkat(int from_directory, const char *from, int directory, const char *name, int flags)
{
	pthread_mutex_lock(&lock);
	int result = __real_linkat(from_directory, from, directory, name, flags);
	if (result == 0)
		note(name, false);
	pthread_mutex_unlock(&lock);
	return result;
}

// Forgets what is kept of a directory; NULL: of all.
static void settle(const char *directory)
{
	char room[32];
	for (unsigned i = 0; i < change_count; i++)
		if (changes[i].name[0] && (!directory || strcmp(changes[i].directory, directory) == 0)) {
			changes[i].name[0] = '\0';
			(void)__real_unlinkat(saved, saved_name(room, i), 0);
		}
}

int __wrap_fsync(int descriptor)
{
	char link[64], place[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
	ssize_t length = readlink(link, place, sizeof place - 1);
	place[length > 0 ? length : 0] = '\0';
	if (strncmp(place, path, strlen(path)) != 0 || strlen(place) != strlen(path) + 3)
		return 0; // none of the directories of files
	if (fails) {
		errno = EIO;
		return -1;
	}
	pthread_mutex_lock(&lock);
	settle(place + strlen(path) + 1);
	pthread_mutex_unlock(&lock);
	return 0;
}

int __wrap_syncfs(int descriptor)
{
	if (fails) {
		errno = EIO;
		return -1;
	}
	pthread_mutex_lock(&lock);
	settle(NULL);
	pthread_mutex_unlock(&lock);
	return 0;
}

// The last change first. What was written but not synced may be there or not.
static void lose_power(bool keeps_links)
{
	char room[32];
	for (unsigned i = change_count; i-- > 0;) {
		const struct change *change = &changes[i];
		if (change->name[0] == '\0')
			continue;
		if (change->is_removal)
			(void)__real_linkat(saved, saved_name(room, i), root, change->name, 0);
		else if (!keeps_links)
			(void)__real_unlinkat(root, change->name, 0);
		(void)__real_unlinkat(saved, saved_name(room, i), 0);
	}
	change_count = 0;
}

// --- The disk

static struct arena arena;
static struct cache_purges purges;
static struct cache_disk *disk;
static const struct fields none;
static const struct cache_directives silent = {.max_age = CACHE_ABSENT, .s_maxage = CACHE_ABSENT};

static void open_disk(uint64_t budget_bytes)
{
	cache_purges_init(&purges);
	assert_int_equal(cache_disk_open(dup(root), budget_bytes, &purges, &disk), 0);
}

static void close_disk(void)
{
	cache_disk_close(disk);
	cache_purges_fini(&purges);
}

// As if the process and the machine ended at one moment: what the process does when it closes is lost, too.
static void restart(bool keeps_links)
{
	close_disk();
	lose_power(keeps_links);
	open_disk(64 << 20);
}

static int begin(void **state)
{
	arena_init(&arena, 64 << 20);
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	char directory[PATH_MAX];
	if (!mkdtemp(path))
		return -1;
	snprintf(directory, sizeof directory, "%s.saved", path);
	if (mkdir(directory, 0700) < 0)
		return -1;
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	saved = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	change_count = 0;
	fails = false;
	return root < 0 || saved < 0 ? -1 : 0;
}

static int remove_one(const char *name, const struct stat *status, int flag, struct FTW *ftw)
{
	return remove(name);
}

static int end(void **state)
{
	char directory[PATH_MAX];
	snprintf(directory, sizeof directory, "%s.saved", path);
	arena_fini(&arena);
	close(root);
	close(saved);
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) | nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static uint64_t written(void)
{
	struct cache_disk_status status;
	cache_disk_read_status(disk, &status);
	return status.written;
}

static void pause_a_moment(void)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	(void)nanosleep(&moment, NULL);
}

static void put(const char *key, const char *body)
{
	struct fields response = fields_of(&arena, "Cache-Tag: one");
	uint64_t before = written();
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = slice_from_string(key),
		.status = 200,
		.response = &response,
		.request = &none,
		.says = &silent,
		.body = slice_from_string(body),
		.times = {.lifetime_s = 600},
		.asked_after = cache_purges_last(&purges),
	});
	cache_disk_put(disk, object);
	cache_object_unref(object);
	while (written() == before)
		pause_a_moment();
}

static struct cache_object *find(const char *key)
{
	return cache_disk_find(disk, slice_from_string(key), 1, 0, &none);
}

static void assert_gone(const char *key)
{
	assert_null(find(key));
}

static void what_is_dropped_stays_so(void **state)
{
	for (int keeps_links = 0; keeps_links < 2; keeps_links++) {
		open_disk(64 << 20);
		put("/a", "body");
		assert_int_equal(cache_disk_drop(disk, SLICE("/a"), false), 1);
		restart(keeps_links);
		assert_gone("/a");
		close_disk();
	}
}

// What was replaced may come back, as long as nobody forgets it.
static void what_replaces_is_dropped_with_what_it_replaced(void **state)
{
	open_disk(64 << 20);
	put("/a", "first");
	put("/a", "second");
	assert_int_equal(cache_disk_drop(disk, SLICE("/a"), false), 1);
	restart(false);
	assert_gone("/a");
	close_disk();
}

static void what_was_evicted_stays_so_when_it_is_forgotten(void **state)
{
	open_disk(64 << 20);
	put("/a", "body");
	cache_disk_set_budget(disk, 0);
	put("/b", "body"); // evicts both, in a while
	struct cache_disk_status status;
	do {
		pause_a_moment();
		cache_disk_read_status(disk, &status);
	} while (status.objects > 0);
	assert_int_equal(cache_disk_drop(disk, SLICE("/a"), false), 0);
	restart(true);
	assert_gone("/a");
	close_disk();
}

static void what_is_made_stale_stays_so(void **state)
{
	for (int keeps_links = 0; keeps_links < 2; keeps_links++) {
		open_disk(64 << 20);
		put("/a", "body");
		assert_int_equal(cache_disk_drop(disk, SLICE("/a"), true), 1);
		restart(keeps_links);
		struct cache_object *object = find("/a");
		assert_non_null(object);
		assert_true(atomic_load(&object->is_outdated));
		cache_object_unref(object);
		close_disk();
	}
}

static void wait_for_sweep(void)
{
	struct cache_disk_status status;
	do {
		pause_a_moment();
		cache_disk_read_status(disk, &status);
	} while (status.is_sweeping);
}

static void what_is_purged_stays_so(void **state)
{
	for (int is_soft = 0; is_soft < 2; is_soft++) {
		open_disk(64 << 20);
		put("/a", "body");
		const struct cache_purge purge = {CACHE_PURGE_TAG, SLICE("one"), is_soft != 0};
		assert_true(cache_purges_add(&purges, &purge));
		assert_int_equal(cache_disk_purge(disk), 0);
		wait_for_sweep();
		restart(true);
		struct cache_object *object = find("/a");
		assert_true(!object || (is_soft && atomic_load(&object->is_outdated)));
		cache_object_unref(object);
		close_disk();
	}
}

// A sweep that cannot be made to last is none: files are looked at when they are found.
static void a_sweep_that_does_not_last_is_not_counted(void **state)
{
	open_disk(64 << 20);
	put("/a", "body");
	const struct cache_purge purge = {CACHE_PURGE_TAG, SLICE("one"), false};
	assert_true(cache_purges_add(&purges, &purge));
	fails = true;
	assert_int_equal(cache_disk_purge(disk), 0);
	wait_for_sweep();
	restart(true);
	assert_gone("/a");
	fails = false;
	close_disk();
}

static void others_are_still_there(void **state)
{
	open_disk(64 << 20);
	put("/a", "body");
	put("/b", "body");
	assert_int_equal(cache_disk_drop(disk, SLICE("/a"), false), 1);
	restart(true);
	assert_gone("/a");
	struct cache_object *object = find("/b");
	assert_non_null(object);
	cache_object_unref(object);
	close_disk();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_dropped_stays_so, begin, end),
		cmocka_unit_test_setup_teardown(what_replaces_is_dropped_with_what_it_replaced, begin, end),
		cmocka_unit_test_setup_teardown(what_was_evicted_stays_so_when_it_is_forgotten, begin, end),
		cmocka_unit_test_setup_teardown(what_is_made_stale_stays_so, begin, end),
		cmocka_unit_test_setup_teardown(what_is_purged_stays_so, begin, end),
		cmocka_unit_test_setup_teardown(a_sweep_that_does_not_last_is_not_counted, begin, end),
		cmocka_unit_test_setup_teardown(others_are_still_there, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
