// Bundles: what a configuration was loaded from, kept and played back.
#include "cmocka_all.h"
#include "control/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct slice allocated(const char *data, size_t length)
{
	char *copy = malloc(length + 1);
	assert_non_null(copy);
	memcpy(copy, data, length);
	copy[length] = '\0';
	return slice_from(copy, length);
}

static int fake_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	if (strcmp(path, "main.yaml") == 0)
		*ret_content = allocated("proxy: a\n", 9);
	else if (strcmp(path, "binary") == 0)
		*ret_content = allocated("a\0b\xff", 4);
	else if (strcmp(path, "empty") == 0)
		*ret_content = allocated("", 0);
	else
		return -EACCES;
	return 0;
}

static int fake_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	*ret_names = allocated("a.yaml\0b.yaml\0", 14);
	return 0;
}

static const char *fake_environment(struct config_source *source, const char *name)
{
	return strcmp(name, "HOME") == 0 ? "/root" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static struct config_source fake = {.read_file = fake_read_file, .glob = fake_glob, .environment = fake_environment};

static void read_and_expect(struct config_source *source, const char *path, int result, const char *data, size_t length)
{
	struct slice content = SLICE_EMPTY;
	assert_int_equal(source->read_file(source, path, &content), result);
	if (result < 0)
		return;
	assert_int_equal(content.length, length);
	assert_memory_equal(content.data, data, length);
	free((void *)content.data);
}

// Asks for everything, in this order.
static void ask_all(struct config_source *source)
{
	struct slice names;
	read_and_expect(source, "main.yaml", 0, "proxy: a\n", 9);
	assert_string_equal(source->environment(source, "HOME"), "/root");
	assert_string_equal(source->environment(source, "EMPTY"), "");
	assert_null(source->environment(source, "UNSET"));
	assert_int_equal(source->glob(source, "*.yaml", &names), 0);
	assert_int_equal(names.length, 14);
	assert_memory_equal(names.data, "a.yaml\0b.yaml\0", 14);
	free((void *)names.data);
	read_and_expect(source, "binary", 0, "a\0b\xff", 4);
	read_and_expect(source, "empty", 0, "", 0);
	read_and_expect(source, "secret", -EACCES, "", 0);
}

static int make_bundle(void)
{
	struct bundle_recorder recorder;
	assert_int_equal(bundle_record(&recorder, &fake), 0);
	ask_all(&recorder.source);
	int descriptor = bundle_finish(&recorder);
	assert_true(descriptor >= 0);
	return descriptor;
}

static void test_replays_what_was_answered(void **state)
{
	int descriptor = make_bundle();
	struct bundle_replay replay;
	assert_int_equal(bundle_replay(&replay, descriptor), 0);
	ask_all(&replay.source);
	ask_all(&replay.source); // and again, from the start
	bundle_replay_end(&replay);
	close(descriptor);
}

static void test_replays_in_any_order(void **state)
{
	int descriptor = make_bundle();
	struct bundle_replay replay;
	assert_int_equal(bundle_replay(&replay, descriptor), 0);
	read_and_expect(&replay.source, "empty", 0, "", 0);
	read_and_expect(&replay.source, "binary", 0, "a\0b\xff", 4);
	assert_string_equal(replay.source.environment(&replay.source, "HOME"), "/root");
	read_and_expect(&replay.source, "main.yaml", 0, "proxy: a\n", 9);
	bundle_replay_end(&replay);
	close(descriptor);
}

// A file is not an environment variable of the same name.
static void test_knows_nothing_else(void **state)
{
	int descriptor = make_bundle();
	struct bundle_replay replay;
	struct slice names;
	assert_int_equal(bundle_replay(&replay, descriptor), 0);
	read_and_expect(&replay.source, "/etc/passwd", -ENOENT, "", 0);
	read_and_expect(&replay.source, "HOME", -ENOENT, "", 0);
	assert_null(replay.source.environment(&replay.source, "PATH"));
	assert_null(replay.source.environment(&replay.source, "main.yaml"));
	assert_int_equal(replay.source.glob(&replay.source, "main.yaml", &names), -ENOENT);
	bundle_replay_end(&replay);
	close(descriptor);
}

static void test_cannot_be_changed(void **state)
{
	int descriptor = make_bundle();
	assert_int_equal(pwrite(descriptor, "x", 1, 0), -1);
	assert_int_equal(ftruncate(descriptor, 0), -1);
	close(descriptor);
}

// --- Watched files

static const char *certificate = "old";

static int disk_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	assert_string_not_equal(path, "main.yaml");
	if (strcmp(path, "a.pem") != 0)
		return -ENOENT;
	*ret_content = allocated(certificate, strlen(certificate));
	return 0;
}

static int disk_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	*ret_names = allocated("a.pem\0", 6);
	return 0;
}

static bool disk_is_open_to_others(struct config_source *source, const char *path)
{
	return strcmp(path, "a.pem") == 0;
}

static struct config_source disk = {
	.read_file = disk_read_file, .glob = disk_glob, .is_open_to_others = disk_is_open_to_others};

// Loads from this, watched files from where it says: a bundle, and what is watched.
static int load_from(struct config_source *source, struct watch_list *ret_watched)
{
	struct bundle_recorder recorder;
	struct slice names;
	assert_int_equal(bundle_record(&recorder, source), 0);
	read_and_expect(&recorder.source, "main.yaml", 0, "proxy: a\n", 9);
	assert_string_equal(recorder.source.environment(&recorder.source, "HOME"), "/root");
	struct config_source *watched = recorder.source.watched;
	assert_int_equal(watched->glob(watched, "*.pem", &names), 0);
	assert_int_equal(names.length, 6);
	free((void *)names.data);
	read_and_expect(watched, "a.pem", 0, certificate, strlen(certificate));
	read_and_expect(watched, "b.pem", -ENOENT, "", 0);
	*ret_watched = recorder.watched;
	int descriptor = bundle_finish(&recorder);
	assert_true(descriptor >= 0);
	return descriptor;
}

static int load_first(struct watch_list *ret_watched)
{
	struct config_source first = fake;
	first.watched = &disk;
	certificate = "old";
	return load_from(&first, ret_watched);
}

static void test_tells_what_is_watched(void **state)
{
	struct watch_list watched;
	close(load_first(&watched));
	assert_int_equal(watched.count, 3);
	assert_string_equal(watched.items[0].name, "*.pem");
	assert_true(watched.items[0].is_pattern);
	assert_string_equal(watched.items[1].name, "a.pem");
	assert_string_equal(watched.items[2].name, "b.pem"); // it may come
	watch_list_free(&watched);
}

static void test_passes_on_who_may_read(void **state)
{
	struct bundle_recorder recorder;
	struct config_source first = fake;
	for (unsigned round = 0; round < 2; round++) {
		first.watched = round == 0 ? &disk : NULL;
		assert_int_equal(bundle_record(&recorder, &first), 0);
		struct config_source *watched = recorder.source.watched;
		assert_int_equal(watched->is_open_to_others(watched, "a.pem"), round == 0);
		assert_false(watched->is_open_to_others(watched, "b.pem"));
		bundle_discard(&recorder);
	}
}

// The configuration as it was, with watched files as they are.
static void test_replays_with_watched_files_from_elsewhere(void **state)
{
	struct watch_list watched, again;
	struct bundle_replay replay;
	int first = load_first(&watched);
	assert_int_equal(bundle_replay(&replay, first), 0);
	replay.source.watched = &disk;
	int same = load_from(&replay.source, &again);
	assert_true(bundle_equal(first, same));
	assert_int_equal(again.count, watched.count);
	watch_list_free(&again);
	certificate = "new";
	int renewed = load_from(&replay.source, &again);
	assert_false(bundle_equal(first, renewed));
	watch_list_free(&again);
	bundle_replay_end(&replay);
	// From here on the new one is all there is.
	assert_int_equal(bundle_replay(&replay, renewed), 0);
	read_and_expect(&replay.source, "a.pem", 0, "new", 3);
	read_and_expect(&replay.source, "main.yaml", 0, "proxy: a\n", 9);
	bundle_replay_end(&replay);
	watch_list_free(&watched);
	close(first);
	close(same);
	close(renewed);
}

// Not even its own user can open it once more.
static void test_is_for_nobody_else(void **state)
{
	struct stat status;
	int descriptor = make_bundle();
	assert_int_equal(fstat(descriptor, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0);
	assert_int_equal(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
	close(descriptor);
}

static int descriptor_of(const void *bytes, size_t size)
{
	int descriptor = memfd_create("test", MFD_CLOEXEC);
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, bytes, size), (ssize_t)size);
	return descriptor;
}

static void expect_refused(const void *bytes, size_t size)
{
	struct bundle_replay replay;
	int descriptor = descriptor_of(bytes, size);
	assert_int_equal(bundle_replay(&replay, descriptor), -EBADMSG);
	close(descriptor);
}

static void test_refuses_what_is_no_bundle(void **state)
{
	char junk[256];
	memset(junk, 0xff, sizeof junk);
	expect_refused("", 0);
	expect_refused("x", 1);
	expect_refused(junk, sizeof junk);
}

// Every proper beginning of a bundle that does not end with a record.
static void test_refuses_what_was_cut(void **state)
{
	char bytes[4096];
	int descriptor = make_bundle();
	ssize_t size = pread(descriptor, bytes, sizeof bytes, 0);
	close(descriptor);
	assert_true(size > 0 && size < (ssize_t)sizeof bytes);
	unsigned refused = 0;
	for (ssize_t length = 1; length < size; length++) {
		struct bundle_replay replay;
		descriptor = descriptor_of(bytes, (size_t)length);
		if (bundle_replay(&replay, descriptor) == 0)
			bundle_replay_end(&replay);
		else
			refused++;
		close(descriptor);
	}
	// Eight records: seven cuts are between two of them.
	assert_int_equal(refused, (unsigned)size - 1 - 7);
}

// Every length in a head made too large.
static void test_refuses_lengths_that_lie(void **state)
{
	char bytes[4096];
	int descriptor = make_bundle();
	ssize_t size = pread(descriptor, bytes, sizeof bytes, 0);
	close(descriptor);
	static const uint64_t lies[] = {UINT64_MAX, UINT64_MAX - 24, INT64_MAX, 4096, 100000};
	for (size_t at = 8; at <= 16; at += 8) {
		for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
			char changed[4096];
			memcpy(changed, bytes, (size_t)size);
			memcpy(changed + at, &lies[i], sizeof lies[i]);
			expect_refused(changed, (size_t)size);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replays_what_was_answered),
		cmocka_unit_test(test_replays_in_any_order),
		cmocka_unit_test(test_knows_nothing_else),
		cmocka_unit_test(test_cannot_be_changed),
		cmocka_unit_test(test_refuses_what_is_no_bundle),
		cmocka_unit_test(test_refuses_what_was_cut),
		cmocka_unit_test(test_refuses_lengths_that_lie),
		cmocka_unit_test(test_tells_what_is_watched),
		cmocka_unit_test(test_passes_on_who_may_read),
		cmocka_unit_test(test_replays_with_watched_files_from_elsewhere),
		cmocka_unit_test(test_is_for_nobody_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
