#include "http/body.h"
#include "http/message.h"
#include "http/syntax.h"
#include "support.h"

static void test_methods(void **state)
{
	static const struct {
		const char *name;
		enum method method;
		bool safe, idempotent;
	} rows[] = {
		{"GET", METHOD_GET, true, true},	   {"HEAD", METHOD_HEAD, true, true},
		{"POST", METHOD_POST, false, false},	   {"PUT", METHOD_PUT, false, true},
		{"DELETE", METHOD_DELETE, false, true},	   {"OPTIONS", METHOD_OPTIONS, true, true},
		{"PATCH", METHOD_PATCH, false, false},	   {"TRACE", METHOD_TRACE, true, true},
		{"CONNECT", METHOD_CONNECT, false, false}, {"get", METHOD_OTHER, false, false},
		{"Get", METHOD_OTHER, false, false},	   {"GETS", METHOD_OTHER, false, false},
		{"", METHOD_OTHER, false, false},	   {"PROPFIND", METHOD_OTHER, false, false},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum method method = method_of(slice_from_string(rows[i].name));
		assert_int_equal(method, rows[i].method);
		assert_int_equal(method_is_safe(method), rows[i].safe);
		assert_int_equal(method_is_idempotent(method), rows[i].idempotent);
	}
}

static void test_reasons(void **state)
{
	assert_slice(status_reason(100), "Continue");
	assert_slice(status_reason(200), "OK");
	assert_slice(status_reason(404), "Not Found");
	assert_slice(status_reason(413), "Content Too Large");
	assert_slice(status_reason(511), "Network Authentication Required");
	assert_slice(status_reason(0), "");
	assert_slice(status_reason(299), "");
	assert_slice(status_reason(512), "");
	assert_slice(status_reason(UINT32_MAX), "");
}

static void test_no_content(void **state)
{
	for (unsigned status = 100; status < 600; status++) {
		bool never = status < 200 || status == 204 || status == 304;
		assert_int_equal(response_has_no_content(METHOD_GET, status), never);
		assert_int_equal(response_has_no_content(METHOD_OTHER, status), never);
		assert_true(response_has_no_content(METHOD_HEAD, status));
		assert_int_equal(response_has_no_content(METHOD_CONNECT, status), never || status / 100 == 2);
	}
}

// Each class against its grammar, written another way than the table's.
static void test_syntax_table(void **state)
{
	static const char alphanumeric[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const struct {
		enum syntax syntax;
		const char *others;
	} rows[] = {
		{SYNTAX_TOKEN, "!#$%&'*+-.^_`|~"},
		{SYNTAX_UNRESERVED, "-._~"},
		{SYNTAX_SCHEME, "+-."},
		{SYNTAX_PATH, "-._~!$&'()*+,;=:@/[]|"},
		{SYNTAX_QUERY, "-._~!$&'()*+,;=:@/?[]|\\^`{}"},
	};
	for (unsigned byte = 0; byte < 256; byte++) {
		char c = (char)byte;
		for (size_t i = 0; i < COUNT(rows); i++) {
			bool in = byte != 0 && (strchr(alphanumeric, c) != NULL || strchr(rows[i].others, c) != NULL);
			assert_int_equal(syntax_is(c, rows[i].syntax), in);
		}
		bool value = byte == 9 || byte == 32 || (byte > 32 && byte < 127) || byte > 127;
		assert_int_equal(syntax_is(c, SYNTAX_VALUE), value);
		assert_int_equal(syntax_is(c, SYNTAX_QUOTED), value && c != '"' && c != '\\');
		assert_int_equal(syntax_is(c, SYNTAX_HEX), byte != 0 && strchr("0123456789abcdefABCDEF", c) != NULL);
	}
	assert_false(syntax_all(SLICE(""), SYNTAX_TOKEN));
	assert_true(syntax_all(SLICE("a-b"), SYNTAX_TOKEN));
	assert_false(syntax_all(SLICE("a b"), SYNTAX_TOKEN));
}

static const char *skip_word(const char *at, const char *end)
{
	while (at < end && (uint8_t)*at > ' ' && *at != 0x7f)
		at++;
	return at;
}

// The 16-byte scans find what byte-wise ones find, wherever it is.
static void test_skip_value(void **state)
{
	for (size_t length = 0; length < 70; length++) {
		char bytes[70];
		memset(bytes, 'v', sizeof(bytes));
		char *copy = test_alone(slice_from(bytes, length));
		assert_ptr_equal(syntax_skip_value(copy, copy + length), copy + length);
		for (size_t at = 0; at < length; at++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				copy[at] = (char)byte;
				assert_ptr_equal(syntax_skip_value(copy, copy + length),
						 syntax_skip(copy, copy + length, SYNTAX_VALUE));
				assert_ptr_equal(syntax_skip_word(copy, copy + length), skip_word(copy, copy + length));
			}
			copy[at] = at % 2 == 0 ? '\t' : 'v';
		}
		free(copy);
	}
}

static void test_body_bytes(void **state)
{
	struct body_bytes body;
	struct slice bytes;
	body_bytes_init(&body, SLICE("content"));
	assert_int_equal(body.body.length, 7);
	assert_int_equal(body_look(&body.body), BODY_READY);
	assert_int_equal(body_read(&body.body, &bytes), 0);
	assert_slice(bytes, "content");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(body_look(&body.body), BODY_ENDED);
		assert_int_equal(body_read(&body.body, &bytes), 0);
		assert_int_equal(bytes.length, 0);
	}
	assert_int_equal(body.body.trailers.count, 0);
	body_bytes_init(&body, SLICE("c"));
	assert_int_equal(body_look(&body.body), BODY_READY);
	body_bytes_init(&body, SLICE(""));
	assert_int_equal(body_look(&body.body), BODY_ENDED);
	assert_int_equal(body.body.fault.kind, FAULT_NONE);
}

static void test_body_empty(void **state)
{
	struct body *body = body_empty();
	struct slice bytes = SLICE("x");
	assert_ptr_equal(body, body_empty());
	assert_int_equal(body->length, 0);
	assert_int_equal(body_look(body), BODY_ENDED);
	assert_int_equal(body_read(body, &bytes), 0);
	assert_int_equal(bytes.length, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),	   cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_no_content), cmocka_unit_test(test_syntax_table),
		cmocka_unit_test(test_skip_value), cmocka_unit_test(test_body_bytes),
		cmocka_unit_test(test_body_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
