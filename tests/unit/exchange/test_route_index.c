// Paths to candidate routes: what the index gives is what walking all routes would give.
#include "base/random.h"
#include "exchange/route_index.h"
#include "support.h"

static struct random generator;

static bool fits(const struct route_path *path, struct slice asked)
{
	switch (path->kind) {
	case PATH_ANY:
	case PATH_REGEX:
		return true; // a candidate, always
	case PATH_PREFIX:
		return slice_starts_with(asked, path->text);
	case PATH_EXACT:
		return slice_equal(asked, path->text);
	}
	return false;
}

static struct route_path path_of(const char *text)
{
	struct route_path path = {.kind = PATH_ANY, .text = slice_from_string(text)};
	if (text[0] == '~')
		path.kind = PATH_REGEX;
	else if (path.text.length > 0)
		path.kind = slice_ends_with(path.text, SLICE("/")) ? PATH_PREFIX : PATH_EXACT;
	return path;
}

static void compare(const struct route_index *index, const struct route_path *const *paths, uint32_t count,
		    struct slice asked)
{
	struct route_candidates candidates;
	route_candidates_begin(&candidates, index, asked);
	for (uint32_t i = 0; i < count; i++)
		if (fits(paths[i], asked) && route_candidates_next(&candidates) != i)
			fail_msg("route %u (%.*s) for %.*s", i, SLICE_ARGUMENTS(paths[i]->text),
				 SLICE_ARGUMENTS(asked));
	assert_int_equal(route_candidates_next(&candidates), ROUTE_NONE);
	assert_int_equal(route_candidates_next(&candidates), ROUTE_NONE);
}

static void test_by_hand(void **state)
{
	static const char *const routes[] = {"/a", "/a/",  "/a/b", "~x", "/a/b/", "/",	  "",	   "/a/b/c",
					     "/a", "/ab/", "/a//", "~y", "/a//b", "/b/c", "/b/c/", "/"};
	static const char *const asked[] = {"/",     "/a",	"/a/",	"/a/b",	 "/a/b/", "/a/b/c", "/a/b/c/", "/ab",
					    "/ab/",  "/ab/c",	"/a//", "/a//b", "/a//c", "/b",	    "/b/",     "/b/c",
					    "/b/c/", "/b/c/d/", "/c",	"*",	 "",	  "//",	    "//a",     "/A"};
	struct route_path paths[COUNT(routes)];
	const struct route_path *pointers[COUNT(routes)];
	struct arena arena;
	uint32_t too_deep;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < COUNT(routes); i++) {
		paths[i] = path_of(routes[i]);
		pointers[i] = &paths[i];
	}
	struct route_index *index = route_index_new(pointers, COUNT(routes), &arena, &too_deep);
	assert_non_null(index);
	assert_int_equal(too_deep, ROUTE_NONE);
	for (size_t i = 0; i < COUNT(asked); i++)
		compare(index, pointers, COUNT(routes), slice_from_string(asked[i]));
	arena_fini(&arena);
}

// A path of a few segments over a small alphabet, so that many fit one another.
static struct slice random_path(struct arena *arena, bool of_route)
{
	unsigned kind = (unsigned)random_below(&generator, 12);
	if (of_route && kind == 0)
		return SLICE("");
	if (of_route && kind == 1)
		return SLICE("~x");
	char *text = arena_alloc(arena, 64);
	size_t length = 0;
	for (unsigned left = (unsigned)random_below(&generator, 6) + 1; left > 0; left--) {
		text[length++] = '/';
		for (unsigned letters = (unsigned)random_below(&generator, 3); letters > 0; letters--)
			text[length++] = (char)('a' + random_below(&generator, 2));
	}
	if (random_below(&generator, 2))
		text[length++] = '/';
	text[length] = '\0';
	return slice_from(text, length);
}

static void test_at_random(void **state)
{
	enum { ROUNDS = 300, ROUTES_MOST = 60, ASKED = 60 };
	random_seed(&generator, 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct arena arena;
		struct route_path paths[ROUTES_MOST];
		const struct route_path *pointers[ROUTES_MOST];
		uint32_t too_deep, count = (uint32_t)random_below(&generator, ROUTES_MOST + 1);
		arena_init(&arena, 16 << 20);
		for (size_t i = 0; i < count; i++) {
			struct slice text = random_path(&arena, true);
			paths[i] = path_of(text.data);
			pointers[i] = &paths[i];
		}
		struct route_index *index = route_index_new(pointers, count, &arena, &too_deep);
		assert_non_null(index);
		for (size_t i = 0; i < ASKED; i++)
			compare(index, pointers, count, random_path(&arena, false));
		arena_fini(&arena);
	}
}

static void test_depth(void **state)
{
	struct route_path paths[ROUTE_PREFIXES_MAX + 1];
	const struct route_path *pointers[ROUTE_PREFIXES_MAX + 1];
	char text[2 * (ROUTE_PREFIXES_MAX + 2)];
	struct arena arena;
	uint32_t too_deep;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 2 ? 'a' : '/';
	for (unsigned i = 0; i <= ROUTE_PREFIXES_MAX; i++) {
		paths[i] = (struct route_path){.kind = PATH_PREFIX, .text = slice_from(text, 2 * i + 1)};
		pointers[i] = &paths[i];
	}
	struct route_index *index = route_index_new(pointers, ROUTE_PREFIXES_MAX, &arena, &too_deep);
	assert_non_null(index);
	compare(index, pointers, ROUTE_PREFIXES_MAX, slice_from(text, sizeof text));
	assert_null(route_index_new(pointers, ROUTE_PREFIXES_MAX + 1, &arena, &too_deep));
	assert_int_equal(too_deep, ROUTE_PREFIXES_MAX);
	arena_fini(&arena);
}

static void test_memory(void **state)
{
	struct route_path path = path_of("/a/b/c/");
	const struct route_path *pointer = &path;
	bool succeeded = false;
	for (size_t limit = 0; !succeeded; limit += 16) {
		struct arena arena;
		uint32_t too_deep;
		arena_init(&arena, limit);
		succeeded = route_index_new(&pointer, 1, &arena, &too_deep) != NULL;
		assert_int_equal(too_deep, ROUTE_NONE);
		arena_fini(&arena);
	}
	assert_true(succeeded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_at_random),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
