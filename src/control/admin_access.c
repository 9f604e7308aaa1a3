// Logins in the admin API.
//
//	DELETE /access/failures              what failed of late is forgotten: nobody has to wait
//	DELETE /access/sessions/LOGIN/USER   ends all sessions of a user
#include "access/failures.h"
#include "access/session.h"
#include "base/log.h"
#include "control/admin.h"

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

void admin_access(const struct admin_request *request, struct admin_answer *ret_answer)
{
	const struct slice *segments = request->segments;
	bool is_failures = request->count == 2 && slice_equal(segments[1], SLICE("failures"));
	bool is_sessions = request->count == 4 && slice_equal(segments[1], SLICE("sessions"));
	if (!is_failures && !is_sessions) {
		admin_refuse(ret_answer, 404, "there is /access/failures and /access/sessions/LOGIN/USER");
	} else if (request->method != METHOD_DELETE) {
		ret_answer->allow = "DELETE";
		admin_refuse(ret_answer, 405, "here goes: %s", ret_answer->allow);
	} else if (is_failures) {
		forgive(ret_answer);
	} else {
		end_sessions(segments[2], segments[3], ret_answer);
	}
}
