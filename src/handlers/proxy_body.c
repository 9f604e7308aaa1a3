#include "handlers/proxy_body.h"

#include "base/check.h"

#include <string.h>

enum { ROOM_FIRST = 4096 };

static struct kept_body *kept_of(struct body *body)
{
	return (struct kept_body *)body;
}

// Room for all of it where its length is known, which is within the limit then; else it grows
// by doubling, so that what is left behind in the arena is less than what is kept.
static bool make_room(struct kept_body *kept, size_t length)
{
	size_t capacity = kept->capacity	  ? kept->capacity
			  : kept->body.length > 0 ? (size_t)kept->body.length
						  : ROOM_FIRST;
	while (capacity < length)
		capacity *= 2;
	if (capacity == kept->capacity)
		return true;
	char *bytes = arena_alloc(kept->arena, capacity);
	if (!bytes)
		return false;
	if (kept->length > 0)
		memcpy(bytes, kept->bytes, kept->length);
	kept->bytes = bytes;
	kept->capacity = capacity;
	return true;
}

// Without memory it is sent all the same, but only once.
static void keep(struct kept_body *kept, struct slice bytes)
{
	if (kept->lost)
		return;
	if (bytes.length > kept->limit - kept->length || !make_room(kept, kept->length + bytes.length)) {
		kept->lost = true;
		return;
	}
	memcpy(kept->bytes + kept->length, bytes.data, bytes.length);
	kept->length += bytes.length;
	kept->replayed = kept->length;
}

static int kept_read(struct body *body, struct slice *ret_bytes)
{
	struct kept_body *kept = kept_of(body);
	if (kept->replayed < kept->length) {
		*ret_bytes = slice_from(kept->bytes + kept->replayed, kept->length - kept->replayed);
		kept->replayed = kept->length;
		return 0;
	}
	int failed = body_read(kept->inner, ret_bytes);
	if (failed) {
		body->fault = kept->inner->fault;
		return failed;
	}
	if (ret_bytes->length > 0) {
		kept->touched = true;
		keep(kept, *ret_bytes);
	} else {
		body->trailers = kept->inner->trailers;
	}
	return 0;
}

static enum body_look kept_look(struct body *body)
{
	struct kept_body *kept = kept_of(body);
	if (kept->replayed < kept->length)
		return BODY_READY;
	enum body_look look = body_look(kept->inner);
	if (look == BODY_ENDED)
		body->trailers = kept->inner->trailers;
	return look;
}

// What goes past usher cannot be kept.
static struct stream *kept_plain_stream(struct body *body, uint64_t *ret_size)
{
	struct kept_body *kept = kept_of(body);
	const struct body_operations *inner = kept->inner->operations;
	if (!kept->lost || kept->replayed < kept->length || !inner->plain_stream)
		return NULL;
	return inner->plain_stream(kept->inner, ret_size);
}

static void kept_moved(struct body *body, uint64_t size)
{
	struct kept_body *kept = kept_of(body);
	kept->touched = true;
	kept->inner->operations->moved(kept->inner, size);
}

static const struct body_operations kept_operations = {
	.read = kept_read,
	.look = kept_look,
	.plain_stream = kept_plain_stream,
	.moved = kept_moved,
};

void kept_body_init(struct kept_body *kept, struct body *inner, size_t limit, struct arena *arena)
{
	*kept = (struct kept_body){
		.body = {.operations = &kept_operations, .length = inner->length},
		.inner = inner,
		.arena = arena,
		.limit = limit,
		.lost = inner->length > (int64_t)limit || limit == 0,
	};
}

void kept_body_rewind(struct kept_body *kept)
{
	check(kept_body_is_whole(kept));
	kept->replayed = 0;
	kept->body.fault = (struct fault){0};
}
