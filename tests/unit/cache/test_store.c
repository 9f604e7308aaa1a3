// The store: found, replaced, dropped, evicted; by several threads at once.
#include "cache/store.h"
#include "cache/vary.h"
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena arena;
static struct cache_store *store;

static int begin(void **state)
{
	arena_init(&arena, 256 << 20);
	store = cache_store_new(64 << 20);
	assert_non_null(store);
	return 0;
}

static int end(void **state)
{
	cache_store_free(store);
	arena_fini(&arena);
	return 0;
}

static const struct cache_directives silent = {.max_age = CACHE_ABSENT, .s_maxage = CACHE_ABSENT};

static struct cache_object *object_of(const char *key, const char *response_lines, const char *request_lines,
				      size_t size)
{
	struct fields response = fields_of(&arena, response_lines), request = fields_of(&arena, request_lines);
	char *body = malloc(size + 1);
	assert_non_null(body);
	memset(body, key[strlen(key) - 1], size);
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = slice_from_string(key),
		.hash = cache_store_hash(store, slice_from_string(key)),
		.status = 200,
		.response = &response,
		.request = &request,
		.says = &silent,
		.body = slice_from(body, size),
		.times = {.lifetime_s = 60},
	});
	free(body);
	assert_non_null(object);
	return object;
}

static void put(const char *key, const char *response, const char *request, size_t size)
{
	struct cache_object *object = object_of(key, response, request, size);
	struct fields fields = fields_of(&arena, request);
	(void)cache_store_put(store, object, &fields);
	cache_object_unref(object);
}

static struct cache_object *find(const char *key, const char *request_lines)
{
	struct slice text = slice_from_string(key);
	struct fields request = fields_of(&arena, request_lines);
	return cache_store_find(store, text, cache_store_hash(store, text), 0, &request);
}

static bool has(const char *key)
{
	struct cache_object *object = find(key, "");
	cache_object_unref(object);
	return object != NULL;
}

static void finds_what_was_put(void **state)
{
	put("a", "ETag: 1\nSet-Cookie: x\nAge: 7", "", 10);
	put("b", "X: y", "", 0);
	struct cache_object *object = find("a", "");
	assert_non_null(object);
	assert_int_equal(object->body.length, 10);
	struct fields fields;
	assert_true(cache_object_fields(object, &arena, &fields));
	assert_int_equal(fields.count, 1); // what is about one delivery is not stored
	assert_true(has("b"));
	assert_false(has("c"));
	// Who holds it keeps it.
	assert_int_equal(cache_store_drop(store, SLICE("a"), object->hash), 1);
	assert_false(has("a"));
	assert_int_equal(object->body.data[9], 'a');
	cache_object_unref(object);
}

static void variants_stand_beside_each_other(void **state)
{
	put("a", "Vary: X-A\nN: 1", "X-A: one", 1);
	put("a", "Vary: X-A\nN: 2", "X-A: two", 1);
	put("a", "Vary: X-A\nN: 3", "", 1);
	put("a", "Vary: X-A\nN: 4", "X-A: two", 1); // takes the place of the second
	struct cache_store_status status;
	cache_store_read_status(store, &status);
	assert_int_equal(status.objects, 3);
	static const char *const requests[] = {"X-A: one", "X-A: two", "", "X-A:", "X-A: three"};
	static const char *const found[] = {"1", "4", "3", NULL, NULL};
	for (size_t i = 0; i < 5; i++) {
		struct cache_object *object = find("a", requests[i]);
		assert_int_equal(object != NULL, found[i] != NULL);
		if (object) {
			struct fields fields;
			assert_true(cache_object_fields(object, &arena, &fields));
			assert_true(
				slice_equal(fields_find_name(&fields, SLICE("N"))->value, slice_from_string(found[i])));
		}
		cache_object_unref(object);
	}
	assert_int_equal(cache_store_drop(store, SLICE("a"), cache_store_hash(store, SLICE("a"))), 3);
}

// RFC 9111 section 3.2.
static void refreshing_keeps_what_the_content_depends_on(void **state)
{
	struct cache_object *object = object_of(
		"a", "ETag: 1\nContent-Type: text/a\nContent-MD5: a\nX: old\nY: kept\nVary: X-A, X-B", "X-A: one", 5);
	struct fields news = fields_of(&arena, "ETag: 2\nContent-Type: text/b\nContent-MD5: b\nX: new\nX: newer");
	struct cache_object *refreshed = cache_object_refreshed(object, &news, &(struct cache_times){100, 3, 60, 0, 0});
	struct fields fields;
	assert_true(cache_object_fields(refreshed, &arena, &fields));
	assert_true(slice_equal(fields_value(&fields, FIELD_CONTENT_TYPE), SLICE("text/b")));
	assert_true(slice_equal(fields_value(&fields, FIELD_ETAG), SLICE("1")));
	assert_true(slice_equal(fields_find_name(&fields, SLICE("Content-MD5"))->value, SLICE("a")));
	assert_true(slice_equal(fields_find_name(&fields, SLICE("X"))->value, SLICE("new")));
	assert_true(slice_equal(fields_find_name(&fields, SLICE("Y"))->value, SLICE("kept")));
	assert_int_equal(fields.count, 7);
	assert_int_equal(refreshed->body.length, 5);
	assert_int_equal(cache_object_age_s(refreshed, 110), 13);
	struct fields same = fields_of(&arena, "X-A: one"), other = fields_of(&arena, "X-A: one\nX-B: two");
	assert_true(cache_object_matches(refreshed, &same));
	assert_false(cache_object_matches(refreshed, &other));
	cache_object_unref(refreshed);
	cache_object_unref(object);
}

static void holds_its_budget(void **state)
{
	struct cache_store_status status;
	cache_store_set_budget(store, 1 << 20);
	for (unsigned i = 0; i < 5000; i++) {
		char key[32];
		snprintf(key, sizeof key, "key %u", i);
		put(key, "X: y", "", 1000);
		cache_store_read_status(store, &status);
		assert_true(status.bytes <= 1 << 20);
	}
	assert_in_range(status.objects, 400, 900);
	// One that no shard could hold is not stored, and pushes nothing out.
	uint64_t before = status.objects;
	put("large", "X: y", "", (1 << 18) + 1);
	cache_store_read_status(store, &status);
	assert_true(status.objects <= before);
	assert_false(has("large"));
}

// A scan of things asked for once leaves those that are asked for again and again.
static void scans_push_nothing_of_use_out(void **state)
{
	char key[32];
	cache_store_set_budget(store, 1 << 20);
	for (unsigned round = 0; round < 4; round++)
		for (unsigned i = 0; i < 200; i++) {
			snprintf(key, sizeof key, "hot %u", i);
			if (!has(key))
				put(key, "X: y", "", 1000);
		}
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(key, sizeof key, "cold %u", i);
		put(key, "X: y", "", 1000);
		snprintf(key, sizeof key, "hot %u", i % 200);
		(void)has(key);
	}
	unsigned left = 0;
	for (unsigned i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "hot %u", i);
		left += has(key);
	}
	assert_in_range(left, 190, 200);
}

static void put_many(const char *form, unsigned count)
{
	char key[32];
	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof key, form, i);
		put(key, "X: y", "", 1000);
	}
}

static unsigned count_in_main(const char *form, unsigned count)
{
	char key[32];
	unsigned in_main = 0;
	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof key, form, i);
		struct cache_object *object = find(key, "");
		in_main += object && object->is_main;
		cache_object_unref(object);
	}
	return in_main;
}

// What comes again soon after it was let go is of use; what comes again much later is new.
static void what_left_is_remembered_for_a_while(void **state)
{
	cache_store_set_budget(store, 1 << 20);
	put_many("a %u", 50);
	put_many("b %u", 1000); // about 800 have room, of which the first are gone now
	put_many("a %u", 50);
	assert_in_range(count_in_main("a %u", 50), 40, 50);
	put_many("c %u", 50);
	put_many("d %u", 20000);
	put_many("c %u", 50);
	assert_in_range(count_in_main("c %u", 50), 0, 2);
}

// --- Purges

static int64_t purge(enum cache_purge_kind kind, const char *text, bool is_soft)
{
	const struct cache_purge purge = {kind, slice_from_string(text), is_soft};
	assert_true(cache_purges_add(cache_store_purges(store), &purge));
	return cache_store_sweep(store);
}

static void purges_drop_what_they_mean(void **state)
{
	char key[32], tags[64];
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "http://a/%u", i);
		snprintf(tags, sizeof tags, "%s: all%stens-%u", i % 2 ? "Surrogate-Key" : "Cache-Tag",
			 i % 2 ? " " : ", ", i / 10);
		put(key, tags, "", 10);
	}
	assert_int_equal(purge(CACHE_PURGE_TAG, "tens-7", false), 10);
	assert_int_equal(purge(CACHE_PURGE_TAG, "tens-7", false), 0);
	assert_int_equal(purge(CACHE_PURGE_TAG, "tens", false), 0);
	assert_int_equal(purge(CACHE_PURGE_PREFIX, "http://a/49", true), 111);
	assert_int_equal(purge(CACHE_PURGE_PREFIX, "http://a/499", true), 0);
	struct cache_object *object = find("http://a/4990", "");
	assert_non_null(object);
	assert_false(cache_object_is_fresh(object, 0));
	cache_object_unref(object);
	assert_int_equal(purge(CACHE_PURGE_PREFIX, "", false), 4990);
	assert_false(has("http://a/1"));
}

// From the moment it is there, not when the sweep comes by.
static void a_purge_of_very_many_takes_effect_at_once(void **state)
{
	enum { MANY = 100000 };
	char key[32];
	cache_store_set_budget(store, UINT64_C(1) << 30);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "http://a/%u", i);
		put(key, i % 1000 == 999 ? "Cache-Tag: other" : "Cache-Tag: other, tag", "", 1);
	}
	const struct cache_purge by_tag = {CACHE_PURGE_TAG, SLICE("tag"), false};
	assert_true(cache_purges_add(cache_store_purges(store), &by_tag));
	unsigned gone = 0;
	for (unsigned i = 0; i < MANY; i += 37) {
		snprintf(key, sizeof key, "http://a/%u", i);
		struct cache_object *object = find(key, "");
		assert_int_equal(object != NULL, i % 1000 == 999);
		gone += object == NULL;
		cache_object_unref(object);
	}
	assert_int_equal(cache_store_sweep(store), MANY - MANY / 1000 - gone);
	struct cache_store_status status;
	cache_store_read_status(store, &status);
	assert_int_equal(status.objects, MANY / 1000);
}

// Those that were asked for before a purge, and come after it.
static void purges_mean_what_is_under_way(void **state)
{
	struct cache_object *before = object_of("a", "Cache-Tag: x", "", 1),
			    *soft = object_of("b", "Cache-Tag: y", "", 1);
	struct fields none = {0};
	assert_int_equal(purge(CACHE_PURGE_TAG, "x", false), 0);
	assert_int_equal(purge(CACHE_PURGE_TAG, "y", true), 0);
	assert_false(cache_store_put(store, before, &none));
	assert_true(cache_store_put(store, soft, &none));
	assert_false(cache_object_is_fresh(soft, 0));
	// So many that what the first ones meant is forgotten: what was asked for before them is not stored.
	struct cache_object *late = object_of("c", "", "", 1), *now = object_of("d", "", "", 1);
	for (unsigned i = 0; i <= CACHE_PURGES_KEPT; i++)
		assert_int_equal(purge(CACHE_PURGE_TAG, "z", false), 0);
	assert_false(cache_store_put(store, late, &none));
	now->asked_after = cache_store_asked_after(store);
	assert_true(cache_store_put(store, now, &none));
	assert_true(has("b") && has("d"));
	cache_object_unref(before);
	cache_object_unref(soft);
	cache_object_unref(late);
	cache_object_unref(now);
}

static void counts_uses(void **state)
{
	for (unsigned i = 1; i <= 300; i++)
		assert_int_equal(cache_store_count_use(store, 12345), i < 255 ? i : 255);
	assert_int_equal(cache_store_count_use(store, 12345 + (UINT64_C(1) << 40)), 1);
	assert_int_equal(cache_store_count_use(store, 12345), 1); // it had to give way
}

// --- Threads

enum { THREADS = 4, STEPS = 20000, KEYS = 50 };

static void *work(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;
	struct fields none = {0};
	for (unsigned i = 0; i < STEPS; i++) {
		char key[32];
		snprintf(key, sizeof key, "key %u", (unsigned)rand_r(&seed) % KEYS);
		struct slice text = slice_from_string(key);
		uint64_t hash = cache_store_hash(store, text);
		struct cache_object *object = cache_store_find(store, text, hash, 0, &none);
		if (object) {
			if (!slice_equal(object->key, text) || object->body.data[99] != key[text.length - 1])
				abort();
		} else {
			char body[100];
			memset(body, key[text.length - 1], sizeof body);
			object = cache_object_new(&(struct cache_object_parts){.key = text,
									       .hash = hash,
									       .response = &none,
									       .request = &none,
									       .says = &silent,
									       .body = slice_from(body, sizeof body)});
			(void)cache_store_put(store, object, &none);
		}
		if (i % 16 == 0)
			(void)cache_store_drop(store, text, hash);
		if (i % 512 == 0)
			(void)purge(CACHE_PURGE_PREFIX, key, i % 1024 == 0);
		if (i % 1000 == 0)
			cache_store_set_budget(store, (uint64_t)(i % 7 + 1) << 16);
		cache_object_unref(object);
	}
	return NULL;
}

static void threads_share_it(void **state)
{
	pthread_t threads[THREADS];
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	struct cache_store_status status;
	cache_store_read_status(store, &status);
	assert_true(status.objects <= KEYS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(finds_what_was_put),
		TEST(variants_stand_beside_each_other),
		TEST(refreshing_keeps_what_the_content_depends_on),
		TEST(holds_its_budget),
		TEST(what_left_is_remembered_for_a_while),
		TEST(scans_push_nothing_of_use_out),
		TEST(purges_drop_what_they_mean),
		TEST(a_purge_of_very_many_takes_effect_at_once),
		TEST(purges_mean_what_is_under_way),
		TEST(counts_uses),
		TEST(threads_share_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
