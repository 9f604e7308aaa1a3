// The disk: found, replaced, dropped, purged, evicted; by several threads at once, and opened again.
#include "cache/disk.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 60, KEYS = 8 };

static struct arena arena;
static struct cache_purges purges;
static struct cache_disk *disk;
static char path[] = "/tmp/usher-test-disk-XXXXXX";
static const struct fields none;
static const struct cache_directives silent = {.max_age = CACHE_ABSENT, .s_maxage = CACHE_ABSENT};

static void open_disk(uint64_t budget_bytes)
{
	cache_purges_init(&purges);
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	assert_int_equal(cache_disk_open(directory, budget_bytes, &purges, &disk), 0);
}

static void close_disk(void)
{
	cache_disk_close(disk);
	cache_purges_fini(&purges);
}

static int begin(void **state)
{
	arena_init(&arena, 64 << 20);
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	return mkdtemp(path) ? 0 : -1;
}

static int remove_one(const char *name, const struct stat *status, int flag, struct FTW *ftw)
{
	return remove(name);
}

static int end(void **state)
{
	arena_fini(&arena);
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct cache_object *object_of(const char *key, const char *response_lines, const char *request_lines,
				      const char *body)
{
	struct fields response = fields_of(&arena, response_lines), request = fields_of(&arena, request_lines);
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = slice_from_string(key),
		.status = 200,
		.response = &response,
		.request = &request,
		.says = &silent,
		.body = slice_from_string(body),
		.times = {.received_s = 1000, .lifetime_s = 60},
		.asked_after = cache_purges_last(&purges),
	});
	assert_non_null(object);
	return object;
}

static void put(const char *key, const char *response, const char *request, const char *body)
{
	struct cache_object *object = object_of(key, response, request, body);
	cache_disk_put(disk, object);
	cache_object_unref(object);
}

static struct cache_object *find(const char *key, const char *request_lines)
{
	struct fields request = fields_of(&arena, request_lines);
	return cache_disk_find(disk, slice_from_string(key), 7, 0, &request);
}

static void assert_body(const char *key, const char *request_lines, const char *body)
{
	struct cache_object *object = find(key, request_lines);
	assert_non_null(object);
	assert_true(slice_equal(object->body, slice_from_string(body)));
	assert_true(slice_equal(object->key, slice_from_string(key)));
	assert_int_equal(object->hash, 7);
	cache_object_unref(object);
}

static void assert_missing(const char *key, const char *request_lines)
{
	assert_null(find(key, request_lines));
}

static void wait_for_written(uint64_t count)
{
	const struct timespec moment = {.tv_nsec = 1000 * 1000};
	struct cache_disk_status status;
	for (unsigned i = 0; i < 30000; i++) {
		cache_disk_read_status(disk, &status);
		if (status.written >= count)
			return;
		(void)nanosleep(&moment, NULL);
	}
	fail_msg("%llu were written", (unsigned long long)status.written);
}

// --- One after the other

static void test_what_is_put_is_found_after_opening_again(void **state)
{
	open_disk(1 << 30);
	assert_missing("http://a/", "");
	put("http://a/", "ETag: \"x\"\nVary: X-A, X-B", "X-A: 1", "one");
	put("http://a/", "Vary: X-A, X-B", "X-A: 2", "two");
	put("http://a/", "Vary: X-A, X-B", "", "none");
	put("http://b/", "", "", "");
	close_disk();
	for (unsigned round = 0; round < 2; round++) {
		open_disk(1 << 30);
		assert_body("http://a/", "X-A: 1", "one");
		assert_body("http://a/", "X-A: 2", "two");
		assert_body("http://a/", "", "none");
		assert_body("http://b/", "X-A: 1", "");
		assert_missing("http://a/", "X-A: 3");
		assert_missing("http://c/", "");
		struct cache_object *object = find("http://a/", "X-A: 1");
		assert_true(slice_equal(cache_object_value(object, FIELD_ETAG), SLICE("\"x\"")));
		assert_int_equal(object->times.received_s, 1000);
		assert_int_equal(object->times.lifetime_s, 60);
		cache_object_unref(object);
		close_disk();
	}
}

static void test_the_newer_one_replaces(void **state)
{
	struct cache_disk_status status;
	open_disk(1 << 30);
	for (unsigned i = 0; i < 5; i++) {
		char body[2] = {(char)('0' + i)};
		put("http://a/", "", "", body);
	}
	wait_for_written(5);
	assert_body("http://a/", "", "4");
	cache_disk_read_status(disk, &status);
	assert_int_equal(status.objects, 1);
	close_disk();
	open_disk(1 << 30);
	assert_body("http://a/", "", "4");
	close_disk();
}

static void test_what_is_dropped_stays_away(void **state)
{
	open_disk(1 << 30);
	put("http://a/", "", "", "a");
	put("http://b/", "", "", "b");
	(void)cache_disk_drop(disk, SLICE("http://a/"), false); // written already or not
	wait_for_written(1);
	assert_missing("http://a/", "");
	put("http://c/", "", "", "c");
	close_disk();
	open_disk(1 << 30);
	assert_missing("http://a/", "");
	assert_body("http://b/", "", "b");
	assert_int_equal(cache_disk_drop(disk, SLICE("http://b/"), false), 1);
	assert_int_equal(cache_disk_drop(disk, SLICE("http://c/"), true), 1);
	struct cache_object *object = find("http://c/", "");
	assert_true(object && object->is_outdated);
	cache_object_unref(object);
	close_disk();
	open_disk(1 << 30);
	assert_missing("http://b/", "");
	object = find("http://c/", "");
	assert_true(object && object->is_outdated);
	cache_object_unref(object);
	close_disk();
}

static void test_purges_count_after_opening_again(void **state)
{
	const struct cache_purge purge = {CACHE_PURGE_TAG, SLICE("one"), false};
	const struct cache_purge soft = {CACHE_PURGE_PREFIX, SLICE("http://b/"), true};
	open_disk(1 << 30);
	put("http://a/", "Cache-Tag: one", "", "a");
	put("http://b/x", "", "", "b");
	put("http://c/", "Cache-Tag: two", "", "c");
	wait_for_written(3);
	assert_true(cache_purges_add(&purges, &purge) && cache_purges_add(&purges, &soft));
	assert_int_equal(cache_disk_purge(disk), 0);
	for (unsigned round = 0; round < 2; round++) {
		assert_missing("http://a/", "");
		assert_body("http://c/", "", "c");
		struct cache_object *object = find("http://b/x", "");
		assert_true(object && object->is_outdated);
		cache_object_unref(object);
		close_disk();
		open_disk(1 << 30);
		assert_int_equal(cache_purges_last(&purges), 2);
	}
	put("http://a/", "Cache-Tag: one", "", "after");
	close_disk(); // it is written then
	open_disk(1 << 30);
	assert_body("http://a/", "", "after");
	close_disk();
}

static void test_it_keeps_to_its_budget(void **state)
{
	struct cache_disk_status status;
	open_disk(1 << 20);
	for (unsigned i = 0; i < 400; i++) {
		char key[32];
		snprintf(key, sizeof key, "http://a/%u", i);
		put(key, "", "", "a");
		wait_for_written(i + 1);
	}
	cache_disk_read_status(disk, &status);
	assert_true(status.bytes <= 1 << 20 && status.objects >= 250);
	assert_body("http://a/399", "", "a");
	assert_missing("http://a/0", "");
	cache_disk_set_budget(disk, 1 << 16);
	put("http://a/last", "", "", "a");
	close_disk();
	open_disk(1 << 16);
	assert_body("http://a/last", "", "a");
	close_disk();
}

static void test_content_is_written_while_it_comes(void **state)
{
	static char piece[100000];
	struct cache_spool *spool;
	struct cache_object *head, *whole;
	open_disk(1 << 20);
	head = object_of("http://a/", "ETag: \"x\"", "", "");
	assert_int_equal(cache_spool_new(disk, &spool), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(cache_spool_append(spool, slice_from(piece, sizeof piece)), 0);
	whole = cache_spool_put(spool, head, 0);
	assert_true(whole && whole->file && whole->body.length == 5 * sizeof piece);
	cache_spool_free(spool);
	cache_object_unref(whole);
	whole = find("http://a/", "");
	assert_true(whole && whole->file && whole->file->length == 5 * sizeof piece);
	cache_object_unref(whole);
	// More than all of the disk, and what is not put.
	assert_int_equal(cache_spool_new(disk, &spool), 0);
	int error = 0;
	for (unsigned i = 0; i < 20 && error == 0; i++)
		error = cache_spool_append(spool, slice_from(piece, sizeof piece));
	assert_int_equal(error, -ENOSPC);
	cache_spool_free(spool);
	cache_object_unref(head);
	close_disk();
}

static void test_a_directory_that_another_has_is_not_opened(void **state)
{
	struct cache_disk *other;
	open_disk(1 << 20);
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cache_disk_open(directory, 1 << 20, &purges, &other), -EBUSY);
	close_disk();
}

// --- At once

static void *work(void *argument)
{
	unsigned seed = *(unsigned *)argument;
	struct arena own;
	arena_init(&own, 1 << 20);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char key[32], body[64];
		snprintf(key, sizeof key, "http://a/%d", rand_r(&seed) % KEYS);
		snprintf(body, sizeof body, "%s is the content", key);
		struct cache_object *object;
		switch (rand_r(&seed) % 4) {
		case 0:
			object = cache_object_new(&(struct cache_object_parts){.key = slice_from_string(key),
									       .status = 200,
									       .response = &none,
									       .request = &none,
									       .says = &silent,
									       .body = slice_from_string(body),
									       .times = {.lifetime_s = 60}});
			cache_disk_put(disk, object);
			cache_object_unref(object);
			break;
		case 1:
			(void)cache_disk_drop(disk, slice_from_string(key), rand_r(&seed) % 2);
			break;
		default:
			object = cache_disk_find(disk, slice_from_string(key), 7, 0, &none);
			if (object)
				assert_true(slice_equal(object->body, slice_from_string(body)));
			cache_object_unref(object);
			break;
		}
	}
	arena_fini(&own);
	return NULL;
}

static void test_threads_find_what_was_put(void **state)
{
	pthread_t threads[THREADS];
	unsigned seeds[THREADS];
	for (unsigned round = 0; round < 2; round++) {
		open_disk(1 << 20);
		for (unsigned i = 0; i < THREADS; i++) {
			seeds[i] = round * THREADS + i;
			assert_int_equal(pthread_create(&threads[i], NULL, work, &seeds[i]), 0);
		}
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(cache_disk_purge(disk), 0);
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		close_disk();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_put_is_found_after_opening_again, begin, end),
		cmocka_unit_test_setup_teardown(test_the_newer_one_replaces, begin, end),
		cmocka_unit_test_setup_teardown(test_what_is_dropped_stays_away, begin, end),
		cmocka_unit_test_setup_teardown(test_purges_count_after_opening_again, begin, end),
		cmocka_unit_test_setup_teardown(test_it_keeps_to_its_budget, begin, end),
		cmocka_unit_test_setup_teardown(test_content_is_written_while_it_comes, begin, end),
		cmocka_unit_test_setup_teardown(test_a_directory_that_another_has_is_not_opened, begin, end),
		cmocka_unit_test_setup_teardown(test_threads_find_what_was_put, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
