// Bytes that have come on an HTTP/2 stream and wait to be read.
//
// Kept in blocks: one that was read is given back at once, so that an exchange that waits
// for more holds none. What may wait is bounded by the stream's flow-control window.
#ifndef USHER_HTTP_H2_DATA_H
#define USHER_HTTP_H2_DATA_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct h2_data_block;

struct h2_data {
	struct h2_data_block *first, *last;
	size_t bytes; // in all blocks
};

// Appends a copy. False when memory is out.
bool h2_data_put(struct h2_data *data, struct slice bytes);

// What comes first and lies together; good until it is dropped. Empty when there is nothing.
struct slice h2_data_first(const struct h2_data *data);

// Drops that many of the first bytes, which must lie together.
void h2_data_drop(struct h2_data *data, size_t count);

void h2_data_fini(struct h2_data *data);

#endif
