// Watched files: their marks, their lists, and that no way to replace one goes unnoticed.
#include "cmocka_all.h"
#include "control/watcher.h"
#include "fail_alloc.h"
#include "fiber/loop.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/usher-test-XXXXXX";

static int make_directory(void **state)
{
	memcpy(strrchr(directory, '-'), "-XXXXXX", sizeof "-XXXXXX");
	return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	return remove(path);
}

static int remove_directory(void **state)
{
	return chdir("/") == 0 ? nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS) : -1;
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

// Files must be older than a tick for their marks to be sure.
static void settle(void)
{
	struct timespec wait = {.tv_nsec = 600 * 1000 * 1000};
	while (nanosleep(&wait, &wait) < 0)
		;
}

// --- Marks and lists

static void test_marks_of_files(void **state)
{
	uint64_t absent = watch_mark("a", false);
	assert_int_equal(watch_mark("a", false), absent);
	assert_int_not_equal(absent, 0);
	put("a", "one");
	assert_int_equal(watch_mark("a", false), 0); // it may change again within the same tick
	settle();
	uint64_t first = watch_mark("a", false);
	assert_int_not_equal(first, 0);
	assert_int_not_equal(first, absent);
	assert_int_equal(watch_mark("a", false), first);
	// The same length, and the same times as far as a program can set them.
	struct stat status;
	assert_int_equal(stat("a", &status), 0);
	put("a", "two");
	struct timespec times[] = {status.st_atim, status.st_mtim};
	assert_int_equal(utimensat(AT_FDCWD, "a", times, 0), 0);
	settle();
	assert_int_not_equal(watch_mark("a", false), first);
}

static void test_marks_of_patterns(void **state)
{
	uint64_t none = watch_mark("*.pem", true);
	put("a.pem", "");
	uint64_t one = watch_mark("*.pem", true);
	assert_int_not_equal(none, one);
	put("a.pem", "other");
	put("a.key", "");
	assert_int_equal(watch_mark("*.pem", true), one); // the names alone
	assert_int_equal(rename("a.pem", "b.pem"), 0);
	assert_int_not_equal(watch_mark("*.pem", true), one);
}

static void add(struct watch_list *list, const char *name, bool is_pattern)
{
	assert_true(watch_list_add(list, name, is_pattern));
}

static void test_lists(void **state)
{
	struct watch_list list = {0}, more = {0};
	add(&list, "c", false);
	add(&list, "a", false);
	add(&list, "c", true);
	add(&list, "a", false);
	watch_list_sort(&list);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].name, "a");
	assert_int_not_equal(list.items[0].mark, 0);
	assert_false(list.items[1].is_pattern);
	assert_true(list.items[2].is_pattern);
	list.items[0].mark = 7;
	add(&more, "b", false);
	add(&more, "a", false);
	watch_list_sort(&more);
	assert_true(watch_list_merge(&list, &more));
	assert_int_equal(more.count, 0);
	assert_int_equal(list.count, 4);
	assert_int_equal(list.items[0].mark, 7); // as it was looked at here
	assert_string_equal(list.items[1].name, "b");
	watch_list_free(&list);
	watch_list_free(&list);
	assert_true(watch_list_merge(&list, &more)); // nothing to nothing
	watch_list_sort(&list);
}

// A file that was read twice, and replaced in between, is not what was read.
static void test_replaced_between_two_reads(void **state)
{
	struct watch_list list = {0};
	add(&list, "a", false);
	put("a", "one");
	settle();
	add(&list, "a", false);
	watch_list_sort(&list);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0].mark, 0);
	watch_list_free(&list);
}

static void test_memory_runs_out(void **state)
{
	unsigned failures = 0;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		struct watch_list list = {0}, more = {0};
		bool well = watch_list_add(&list, "a", false) && watch_list_add(&more, "b", false) &&
			    watch_list_merge(&list, &more);
		(void)fail_alloc_stop();
		failures += !well;
		watch_list_free(&list);
		watch_list_free(&more);
	}
	assert_true(failures >= 3);
}

// --- Watching

#define START_NS (100 * SECOND_NS)

// Watches these files, which have settled.
static void begin(struct watcher *watcher, const char *const *names)
{
	struct watch_list list = {0};
	const char *first;
	settle();
	for (; *names; names++)
		add(&list, *names, strchr(*names, '*'));
	watcher_init(watcher);
	watcher_watch(watcher, &list, START_NS);
	assert_int_equal(list.count, 0);
	assert_int_equal(watcher->look_at_ns, START_NS + SECOND_NS);
	assert_int_equal(watcher_look(watcher, watcher->look_at_ns, &first), 0);
	assert_int_equal(watcher->look_at_ns, START_NS + 31 * SECOND_NS);
}

static bool is_told(struct watcher *watcher, int timeout_ms)
{
	struct pollfd wait = {.fd = watcher_descriptor(watcher), .events = POLLIN};
	assert_true(wait.fd >= 0);
	return poll(&wait, 1, timeout_ms) == 1;
}

// Something happens, and after a second of quiet so many files have changed.
static size_t look_when_told(struct watcher *watcher, const char **ret_first)
{
	int64_t now_ns = START_NS + 10 * SECOND_NS;
	assert_true(is_told(watcher, 30000));
	watcher_take(watcher, now_ns);
	assert_int_equal(watcher_descriptor(watcher), -1); // whatever else happens now wakes nobody
	assert_int_equal(watcher->look_at_ns, now_ns + SECOND_NS);
	settle();
	size_t changed = watcher_look(watcher, now_ns + SECOND_NS, ret_first);
	if (changed == 0 && watcher->stirred_ns != 0) // a part of it had come later
		changed = watcher_look(watcher, now_ns + 2 * SECOND_NS, ret_first);
	return changed;
}

struct way {
	const char *name; // of the file that is named
	void (*prepare)(void);
	void (*replace)(void);
};

static void make_file(void)
{
	put("a.pem", "old");
}

static void write_over(void)
{
	put("a.pem", "new");
}

static void rename_over(void)
{
	put("a.tmp", "new");
	assert_int_equal(rename("a.tmp", "a.pem"), 0);
}

static void delete_and_create(void)
{
	assert_int_equal(unlink("a.pem"), 0);
	put("a.pem", "new");
}

static void delete_it(void)
{
	assert_int_equal(unlink("a.pem"), 0);
}

static void change_its_mode(void)
{
	assert_int_equal(chmod("a.pem", 0600), 0);
}

static void touch_nothing(void)
{
}

// As certbot has it: live/site/a.pem -> ../../archive/site/a1.pem.
static void make_archive(void)
{
	static const char *const folders[] = {"live", "archive", "live/site", "archive/site"};
	for (size_t i = 0; i < COUNT(folders); i++)
		assert_int_equal(mkdir(folders[i], 0700), 0);
	put("archive/site/a1.pem", "old");
	assert_int_equal(symlink("../../archive/site/a1.pem", "live/site/a.pem"), 0);
}

static void switch_link(void)
{
	put("archive/site/a2.pem", "new");
	assert_int_equal(unlink("live/site/a.pem"), 0);
	assert_int_equal(symlink("../../archive/site/a2.pem", "live/site/a.pem"), 0);
}

static void write_over_target(void)
{
	put("archive/site/a1.pem", "new");
}

static void rename_over_target(void)
{
	put("archive/site/x", "new");
	assert_int_equal(rename("archive/site/x", "archive/site/a1.pem"), 0);
}

static void replace_folder_on_the_way(void)
{
	assert_int_equal(rename("archive", "former"), 0);
	assert_int_equal(mkdir("archive", 0700), 0);
	assert_int_equal(mkdir("archive/site", 0700), 0);
	put("archive/site/a1.pem", "new");
}

// As Kubernetes has it: a.pem -> ..data/a.pem, ..data -> ..1.
static void make_volume(void)
{
	assert_int_equal(mkdir("..1", 0700), 0);
	put("..1/a.pem", "old");
	assert_int_equal(symlink("..1", "..data"), 0);
	assert_int_equal(symlink("..data/a.pem", "a.pem"), 0);
}

static void switch_volume(void)
{
	assert_int_equal(mkdir("..2", 0700), 0);
	put("..2/a.pem", "new");
	assert_int_equal(symlink("..2", "..data_tmp"), 0);
	assert_int_equal(rename("..data_tmp", "..data"), 0);
}

static void make_absolute_link(void)
{
	char target[64];
	put("real.pem", "old");
	(void)snprintf(target, sizeof target, "%s/real.pem", directory);
	assert_int_equal(mkdir("live", 0700), 0);
	assert_int_equal(symlink(target, "live/a.pem"), 0);
}

static void write_over_real(void)
{
	put("real.pem", "new");
}

static void make_folder_with_file(void)
{
	assert_int_equal(mkdir("certificates", 0700), 0);
	put("certificates/a.pem", "new");
}

static void make_folder(void)
{
	assert_int_equal(mkdir("certificates", 0700), 0);
}

static void add_to_folder(void)
{
	put("certificates/b.pem", "new");
}

static void test_ways_to_replace(void **state)
{
	static const struct way ways[] = {
		{"a.pem", make_file, write_over},
		{"a.pem", make_file, rename_over},
		{"a.pem", make_file, delete_and_create},
		{"a.pem", make_file, delete_it},
		{"a.pem", make_file, change_its_mode},
		{"./a.pem", make_file, write_over},
		{"a.pem", touch_nothing, write_over},
		{"live/site/a.pem", make_archive, switch_link},
		{"live/site/a.pem", make_archive, write_over_target},
		{"live/site/a.pem", make_archive, rename_over_target},
		{"live/site/a.pem", make_archive, replace_folder_on_the_way},
		{"live//site/../site/a.pem", make_archive, switch_link},
		{"a.pem", make_volume, switch_volume},
		{"live/a.pem", make_absolute_link, write_over_real},
		{"certificates/a.pem", touch_nothing, make_folder_with_file},
		{"certificates/*.pem", make_folder, add_to_folder},
	};
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct watcher watcher;
		const char *first, *names[] = {ways[i].name, NULL};
		assert_int_equal(make_directory(NULL), 0);
		ways[i].prepare();
		begin(&watcher, names);
		ways[i].replace();
		assert_int_equal(look_when_told(&watcher, &first), 1);
		assert_string_equal(first, ways[i].name);
		assert_true(watcher.look_at_ns >= START_NS + 41 * SECOND_NS);
		assert_int_equal(watcher_look(&watcher, watcher.look_at_ns, &first), 0); // once
		watcher_fini(&watcher);
		assert_int_equal(remove_directory(NULL), 0);
	}
}

// After its folder or its link was replaced, the new one is what is watched.
static void test_replaced_again(void **state)
{
	struct watcher watcher;
	const char *first, *names[] = {"a.pem", NULL};
	make_volume();
	begin(&watcher, names);
	switch_volume();
	assert_int_equal(look_when_told(&watcher, &first), 1);
	put("..2/a.pem", "newer");
	assert_int_equal(look_when_told(&watcher, &first), 1);
	watcher_fini(&watcher);
}

static void test_what_else_happens_is_no_change(void **state)
{
	struct watcher watcher;
	const char *first = NULL, *names[] = {"a.pem", "certificates/*.pem", NULL};
	make_file();
	make_folder();
	begin(&watcher, names);
	put("access.log", "line");
	put("certificates/a.key", "key");
	assert_int_equal(look_when_told(&watcher, &first), 0);
	assert_null(first);
	watcher_fini(&watcher);
}

static void test_many_in_one_folder(void **state)
{
	struct watcher watcher;
	const char *first, *names[] = {"c.pem", "b.pem", "a.pem", NULL};
	put("real.pem", "old");
	for (size_t i = 0; names[i]; i++)
		if (names[i][0] != 'b')
			put(names[i], "old");
	// The way of this one leads on from the folder.
	assert_int_equal(mkdir("elsewhere", 0700), 0);
	assert_int_equal(rename("real.pem", "elsewhere/real.pem"), 0);
	assert_int_equal(symlink("elsewhere/real.pem", "b.pem"), 0);
	begin(&watcher, names);
	put("elsewhere/real.pem", "new");
	assert_int_equal(look_when_told(&watcher, &first), 1);
	assert_string_equal(first, "b.pem");
	put("c.pem", "new");
	put("a.pem", "new");
	assert_int_equal(look_when_told(&watcher, &first), 2);
	assert_string_equal(first, "a.pem");
	watcher_fini(&watcher);
}

// Nobody tells of a file that is written by another of its names; the look finds it.
static void test_found_without_being_told(void **state)
{
	struct watcher watcher;
	const char *first, *names[] = {"certificates/a.pem", NULL};
	make_folder_with_file();
	assert_int_equal(mkdir("other", 0700), 0);
	assert_int_equal(link("certificates/a.pem", "other/a.pem"), 0);
	begin(&watcher, names);
	int descriptor = open("other/a.pem", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(descriptor, "new", 3), 3);
	close(descriptor);
	assert_false(is_told(&watcher, 0));
	settle();
	assert_int_equal(watcher_look(&watcher, watcher.look_at_ns, &first), 1);
	watcher_fini(&watcher);
}

// As long as something happens every second the look is put off, but not for ever.
static void test_waits_for_quiet(void **state)
{
	struct watcher watcher;
	const char *first, *names[] = {"a.pem", NULL};
	make_file();
	begin(&watcher, names);
	write_over();
	assert_true(is_told(&watcher, 30000));
	int64_t now_ns = START_NS + 10 * SECOND_NS;
	watcher_take(&watcher, now_ns);
	unsigned looks = 0;
	for (; watcher.stirred_ns != 0; looks++) {
		rename_over();
		now_ns = watcher.look_at_ns;
		size_t changed = watcher_look(&watcher, now_ns, &first);
		assert_int_equal(changed, watcher.stirred_ns != 0 ? 0 : 1);
	}
	assert_int_equal(looks, 5);
	watcher_fini(&watcher);
}

// Where the system gives no watches, the looks are all there is.
static void test_without_inotify(void **state)
{
	struct watcher watcher;
	struct rlimit before, none = {0};
	const char *first, *names[] = {"a.pem", NULL};
	make_file();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	begin(&watcher, names);
	assert_int_equal(watcher_descriptor(&watcher), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	write_over();
	settle();
	assert_int_equal(watcher_look(&watcher, watcher.look_at_ns, &first), 1);
	// And where it gives them again, they are taken.
	assert_true(watcher_descriptor(&watcher) >= 0);
	rename_over();
	assert_int_equal(look_when_told(&watcher, &first), 1);
	watcher_fini(&watcher);
}

static void test_nothing_to_watch(void **state)
{
	struct watcher watcher;
	struct watch_list list = {0};
	const char *names[] = {"a.pem", NULL};
	begin(&watcher, names);
	watcher_watch(&watcher, &list, START_NS);
	assert_int_equal(watcher_descriptor(&watcher), -1);
	assert_int_equal(watcher.look_at_ns, INT64_MAX);
	watcher_take(&watcher, START_NS);
	assert_int_equal(watcher.look_at_ns, INT64_MAX);
	watcher_fini(&watcher);
}

// What a configuration named that was not fit to rule.
static void test_more_to_watch(void **state)
{
	struct watcher watcher;
	struct watch_list more = {0};
	const char *first, *names[] = {"a.pem", NULL};
	make_file();
	put("b.pem", "old");
	begin(&watcher, names);
	add(&more, "b.pem", false);
	add(&more, "a.pem", false);
	watcher_add(&watcher, &more, START_NS);
	assert_int_equal(watcher_look(&watcher, watcher.look_at_ns, &first), 0);
	put("b.pem", "new");
	assert_int_equal(look_when_told(&watcher, &first), 1);
	assert_string_equal(first, "b.pem");
	watcher_fini(&watcher);
}

// Links that lead in circles, and names that are too long, are no way.
static void test_ways_without_end(void **state)
{
	struct watcher watcher;
	static char longest[5000];
	memset(longest, 'x', sizeof longest - 1);
	const char *names[] = {"circle", longest, NULL};
	assert_int_equal(symlink("circle", "circle"), 0);
	begin(&watcher, names);
	watcher_fini(&watcher);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(test_marks_of_files),
		WITH_DIRECTORY(test_marks_of_patterns),
		WITH_DIRECTORY(test_lists),
		WITH_DIRECTORY(test_replaced_between_two_reads),
		WITH_DIRECTORY(test_memory_runs_out),
		cmocka_unit_test(test_ways_to_replace),
		WITH_DIRECTORY(test_replaced_again),
		WITH_DIRECTORY(test_what_else_happens_is_no_change),
		WITH_DIRECTORY(test_many_in_one_folder),
		WITH_DIRECTORY(test_found_without_being_told),
		WITH_DIRECTORY(test_waits_for_quiet),
		WITH_DIRECTORY(test_without_inotify),
		WITH_DIRECTORY(test_nothing_to_watch),
		WITH_DIRECTORY(test_more_to_watch),
		WITH_DIRECTORY(test_ways_without_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
