#include "handlers/cache_wish.h"

static bool is_young_enough(const struct cache_directives *says, const struct cache_object *object, int64_t now_s)
{
	return !cache_says(says, CACHE_NO_CACHE) &&
	       (says->max_age == CACHE_ABSENT || cache_object_age_s(object, now_s) <= says->max_age);
}

// RFC 9111 section 5.2.1.2, where the answer does not forbid it (section 4.2.4).
static bool is_wanted_stale(const struct cache_directives *says, const struct cache_object *object, int64_t now_s,
			    struct arena *arena)
{
	struct cache_directives stored_says;
	struct fields stored;
	if (!cache_says(says, CACHE_MAX_STALE) || object->must_validate ||
	    cache_object_staleness_s(object, now_s) > says->max_stale || !cache_object_fields(object, arena, &stored))
		return false;
	cache_directives_of_response(&stored, &stored_says);
	return !(stored_says.flags & (CACHE_MUST_REVALIDATE | CACHE_PROXY_REVALIDATE)) &&
	       stored_says.s_maxage == CACHE_ABSENT;
}

bool cache_wish_holds(const struct cache_directives *request_says, const struct cache_object *object, int64_t now_s,
		      struct arena *arena)
{
	if (!is_young_enough(request_says, object, now_s))
		return false;
	if (!cache_object_is_fresh(object, now_s))
		return is_wanted_stale(request_says, object, now_s, arena);
	return request_says->min_fresh == CACHE_ABSENT ||
	       -cache_object_staleness_s(object, now_s) >= request_says->min_fresh;
}

bool cache_wish_holds_meanwhile(const struct cache_directives *request_says, const struct cache_object *object,
				int64_t now_s)
{
	return is_young_enough(request_says, object, now_s) && request_says->min_fresh == CACHE_ABSENT;
}
