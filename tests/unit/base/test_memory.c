#include "base/arena.h"
#include "base/block.h"
#include "base/sanitizer.h"
#include "cmocka_all.h"
#include "fail_alloc.h"

#include <stdlib.h>

static void newest_block_comes_back_first(void **state)
{
	void *one = block_take(), *two = block_take();
	assert_non_null(one);
	assert_non_null(two);
	assert_int_equal((uintptr_t)one % _Alignof(max_align_t), 0);
	memset(one, 1, BLOCK_SIZE);
	memset(two, 2, BLOCK_SIZE);
	block_give(one);
	block_give(two);
	block_give(NULL);
#if SANITIZE_ADDRESS
	assert_true(__asan_address_is_poisoned((char *)one + 100));
#endif
	unsigned long before = fail_alloc_count();
	assert_ptr_equal(block_take(), two);
	assert_ptr_equal(block_take(), one);
	assert_int_equal(fail_alloc_count(), before);
	memset(one, 3, BLOCK_SIZE);
	block_give(one);
	block_give(two);
	block_trim();
}

static void keeps_no_more_than_allowed(void **state)
{
	enum { MANY = BLOCKS_KEPT + 10 };
	static void *blocks[MANY];
	for (int i = 0; i < MANY; i++)
		assert_non_null(blocks[i] = block_take());
	for (int i = 0; i < MANY; i++)
		block_give(blocks[i]);
	unsigned long before = fail_alloc_count();
	for (int i = 0; i < MANY; i++)
		assert_non_null(blocks[i] = block_take());
	assert_int_equal(fail_alloc_count() - before, MANY - BLOCKS_KEPT);
	for (int i = 0; i < MANY; i++)
		block_give(blocks[i]);
	block_trim();
	before = fail_alloc_count();
	blocks[0] = block_take();
	assert_int_equal(fail_alloc_count() - before, 1);
	free(blocks[0]);
}

static void arena_gives_aligned_memory(void **state)
{
	struct arena arena;
	arena_init(&arena, SIZE_MAX);
	char *pieces[200];
	for (size_t size = 0; size < 200; size++) {
		char *piece = pieces[size] = arena_alloc(&arena, size * 40);
		assert_non_null(piece);
		assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
		memset(piece, (int)size, size * 40);
	}
	// Nothing overlaps.
	for (size_t size = 0; size < 200; size++) {
		for (size_t i = 0; i < size * 40; i++)
			assert_int_equal((unsigned char)pieces[size][i], size);
	}
	assert_true(arena.taken_bytes >= 199 * 200 / 2 * 40);
	char *zeros = arena_zalloc(&arena, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(zeros[i], 0);
	arena_fini(&arena);
	assert_int_equal(arena.taken_bytes, 0);
	assert_non_null(arena_alloc(&arena, 1));
	arena_fini(&arena);
	block_trim();
}

static void arena_needs_no_malloc_once_warm(void **state)
{
	struct arena arena;
	arena_init(&arena, 1 << 20);
	unsigned long before = 0;
	for (int round = 0; round < 3; round++) {
		if (round == 1)
			before = fail_alloc_count();
		for (int i = 0; i < 100; i++)
			assert_non_null(arena_alloc(&arena, 1000));
		arena_fini(&arena);
	}
	if (!SANITIZE_ADDRESS)
		assert_int_equal(fail_alloc_count(), before);
	block_trim();
}

static void arena_keeps_its_limit(void **state)
{
	struct arena arena;
	arena_init(&arena, 1000);
	assert_null(arena_alloc(&arena, 1001));
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_non_null(arena_alloc(&arena, 999));
	assert_null(arena_alloc(&arena, 2));
	assert_null(arena_copy(&arena, SLICE("abc")).data);
	assert_null(arena_printf(&arena, "%d", 1000).data);
	arena_fini(&arena);
	assert_non_null(arena_alloc(&arena, 1000));
	arena_fini(&arena);
	arena_init(&arena, SIZE_MAX);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX - 20));
	assert_null(arena_copy(&arena, slice_from("", SIZE_MAX)).data);
	arena_fini(&arena);
	block_trim();
}

static void copies_and_prints(void **state)
{
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct slice copy = arena_copy(&arena, slice_from("ab\0c", 4));
	assert_int_equal(copy.length, 4);
	assert_memory_equal(copy.data, "ab\0c", 5);
	copy = arena_copy(&arena, SLICE_EMPTY);
	assert_non_null(copy.data);
	assert_int_equal(copy.length, 0);
	struct slice printed = arena_printf(&arena, "%d-%s", 5, "x");
	assert_true(slice_equal(printed, SLICE("5-x")));
	for (int width = 500; width < 20000; width += 487) {
		printed = arena_printf(&arena, "%*d", width, 7);
		assert_int_equal(printed.length, width);
		assert_int_equal(printed.data[width - 1], '7');
		assert_int_equal(printed.data[width], '\0');
	}
	arena_fini(&arena);
	block_trim();
}

static void survives_failing_allocations(void **state)
{
	unsigned failures = 0;
	for (unsigned round = 0; fail_alloc_round(round); round++) {
		struct arena arena;
		arena_init(&arena, 1 << 20);
		for (size_t size = 1; size < 20000; size *= 3) {
			char *memory = arena_alloc(&arena, size);
			if (memory != NULL)
				memset(memory, 1, size);
			else
				failures++;
		}
		failures += arena_copy(&arena, SLICE("abc")).data == NULL;
		failures += arena_printf(&arena, "%1000d", 1).data == NULL;
		failures += arena_zalloc(&arena, 10) == NULL;
		arena_fini(&arena);
		block_trim();
	}
	assert_true(failures >= 3); // a block, and two that are too large for one
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newest_block_comes_back_first), cmocka_unit_test(keeps_no_more_than_allowed),
		cmocka_unit_test(arena_gives_aligned_memory),	 cmocka_unit_test(arena_needs_no_malloc_once_warm),
		cmocka_unit_test(arena_keeps_its_limit),	 cmocka_unit_test(copies_and_prints),
		cmocka_unit_test(survives_failing_allocations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
