// Directories of features that keep files: opened by the master, who has the rights for it, and handed over.
#ifndef USHER_EXCHANGE_DIRECTORIES_H
#define USHER_EXCHANGE_DIRECTORIES_H

#include "base/slice.h"

// Keeps an open directory for its path, in the place of an earlier one. Takes the descriptor; closes it when memory is
// out, or there are too many. Of one thread, as all of these.
void directories_put(struct slice path, int descriptor);

// The descriptor, the caller's from now on; -ENOENT when none was handed over.
int directories_take(const char *path);

// Closes what nobody took, once a configuration is used or refused.
void directories_close(void);

#endif
