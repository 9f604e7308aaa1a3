// One check of one server, over a connection of its own.
#include "base/text.h"
#include "fiber/loop.h"
#include "http/h1_client.h"
#include "http/h2_client.h"
#include "upstream/check.h"
#include "upstream/check_kinds.h"
#include "upstream/connect.h"
#include "upstream/idle.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_MAX = 1024 * 1024, HEADER_MAX = 64 * 1024, FIELDS_MAX = 200, TARGET_MAX = 64 * 1024, INTERIM_MAX = 16 };

bool check_fail(char reason[CHECK_REASON_SIZE], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, CHECK_REASON_SIZE, format, arguments);
	va_end(arguments);
	return false;
}

static bool fail_with(char reason[CHECK_REASON_SIZE], const struct fault *fault)
{
	const char *step = fault->step ? fault->step : "check";
	if (fault->detail)
		return check_fail(reason, "%s: %s: %s", fault_word(fault->kind), step, fault->detail);
	if (fault->system_error)
		return check_fail(reason, "%s: %s: %s", fault_word(fault->kind), step, strerror(fault->system_error));
	return check_fail(reason, "%s: %s", fault_word(fault->kind), step);
}

// --- One request

struct asking {
	const struct check *check;
	struct upstream_connection *connection;
	struct h2_link *link; // with HTTP/2; owns the stream
	struct client_settings settings;
	struct arena arena;
	struct http_client *client;
	union {
		struct h1_client h1;
		struct h2_client h2;
	} kind;
	int64_t deadline_ns;
};

static void link_changed(struct h2_link *link, void *argument)
{
}

static bool begin_client(struct asking *asking)
{
	static const struct h2_link_settings link_settings = {
		.header_bytes = HEADER_MAX,
		.stream_window = CHECK_BODY_MAX,
		.window = CHECK_BODY_MAX,
		.streams = 1,
		.ping_after_ns = 3600 * SECOND_NS,
		.ping_timeout_ns = SECOND_NS,
	};
	if (!asking->connection->is_http2) {
		h1_client_init(&asking->kind.h1, &asking->settings, asking->connection->stream, &asking->arena);
		asking->client = &asking->kind.h1.client;
		return true;
	}
	asking->link = h2_link_new(asking->connection->stream, &link_settings, link_changed, NULL);
	if (!asking->link)
		return false;
	h2_client_init(&asking->kind.h2, &asking->settings, asking->link, &asking->arena);
	asking->client = &asking->kind.h2.client;
	return true;
}

static int64_t time_left(const struct asking *asking)
{
	int64_t left_ns = asking->deadline_ns - loop_now();
	return left_ns > 0 ? left_ns : 1;
}

static void set_times(struct asking *asking)
{
	int64_t left_ns = time_left(asking);
	asking->settings.send_timeout_ns = left_ns;
	asking->settings.response_timeout_ns = left_ns;
	asking->settings.read_timeout_ns = left_ns;
}

static int read_head(struct asking *asking, struct response *ret_response, struct fault *ret_fault)
{
	for (unsigned i = 0; i < INTERIM_MAX; i++) {
		set_times(asking);
		if (client_read_head(asking->client, 0, ret_response, ret_fault) < 0)
			return -1;
		if (ret_response->status >= 200 || ret_response->status == 101)
			return 0;
	}
	fault_set(ret_fault, FAULT_RESPONSE_BAD, "read response header", "too many interim responses");
	return -1;
}

// As much as is looked at; the end of it, or the bound.
static int read_body(struct asking *asking, struct body *body, struct slice *ret_bytes, struct fault *ret_fault)
{
	char *bytes = arena_alloc(&asking->arena, CHECK_BODY_MAX);
	size_t length = 0;
	struct slice part = SLICE("more");
	if (!bytes) {
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, "read response body", NULL);
		return -1;
	}
	while (part.length > 0 && length < CHECK_BODY_MAX) {
		set_times(asking);
		if (loop_now() >= asking->deadline_ns) {
			fault_set(ret_fault, FAULT_RESPONSE_BODY_TIMEOUT, "read response body", NULL);
			return -1;
		}
		if (body_read(body, &part) < 0) {
			*ret_fault = body->fault;
			return -1;
		}
		part = slice_first(part, CHECK_BODY_MAX - length);
		if (part.length > 0)
			memcpy(bytes + length, part.data, part.length);
		length += part.length;
	}
	*ret_bytes = slice_from(bytes, length);
	return 0;
}

static void end(struct asking *asking)
{
	if (asking->client)
		(void)client_fini(asking->client);
	if (asking->link) {
		struct server *server = asking->connection->server;
		h2_link_close(asking->link);
		connection_struct_give(asking->connection);
		server_unref(server);
	} else if (asking->connection) {
		upstream_connection_close(asking->connection);
	}
	arena_fini(&asking->arena);
}

static bool judge(struct asking *asking, const struct check_question *question, char reason[CHECK_REASON_SIZE])
{
	struct fault fault = {0};
	struct response response = {0};
	struct slice body = SLICE_EMPTY;
	if (client_send(asking->client, &question->request, &fault) < 0 || read_head(asking, &response, &fault) < 0)
		return fail_with(reason, &fault);
	if (question->wants_body && read_body(asking, response.body, &body, &fault) < 0)
		return fail_with(reason, &fault);
	return question->judge(asking->check, &response, body, reason);
}

bool check_ask(const struct check *check, struct server *server, struct check_question *question,
	       char reason[CHECK_REASON_SIZE])
{
	struct asking asking = {
		.check = check,
		.settings = {.header_bytes = HEADER_MAX, .limits = {.fields = FIELDS_MAX, .target_bytes = TARGET_MAX}},
		.deadline_ns = loop_now() + check->timeout_ns,
	};
	struct fault fault = {0};
	struct server_local *local = server_local(server);
	arena_init(&asking.arena, ARENA_MAX);
	bool well = false;
	if (!local || connect_aside(local, check->port, asking.deadline_ns, &fault, &asking.connection) < 0) {
		well = fail_with(reason, &fault);
	} else {
		set_times(&asking);
		if (!begin_client(&asking))
			well = check_fail(reason, "out_of_memory");
		else if (question->make(check, server, &asking.arena, &question->request))
			well = judge(&asking, question, reason);
		else
			well = check_fail(reason, "out_of_memory");
	}
	end(&asking);
	return well;
}

static bool run_tcp(const struct check *check, struct server *server, char reason[CHECK_REASON_SIZE])
{
	struct fault fault = {0};
	struct upstream_connection *connection;
	struct server_local *local = server_local(server);
	if (!local || connect_aside(local, check->port, loop_now() + check->timeout_ns, &fault, &connection) < 0)
		return fail_with(reason, &fault);
	upstream_connection_close(connection);
	return true;
}

bool check_run(const struct check *check, struct server *server, char ret_reason[CHECK_REASON_SIZE])
{
	switch (check->type) {
	case CHECK_HTTP:
		return check_by_http(check, server, ret_reason);
	case CHECK_TCP:
		return run_tcp(check, server, ret_reason);
	case CHECK_GRPC:
		return check_by_grpc(check, server, ret_reason);
	case CHECK_COMMAND:
		return check_by_command(check, server, ret_reason);
	}
	return check_fail(ret_reason, "no such type of check");
}
