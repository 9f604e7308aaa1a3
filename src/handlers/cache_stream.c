#include "handlers/cache_stream.h"

#include <errno.h>

// The next of the part's bytes: whoever has all of it needs not wait for the rest.
static int read_part(struct cache_stream *stream, struct slice *ret_bytes)
{
	struct slice bytes = SLICE_EMPTY;
	int error = 0;
	bool has_more = stream->left > 0;
	while (has_more && error == 0 && bytes.length == 0) {
		error = cache_reader_read(stream->reader, &bytes);
		has_more = error == 0 && bytes.length > 0;
		struct slice skipped = error == 0 ? slice_first(bytes, stream->skip) : SLICE_EMPTY;
		stream->skip -= skipped.length;
		bytes = error == 0 ? slice_first(slice_after(bytes, skipped.length), stream->left) : SLICE_EMPTY;
	}
	stream->left -= bytes.length;
	*ret_bytes = bytes;
	return error;
}

// They are there once the reader is at the end, which lies behind the last byte.
static int tell_trailers(struct cache_stream *stream)
{
	struct cache_reader *reader = stream->reader;
	struct slice none;
	int error = 0;
	if (stream->trailer_arena && reader->state == CACHE_FETCH_FILLS)
		error = cache_reader_read(reader, &none);
	const struct cache_object *object = reader->object;
	if (error || !stream->trailer_arena || object->trailer_count == 0)
		return error;
	return cache_object_trailers(object, stream->trailer_arena, &stream->body.trailers) ? 0 : -EIO;
}

static int read_stream(struct body *body, struct slice *ret_bytes)
{
	struct cache_reader *reader = ((struct cache_stream *)body)->reader;
	int error = read_part((struct cache_stream *)body, ret_bytes);
	if (error == 0 && ret_bytes->length == 0)
		error = tell_trailers((struct cache_stream *)body);
	if (error == 0)
		return 0;
	if (error == -ECANCELED)
		fault_set(&body->fault, FAULT_CLIENT_GONE, "read response body", NULL);
	else if (error == -EIO)
		fault_set(&body->fault, FAULT_INTERNAL, "read a stored answer", NULL);
	else
		body->fault = cache_reader_outcome(reader)->fault;
	return -1;
}

static enum body_look look_stream(struct body *body)
{
	const struct cache_stream *stream = (struct cache_stream *)body;
	int look = stream->left == 0 ? -1 : cache_reader_look(stream->reader);
	if (stream->skip > 0 && look > 0)
		return BODY_WAITS; // for what is behind that
	if (stream->trailer_arena && look < 0)
		return BODY_WAITS; // for what reading the end tells
	return look > 0 ? BODY_READY : look < 0 ? BODY_ENDED : BODY_WAITS;
}

static const struct body_operations operations = {.read = read_stream, .look = look_stream};

void cache_stream_init(struct cache_stream *stream, struct cache_reader *reader, const struct cache_part *part,
		       struct arena *trailer_arena)
{
	*stream = (struct cache_stream){
		.body = {.operations = &operations,
			 .length = part->length < UINT64_MAX ? (int64_t)part->length : BODY_LENGTH_UNKNOWN},
		.reader = reader,
		.skip = part->from,
		.left = part->length,
		.trailer_arena = trailer_arena,
	};
}
