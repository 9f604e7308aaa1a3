// A body without the content coding of the one below it, which it pulls.
//
// It holds its room of the arena and what the library needs, as the content asks for (decoded_body_memory), whatever
// the size of the content; what would need more is refused.
#ifndef USHER_HTTP_DECODED_H
#define USHER_HTTP_DECODED_H

#include "base/arena.h"
#include "http/body.h"
#include "http/coding.h"

struct decoded_body;

// How many bytes the library needs, at most, for content that begins so: 64 KiB for gzip, up to 16 MiB and a bit for
// brotli, up to 8 MiB and a bit for zstd, by the size of the window that it names; the most where too little is known.
size_t decoded_body_memory(enum coding coding, struct slice beginning);

// For gzip, brotli or zstd. Content that is not what the coding makes ends the body with a fault, as does content that
// ends too soon. NULL when memory is out. Its length is not known, and it has no trailers. May suspend as the one
// below.
struct decoded_body *decoded_body_new(struct arena *arena, enum coding coding, struct body *below);

struct body *decoded_body_of(struct decoded_body *decoded);

// Gives back what the library has, before the arena goes.
void decoded_body_end(struct decoded_body *decoded);

#endif
