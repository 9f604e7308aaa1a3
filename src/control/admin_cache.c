// The cache in the admin API.
//
//	GET    /cache              what it holds
//	GET    /cache/list, /cache/list/URL   the stored answers, all or those that begin so (1,000 at most)
//	GET    /cache/top          those that were used most
//	GET    /cache/URL          all variants of a URL, or why there is none
//	DELETE /cache              forgets everything
//	DELETE /cache/URL          forgets what is stored for a URL (percent-encoded, as one segment)
//	DELETE /cache/prefix/URL   for all that begin so
//	DELETE /cache/tag/TAG      with this tag
//	POST   the same            makes it stale instead
#include "base/log.h"
#include "control/admin.h"
#include "control/admin_cache_show.h"
#include "handlers/cache.h"
#include "handlers/cache_counts.h"
#include "handlers/cache_disk.h"

#include <errno.h>
#include <jansson.h>

static void answer(struct admin_answer *answer, json_t *value)
{
	answer->text = value ? json_dumps(value, JSON_INDENT(1)) : NULL;
	answer->status = answer->text ? 200 : 500;
	json_decref(value);
}

static json_t *describe_disk(struct cache_disk *disk)
{
	struct cache_disk_status status;
	cache_disk_read_status(disk, &status);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "objects", (json_int_t)status.objects,
			 "bytes", (json_int_t)status.bytes, "budget_bytes", (json_int_t)status.budget_bytes, "found",
			 (json_int_t)status.found, "written", (json_int_t)status.written, "unwritten",
			 (json_int_t)status.unwritten, "broken", (json_int_t)status.broken, "purged",
			 (json_int_t)status.purged, "known", status.is_known, "sweeping", status.is_sweeping);
}

static json_t *describe_routes(void)
{
	json_t *routes = json_array();
	for (const struct cache_counts *counts = cache_counts_first(); counts; counts = counts->next) {
		json_t *route = json_pack("{s:s, s:s}", "site", counts->site, "route", counts->route);
		for (unsigned i = 0; i < CACHE_RESULTS; i++)
			(void)json_object_set_new(route, cache_result_word(i),
						  json_integer(metric_read(counts->results[i])));
		(void)json_array_append_new(routes, route);
	}
	return routes;
}

static void show(struct admin_answer *ret_answer)
{
	struct cache_store_status status;
	struct cache_disk *disk = cache_disk_hold();
	cache_read_status(&status);
	answer(ret_answer, json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o*}", "objects", (json_int_t)status.objects,
				     "bytes", (json_int_t)status.bytes, "budget_bytes", (json_int_t)status.budget_bytes,
				     "found", (json_int_t)status.found, "missed", (json_int_t)status.missed, "routes",
				     describe_routes(), "disk", disk ? describe_disk(disk) : NULL));
	cache_disk_release(disk);
}

// What the segments behind "cache" mean.
static int64_t purge(const struct admin_request *request, bool is_soft)
{
	const struct slice *segments = request->segments;
	if (request->count == 1)
		return cache_purge_all(is_soft);
	if (request->count == 2)
		return cache_purge(segments[1], is_soft);
	return slice_equal(segments[1], SLICE("tag")) ? cache_purge_tag(segments[2], is_soft)
						      : cache_purge_prefix(segments[2], is_soft);
}

static void forget(const struct admin_request *request, bool is_soft, struct admin_answer *ret_answer)
{
	struct slice what = request->segments[request->count - 1];
	bool is_tag = request->count == 3 && slice_equal(request->segments[1], SLICE("tag"));
	int64_t meant = purge(request, is_soft);
	if (meant == -EINVAL) {
		admin_refuse(ret_answer, 422,
			     is_tag ? "\"%.*s\" is no tag" : "\"%.*s\" is no URL such as https://example.com/page",
			     SLICE_ARGUMENTS(what));
		return;
	}
	if (meant < 0) {
		admin_refuse(ret_answer, 503, "forgotten until usher ends, but not for good: %s",
			     strerror((int)-meant));
		return;
	}
	log_info("cache: %lld stored answers %s by the operator's word: %s%.*s", (long long)meant,
		 is_soft ? "made stale" : "forgotten",
		 request->count == 1 ? "all"
		 : is_tag	     ? "with the tag "
				     : "",
		 SLICE_ARGUMENTS(request->count == 1 ? SLICE_EMPTY : what));
	// Going through the files takes its time: nobody waits for that.
	struct cache_disk *disk = cache_disk_hold();
	bool is_swept_behind = request->count != 2 && disk;
	cache_disk_release(disk);
	answer(ret_answer, json_pack("{s:I, s:b}", is_soft ? "outdated" : "forgotten", (json_int_t)meant,
				     "disk_is_swept_behind", is_swept_behind));
}

// Of three segments, what the second one may be.
static bool is_known(const struct admin_request *request, bool is_get)
{
	struct slice kind = request->segments[1];
	if (request->count != 3)
		return request->count < 3;
	return is_get ? slice_equal(kind, SLICE("list"))
		      : slice_equal(kind, SLICE("prefix")) || slice_equal(kind, SLICE("tag"));
}

void admin_cache(const struct admin_request *request, struct admin_answer *ret_answer)
{
	bool is_get = request->method == METHOD_GET || request->method == METHOD_HEAD;
	if (!is_known(request, is_get)) {
		admin_refuse(
			ret_answer, 404,
			"there is /cache, /cache/URL, to read /cache/list, /cache/list/URL and /cache/top, to forget "
			"/cache/prefix/URL and /cache/tag/TAG, percent-encoded");
	} else if (request->method == METHOD_DELETE || request->method == METHOD_POST) {
		forget(request, request->method == METHOD_POST, ret_answer);
	} else if (is_get && request->count == 1) {
		show(ret_answer);
	} else if (is_get) {
		json_t *shown = admin_cache_show(request, ret_answer);
		if (shown)
			answer(ret_answer, shown);
	} else {
		ret_answer->allow = "GET, HEAD, DELETE, POST";
		admin_refuse(ret_answer, 405, "here go: %s", ret_answer->allow);
	}
}
