// Chooses between HTTP/1.1 and HTTP/2 on a plain port, by the first bytes that come (RFC
// 9113 section 3.3, prior knowledge). HTTP/2 asked for by Upgrade (h2c of RFC 7540) is
// not known.
#ifndef USHER_HTTP_PREFACE_H
#define USHER_HTTP_PREFACE_H

#include "base/slice.h"
#include "net/address.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

// The connections of a thread that have not shown what they speak.
struct prefaces;

// Called once for each connection that has: the callee owns the stream and its count.
// `early` has been read from it, and is good until the call returns.
typedef void preface_chosen(void *argument, struct stream *stream, bool is_h2, struct slice early,
			    const struct address *peer, const char *listener);

// NULL when memory is out.
struct prefaces *prefaces_new(preface_chosen *chosen, void *argument);

// Takes over a stream that is neither parked nor read by anybody, and its count
// (connection_count_add). One that does not show in timeout_ns what it speaks is closed;
// so is it when memory is out.
void prefaces_take(struct prefaces *prefaces, struct stream *stream, const struct address *peer, const char *listener,
		   int64_t timeout_ns);

uint32_t prefaces_count(const struct prefaces *prefaces);

// Closes those that wait.
void prefaces_abort(struct prefaces *prefaces);

// None may be left.
void prefaces_free(struct prefaces *prefaces);

#endif
