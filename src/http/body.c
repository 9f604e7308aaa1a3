#include "http/body.h"

#include <errno.h>
#include <string.h>

int body_read_whole(struct body *body, char *room, size_t size, struct slice *ret_bytes)
{
	struct slice bytes;
	size_t length = 0;
	for (;;) {
		if (body_read(body, &bytes) < 0)
			return -1;
		if (bytes.length == 0)
			break;
		if (bytes.length > size - length)
			return -E2BIG;
		memcpy(room + length, bytes.data, bytes.length);
		length += bytes.length;
	}
	*ret_bytes = slice_from(room, length);
	return 0;
}

static int bytes_read(struct body *body, struct slice *ret_bytes)
{
	struct body_bytes *bytes = (struct body_bytes *)body;
	*ret_bytes = bytes->bytes;
	bytes->bytes = slice_after(bytes->bytes, bytes->bytes.length);
	return 0;
}

static enum body_look bytes_look(struct body *body)
{
	return ((struct body_bytes *)body)->bytes.length > 0 ? BODY_READY : BODY_ENDED;
}

static const struct body_operations bytes_operations = {.read = bytes_read, .look = bytes_look};

void body_bytes_init(struct body_bytes *body, struct slice bytes)
{
	*body = (struct body_bytes){
		.body = {.operations = &bytes_operations, .length = (int64_t)bytes.length},
		.bytes = bytes,
	};
}

static int empty_read(struct body *body, struct slice *ret_bytes)
{
	*ret_bytes = SLICE_EMPTY;
	return 0;
}

static enum body_look empty_look(struct body *body)
{
	return BODY_ENDED;
}

static const struct body_operations empty_operations = {.read = empty_read, .look = empty_look};

struct body *body_empty(void)
{
	// In memory that cannot be written, so that whoever takes it for a body of its own
	// and adds trailers to it is found out.
	static const struct body empty = {.operations = &empty_operations};
	return (struct body *)&empty;
}
