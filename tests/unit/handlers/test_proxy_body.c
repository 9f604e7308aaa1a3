// A request's body that is kept while it is sent.
#include "base/arena.h"
#include "fail_alloc.h"
#include "handlers/proxy_body.h"
#include "support.h"

// Hands out its bytes in pieces.
struct pieces {
	struct body body;
	const char *const *next; // ends with NULL
	bool fails;
};

static int pieces_read(struct body *body, struct slice *ret_bytes)
{
	struct pieces *pieces = (struct pieces *)body;
	if (!*pieces->next && pieces->fails) {
		fault_set(&body->fault, FAULT_CLIENT_GONE, "read request body", NULL);
		return -1;
	}
	*ret_bytes = *pieces->next ? slice_from_string(*pieces->next++) : SLICE_EMPTY;
	return 0;
}

static enum body_look pieces_look(struct body *body)
{
	const struct pieces *pieces = (struct pieces *)body;
	return *pieces->next ? BODY_READY : pieces->fails ? BODY_WAITS : BODY_ENDED;
}

static const struct body_operations pieces_operations = {.read = pieces_read, .look = pieces_look};

static struct arena arena;
static struct pieces inner;
static struct kept_body kept;

static void begin(const char *const *pieces, int64_t length, size_t limit)
{
	arena_init(&arena, 1024 * 1024);
	inner = (struct pieces){{.operations = &pieces_operations, .length = length}, pieces, false};
	kept_body_init(&kept, &inner.body, limit, &arena);
	assert_int_equal(kept.body.length, length);
}

// What is read up to the end, or so many pieces.
static void expect(const char *expected, unsigned pieces)
{
	char text[256];
	size_t length = 0;
	struct slice bytes = SLICE("more");
	for (unsigned i = 0; i < pieces && bytes.length > 0; i++) {
		enum body_look look = body_look(&kept.body);
		assert_int_equal(body_read(&kept.body, &bytes), 0);
		assert_int_equal(look, bytes.length > 0 ? BODY_READY : BODY_ENDED);
		assert_true(length + bytes.length < sizeof text);
		if (bytes.length > 0)
			memcpy(text + length, bytes.data, bytes.length);
		length += bytes.length;
	}
	text[length] = '\0';
	assert_string_equal(text, expected);
}

static void test_sent_again(void **state)
{
	static const char *const pieces[] = {"one ", "two ", "three", NULL};
	begin(pieces, -1, 100);
	assert_true(kept_body_is_whole(&kept));
	expect("one two ", 2); // a server fails here
	assert_true(kept_body_is_whole(&kept));
	kept_body_rewind(&kept);
	expect("one two three", 9);
	kept_body_rewind(&kept);
	expect("one two three", 9);
	kept_body_rewind(&kept);
	expect("one two three", 1);
	arena_fini(&arena);
}

static void test_more_than_is_kept(void **state)
{
	static const char *const pieces[] = {"12345", "67890", "abc", NULL};
	begin(pieces, -1, 10);
	expect("1234567890", 2);
	assert_true(kept_body_is_whole(&kept));
	expect("abc", 1);
	assert_false(kept_body_is_whole(&kept));
	expect("", 1);
	arena_fini(&arena);

	// Its length tells: nothing is kept, but before it was touched it is whole.
	begin(pieces, 13, 12);
	assert_true(kept_body_is_whole(&kept));
	expect("12345", 1);
	assert_false(kept_body_is_whole(&kept));
	assert_int_equal(arena.taken_bytes, 0);
	arena_fini(&arena);

	begin(pieces, 13, 0);
	assert_true(kept_body_is_whole(&kept));
	expect("12345", 1);
	assert_false(kept_body_is_whole(&kept));
	arena_fini(&arena);
}

static void test_trailers_and_faults(void **state)
{
	static const char *const pieces[] = {"1", NULL};
	begin(pieces, -1, 10);
	assert_true(fields_add_name(&inner.body.trailers, &arena, SLICE("X-Sum"), SLICE("7")));
	expect("1", 9);
	assert_int_equal(kept.body.trailers.count, 1);
	arena_fini(&arena);

	begin(pieces, -1, 10);
	inner.fails = true;
	struct slice bytes;
	assert_int_equal(body_read(&kept.body, &bytes), 0);
	assert_int_equal(body_read(&kept.body, &bytes), -1);
	assert_int_equal(kept.body.fault.kind, FAULT_CLIENT_GONE);
	arena_fini(&arena);
}

static void test_without_memory(void **state)
{
	static const char *const pieces[] = {"12345", "67890", NULL};
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		begin(pieces, -1, 100);
		expect("1234567890", 9);
		bool struck = fail_alloc_stop();
		assert_true(struck ? !kept_body_is_whole(&kept) : kept_body_is_whole(&kept));
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent_again),
		cmocka_unit_test(test_more_than_is_kept),
		cmocka_unit_test(test_trailers_and_faults),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
