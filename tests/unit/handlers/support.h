// What the tests of src/handlers share: routes whose last handler is a server that answers
// what a test wants.
#ifndef USHER_TESTS_UNIT_HANDLERS_SUPPORT_H
#define USHER_TESTS_UNIT_HANDLERS_SUPPORT_H

#include "../exchange/support.h"
#include "handlers/handlers.h"

// What the server saw, and what it does beside answering 200.
static struct test_server {
	unsigned calls;
	struct slice target, path;
	struct fields fields;
	void (*serve)(struct exchange *exchange);
} test_server;

static inline void test_server_handle(struct exchange *exchange, const void *config)
{
	test_server.calls++;
	test_server.target = exchange->target;
	test_server.path = exchange->path;
	test_server.fields = exchange_request(exchange)->fields;
	exchange_answer(exchange, 200, SLICE("text/plain"), SLICE("served"));
	if (test_server.serve)
		test_server.serve(exchange);
}

static const struct handler_type test_server_handler = {
	.order = HANDLER_PROXY,
	.key = {"server", CONFIG_BOOL, .help = "answers"},
	.handle = test_server_handle,
	.ends = true,
};

static const struct handler_type *const test_handlers[] = {&test_server_handler,
							   &redirect_handler,
							   &respond_handler,
							   &strip_handler,
							   &rewrite_handler,
							   &headers_handler,
							   &hsts_handler,
							   &https_handler,
							   &client_certificate_handler,
							   &limits_handler,
							   NULL};
static const struct top_section_type *const test_sections[] = {NULL};
static const struct snapshot_registry test_registry = {test_handlers, test_sections};

// One exchange with the first site's routes; ends with test_exchange_end.
static inline void test_serve(struct exchange *exchange, const struct snapshot *snapshot,
			      const struct test_request *request)
{
	void (*serve)(struct exchange *) = test_server.serve;
	memset(&test_server, 0, sizeof test_server);
	test_server.serve = serve;
	assert_non_null(test_exchange_route(exchange, snapshot, request));
	exchange_next(exchange);
}

static inline struct slice test_response_field(struct exchange *exchange, const char *name)
{
	const struct field *field = fields_find_name(&exchange_response(exchange)->fields, slice_from_string(name));
	return field ? field->value : SLICE("(none)");
}

static inline struct slice test_response_body(struct exchange *exchange)
{
	struct slice bytes;
	assert_int_equal(body_read(exchange_response(exchange)->body, &bytes), 0);
	return bytes;
}

#endif
