// The cache's disk, as the configuration's `cache_disk` says. For the files of the handler `cache`, and whoever puts
// configurations to work.
//
// All that waits for the disk runs off the loop; on a fiber, these suspend.
#ifndef USHER_HANDLERS_CACHE_DISK_H
#define USHER_HANDLERS_CACHE_DISK_H

#include "cache/disk.h"
#include "cache/fetch.h"
#include "exchange/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

// The directory that a configuration names, and where it does so; NULL.
const char *cache_disk_path(const struct snapshot *snapshot, const struct config_place **ret_place);

// Opens the disk (exchange/directories.h), where the configuration names one for the first time, or takes its budget.
// False with words of what is wrong. Another directory, or none, is taken at a restart only. Not on a loop.
bool cache_disk_use(const struct snapshot *snapshot, char *ret_failure, size_t size);

// Writes what is to be written, and closes it; once nothing runs any more.
void cache_disk_end(void);

// NULL: there is none.
struct cache_disk *cache_shared_disk(void);

// What is stored for the request, with a reference; NULL. Suspends.
struct cache_object *cache_disk_look(const struct cache_wanted *wanted);

// As cache_disk_drop. Suspends.
unsigned cache_disk_forget(struct slice key, bool is_soft);

// What is in the object's file is not what was written. Suspends.
void cache_disk_note_broken(const struct cache_object *object);

#endif
