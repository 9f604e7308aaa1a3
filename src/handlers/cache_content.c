#include "handlers/cache_content.h"

#include "cache/file.h"
#include "fiber/offload.h"
#include "handlers/cache_disk.h"

#include <errno.h>

bool cache_content_room(struct arena *arena, const struct cache_object *object, char **ret_block)
{
	*ret_block = object->file ? arena_alloc(arena, CACHE_BLOCK_SIZE) : NULL;
	return *ret_block || !object->file;
}

// --- From the disk

struct block_read {
	const struct cache_content *content;
	struct slice bytes;
	int error;
};

static void read_block(struct block_read *read, bool must_not_wait)
{
	const struct cache_content *content = read->content;
	read->error = cache_file_read(content->object->file, content->at, content->block, must_not_wait, &read->bytes);
}

static void read_waiting(void *argument)
{
	read_block(argument, false);
}

static int read_file(struct cache_content *content, struct slice *ret_bytes)
{
	struct block_read read = {.content = content};
	read_block(&read, true);
	if (read.error == -EAGAIN)
		offload_surely(read_waiting, &read);
	if (read.error == -EBADMSG)
		cache_disk_note_broken(content->object);
	if (read.error)
		return -EIO;
	*ret_bytes = slice_first(read.bytes, content->end - content->at);
	return 0;
}

int cache_content_read(struct cache_content *content, struct slice *ret_bytes)
{
	int error = 0;
	if (content->at == content->end)
		*ret_bytes = SLICE_EMPTY;
	else if (content->object->file)
		error = read_file(content, ret_bytes);
	else
		*ret_bytes = slice_first(slice_after(content->object->body, content->at), content->end - content->at);
	if (error == 0)
		content->at += ret_bytes->length;
	return error;
}

// --- As a body

struct content_body {
	struct body body;
	struct cache_content content;
};

static int read_body(struct body *body, struct slice *ret_bytes)
{
	if (cache_content_read(&((struct content_body *)body)->content, ret_bytes) == 0)
		return 0;
	fault_set(&body->fault, FAULT_INTERNAL, "read a stored answer", NULL);
	return -1;
}

static enum body_look look_body(struct body *body)
{
	const struct cache_content *content = &((struct content_body *)body)->content;
	return content->at == content->end ? BODY_ENDED : BODY_WAITS;
}

static const struct body_operations operations = {.read = read_body, .look = look_body};

struct body *cache_content_body(struct arena *arena, const struct cache_object *object, uint64_t from, uint64_t length)
{
	if (!object->file) {
		struct body_bytes *bytes = arena_alloc(arena, sizeof *bytes);
		if (!bytes)
			return NULL;
		body_bytes_init(bytes, slice_first(slice_after(object->body, from), length));
		return &bytes->body;
	}
	struct content_body *body = arena_zalloc(arena, sizeof *body);
	char *block;
	if (!body || !cache_content_room(arena, object, &block))
		return NULL;
	body->content = (struct cache_content){object, from, from + length, block};
	body->body.operations = &operations;
	body->body.length = (int64_t)length;
	return &body->body;
}
