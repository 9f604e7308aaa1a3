#include "control/watch_list.h"

#include "base/hash.h"
#include "control/clock.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// A file that is changed twice within a tick of its file system's clock may look the same
// after both. Less than what the watcher waits after a change, so that one is not seen twice.
#define TICK_NS (500 * MILLISECOND_NS)

static const uint64_t MARK_UNSURE = 0;

// --- Marks

static bool is_settled(const struct timespec *changed)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age_ns = (now.tv_sec - changed->tv_sec) * SECOND_NS + (now.tv_nsec - changed->tv_nsec);
	// A clock that runs ahead elsewhere must not make it look new for hours.
	return age_ns > TICK_NS || age_ns < -TICK_NS;
}

static uint64_t mark_of(const void *bytes, size_t size)
{
	uint64_t mark = hash_fast(slice_from(bytes, size));
	return mark != MARK_UNSURE ? mark : ~MARK_UNSURE;
}

static uint64_t file_mark(const char *name)
{
	struct stat status;
	if (stat(name, &status) < 0) {
		int error = errno;
		return mark_of(&error, sizeof error);
	}
	if (!is_settled(&status.st_ctim))
		return MARK_UNSURE;
	uint64_t look[] = {
		status.st_dev,	       status.st_ino,	       (uint64_t)status.st_size, status.st_mode,
		status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,	 status.st_ctim.tv_nsec,
	};
	return mark_of(look, sizeof look);
}

static uint64_t pattern_mark(const char *pattern)
{
	glob_t found = {0};
	int result = glob(pattern, 0, NULL, &found);
	uint64_t mark = mark_of(&result, sizeof result);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		uint64_t both[] = {mark, mark_of(found.gl_pathv[i], strlen(found.gl_pathv[i]))};
		mark = mark_of(both, sizeof both);
	}
	globfree(&found);
	return mark;
}

uint64_t watch_mark(const char *name, bool is_pattern)
{
	return is_pattern ? pattern_mark(name) : file_mark(name);
}

// --- Lists

static bool reserve(struct watch_list *list, size_t count)
{
	if (count <= list->capacity)
		return true;
	size_t capacity = count < 2 * list->capacity ? 2 * list->capacity : count;
	struct watched *items = realloc(list->items, capacity * sizeof *items);
	if (!items)
		return false;
	list->items = items;
	list->capacity = capacity;
	return true;
}

bool watch_list_add(struct watch_list *list, const char *name, bool is_pattern)
{
	if (!reserve(list, list->count + 1))
		return false;
	size_t size = strlen(name) + 1;
	char *copy = malloc(size);
	if (!copy)
		return false;
	memcpy(copy, name, size);
	list->items[list->count++] =
		(struct watched){.name = copy, .is_pattern = is_pattern, .mark = watch_mark(name, is_pattern)};
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct watched *one = a, *other = b;
	int order = strcmp(one->name, other->name);
	return order != 0 ? order : (int)one->is_pattern - (int)other->is_pattern;
}

void watch_list_sort(struct watch_list *list)
{
	size_t kept = 0;
	if (list->count > 0)
		qsort(list->items, list->count, sizeof *list->items, compare);
	for (size_t i = 0; i < list->count; i++) {
		struct watched *item = &list->items[i], *last = kept > 0 ? &list->items[kept - 1] : NULL;
		if (!last || compare(last, item) != 0) {
			list->items[kept++] = *item;
			continue;
		}
		// Read twice, and replaced in between.
		if (last->mark != item->mark)
			last->mark = MARK_UNSURE;
		free(item->name);
	}
	list->count = kept;
}

bool watch_list_merge(struct watch_list *to, struct watch_list *from)
{
	if (!reserve(to, to->count + from->count))
		return false;
	size_t known = to->count;
	for (size_t i = 0; i < from->count; i++) {
		struct watched *item = &from->items[i];
		if (known > 0 && bsearch(item, to->items, known, sizeof *item, compare))
			free(item->name);
		else
			to->items[to->count++] = *item;
	}
	free(from->items);
	*from = (struct watch_list){0};
	watch_list_sort(to);
	return true;
}

void watch_list_free(struct watch_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].name);
	free(list->items);
	*list = (struct watch_list){0};
}
