// An ended session, as tests keep it: until long after now.
#ifndef USHER_TESTS_ACCESS_KEPT_SESSION_H
#define USHER_TESTS_ACCESS_KEPT_SESSION_H

#include "access/kept.h"

#define LATE INT64_C(4000000000)

static inline struct kept kept_session(uint64_t id, int64_t created_s)
{
	struct kept kept = {.kind = KEPT_SESSION, .value = created_s, .until_s = LATE};
	kept_set_session(&kept, id);
	return kept;
}

static inline bool has_session(uint64_t id, int64_t created_s)
{
	const struct kept kept = kept_session(id, created_s);
	return kept_covers(&kept);
}

#endif
