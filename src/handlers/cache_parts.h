// Parts of a stored answer: 206 with one or several of them, or 416 (RFC 9110 sections 14 and 15.3.7). For the files of
// the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_PARTS_H
#define USHER_HANDLERS_CACHE_PARTS_H

#include "cache/object.h"
#include "cache/range.h"
#include "exchange/exchange.h"

#include <stdint.h>

// Whether the object, which has so many bytes of content, has all that the request asks for: the whole, or, where it is
// a part of the answer itself (status 206), what Range names.
bool cache_parts_suffice(const struct exchange *exchange, const struct fields *request,
			 const struct cache_object *object, uint64_t length, int64_t now_s);

// Whether the visitor takes trailers behind the content (RFC 9110 section 6.5.1).
bool cache_parts_take_trailers(const struct exchange *exchange, const struct fields *request);

// What of the object, which suffices, the request asks for: sets the response's body, and, where it is not the whole,
// its status and the fields that tell the parts. The body lends the object's memory. False when memory is out.
bool cache_parts_choose(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
			int64_t now_s);

// Of an object that is still being fetched, with content of that length (-1: not known): whether the request asks for
// the whole, or for one part that begins soon, so that waiting for it is no matter.
bool cache_parts_begin_soon(const struct exchange *exchange, const struct fields *request,
			    const struct cache_object *object, int64_t length, int64_t now_s);

// Then, or where it suffices: which part of what comes it is; where it is not the whole, the response is told so. Its
// length is UINT64_MAX when it is not known. False when memory is out.
bool cache_parts_tell(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
		      int64_t length, int64_t now_s, struct cache_part *ret_part);

#endif
