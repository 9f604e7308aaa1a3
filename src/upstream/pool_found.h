// The servers of a pool that were found while it runs. For the files of this folder.
#ifndef USHER_UPSTREAM_POOL_FOUND_H
#define USHER_UPSTREAM_POOL_FOUND_H

#include "base/slice.h"
#include "net/dns_srv.h"

// Puts what was found into the pool of that name, in the place of what was found before; `found` is
// sorted anew. 0, -ENOENT when there is no such pool, or -ENOMEM and nothing is changed. From any
// thread.
int pool_set_found(struct slice pool, struct services *found);

// The first look-up has failed: who waits for it need not any more.
void pool_found_nothing(struct slice pool);

#endif
