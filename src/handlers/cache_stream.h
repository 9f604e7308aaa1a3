// The content of a stored answer on its way to a visitor while it still comes from the server. For the files of the
// handler `cache`.
#ifndef USHER_HANDLERS_CACHE_STREAM_H
#define USHER_HANDLERS_CACHE_STREAM_H

#include "cache/fetch.h"
#include "cache/range.h"
#include "http/body.h"

struct cache_stream {
	struct body body;
	struct cache_reader *reader;
	uint64_t skip, left;	     // of the content
	struct arena *trailer_arena; // NULL: they are left out
};

// The reader, whose head is there, must live as long as the body is read.
// The part's length is UINT64_MAX for all of what comes, however much. Trailers are told where there is an arena for
// them.
void cache_stream_init(struct cache_stream *stream, struct cache_reader *reader, const struct cache_part *part,
		       struct arena *trailer_arena);

#endif
