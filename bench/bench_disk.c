// What the cache's disk takes: writing 100,000 answers with a tag, forgetting them all by it, and starting again among
// them. In a directory that it makes and empties under the one given, or under /var/tmp.
#include "cache/disk.h"
#include "measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWERS = 100000, CONTENT = 1024, PATIENCE_S = 300, PATH_SIZE = 512 };

static const struct fields none;
static const struct cache_directives silent = {.max_age = CACHE_ABSENT, .s_maxage = CACHE_ABSENT};

static struct cache_object *make(unsigned id, const struct fields *fields, struct slice content)
{
	char key[64];
	int length = snprintf(key, sizeof key, "https://shop.example/products/%u", id);
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = slice_from(key, (size_t)length),
		.status = 200,
		.response = fields,
		.request = &none,
		.says = &silent,
		.body = content,
		.times = {.received_s = (int64_t)time(NULL), .lifetime_s = 3600},
	});
	if (!object)
		abort();
	return object;
}

static struct cache_disk *open_disk(const char *path, struct cache_purges *purges)
{
	struct cache_disk *disk;
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = directory < 0 ? -1 : cache_disk_open(directory, UINT64_C(8) << 30, purges, &disk);
	if (error) {
		fprintf(stderr, "bench_disk: %s: %s\n", path, strerror(-error));
		exit(EXIT_FAILURE);
	}
	return disk;
}

static struct cache_disk_status status_of(struct cache_disk *disk)
{
	struct cache_disk_status status;
	cache_disk_read_status(disk, &status);
	return status;
}

// Looks each millisecond, for so long at most.
static double wait_until(struct cache_disk *disk, bool (*holds)(const struct cache_disk_status *status))
{
	int64_t began_ns = now_ns();
	struct cache_disk_status status;
	while (status = status_of(disk), !holds(&status) && now_ns() - began_ns < PATIENCE_S * INT64_C(1000000000))
		usleep(1000);
	return (double)(now_ns() - began_ns) / 1e6;
}

static bool has_swept(const struct cache_disk_status *status)
{
	return !status->is_sweeping;
}

static bool is_known(const struct cache_disk_status *status)
{
	return status->is_known;
}

static void write_all(struct cache_disk *disk)
{
	static char content[CONTENT];
	struct field items[] = {{SLICE("Content-Type"), SLICE("text/html"), FIELD_CONTENT_TYPE},
				{SLICE("Surrogate-Key"), SLICE("page product-1834 all"), FIELD_SURROGATE_KEY}};
	struct fields fields = {items, 2, 2};
	int64_t began_ns = now_ns();
	for (unsigned id = 0; id < ANSWERS; id++) {
		struct cache_object *object = make(id, &fields, slice_from(content, CONTENT));
		uint64_t before = id + 1;
		cache_disk_put(disk, object);
		cache_object_unref(object);
		// What does not keep up leaves out.
		for (struct cache_disk_status status = status_of(disk);
		     before - status.written - status.unwritten > 100; status = status_of(disk))
			usleep(200);
	}
	struct cache_disk_status status;
	while (status = status_of(disk), status.written + status.unwritten < ANSWERS)
		usleep(1000);
	printf("written: %llu of %d in %.1f s\n", (unsigned long long)status.written, ANSWERS,
	       (double)(now_ns() - began_ns) / 1e9);
}

static unsigned find_some(struct cache_disk *disk)
{
	unsigned found = 0;
	for (unsigned id = 0; id < ANSWERS; id += 1000) {
		struct cache_object *object = make(id, &none, SLICE_EMPTY);
		struct cache_object *there = cache_disk_find(disk, object->key, 0, 0, &none);
		found += there != NULL;
		cache_object_unref(there);
		cache_object_unref(object);
	}
	return found;
}

static void forget_all(struct cache_disk *disk, struct cache_purges *purges)
{
	const struct cache_purge purge = {CACHE_PURGE_TAG, SLICE("product-1834"), false};
	int64_t began_ns = now_ns();
	if (!cache_purges_add(purges, &purge) || cache_disk_purge(disk) < 0)
		abort();
	double in_force_ms = (double)(now_ns() - began_ns) / 1e6;
	unsigned found = find_some(disk);
	double swept_ms = wait_until(disk, has_swept);
	struct cache_disk_status status = status_of(disk);
	printf("a purge by tag: in force, and written down, after %.1f ms (%u of %d found then), swept after %.0f ms: "
	       "%llu files by the sweep, %llu are left\n",
	       in_force_ms, found, ANSWERS / 1000, in_force_ms + swept_ms, (unsigned long long)status.purged,
	       (unsigned long long)status.objects);
}

static void remove_all(const char *path)
{
	DIR *directory = opendir(path);
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		char name[2 * PATH_SIZE];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (unlink(name) < 0)
			remove_all(name);
	}
	if (directory)
		closedir(directory);
	(void)rmdir(path);
}

int main(int count, char **words)
{
	char path[PATH_SIZE];
	struct cache_purges purges;
	snprintf(path, sizeof path, "%s/bench_disk.XXXXXX", count > 1 ? words[1] : "/var/tmp");
	if (!mkdtemp(path)) {
		perror("bench_disk");
		return EXIT_FAILURE;
	}
	cache_purges_init(&purges);
	struct cache_disk *disk = open_disk(path, &purges);
	write_all(disk);
	cache_disk_close(disk);
	int64_t began_ns = now_ns();
	disk = open_disk(path, &purges);
	unsigned found = find_some(disk);
	double found_ms = (double)(now_ns() - began_ns) / 1e6;
	double known_ms = found_ms + wait_until(disk, is_known);
	printf("started again: %u of %d found after %.0f ms, all files known after %.0f ms\n", found, ANSWERS / 1000,
	       found_ms, known_ms);
	forget_all(disk, &purges);
	cache_disk_close(disk);
	cache_purges_fini(&purges);
	remove_all(path);
	return EXIT_SUCCESS;
}
