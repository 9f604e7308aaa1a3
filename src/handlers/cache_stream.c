#include "handlers/cache_stream.h"

#include <errno.h>

static int read_stream(struct body *body, struct slice *ret_bytes)
{
	struct cache_reader *reader = ((struct cache_stream *)body)->reader;
	int error = cache_reader_read(reader, ret_bytes);
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
	int look = cache_reader_look(((struct cache_stream *)body)->reader);
	return look > 0 ? BODY_READY : look < 0 ? BODY_ENDED : BODY_WAITS;
}

static const struct body_operations operations = {.read = read_stream, .look = look_stream};

void cache_stream_init(struct cache_stream *stream, struct cache_reader *reader)
{
	*stream = (struct cache_stream){
		.body = {.operations = &operations,
			 .length = reader->length >= 0 ? reader->length : BODY_LENGTH_UNKNOWN},
		.reader = reader,
	};
}
