// A check by a request: the status of its answer, and what is in its body.
#include "http/body.h"
#include "upstream/check_kinds.h"

#include <string.h>

static bool make(const struct check *check, const struct server *server, struct arena *arena,
		 struct client_request *ret_request)
{
	*ret_request = (struct client_request){
		.method = method_of(check->method),
		.framing = BODY_NONE,
		.method_name = check->method,
		.scheme = server_is_over_tls(server) ? SLICE("https") : SLICE("http"),
		.authority = check->host.length > 0 ? check->host : server_authority(server),
		.target = check->path,
		.fields = &check->fields,
		.body = body_empty(),
	};
	return fields_add_name(&ret_request->own, arena, SLICE("User-Agent"), SLICE("usher-check"));
}

static bool judge(const struct check *check, const struct response *response, struct slice body,
		  char reason[CHECK_REASON_SIZE])
{
	if (!status_is_in(response->status, check->statuses, check->status_count))
		return check_fail(reason, "the status was %u", response->status);
	if (check->text.length > 0 &&
	    (body.length == 0 || !memmem(body.data, body.length, check->text.data, check->text.length)))
		return check_fail(reason, "the text was not in the answer");
	if (check->regex.code && regex_match(&check->regex, body, NULL) != MATCH_HOLDS)
		return check_fail(reason, "the regular expression did not match in the answer");
	return true;
}

bool check_by_http(const struct check *check, struct server *server, char reason[CHECK_REASON_SIZE])
{
	struct check_question question = {
		.wants_body = check->text.length > 0 || check->regex.code,
		.make = make,
		.judge = judge,
	};
	return check_ask(check, server, &question, reason);
}
