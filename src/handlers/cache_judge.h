// What an answer is worth to the cache: whether it is stored, for how long it is fresh, and how long it is of use after
// that; by RFC 9111 and the operator's word. For the files of the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_JUDGE_H
#define USHER_HANDLERS_CACHE_JUDGE_H

#include "cache/object.h"
#include "cache/storable.h"
#include "handlers/cache_config.h"
#include "http/message.h"

// What was asked, and when.
struct cache_asked {
	const struct cache_config *config;
	enum method method;
	const struct fields *request;	     // as the visitor sent it
	const struct cache_directives *says; // the request's
	int64_t asked_s;
	enum cache_verdict forbids; // by the operator's word; MAY_STORE: he has none
};

struct cache_judgement {
	enum cache_verdict verdict;
	struct cache_directives says; // lends the response's fields
	struct cache_times times;
};

// Of a response that came now.
void cache_judge(const struct cache_asked *asked, const struct response *response,
		 struct cache_judgement *ret_judgement);

// Of a stored response with this status, of which a 304 came now. `merged` is what both say (cache_object_merge): what
// the 304 does not say goes on.
void cache_judge_304(const struct cache_asked *asked, unsigned status, const struct fields *merged,
		     const struct fields *response, struct cache_judgement *ret_judgement);

// Seconds of the wall clock.
int64_t cache_now_s(void);

#endif
