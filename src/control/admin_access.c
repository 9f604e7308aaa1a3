// Logins in the admin API.
//
//	DELETE /access/failures              what failed of late is forgotten: nobody has to wait
//	DELETE /access/sessions/LOGIN/USER   ends all sessions of a user
//	GET /access/state                    how the store of what must not be forgotten does
#include "access/failures.h"
#include "access/session.h"
#include "access/state.h"
#include "base/log.h"
#include "control/admin.h"

#include <jansson.h>
#include <time.h>

static void forgive(struct admin_answer *ret_answer)
{
	failures_forget_all();
	log_info("access: failed logins are forgotten, by the operator's word");
	ret_answer->status = 204;
}

static void end_sessions(struct slice login, struct slice user, struct admin_answer *ret_answer)
{
	session_end_all(login, user, (int64_t)time(NULL));
	log_info("access: all sessions of %.*s through %.*s end, by the operator's word", SLICE_ARGUMENTS(user),
		 SLICE_ARGUMENTS(login));
	ret_answer->status = 204;
}

// "none", "works" or "fails".
static const char *word_of(bool is_there, bool works)
{
	return !is_there ? "none" : works ? "works" : "fails";
}

static void show_state(struct admin_answer *ret_answer)
{
	struct state_status status;
	state_read_status(&status);
	json_t *shown =
		json_pack("{s:s, s:s, s:I, s:I, s:I}", "file", word_of(status.has_file, status.file_works), "redis",
			  word_of(status.has_redis, status.redis_works), "kept", (json_int_t)status.kept, "noted",
			  (json_int_t)status.noted, "waiting", (json_int_t)status.waiting);
	ret_answer->text = shown ? json_dumps(shown, JSON_COMPACT) : NULL;
	ret_answer->status = ret_answer->text ? 200 : 500;
	json_decref(shown);
}

void admin_access(const struct admin_request *request, struct admin_answer *ret_answer)
{
	const struct slice *segments = request->segments;
	bool is_failures = request->count == 2 && slice_equal(segments[1], SLICE("failures"));
	bool is_sessions = request->count == 4 && slice_equal(segments[1], SLICE("sessions"));
	bool is_state = request->count == 2 && slice_equal(segments[1], SLICE("state"));
	if (!is_failures && !is_sessions && !is_state) {
		admin_refuse(ret_answer, 404,
			     "there is /access/failures, /access/sessions/LOGIN/USER and /access/state");
	} else if (request->method != (is_state ? METHOD_GET : METHOD_DELETE)) {
		ret_answer->allow = is_state ? "GET" : "DELETE";
		admin_refuse(ret_answer, 405, "here goes: %s", ret_answer->allow);
	} else if (is_state) {
		show_state(ret_answer);
	} else if (is_failures) {
		forgive(ret_answer);
	} else {
		end_sessions(segments[2], segments[3], ret_answer);
	}
}
