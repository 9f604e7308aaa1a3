#include "http/h1.h"
#include "support.h"

#include <stdio.h>

static char buffer[4096];

static struct text text_of(size_t capacity)
{
	struct text text;
	text_init(&text, buffer, capacity);
	return text;
}

static void test_request_line(void **state)
{
	static const struct {
		struct slice target;
		const char *line;
	} rows[] = {
		{BYTES("/a?b=c"), "GET /a?b=c HTTP/1.1\r\n"},
		{BYTES("*"), "GET * HTTP/1.1\r\n"},
		{BYTES("/a b"), "GET /a%20b HTTP/1.1\r\n"},
		{BYTES("/a HTTP/1.1\r\nX: y\r\n\r\n"), "GET /a%20HTTP/1.1%0D%0AX:%20y%0D%0A%0D%0A HTTP/1.1\r\n"},
		{BYTES("/\0\x7f\x80\xff\t"), "GET /%00%7F%80%FF%09 HTTP/1.1\r\n"},
		{BYTES(" "), "GET %20 HTTP/1.1\r\n"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct text text = text_of(sizeof(buffer));
		h1_write_request_line(&text, SLICE("GET"), rows[i].target);
		assert_false(text.overflow);
		assert_slice(text_slice(&text), rows[i].line);
	}
}

static void test_status_line(void **state)
{
	static const struct {
		unsigned status;
		struct slice reason;
		const char *line;
	} rows[] = {
		{200, BYTES("OK"), "HTTP/1.1 200 OK\r\n"},
		{100, BYTES(""), "HTTP/1.1 100 \r\n"},
		{599, BYTES("a b"), "HTTP/1.1 599 a b\r\n"},
		{404, BYTES("a\r\nb\0\x7f\t\xc3"), "HTTP/1.1 404 a  b  \t\xc3\r\n"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct text text = text_of(sizeof(buffer));
		h1_write_status_line(&text, rows[i].status, rows[i].reason);
		assert_slice(text_slice(&text), rows[i].line);
	}
}

static void test_field(void **state)
{
	static const struct {
		struct slice value;
		const char *line;
	} rows[] = {
		{BYTES("v"), "X: v\r\n"},
		{BYTES(""), "X: \r\n"},
		{{NULL, 0}, "X: \r\n"},
		{BYTES("a\tb\xc3\xa4"), "X: a\tb\xc3\xa4\r\n"},
		{BYTES("v\r\nSet-Cookie: w"), "X: v  Set-Cookie: w\r\n"},
		{BYTES("0123456789abcdef\n0123456789abcdef\r"), "X: 0123456789abcdef 0123456789abcdef \r\n"},
		{BYTES("\0\x01\x1f\x7f"), "X:     \r\n"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct text text = text_of(sizeof(buffer));
		h1_write_field(&text, SLICE("X"), rows[i].value);
		assert_slice(text_slice(&text), rows[i].line);
	}
}

// What does not fit is left out whole, and that is told.
static void test_overflow(void **state)
{
	for (size_t capacity = 0; capacity < 40; capacity++) {
		struct text text = text_of(capacity);
		h1_write_field(&text, SLICE("Name"), SLICE("value"));
		assert_int_equal(text.overflow, capacity < 13);
		assert_int_equal(text.length, capacity < 13 ? 0 : 13);
		text = text_of(capacity);
		h1_write_status_line(&text, 200, SLICE("OK"));
		assert_int_equal(text.overflow, capacity < 17);
		text = text_of(capacity);
		h1_write_request_line(&text, SLICE("GET"), SLICE("/ /"));
		assert_int_equal(text.overflow, capacity < 20);
	}
}

static void test_fields(void **state)
{
	struct arena arena;
	struct fields fields = {0};
	arena_init(&arena, TEST_ARENA_BYTES);
	assert_int_equal(h1_fields_bound(&fields), 2);
	assert_true(fields_add_name(&fields, &arena, SLICE("x-a"), SLICE("1")));
	assert_true(fields_add(&fields, &arena, FIELD_CONTENT_LENGTH, SLICE("5")));
	assert_true(fields_add_name(&fields, &arena, SLICE("TRANSFER-encoding"), SLICE("chunked")));
	assert_true(fields_add(&fields, &arena, FIELD_CONNECTION, SLICE("close")));
	assert_true(fields_add(&fields, &arena, FIELD_HOST, SLICE("b")));
	struct text text = text_of(h1_fields_bound(&fields));
	h1_write_fields(&text, &fields);
	assert_false(text.overflow);
	assert_slice(text_slice(&text), "x-a: 1\r\nHost: b\r\n");
	arena_fini(&arena);
}

// The bound holds whatever is in the fields.
static void test_fields_bound(void **state)
{
	struct arena arena;
	struct fields fields = {0};
	arena_init(&arena, TEST_ARENA_BYTES);
	for (unsigned i = 0; i < 30; i++) {
		assert_true(fields_add_name(&fields, &arena, SLICE("x-a"), SLICE("\r\n\0\r\n")));
		struct text text = text_of(h1_fields_bound(&fields));
		h1_write_fields(&text, &fields);
		text_add(&text, SLICE("\r\n"));
		assert_false(text.overflow);
		assert_int_equal(text.length, text.capacity);
	}
	arena_fini(&arena);
}

static void test_chunk_line(void **state)
{
	char line[H1_CHUNK_LINE_MAX], expected[32];
	uint64_t sizes[2 + 64 * 3] = {0, 1}, count = 2;
	for (unsigned bit = 0; bit < 64; bit++) {
		sizes[count++] = ((uint64_t)1 << bit) - 1;
		sizes[count++] = (uint64_t)1 << bit;
		sizes[count++] = ((uint64_t)1 << bit) + 1;
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(expected, sizeof(expected), "%llx\r\n", (unsigned long long)sizes[i]);
		assert_slice(slice_from(line, h1_chunk_line(line, sizes[i])), expected);
	}
	assert_int_equal(h1_chunk_line(line, UINT64_MAX), H1_CHUNK_LINE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_line), cmocka_unit_test(test_status_line),
		cmocka_unit_test(test_field),	     cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_fields),	     cmocka_unit_test(test_fields_bound),
		cmocka_unit_test(test_chunk_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
