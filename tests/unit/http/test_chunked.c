#include "http/h1.h"
#include "support.h"

#include <stdio.h>

struct outcome {
	enum h1_chunked_result result; // the last one
	char data[256];
	size_t length;
	size_t used; // bytes of the input
	const char *detail;
};

// Feeds data in pieces that end at `cut` and then every `step` bytes.
static struct outcome decode(struct slice bytes, size_t cut, size_t step)
{
	struct outcome outcome = {.result = H1_CHUNKED_MORE, .detail = NULL};
	struct h1_chunked chunked;
	h1_chunked_init(&chunked);
	char *copy = test_alone(bytes);
	size_t fed = 0;
	while (fed < bytes.length && outcome.result == H1_CHUNKED_MORE) {
		size_t next = fed < cut ? cut : fed + step;
		next = next < bytes.length ? next : bytes.length;
		struct slice input = slice_from(copy + fed, next - fed), data;
		while ((outcome.result = h1_chunked_read(&chunked, &input, &data, &outcome.detail)) ==
		       H1_CHUNKED_DATA) {
			assert_true(data.length > 0);
			assert_true(data.data >= copy && data.data + data.length <= copy + next);
			memcpy(outcome.data + outcome.length, data.data, data.length);
			outcome.length += data.length;
		}
		if (outcome.result == H1_CHUNKED_MORE)
			assert_int_equal(input.length, 0);
		fed = next - input.length;
	}
	outcome.used = fed;
	if (outcome.result == H1_CHUNKED_BAD || outcome.result == H1_CHUNKED_TRAILERS) {
		struct slice input = SLICE("5\r\n"), data;
		const char *detail;
		assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), outcome.result);
		assert_int_equal(input.length, 3);
	}
	free(copy);
	return outcome;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->length, b->length);
	assert_memory_equal(a->data, b->data, a->length);
	assert_int_equal(a->used, b->used);
	assert_true(a->detail == b->detail);
}

// The whole, which must be the same cut in two anywhere and byte by byte.
static struct outcome decode_all_ways(struct slice bytes)
{
	struct outcome whole = decode(bytes, 0, bytes.length + 1);
	for (size_t cut = 0; cut <= bytes.length; cut++) {
		struct outcome parts = decode(bytes, cut, bytes.length + 1);
		assert_same(&parts, &whole);
	}
	struct outcome single = decode(bytes, 0, 1);
	assert_same(&single, &whole);
	return whole;
}

static void test_good(void **state)
{
	static const struct {
		const char *bytes, *data, *rest;
	} rows[] = {
		{"0\r\n\r\n", "", "\r\n"},
		{"5\r\nhello\r\n0\r\n\r\n", "hello", "\r\n"},
		{"5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n", "hello world", "X: y\r\n\r\n"},
		{"a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n\r\nGET", "0123456789abcdefghij", "\r\nGET"},
		{"2\r\n\r\n\r\n0\r\n", "\r\n", ""},
		{"0000000000000001\r\nx\r\n0000000000000000\r\n", "x", ""},
		{"000\r\n", "", ""},
		{"10\r\n0123456789abcdef\r\n0\r\n", "0123456789abcdef", ""},
		{"1;a\r\nx\r\n0\r\n", "x", ""},
		{"1;a=b\r\nx\r\n0;c\r\n", "x", ""},
		{"1;a=b;c;d=\"e\"\r\nx\r\n0\r\n", "x", ""},
		{"1;a=\"\"\r\nx\r\n0\r\n", "x", ""},
		{"1;a=\"b;c \t\\\" \\\\ \xff\";d\r\nx\r\n0\r\n", "x", ""},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice bytes = slice_from_string(rows[i].bytes);
		struct outcome outcome = decode_all_ways(bytes);
		assert_int_equal(outcome.result, H1_CHUNKED_TRAILERS);
		assert_slice(slice_from(outcome.data, outcome.length), rows[i].data);
		assert_slice(slice_after(bytes, outcome.used), rows[i].rest);
	}
}

// Every beginning of a good body asks for more.
static void test_cut_short(void **state)
{
	struct slice bytes = SLICE("5;a=\"b\\\"\";c\r\nhello\r\nA\r\n0123456789\r\n0;x\r\n");
	for (size_t length = 0; length < bytes.length; length++)
		assert_int_equal(decode(slice_first(bytes, length), 0, 7).result, H1_CHUNKED_MORE);
}

#define NO_SIZE "a chunk size that is not hexadecimal"
#define NO_EXTENSION "a malformed chunk extension"
#define NO_END "a chunk's data is not followed by CRLF"

static void test_bad(void **state)
{
	static const struct {
		const char *detail;
		struct slice bytes;
	} rows[] = {
		{NO_SIZE, BYTES("\r\n")},
		{NO_SIZE, BYTES("\n")},
		{NO_SIZE, BYTES(" 5\r\nhello\r\n")},
		{NO_SIZE, BYTES("5 \r\nhello\r\n")},
		{NO_SIZE, BYTES("5\t\r\nhello\r\n")},
		{NO_SIZE, BYTES("5 ;a\r\nhello\r\n")},
		{NO_SIZE, BYTES("+5\r\nhello\r\n")},
		{NO_SIZE, BYTES("-5\r\nhello\r\n")},
		{NO_SIZE, BYTES("0x5\r\nhello\r\n")},
		{NO_SIZE, BYTES("5_0\r\nhello\r\n")},
		{NO_SIZE, BYTES("g\r\nhello\r\n")},
		{NO_SIZE, BYTES("5,5\r\nhello\r\n")},
		{NO_SIZE, BYTES("5\0\r\nhello\r\n")},
		{NO_SIZE, BYTES(";a\r\nhello\r\n")},
		{"a bare LF ends a chunk size", BYTES("5\nhello\r\n")},
		{"a bare CR in a chunk line", BYTES("5\rhello\r\n")},
		{"a bare CR in a chunk line", BYTES("5\r\rhello\r\n")},
		{"a bare CR in a chunk line", BYTES("0\rX\r\n\r\n")},
		{"a chunk size of more than 16 digits", BYTES("00000000000000005\r\nhello\r\n")},
		{"a chunk size of more than 16 digits", BYTES("10000000000000005\r\nhello\r\n")},
		{"a chunk size above 2^63-1", BYTES("8000000000000000\r\n")},
		{"a chunk size above 2^63-1", BYTES("ffffffffffffffff\r\n")},
		{NO_END, BYTES("5\r\nhelloX\r\n")},
		{NO_END, BYTES("5\r\nhello\n0\r\n")},
		{NO_END, BYTES("5\r\nhello\r0\r\n")},
		{NO_END, BYTES("5\r\nhello\r\r\n")},
		{NO_END, BYTES("5\r\nhello0\r\n")},
		{NO_SIZE, BYTES("5\r\nhello\r\n\r\n0\r\n")},
		{NO_EXTENSION, BYTES("5;\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5; a\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a \r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a =b\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a= b\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a=\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;=b\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a;;b\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a=b=c\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a=\"b\"c\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a=\"b\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a=\"b\nc\"\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a=\"b\\\n\"\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a=\"b\0c\"\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;a\0b\r\nhello\r\n")},
		{NO_EXTENSION, BYTES("5;\xc3\xa4\r\nhello\r\n")},
		{"a bare LF ends a chunk extension", BYTES("5;a\nhello\r\n")},
		{"a bare LF ends a chunk extension", BYTES("5;a=b\nhello\r\n")},
		{"a bare LF ends a chunk extension", BYTES("5;a=\"b\"\nhello\r\n")},
		{"a bare CR in a chunk line", BYTES("5;a\rhello\r\n")},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct outcome outcome = decode_all_ways(rows[i].bytes);
		if (outcome.result != H1_CHUNKED_BAD)
			print_error("row %zu: %.*s", i, SLICE_ARGUMENTS(rows[i].bytes));
		assert_int_equal(outcome.result, H1_CHUNKED_BAD);
		assert_string_equal(outcome.detail, rows[i].detail);
	}
}

// The data of a chunk may be moved by somebody else, and nothing but data may.
static void test_chunk_left(void **state)
{
	struct h1_chunked chunked;
	struct slice input = SLICE("1f"), data;
	const char *detail;
	h1_chunked_init(&chunked);
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_MORE);
	assert_int_equal(chunked.chunk_left, 0);
	input = SLICE("\r\n");
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_MORE);
	assert_int_equal(chunked.chunk_left, 31);
	input = SLICE("0123456789");
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_DATA);
	assert_int_equal(data.length, 10);
	assert_int_equal(chunked.chunk_left, 21);
	chunked.chunk_left -= 20;
	input = SLICE("x\r\n0\r\n");
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_DATA);
	assert_slice(data, "x");
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_TRAILERS);

	h1_chunked_init(&chunked);
	input = SLICE("a\r\n");
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_MORE);
	chunked.chunk_left -= 10;
	input = SLICE("\r\n0\r\n");
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_TRAILERS);
}

static void test_largest_size(void **state)
{
	struct h1_chunked chunked;
	struct slice input = SLICE("7fffffffffffffff\r\nx"), data;
	const char *detail;
	h1_chunked_init(&chunked);
	assert_int_equal(h1_chunked_read(&chunked, &input, &data, &detail), H1_CHUNKED_DATA);
	assert_true(chunked.chunk_left == INT64_MAX - 1);
}

// A line of 256 bytes (without its LF) is let pass, and 16 KiB of extensions in all.
static void test_extension_bounds(void **state)
{
	char line[300];
	for (size_t length = 250; length < 260; length++) {
		memset(line, 'a', sizeof(line));
		memcpy(line, "0;", 2);
		memcpy(line + length - 1, "\r\n", 2);
		enum h1_chunked_result result = decode_all_ways(slice_from(line, length + 1)).result;
		assert_int_equal(result, length <= 256 ? H1_CHUNKED_TRAILERS : H1_CHUNKED_BAD);
	}
	struct h1_chunked chunked;
	h1_chunked_init(&chunked);
	size_t chunks = 0;
	const char *detail;
	for (enum h1_chunked_result result = H1_CHUNKED_MORE; result != H1_CHUNKED_BAD; chunks++) {
		struct slice input = SLICE("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n"), data;
		while ((result = h1_chunked_read(&chunked, &input, &data, &detail)) == H1_CHUNKED_DATA)
			;
		assert_true(chunks < 1000);
	}
	assert_int_equal(chunks, 16 * 1024 / 32 + 1);
	assert_string_equal(detail, "chunk extensions of more than 16 KiB in a body");
}

// --- Trailers

static const struct h1_limits limits = {.fields = 4, .target_bytes = 1};

static void test_trailers(void **state)
{
	struct arena arena;
	struct fields fields;
	struct fault fault;
	arena_init(&arena, TEST_ARENA_BYTES);
	assert_true(h1_parse_trailers(SLICE("\r\n"), &limits, &arena, &fields, &fault));
	assert_int_equal(fields.count, 0);
	assert_true(h1_parse_trailers(SLICE("X: y\r\nETag: \"1\"\r\nProxy-Status: a\r\nGrpc-Status: 0\r\n\r\n"),
				      &limits, &arena, &fields, &fault));
	assert_int_equal(fields.count, 4);
	assert_slice(fields.items[3].value, "0");
	arena_fini(&arena);
}

static void test_trailers_that_must_not_be(void **state)
{
	for (enum field_id id = 1; id < FIELD_COUNT; id++) {
		struct arena arena;
		struct fields fields;
		struct fault fault;
		char section[128];
		if (id == FIELD_ETAG || id == FIELD_PROXY_STATUS)
			continue;
		arena_init(&arena, TEST_ARENA_BYTES);
		int length = snprintf(section, sizeof(section), "A: 1\r\n%.*s: 5\r\nB: 2\r\n\r\n",
				      SLICE_ARGUMENTS(field_name(id)));
		assert_true(h1_parse_trailers(slice_from(section, (size_t)length), &limits, &arena, &fields, &fault));
		assert_int_equal(fields.count, 2);
		assert_slice(fields.items[1].name, "B");
		arena_fini(&arena);
	}
}

static void test_bad_trailers(void **state)
{
	static const char *const sections[] = {
		"",	     "X: y\r\n",	"X : y\r\n\r\n",      " X: y\r\n\r\n",
		"X\r\n\r\n", "X: y\n\r\n\r\n",	"X: y\r\n z\r\n\r\n", "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n",
		"\r\n\r\n",  "X: \x01\r\n\r\n",
	};
	for (size_t i = 0; i < COUNT(sections); i++) {
		struct arena arena;
		struct fields fields;
		struct fault fault;
		arena_init(&arena, TEST_ARENA_BYTES);
		assert_false(h1_parse_trailers(slice_from_string(sections[i]), &limits, &arena, &fields, &fault));
		assert_string_equal(fault.step, "read trailers");
		assert_non_null(fault.detail);
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	     cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_bad),	     cmocka_unit_test(test_chunk_left),
		cmocka_unit_test(test_largest_size), cmocka_unit_test(test_extension_bounds),
		cmocka_unit_test(test_trailers),     cmocka_unit_test(test_trailers_that_must_not_be),
		cmocka_unit_test(test_bad_trailers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
