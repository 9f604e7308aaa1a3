// Which session is at which server: a table of fixed size, in which the newest stand.
//
// All threads read and write it without locks. A session that was pushed out meets any server.
#ifndef USHER_UPSTREAM_STICKY_TABLE_H
#define USHER_UPSTREAM_STICKY_TABLE_H

#include <stdint.h>

struct sticky_table;

// A table for 65,536 sessions (1 MiB). NULL when memory is out.
struct sticky_table *sticky_table_new(void);
void sticky_table_free(struct sticky_table *table);

// `session` is a keyed hash of what names it, the token is not 0.
void sticky_table_put(struct sticky_table *table, uint64_t session, uint64_t token);

// 0: not known.
uint64_t sticky_table_get(const struct sticky_table *table, uint64_t session);

#endif
