#include "control/admin_cache_show.h"

#include "cache/storable.h"
#include "handlers/cache.h"

#include <stdlib.h>
#include <time.h>

enum { LIST_MAX = 1000, TOP_ROOM = 40, VARIANTS_MAX = 100 };

// By what the freshness was told: RFC 9111 section 4.2.1.
static const char *const lifetimes[] = {
	[CACHE_BY_S_MAXAGE] = "s-maxage",   [CACHE_BY_MAX_AGE] = "max-age",	 [CACHE_BY_EXPIRES] = "Expires",
	[CACHE_BY_HEURISTIC] = "heuristic", [CACHE_BY_NOTHING] = "nothing says", [CACHE_BY_OPERATOR] = "ttl",
};

// What the request had of the fields that Vary names.
static json_t *varying_of(const struct cache_object *object)
{
	json_t *varying = json_object();
	for (uint32_t i = 0; i < object->vary_count; i++) {
		struct field field = cache_object_field(object, object->field_count + i);
		json_t *value = json_stringn(field.value.data ? field.value.data : "", field.value.length);
		char name[64];
		snprintf(name, sizeof name, "%.*s", SLICE_ARGUMENTS(field.name));
		(void)json_object_set_new(varying, name, value ? value : json_string("(not text)"));
	}
	return varying;
}

static json_t *describe_mark(const struct cache_object *object, json_int_t left_s)
{
	enum cache_verdict verdict;
	memcpy(&verdict, object->body.data, sizeof verdict);
	return json_pack("{s:b, s:s, s:s, s:I}", "stored", 0, "why", cache_verdict_words(verdict), "rule",
			 cache_verdict_rule(verdict), "seconds_left", left_s);
}

static json_t *describe(const struct cache_object *object, int64_t now_s)
{
	json_int_t left_s = -cache_object_staleness_s(object, now_s);
	json_t *url = json_stringn(object->key.data, object->key.length);
	json_t *described =
		object->status == CACHE_MARK
			? describe_mark(object, left_s)
			: json_pack("{s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:I, s:o}", "stored", 1,
				    "status", (int)object->status, "content_bytes", (json_int_t)object->body.length,
				    "bytes", (json_int_t)object->size_bytes, "age",
				    (json_int_t)cache_object_age_s(object, now_s), "lifetime",
				    (json_int_t)object->times.lifetime_s, "seconds_left", left_s, "by",
				    lifetimes[object->times.by], "fresh", cache_object_is_fresh(object, now_s),
				    "validated_each_time", object->must_validate, "uses",
				    (json_int_t)atomic_load_explicit(&object->uses, memory_order_relaxed), "vary",
				    varying_of(object));
	if (!object->body.data)
		(void)json_object_set_new(described, "on_disk", json_true());
	(void)json_object_set_new(described, "url", url ? url : json_string("(not text)"));
	return described;
}

static json_t *describe_all(struct cache_object **objects, int count)
{
	json_t *list = json_array();
	for (int i = 0; i < count; i++) {
		(void)json_array_append_new(list, describe(objects[i], (int64_t)time(NULL)));
		cache_object_unref(objects[i]);
	}
	return list;
}

static int find(const struct admin_request *request, struct cache_object **objects, bool *ret_is_all)
{
	struct slice what = request->segments[1];
	*ret_is_all = true;
	if (slice_equal(what, SLICE("list")))
		return cache_list(request->count == 3 ? request->segments[2] : SLICE_EMPTY, objects, LIST_MAX,
				  ret_is_all);
	if (slice_equal(what, SLICE("top")) && request->count == 2)
		return cache_top(objects, TOP_ROOM);
	return request->count == 2 ? cache_show(what, objects, VARIANTS_MAX) : -1;
}

json_t *admin_cache_show(const struct admin_request *request, struct admin_answer *ret_answer)
{
	struct cache_object **objects = calloc(LIST_MAX, sizeof(struct cache_object *));
	bool is_all = true;
	int count = objects ? find(request, objects, &is_all) : 0;
	if (count < 0)
		admin_refuse(ret_answer, 422, "\"%.*s\" is no URL such as https://example.com/page",
			     SLICE_ARGUMENTS(request->segments[request->count - 1]));
	json_t *list = count >= 0 ? describe_all(objects, count) : NULL;
	free(objects);
	return list ? json_pack("{s:o, s:b}", "answers", list, "all", is_all) : NULL;
}
