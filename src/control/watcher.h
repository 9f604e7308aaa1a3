// Notices that watched files were replaced (watch_list.h).
//
// Which way does not matter: written over, renamed over, deleted and made again, a symbolic
// link switched somewhere on the way to it. inotify says that something happened in a folder
// on the way; whether it is a change, the marks tell, when it has been quiet for a second.
// They are looked at now and then all the same, for file systems whose changes are not told.
#ifndef USHER_CONTROL_WATCHER_H
#define USHER_CONTROL_WATCHER_H

#include "control/watch_list.h"

struct watcher {
	struct watch_list list;
	int descriptor;	    // of inotify; -1: none
	int64_t stirred_ns; // when something happened first since the last look; 0: nothing did
	int64_t look_at_ns; // INT64_MAX: there is nothing to look at
	bool is_limited;    // the system watches no more folders: said once
};

void watcher_init(struct watcher *watcher);
void watcher_fini(struct watcher *watcher);

// Watches these files from now on; `list` is taken, and sorted.
void watcher_watch(struct watcher *watcher, struct watch_list *list, int64_t now_ns);

// These as well.
void watcher_add(struct watcher *watcher, struct watch_list *list, int64_t now_ns);

// What to poll for reading, or -1; then call watcher_take.
int watcher_descriptor(const struct watcher *watcher);
void watcher_take(struct watcher *watcher, int64_t now_ns);

// To be called at watcher->look_at_ns. The number of files that have changed since they were
// looked at last; *ret_first is the name of the first of them, until the list is another.
size_t watcher_look(struct watcher *watcher, int64_t now_ns, const char **ret_first);

#endif
