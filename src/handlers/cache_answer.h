// The answer that a stored object is to a request: the whole, a part, or that it has not changed. For the
// files of the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_ANSWER_H
#define USHER_HANDLERS_CACHE_ANSWER_H

#include "cache/fetch.h"
#include "cache/object.h"
#include "exchange/exchange.h"

#include <stdint.h>

// Fills in the response, which lends the object's memory: whoever holds the object holds it until the
// exchange ends. `request` is what the visitor sent, before anybody changed it. Fails the exchange when
// memory is out.
void cache_answer(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
		  int64_t now_s);

// The same for an object that is being fetched, as it comes: the whole of it, a part that begins soon, or that it has
// not changed; what suits (where the server was asked for what this visitor asks (is_his), whatever came). The reader
// must live as long as the exchange.
bool cache_answer_suits(const struct exchange *exchange, const struct fields *request,
			const struct cache_reader *reader, bool is_his, int64_t now_s);
void cache_answer_stream(struct exchange *exchange, const struct fields *request, struct cache_reader *reader,
			 int64_t now_s);

#endif
