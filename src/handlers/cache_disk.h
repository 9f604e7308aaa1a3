// The cache's disk, as the configuration's `cache_disk` says. For the files of the handler `cache`, and whoever puts
// configurations to work.
//
// All that waits for the disk runs off the loop; on a fiber, these suspend.
#ifndef USHER_HANDLERS_CACHE_DISK_H
#define USHER_HANDLERS_CACHE_DISK_H

#include "cache/disk.h"
#include "cache/fetch.h"
#include "cache/store.h"
#include "exchange/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

// The directory that a configuration names, and where it does so; NULL.
const char *cache_disk_path(const struct snapshot *snapshot, const struct config_place **ret_place);

// Before a configuration is put to work: opens the disk that it names (exchange/directories.h), where that is another
// one than the one in use. False with words of what is wrong. Then either the configuration is used: the former disk is
// closed when nobody uses it any more, and what is there is forgotten; or it is not. Not on a loop.
bool cache_disk_prepare(const struct snapshot *snapshot, char *ret_failure, size_t size);
void cache_disk_use(const struct snapshot *snapshot);
void cache_disk_discard(void);

// Writes what is to be written, and closes it; once nothing runs any more.
void cache_disk_end(void);

// With a reference; NULL: there is none. Who gives back the last one does not wait for the disk to be closed.
struct cache_disk *cache_disk_hold(void);
void cache_disk_release(struct cache_disk *disk); // NULL is allowed

// As cache_disk_put, where there is a disk.
void cache_disk_write(struct cache_object *object);

// What is stored for the request, with a reference; NULL. What is small is in memory from then on. Suspends.
struct cache_object *cache_disk_look(const struct cache_wanted *wanted, struct cache_store *store);

// As cache_disk_drop. Suspends.
unsigned cache_disk_forget(struct slice key, bool is_soft);

// What is in the object's file is not what was written. Suspends.
void cache_disk_note_broken(const struct cache_object *object);

#endif
