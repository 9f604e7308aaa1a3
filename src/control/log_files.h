// The worker's log files: opened by the master, who has the rights for it, and handed over.
#ifndef USHER_CONTROL_LOG_FILES_H
#define USHER_CONTROL_LOG_FILES_H

#include "base/slice.h"

#include <stddef.h>

// Keeps an open file for a path, in place of an earlier one: 0 or -ENOMEM (closed then).
int log_files_put(struct slice path, int descriptor);

// For access_log_set_opener: a descriptor of the caller's own, or -errno; -ENOENT when the
// master has handed over none. From any thread.
int log_files_open(const char *path);

// Closes the files of other paths than these (which may be NULL), but for the `spare` newest:
// exchanges that began with an earlier configuration still log to them.
void log_files_keep(const char *const *paths, size_t count, unsigned spare);

// Sends the error log to the file at `path` (NULL: standard error) that was handed over; for
// the main thread.
void error_log_use(const char *path);

// The same file, as it was handed over last.
void error_log_reopen(void);

// Closes all of them.
void log_files_close(void);

// In a new process, whose descriptors are closed already: forgets all of them.
void log_files_forget(void);

#endif
