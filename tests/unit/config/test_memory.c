// Every allocation fails once: the load ends, says so, and leaves nothing behind.
#include "base/block.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The allocation that fails, counted from 1; 0: none. The linker sends those of usher's own
// code here, those of libraries not.
static size_t failing, count;
static bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t items, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t items, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool fails(void)
{
	if (failing == 0 || ++count != failing)
		return false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t items, size_t size)
{
	return fails() ? NULL : __real_calloc(items, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

static const struct test_file right[] = {
	{"a.yaml",
	 "include: [b*.yaml, c.yaml]\nx-a: &a {text: t}\nsection: {<<: *a}\noptional: short\n"
	 "list: [a, {include: d.yaml}, *a]\nnamed: {x: {text: 1}, y: {text: 2}}\ntext: ${NAME:-x}y\n"
	 "secret: s\ntexts: [a, b]\npairs: {a: b, c: [d, e]}\nfile: d.yaml\nextra_text: x\nextra_section: *a\n"},
	{"b1.yaml", "list: [b]\nnamed: {z: {text: 3}}"},
	{"c.yaml", "integer: 5\n"},
	{"d.yaml", "- d\n- e\n"},
	{0},
};

static const struct test_file wrong[] = {
	{"a.yaml", "integre: 1\ninteger: x\nsecret: []\ninclude: [x, y*]\nlist: [~]\ntext: ${\ntexts: ${NONE}\n"
		   "named: {x: {}}\nfile: none\nchoice: lareg\n"},
	{0},
};

// True when no allocation was left to fail.
static bool load_failing(const struct test_file *files, size_t nth, bool is_right)
{
	struct test_source source = test_source(files, NULL);
	char messages[10000] = "";
	FILE *to = fmemopen(messages, sizeof messages, "w");
	assert_non_null(to);
	void *root;
	struct config *config = NULL;
	count = 0;
	failed = false;
	failing = nth;
	bool ok = false;
	struct config_load *load =
		config_load_begin(&source.source, files[0].name, SLICE_EMPTY, &sample_section, &root);
	if (load != NULL) {
		size_t errors = config_error_count(load);
		ok = config_load_end(load, to, false, &config);
		assert_true(ok == (errors == 0));
	}
	failing = 0;
	fclose(to);
	if (failed && load != NULL && is_right) {
		assert_false(ok);
		assert_non_null(strstr(messages, "memory is out\n"));
	} else if (load != NULL) {
		assert_int_equal(ok, is_right);
	}
	config_free(config);
	block_trim();
	return !failed;
}

static void test_each_fails(void **state)
{
	for (int i = 0; i < 2; i++) {
		const struct test_file *files = i == 0 ? right : wrong;
		size_t nth = 1;
		while (!load_failing(files, nth, i == 0))
			nth++;
		assert_true(nth > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_fails)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
