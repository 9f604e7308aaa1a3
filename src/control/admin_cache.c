// The cache in the admin API.
//
//	GET    /cache         what it holds
//	DELETE /cache         forgets everything
//	DELETE /cache/URL     forgets what is stored for a URL (percent-encoded, as one segment)
#include "base/log.h"
#include "control/admin.h"
#include "handlers/cache.h"

#include <jansson.h>

static void answer(struct admin_answer *answer, json_t *value)
{
	answer->text = value ? json_dumps(value, JSON_INDENT(1)) : NULL;
	answer->status = answer->text ? 200 : 500;
	json_decref(value);
}

static void show(struct admin_answer *ret_answer)
{
	struct cache_store_status status;
	cache_read_status(&status);
	answer(ret_answer, json_pack("{s:I, s:I, s:I, s:I, s:I}", "objects", (json_int_t)status.objects, "bytes",
				     (json_int_t)status.bytes, "budget_bytes", (json_int_t)status.budget_bytes, "found",
				     (json_int_t)status.found, "missed", (json_int_t)status.missed));
}

static void forget(const struct admin_request *request, struct admin_answer *ret_answer)
{
	struct slice url = request->count == 2 ? request->segments[1] : SLICE_EMPTY;
	int64_t dropped = request->count == 2 ? cache_purge(url) : (int64_t)cache_purge_all();
	if (dropped < 0) {
		admin_refuse(ret_answer, 422, "\"%.*s\" is no URL such as https://example.com/page",
			     SLICE_ARGUMENTS(url));
		return;
	}
	log_info("cache: %lld stored answers forgotten by the operator's word%s%.*s", (long long)dropped,
		 request->count == 2 ? ": " : " (all)", SLICE_ARGUMENTS(url));
	answer(ret_answer, json_pack("{s:I}", "forgotten", (json_int_t)dropped));
}

void admin_cache(const struct admin_request *request, struct admin_answer *ret_answer)
{
	bool is_get = request->method == METHOD_GET || request->method == METHOD_HEAD;
	if (request->count > 2) {
		admin_refuse(ret_answer, 404, "there is /cache, and /cache/URL with the URL percent-encoded");
	} else if (request->method == METHOD_DELETE) {
		forget(request, ret_answer);
	} else if (is_get && request->count == 1) {
		show(ret_answer);
	} else {
		ret_answer->allow = request->count == 1 ? "GET, HEAD, DELETE" : "DELETE";
		admin_refuse(ret_answer, 405, "here go: %s", ret_answer->allow);
	}
}
