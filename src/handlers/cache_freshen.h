// What an answer to HEAD tells of the stored answer to GET (RFC 9111 section 4.3.5). For the files of the handler
// `cache`.
#ifndef USHER_HANDLERS_CACHE_FRESHEN_H
#define USHER_HANDLERS_CACHE_FRESHEN_H

#include "cache/object.h"
#include "handlers/cache_judge.h"
#include "http/message.h"

// The same with what the answer says anew, where it is an answer to the same; NULL when memory is out, or when it has
// become another one: what is stored is stale from now on then, on the disk, too. May suspend.
struct cache_object *cache_freshen(const struct cache_asked *asked, struct cache_object *stored,
				   const struct response *response, struct arena *arena);

#endif
