#include "handlers/cache_freshen.h"

#include "cache/range.h"
#include "handlers/cache_disk.h"

static bool is_same(const struct fields *stored, const struct fields *response, enum field_id id)
{
	struct slice value = fields_value(response, id);
	return !value.data || slice_equal(value, fields_value(stored, id));
}

struct cache_object *cache_freshen(const struct cache_asked *asked, struct cache_object *stored,
				   const struct response *response, struct arena *arena)
{
	struct fields fields, merged;
	struct cache_judgement judgement;
	// 0 is also what is not told.
	bool is_part = stored->status == 206;
	uint64_t length = cache_run_of(stored, stored->body.length).total;
	bool is_same_length = response->content_length == 0 || response->content_length == length;
	if (response->status != (is_part ? 200 : stored->status) || !cache_object_fields(stored, arena, &fields))
		return NULL;
	if (!is_same_length || !is_same(&fields, &response->fields, FIELD_ETAG) ||
	    !is_same(&fields, &response->fields, FIELD_LAST_MODIFIED)) {
		atomic_store_explicit(&stored->is_outdated, true, memory_order_relaxed);
		(void)cache_disk_forget(stored->key, true);
		return NULL;
	}
	if (!cache_object_merge(stored, &response->fields, arena, &merged))
		return NULL;
	cache_judge_304(asked, is_part ? 200 : stored->status, &merged, &response->fields, &judgement);
	if (judgement.verdict != CACHE_MAY_STORE)
		return NULL;
	return cache_object_refreshed(stored, &response->fields, &judgement.times);
}
