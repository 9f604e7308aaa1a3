// The memory of HTTP/2 sessions: pieces of all sizes, kept and given back.
#include "fail_alloc.h"
#include "http/h2_memory.h"
#include "support.h"

enum { PIECES = 200 };

static size_t size_of(unsigned i)
{
	static const size_t sizes[] = {0, 1, 47, 48, 49, 100, 1000, 4096, 16 * 1024 + 9, 32 * 1024 - 16, 40 * 1024};
	return sizes[i % COUNT(sizes)];
}

static void take_all(nghttp2_mem *memory, unsigned char **pieces)
{
	for (unsigned i = 0; i < PIECES; i++) {
		pieces[i] = memory->malloc(size_of(i), NULL);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)i, size_of(i));
	}
}

static void give_all(nghttp2_mem *memory, unsigned char **pieces)
{
	for (unsigned i = 0; i < PIECES; i++) {
		for (size_t at = 0; at < size_of(i); at++)
			assert_int_equal(pieces[i][at], (unsigned char)i);
		memory->free(pieces[i], NULL);
	}
}

// No piece touches another, and what was given back is handed out again.
static void test_pieces(void **state)
{
	static unsigned char *pieces[PIECES];
	nghttp2_mem *memory = h2_memory();
	for (unsigned round = 0; round < 3; round++) {
		take_all(memory, pieces);
		give_all(memory, pieces);
	}
	memory->free(NULL, NULL);
	h2_memory_trim();
}

static void test_growth(void **state)
{
	nghttp2_mem *memory = h2_memory();
	unsigned char *piece = memory->realloc(NULL, 10, NULL);
	assert_non_null(piece);
	size_t filled = 0;
	for (size_t size = 20; size < 200 * 1024; size = size * 3 / 2) {
		piece = memory->realloc(piece, size, NULL);
		assert_non_null(piece);
		for (size_t at = 0; at < filled; at++)
			assert_int_equal(piece[at], at % 251);
		for (size_t at = 0; at < size; at++)
			piece[at] = (unsigned char)(at % 251);
		filled = size;
	}
	piece = memory->realloc(piece, 5, NULL);
	assert_non_null(piece);
	assert_int_equal(piece[4], 4);
	memory->free(piece, NULL);
	h2_memory_trim();
}

static void test_zeroed(void **state)
{
	nghttp2_mem *memory = h2_memory();
	unsigned char *piece = memory->malloc(500, NULL);
	assert_non_null(piece);
	memset(piece, 0xff, 500);
	memory->free(piece, NULL);
	piece = memory->calloc(5, 100, NULL);
	assert_non_null(piece);
	for (size_t at = 0; at < 500; at++)
		assert_int_equal(piece[at], 0);
	memory->free(piece, NULL);
	assert_null(memory->calloc(SIZE_MAX / 2, 3, NULL));
	assert_null(memory->malloc(SIZE_MAX, NULL));
	h2_memory_trim();
}

// Sessions are given what was set aside, and it is told.
static void test_no_memory(void **state)
{
	enum { SET_ASIDE = 20 };
	nghttp2_mem *memory = h2_memory();
	char *pieces[SET_ASIDE];
	assert_false(h2_memory_was_short());
	for (unsigned i = 0; i < SET_ASIDE; i++) {
		fail_alloc_after(0);
		pieces[i] = i % 2 ? memory->malloc(10, NULL) : memory->calloc(1, 10, NULL);
		assert_true(fail_alloc_stop());
		assert_non_null(pieces[i]);
		memcpy(pieces[i], "unchanged", 10);
	}
	fail_alloc_after(0);
	pieces[0] = memory->realloc(pieces[0], 30 * 1024, NULL);
	assert_true(fail_alloc_stop());
	assert_non_null(pieces[0]);
	assert_string_equal(pieces[0], "unchanged");
	// What is larger than a frame is refused.
	fail_alloc_after(0);
	assert_null(memory->realloc(pieces[0], 64 * 1024, NULL));
	assert_true(fail_alloc_stop());
	assert_true(h2_memory_was_short());
	assert_false(h2_memory_was_short());
	for (unsigned i = 0; i < SET_ASIDE; i++) {
		assert_string_equal(pieces[i], "unchanged");
		memory->free(pieces[i], NULL);
	}
	h2_memory_trim();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
