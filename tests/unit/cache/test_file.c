// Content in files: whatever its length and however it was written, what is read is what was written, or nothing.
#include "cache/file.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 3 * CACHE_BLOCK_BYTES };

static char content[MOST], block[CACHE_BLOCK_SIZE];

static int begin(void **state)
{
	for (size_t i = 0; i < MOST; i++)
		content[i] = (char)(i * 31 + i / 251);
	return 0;
}

static struct cache_file *write_file(uint64_t number, size_t length, size_t piece)
{
	int descriptor = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(descriptor >= 0);
	struct cache_file *file = cache_file_new(descriptor, number, 0);
	assert_non_null(file);
	struct cache_file_writer *writer = cache_file_writer_new(file);
	assert_non_null(writer);
	for (size_t at = 0; at < length; at += piece)
		assert_int_equal(cache_file_append(writer, slice_first(slice_from(content + at, length - at), piece)),
				 0);
	assert_int_equal(cache_file_finish(writer), 0);
	cache_file_writer_free(writer);
	assert_int_equal(file->length, length);
	assert_int_equal(lseek(descriptor, 0, SEEK_END), (long)cache_file_size(length));
	return file;
}

static void assert_read(const struct cache_file *file, uint64_t from)
{
	uint64_t at = from;
	while (at < file->length) {
		struct slice bytes;
		assert_int_equal(cache_file_read(file, at, block, false, &bytes), 0);
		assert_true(bytes.length > 0 && bytes.length <= file->length - at);
		assert_memory_equal(bytes.data, content + at, bytes.length);
		at += bytes.length;
	}
}

static void test_what_was_written_is_read(void **state)
{
	static const size_t lengths[] = {
		1, CACHE_BLOCK_BYTES - 1, CACHE_BLOCK_BYTES, CACHE_BLOCK_BYTES + 1, 2 * CACHE_BLOCK_BYTES, MOST};
	static const size_t pieces[] = {7919, CACHE_BLOCK_BYTES, CACHE_BLOCK_SIZE, MOST};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++) {
			struct cache_file *file = write_file(i, lengths[i], pieces[j]);
			assert_read(file, 0);
			assert_read(file, lengths[i] - 1);
			assert_read(file, lengths[i] / 2);
			cache_file_unref(file);
		}
}

static void test_what_is_being_written_is_read(void **state)
{
	struct cache_file *file = write_file(1, MOST, 1000);
	struct slice bytes;
	for (uint64_t at = 0; at < MOST - 100; at += bytes.length) {
		assert_int_equal(cache_file_read_written(file, at, MOST - 100, block, false, &bytes), 0);
		assert_true(bytes.length > 0 && at + bytes.length <= MOST - 100);
		assert_memory_equal(bytes.data, content + at, bytes.length);
	}
	cache_file_unref(file);
}

static int error_of(const struct cache_file *file, uint64_t at)
{
	struct slice bytes;
	return cache_file_read(file, at, block, false, &bytes);
}

static void test_what_was_changed_is_found(void **state)
{
	static const long places[] = {0, 1, 30000, CACHE_BLOCK_BYTES - 1, CACHE_BLOCK_BYTES, CACHE_BLOCK_SIZE - 1};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		struct cache_file *file = write_file(1, MOST, MOST);
		char byte;
		assert_int_equal(pread(file->descriptor, &byte, 1, places[i]), 1);
		byte ^= 1;
		assert_int_equal(pwrite(file->descriptor, &byte, 1, places[i]), 1);
		assert_int_equal(error_of(file, 0), -EBADMSG);
		assert_int_equal(error_of(file, CACHE_BLOCK_BYTES), 0);
		cache_file_unref(file);
	}
}

// Blocks that are whole, but are of another file, or another place.
static void test_what_was_moved_is_found(void **state)
{
	struct cache_file *file = write_file(1, MOST, MOST), *other = write_file(2, MOST, MOST);
	assert_int_equal(pread(other->descriptor, block, sizeof block, 0), sizeof block);
	assert_int_equal(pwrite(file->descriptor, block, sizeof block, 0), sizeof block);
	assert_int_equal(error_of(file, 0), -EBADMSG);
	assert_int_equal(pwrite(other->descriptor, block, sizeof block, CACHE_BLOCK_SIZE), sizeof block);
	assert_int_equal(error_of(other, CACHE_BLOCK_BYTES), -EBADMSG);
	assert_int_equal(error_of(other, 0), 0);
	assert_int_equal(ftruncate(other->descriptor, 100), 0);
	assert_int_equal(error_of(other, 0), -EBADMSG);
	cache_file_unref(file);
	cache_file_unref(other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_written_is_read),
		cmocka_unit_test(test_what_is_being_written_is_read),
		cmocka_unit_test(test_what_was_changed_is_found),
		cmocka_unit_test(test_what_was_moved_is_found),
	};
	return cmocka_run_group_tests(tests, begin, NULL);
}
