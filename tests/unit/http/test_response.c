#include "http/h1.h"
#include "support.h"

#include <stdio.h>

static const struct h1_limits limits = {.fields = 10, .target_bytes = 100};

static const char *const framings[] = {"none", "length", "chunked", "until-close"};

struct outcome {
	bool accepted;
	struct fault fault;
	char text[1024];
};

// "1.1 200 OK length=5 keep 1": version, status, reason, framing, persistence, fields.
static struct outcome parse(struct slice head, enum method method)
{
	struct outcome outcome = {0};
	struct arena arena;
	struct response response;
	arena_init(&arena, TEST_ARENA_BYTES);
	char *copy = test_alone(head);
	outcome.accepted =
		h1_parse_response(slice_from(copy, head.length), method, &limits, &arena, &response, &outcome.fault);
	if (outcome.accepted)
		snprintf(outcome.text, sizeof(outcome.text), "1.%u %u %.*s %s=%llu %s %u", response.version_minor,
			 response.status, SLICE_ARGUMENTS(response.reason), framings[response.framing],
			 (unsigned long long)response.content_length, response.persistent ? "keep" : "close",
			 response.fields.count);
	for (size_t cut = 0; outcome.accepted && cut < head.length; cut++) {
		struct h1_scanner scanner = {0};
		assert_int_equal(h1_scan_head(&scanner, copy, cut), 0);
		assert_int_equal(h1_scan_head(&scanner, copy, head.length), head.length);
	}
	free(copy);
	arena_fini(&arena);
	return outcome;
}

#define OK(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"
#define LENGTH "Content-Length: 5\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct {
	enum method method;
	const char *head, *text;
} good[] = {
	{METHOD_GET, OK(LENGTH), "1.1 200 OK length=5 keep 1"},
	{METHOD_GET, OK("Content-Length: 0\r\n"), "1.1 200 OK length=0 keep 1"},
	{METHOD_GET, OK(CHUNKED), "1.1 200 OK chunked=0 keep 1"},
	{METHOD_GET, OK("Transfer-Encoding: Chunked\r\n"), "1.1 200 OK chunked=0 keep 1"},
	{METHOD_GET, OK(""), "1.1 200 OK until-close=0 close 0"},
	{METHOD_GET, OK("Connection: keep-alive\r\n"), "1.1 200 OK until-close=0 close 1"},
	{METHOD_GET, OK(LENGTH "Connection: close\r\n"), "1.1 200 OK length=5 close 2"},
	{METHOD_POST, OK(LENGTH), "1.1 200 OK length=5 keep 1"},
	// The status line.
	{METHOD_GET, "HTTP/1.1 200\r\n" LENGTH "\r\n", "1.1 200  length=5 keep 1"},
	{METHOD_GET, "HTTP/1.1 200 \r\n" LENGTH "\r\n", "1.1 200  length=5 keep 1"},
	{METHOD_GET, "HTTP/1.1 200  a\tb \r\n" LENGTH "\r\n", "1.1 200  a\tb  length=5 keep 1"},
	{METHOD_GET, "HTTP/1.1 404 Nicht da \xc3\xa4\r\n" LENGTH "\r\n", "1.1 404 Nicht da \xc3\xa4 length=5 keep 1"},
	{METHOD_GET, "HTTP/1.1 599 x\r\n" LENGTH "\r\n", "1.1 599 x length=5 keep 1"},
	{METHOD_GET, "HTTP/1.3 200 OK\r\n" LENGTH "\r\n", "1.1 200 OK length=5 keep 1"},
	{METHOD_GET, "HTTP/1.0 200 OK\r\n" LENGTH "\r\n", "1.0 200 OK length=5 close 1"},
	{METHOD_GET, "HTTP/1.0 200 OK\r\n" LENGTH "Connection: keep-alive\r\n\r\n", "1.0 200 OK length=5 keep 2"},
	{METHOD_GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "1.0 200 OK until-close=0 close 1"},
	// No content whatever the fields say: RFC 9112 section 6.3, rule 1.
	{METHOD_HEAD, OK(LENGTH), "1.1 200 OK none=5 keep 1"},
	{METHOD_HEAD, OK(CHUNKED), "1.1 200 OK none=0 keep 1"},
	{METHOD_HEAD, OK(""), "1.1 200 OK none=0 keep 0"},
	{METHOD_GET, "HTTP/1.1 304 x\r\n" LENGTH "\r\n", "1.1 304 x none=5 keep 1"},
	{METHOD_GET, "HTTP/1.1 304 x\r\n" CHUNKED "\r\n", "1.1 304 x none=0 keep 1"},
	{METHOD_GET, "HTTP/1.1 304 x\r\n\r\n", "1.1 304 x none=0 keep 0"},
	{METHOD_GET, "HTTP/1.1 204 x\r\n\r\n", "1.1 204 x none=0 keep 0"},
	{METHOD_GET, "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", "1.1 204 x none=0 keep 1"},
	{METHOD_GET, "HTTP/1.1 204 x\r\n" LENGTH "\r\n", "1.1 204 x none=5 close 1"},
	{METHOD_GET, "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n", "1.1 204 x none=1 close 1"},
	{METHOD_GET, "HTTP/1.1 204 x\r\n" CHUNKED "\r\n", "1.1 204 x none=0 close 1"},
	{METHOD_GET, "HTTP/1.1 205 x\r\nContent-Length: 0\r\n\r\n", "1.1 205 x length=0 keep 1"},
	{METHOD_GET, "HTTP/1.1 100 x\r\n\r\n", "1.1 100 x none=0 keep 0"},
	{METHOD_GET, "HTTP/1.1 103 x\r\nLink: <a>\r\n\r\n", "1.1 103 x none=0 keep 1"},
	{METHOD_GET, "HTTP/1.1 101 x\r\nContent-Length: 0\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n",
	 "1.1 101 x none=0 keep 3"},
	// Rule 2: a tunnel.
	{METHOD_CONNECT, OK(""), "1.1 200 OK none=0 keep 0"},
	{METHOD_CONNECT, OK(LENGTH), "1.1 200 OK none=0 keep 1"},
	{METHOD_CONNECT, OK(LENGTH CHUNKED), "1.1 200 OK none=0 keep 2"},
	{METHOD_CONNECT, "HTTP/1.1 403 x\r\n" LENGTH "\r\n", "1.1 403 x length=5 keep 1"},
};

static void test_good_responses(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct slice head = slice_from_string(good[i].head);
		struct outcome outcome = parse(head, good[i].method);
		if (!outcome.accepted)
			print_error("%s: %s\n", good[i].head, outcome.fault.detail);
		assert_true(outcome.accepted);
		assert_string_equal(outcome.text, good[i].text);
		for (size_t length = 0; length < head.length; length++) {
			outcome = parse(slice_first(head, length), good[i].method);
			assert_false(outcome.accepted);
			assert_int_equal(outcome.fault.kind, FAULT_RESPONSE_BAD);
		}
	}
}

#define NO_VERSION "the version is not HTTP/1.0 or HTTP/1.1"
#define NO_STATUS "the version is not followed by a space and three digits"
#define STATUS(line) line "\r\nContent-Length: 0\r\n\r\n"

static const struct {
	const char *detail;
	struct slice head;
} bad[] = {
	{NO_VERSION, BYTES(STATUS("HTTP/1 200 OK"))},
	{NO_VERSION, BYTES(STATUS("http/1.1 200 OK"))},
	{NO_VERSION, BYTES(STATUS("ICY 200 OK"))},
	{NO_VERSION, BYTES(STATUS(" HTTP/1.1 200 OK"))},
	{NO_VERSION, BYTES("\r\n")},
	{NO_VERSION, BYTES("<html>\r\n\r\n")},
	{"the major version is not 1", BYTES(STATUS("HTTP/2.0 200 OK"))},
	{"the major version is not 1", BYTES(STATUS("HTTP/0.9 200 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 "))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 20"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 20x OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1  200 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1\t200 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1200 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.10 200 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 -20 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 +20 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 /00 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 :00 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 2/0 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 2:0 OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 20/ OK"))},
	{NO_STATUS, BYTES(STATUS("HTTP/1.1 20: OK"))},
	{"the status is not three digits", BYTES(STATUS("HTTP/1.1 2000 OK"))},
	{"the status is not three digits", BYTES(STATUS("HTTP/1.1 200OK"))},
	{"the status is not three digits", BYTES(STATUS("HTTP/1.1 200\tOK"))},
	{"the status is not one of 100 to 599", BYTES(STATUS("HTTP/1.1 099 x"))},
	{"the status is not one of 100 to 599", BYTES(STATUS("HTTP/1.1 000 x"))},
	{"the status is not one of 100 to 599", BYTES(STATUS("HTTP/1.1 600 x"))},
	{"the status is not one of 100 to 599", BYTES(STATUS("HTTP/1.1 999 x"))},
	{"a bare LF ends a line", BYTES("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n")},
	{"a bare LF ends a line", BYTES("HTTP/1.1 200\nContent-Length: 0\r\n\r\n")},
	{"a bare CR in a line", BYTES("HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n")},
	{"a bare CR in a line", BYTES("HTTP/1.1 200\rContent-Length: 0\r\n\r\n")},
	{"NUL in a line", BYTES("HTTP/1.1 200 O\0K\r\n\r\n")},
	{"a control character in the reason phrase", BYTES("HTTP/1.1 200 O\x01K\r\n\r\n")},
	{"a control character in the reason phrase", BYTES("HTTP/1.1 200 O\x7fK\r\n\r\n")},
	{"a line is folded (obs-fold)", BYTES(OK("X: y\r\n z\r\n"))},
	{"a blank in a field name or before its colon", BYTES(OK("X : y\r\n"))},
	{"a field line without a colon", BYTES(OK("X\r\n"))},
	{"a bare LF ends a line", BYTES(OK("X: y\nZ: z\r\n"))},
	{"a bare CR in a line", BYTES(OK("X: y\rZ: z\r\n"))},
	{"NUL in a line", BYTES(OK("X: \0\r\n"))},
	{"bytes after the empty line", BYTES(OK(LENGTH) "x")},
	{"Content-Length and Transfer-Encoding together", BYTES(OK(LENGTH CHUNKED))},
	{"Content-Length and Transfer-Encoding together", BYTES(OK(CHUNKED LENGTH))},
	{"several Content-Length fields", BYTES(OK(LENGTH LENGTH))},
	{"several Content-Length fields", BYTES(OK(LENGTH "Content-Length: 6\r\n"))},
	{"Content-Length is not a number of 1 to 19 digits", BYTES(OK("Content-Length: 5, 5\r\n"))},
	{"Content-Length is not a number of 1 to 19 digits", BYTES(OK("Content-Length: x\r\n"))},
	{"Content-Length is not a number of 1 to 19 digits", BYTES(OK("Content-Length:\r\n"))},
	{"Content-Length is not a number of 1 to 19 digits", BYTES(OK("Content-Length: -1\r\n"))},
	{"Content-Length is above 2^63-1", BYTES(OK("Content-Length: 9999999999999999999\r\n"))},
	{"several Transfer-Encoding fields", BYTES(OK(CHUNKED CHUNKED))},
	{"a transfer coding other than chunked alone", BYTES(OK("Transfer-Encoding: gzip, chunked\r\n"))},
	{"a transfer coding other than chunked alone", BYTES(OK("Transfer-Encoding: identity\r\n"))},
	{"a transfer coding other than chunked alone", BYTES(OK("Transfer-Encoding: gzip\r\n"))},
	{"Transfer-Encoding in HTTP/1.0", BYTES("HTTP/1.0 200 OK\r\n" CHUNKED "\r\n")},
	{"an interim response with content", BYTES("HTTP/1.1 100 x\r\n" LENGTH "\r\n")},
	{"an interim response with content", BYTES("HTTP/1.1 199 x\r\nContent-Length: 1\r\n\r\n")},
	{"an interim response with content", BYTES("HTTP/1.1 103 x\r\n" CHUNKED "\r\n")},
	{"an interim response with content", BYTES("HTTP/1.1 101 x\r\n" LENGTH "\r\n")},
};

static void test_bad_responses(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct outcome outcome = parse(bad[i].head, METHOD_GET);
		if (outcome.accepted || strcmp(outcome.fault.detail, bad[i].detail) != 0)
			print_error("row %zu: %.*s\n%s\n", i, SLICE_ARGUMENTS(bad[i].head),
				    outcome.accepted ? outcome.text : outcome.fault.detail);
		assert_false(outcome.accepted);
		assert_string_equal(outcome.fault.detail, bad[i].detail);
		assert_string_equal(outcome.fault.step, "read response header");
		assert_int_equal(outcome.fault.kind, FAULT_RESPONSE_BAD);
	}
}

// Framing that is malformed is refused though the response has no content: somebody else
// may not know that.
static void test_bad_framing_without_content(void **state)
{
	static const char *const heads[] = {
		OK(LENGTH CHUNKED),
		OK(LENGTH LENGTH),
		OK("Content-Length: x\r\n"),
		"HTTP/1.1 304 x\r\n" LENGTH CHUNKED "\r\n",
		"HTTP/1.1 204 x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 204 x\r\n" CHUNKED "\r\n",
	};
	for (size_t i = 0; i < COUNT(heads); i++)
		assert_false(parse(slice_from_string(heads[i]), METHOD_HEAD).accepted);
}

static void test_too_many_fields(void **state)
{
	struct outcome outcome =
		parse(SLICE(OK("A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n")), METHOD_GET);
	assert_false(outcome.accepted);
	assert_int_equal(outcome.fault.kind, FAULT_RESPONSE_HEADER_TOO_LARGE);
	assert_string_equal(outcome.fault.setting, "limits.fields");
}

static void test_without_memory(void **state)
{
	struct arena arena;
	struct response response;
	struct fault fault;
	arena_init(&arena, 1);
	assert_false(h1_parse_response(SLICE(OK(LENGTH)), METHOD_GET, &limits, &arena, &response, &fault));
	assert_int_equal(fault.kind, FAULT_OUT_OF_MEMORY);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_responses),
		cmocka_unit_test(test_bad_responses),
		cmocka_unit_test(test_bad_framing_without_content),
		cmocka_unit_test(test_too_many_fields),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
