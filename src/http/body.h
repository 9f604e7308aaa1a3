// Bodies are pulled: whoever needs the next bytes asks for them.
//
// A handler that changes a body wraps the one below it. No queue grows anywhere: who does
// not pull makes the sender wait.
#ifndef USHER_HTTP_BODY_H
#define USHER_HTTP_BODY_H

#include "base/fault.h"
#include "base/slice.h"
#include "http/fields.h"

#include <stdint.h>
#include <sys/types.h>

struct body;
struct stream;

// What `look` finds.
enum body_look {
	BODY_WAITS, // the next read may have to wait, or nobody knows
	BODY_READY, // the next read returns bytes at once
	BODY_ENDED, // no more bytes follow: the next read returns the end
};

struct body_operations {
	// The next bytes, at least one, lent until the next call; an empty slice at the end.
	// 0, or -1 with body->fault filled in. May suspend. After the end or a fault, calls
	// return the same again.
	int (*read)(struct body *body, struct slice *ret_bytes);
	// Optional: what the next read would do, told without waiting and without
	// touching the bytes that the last read lent.
	enum body_look (*look)(struct body *body);
	// Optional: the plain stream from which the next *ret_size bytes (at least 1) of
	// the body come unchanged, when all that was read before has been handed out; NULL
	// when there is none. Whoever takes bytes from it tells by `moved` how many, and
	// before the next `read`.
	struct stream *(*plain_stream)(struct body *body, uint64_t *ret_size);
	void (*moved)(struct body *body, uint64_t size);
};

enum { BODY_LENGTH_UNKNOWN = -1 };

struct body {
	const struct body_operations *operations;
	int64_t length;		// bytes in all, or BODY_LENGTH_UNKNOWN
	struct fields trailers; // complete once the end was read
	struct fault fault;
};

static inline int body_read(struct body *body, struct slice *ret_bytes)
{
	return body->operations->read(body, ret_bytes);
}

// Reads all of it into the room: 0; -1 with body->fault filled in; -E2BIG where there is more. May suspend.
int body_read_whole(struct body *body, char *room, size_t size, struct slice *ret_bytes);

static inline enum body_look body_look(struct body *body)
{
	return body->operations->look ? body->operations->look(body) : BODY_WAITS;
}

// A body of given bytes, which must live as long as the body.
struct body_bytes {
	struct body body;
	struct slice bytes;
};

void body_bytes_init(struct body_bytes *body, struct slice bytes);

// The body that has ended before it began; shared, immutable.
struct body *body_empty(void);

#endif
