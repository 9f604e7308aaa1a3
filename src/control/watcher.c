#include "control/watcher.h"

#include "base/log.h"
#include "control/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

// Whoever replaces a certificate also replaces its key, and takes a moment for it.
#define QUIET_NS (1 * SECOND_NS)
// A folder in which something happens all the time is looked at all the same.
#define STIRRED_MAX_NS (5 * SECOND_NS)
// Where inotify is silent: NFS, for one, when the change is made on another machine.
#define LOOK_NS (30 * SECOND_NS)

enum {
	LINKS_MAX = 40, // as the kernel's
	TAKE_MAX = 64,

	// In a folder on the way: another entry of this name.
	ON_THE_WAY = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_MASK_ADD,
	// In the last one also: another content.
	AT_THE_END = ON_THE_WAY | IN_CLOSE_WRITE | IN_ATTRIB,
};

void watcher_init(struct watcher *watcher)
{
	*watcher = (struct watcher){.descriptor = -1, .look_at_ns = INT64_MAX};
}

static void forget_folders(struct watcher *watcher)
{
	if (watcher->descriptor >= 0)
		close(watcher->descriptor);
	watcher->descriptor = -1;
	watcher->stirred_ns = 0;
	watcher->look_at_ns = INT64_MAX;
}

void watcher_fini(struct watcher *watcher)
{
	forget_folders(watcher);
	watch_list_free(&watcher->list);
}

// --- Folders

static void say_limited(struct watcher *watcher)
{
	if (!watcher->is_limited)
		log_warning("the system watches no more folders for usher (inotify: %m): replaced certificates are "
			    "noticed within %d s instead of at once",
			    (int)(LOOK_NS / SECOND_NS));
	watcher->is_limited = true;
}

static bool watch_folder(struct watcher *watcher, const char *folder, uint32_t mask)
{
	if (inotify_add_watch(watcher->descriptor, folder, mask) >= 0)
		return true;
	if (errno == ENOSPC)
		say_limited(watcher);
	// One that may only be passed through is passed through.
	return errno != ENOENT && errno != ENOTDIR;
}

// False when it is too long.
static bool __attribute__((format(printf, 2, 3))) put(char to[PATH_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(to, PATH_MAX, format, arguments);
	va_end(arguments);
	return length < PATH_MAX;
}

// The way of a name: what lies behind, and what is left of it.
struct way {
	char folder[PATH_MAX], rest[PATH_MAX];
	unsigned links;
};

// Takes a step to the next part of the name, the first `length` bytes of the rest, through a
// symbolic link or not. False when there is no way.
static bool way_step(struct way *way, size_t length)
{
	char path[PATH_MAX], target[PATH_MAX], left[PATH_MAX];
	const char *slash = strcmp(way->folder, "/") == 0 ? "" : "/";
	if (!put(path, "%s%s%.*s", way->folder, slash, (int)length, way->rest))
		return false;
	length += strspn(way->rest + length, "/");
	ssize_t linked = readlink(path, target, sizeof target - 1);
	if (linked < 0) {
		memmove(way->rest, way->rest + length, strlen(way->rest + length) + 1);
		return put(way->folder, "%s", path);
	}
	target[linked] = '\0';
	if (target[0] == '/')
		(void)put(way->folder, "/");
	return ++way->links <= LINKS_MAX && put(left, "%s", way->rest + length) &&
	       put(way->rest, "%s/%s", target + strspn(target, "/"), left);
}

// Goes the way of a name as the kernel does, and watches each folder in which it looks for an
// entry.
static void watch_way(struct watcher *watcher, const char *name)
{
	struct way way = {0};
	bool goes_on =
		put(way.folder, "%s", name[0] == '/' ? "/" : ".") && put(way.rest, "%s", name + strspn(name, "/"));
	while (goes_on && way.rest[0] != '\0') {
		size_t length = strcspn(way.rest, "/");
		bool is_pattern = strcspn(way.rest, "*?[") < length;
		bool is_last = way.rest[length + strspn(way.rest + length, "/")] == '\0';
		goes_on = watch_folder(watcher, way.folder, is_last || is_pattern ? AT_THE_END : ON_THE_WAY) &&
			  !is_pattern && way_step(&way, length);
	}
}

static bool is_beside(const char *name, const char *other)
{
	const char *slash = strrchr(name, '/');
	size_t length = slash ? (size_t)(slash - name) + 1 : 0;
	return strncmp(name, other, length) == 0 && !strchr(other + length, '/');
}

// Watches the folders as they are now; what happened before is forgotten.
static void watch_folders(struct watcher *watcher)
{
	forget_folders(watcher);
	watcher->descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watcher->descriptor < 0) {
		say_limited(watcher);
		return;
	}
	const char *last = NULL;
	for (size_t i = 0; i < watcher->list.count; i++) {
		const struct watched *item = &watcher->list.items[i];
		char target[1];
		// A folder of thousands of files is walked to once.
		bool is_there = last && !item->is_pattern && is_beside(last, item->name);
		if (!is_there || readlink(item->name, target, sizeof target) >= 0)
			watch_way(watcher, item->name);
		last = item->is_pattern ? NULL : item->name;
	}
}

// --- What to watch

// What was replaced since it was read and before its folder was watched shows at the next look.
static void begin(struct watcher *watcher, int64_t now_ns)
{
	forget_folders(watcher);
	if (watcher->list.count == 0)
		return;
	watch_folders(watcher);
	watcher->look_at_ns = now_ns + QUIET_NS;
}

void watcher_watch(struct watcher *watcher, struct watch_list *list, int64_t now_ns)
{
	watch_list_free(&watcher->list);
	watcher->list = *list;
	*list = (struct watch_list){0};
	watch_list_sort(&watcher->list);
	begin(watcher, now_ns);
}

void watcher_add(struct watcher *watcher, struct watch_list *list, int64_t now_ns)
{
	watch_list_sort(list);
	if (!watch_list_merge(&watcher->list, list))
		log_error("no memory to watch more files");
	begin(watcher, now_ns);
}

// --- What happens

int watcher_descriptor(const struct watcher *watcher)
{
	// Once it is known that something happened, a busy folder wakes nobody until the look.
	return watcher->stirred_ns == 0 ? watcher->descriptor : -1;
}

// Whether something happened since it was asked last.
static bool has_stirred(const struct watcher *watcher)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool stirred = false;
	for (unsigned i = 0; i < TAKE_MAX && read(watcher->descriptor, events, sizeof events) > 0; i++)
		stirred = true;
	return stirred;
}

void watcher_take(struct watcher *watcher, int64_t now_ns)
{
	if (watcher->descriptor < 0 || watcher->stirred_ns != 0 || !has_stirred(watcher))
		return;
	watcher->stirred_ns = now_ns;
	watcher->look_at_ns = now_ns + QUIET_NS;
}

size_t watcher_look(struct watcher *watcher, int64_t now_ns, const char **ret_first)
{
	bool stirred = watcher->stirred_ns != 0;
	if (stirred && has_stirred(watcher) && now_ns - watcher->stirred_ns < STIRRED_MAX_NS) {
		watcher->look_at_ns = now_ns + QUIET_NS;
		return 0;
	}
	// The way may lead through other folders now. First these, then the marks: what changes
	// in between is told once more, but never missed.
	if (stirred || watcher->descriptor < 0)
		watch_folders(watcher);
	size_t changed = 0;
	for (size_t i = 0; i < watcher->list.count; i++) {
		struct watched *item = &watcher->list.items[i];
		uint64_t mark = watch_mark(item->name, item->is_pattern);
		if (mark == item->mark && mark != 0)
			continue;
		item->mark = mark;
		if (changed++ == 0)
			*ret_first = item->name;
	}
	watcher->look_at_ns = now_ns + LOOK_NS;
	return changed;
}
