// What features do while a configuration loads: ask what was written, read files, clean up.
#include "base/text.h"
#include "config/loading.h"
#include "config/suggest.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_is_set(void **state)
{
	struct test_source source = test_source((struct test_file[]){{0}}, NULL);
	void *root;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(
		&source.source, "a.yaml",
		SLICE("yes: off\nsection: {<<: {number: 3}}\noptional: short\nlist: [{}, a]\nextra_text: x\n"),
		&sample_section, &root);
	struct sample *sample = root;
	assert_true(config_is_set(load, sample, "yes"));
	assert_false(config_is_set(load, sample, "yes_by_default"));
	assert_true(config_is_set(load, sample, "extra_text"));
	assert_false(config_is_set(load, sample, "no such key"));
	assert_true(config_is_set(load, &sample->section, "number"));
	assert_false(config_is_set(load, &sample->section, "text"));
	assert_true(config_is_set(load, sample->optional, "text"));
	assert_false(config_is_set(load, sample->optional, "number"));
	struct sample_section *items = sample->list.items;
	assert_false(config_is_set(load, &items[0], "text"));
	assert_true(config_is_set(load, &items[1], "text"));
	assert_false(config_is_set(load, &source, "text"));

	struct config_place place = config_where(load, sample, "section");
	assert_string_equal(place.file, "a.yaml");
	assert_int_equal(place.line, 2);
	assert_int_equal(place.column, 1);
	assert_int_equal(config_where(load, sample, "yes_by_default").line, 1);
	assert_int_equal(config_where(load, sample->optional, "text").line, 3);
	assert_int_equal(config_where(load, &items[0], "number").column, 8);
	assert_null(config_where(load, &source, "text").file);
	assert_true(config_load_end(load, NULL, false, &config));
	config_free(config);
}

// A struct is whole when nothing in it, and in what it holds, was wrong.
static void test_is_whole(void **state)
{
	static const struct {
		const char *text;
		bool whole, section_whole, item_whole;
	} rows[] = {
		{"section: {number: 1}\nlist: [a, {number: 2}]", true, true, true},
		{"section: {number: x}\nlist: [a, {number: 2}]", false, false, true},
		{"section: {number: 13}\nlist: [a, {number: 2}]", false, false, true},
		{"section: {number: 1}\nlist: [a, {txt: 2}]", false, true, false},
		{"section: {number: 1}\nlist: [a, {number: \"${NONE}\"}]", false, true, false},
		{"integer: x\nlist: [a, {number: 2}]", false, true, true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct test_source source = test_source((struct test_file[]){{0}}, NULL);
		void *root;
		struct config *config = NULL;
		struct config_load *load = config_load_begin(&source.source, "a.yaml", slice_from_string(rows[i].text),
							     &sample_section, &root);
		struct sample *sample = root;
		struct sample_section *items = sample->list.items;
		assert_int_equal(config_is_whole(load, sample), rows[i].whole);
		assert_int_equal(config_is_whole(load, &sample->section), rows[i].section_whole);
		assert_true(config_is_whole(load, &items[0]));
		assert_int_equal(config_is_whole(load, &items[1]), rows[i].item_whole);
		assert_true(config_is_whole(load, &source));
		assert_int_equal(config_load_end(load, NULL, false, &config), rows[i].whole);
		config_free(config);
	}
}

static unsigned freed;

static void note_free(void *object)
{
	freed = freed * 10 + *(unsigned *)object;
}

static void test_at_free(void **state)
{
	static unsigned numbers[] = {1, 2, 3};
	for (int fails = 0; fails < 2; fails++) {
		struct test_source source = test_source((struct test_file[]){{0}}, NULL);
		void *root;
		struct config *config = NULL;
		struct config_load *load =
			config_load_begin(&source.source, "a.yaml", SLICE(""), &sample_section, &root);
		freed = 0;
		for (int i = 0; i < 3; i++)
			assert_true(config_at_free(load, note_free, &numbers[i]));
		if (fails)
			config_error(load, ((struct sample *)root)->place, "wrong");
		assert_int_equal(config_error_count(load), fails);
		assert_int_equal(config_load_end(load, NULL, false, &config), !fails);
		assert_int_equal(freed, fails ? 321 : 0);
		if (!fails)
			config_free(config);
		assert_int_equal(freed, 321);
	}
	config_free(NULL);
}

static void test_files(void **state)
{
	struct test_file files[] = {{"etc/a.yaml", "text: ../b\nsecret: none\n"}, {"b", "content"}, {0}};
	struct test_source source = test_source(files, NULL);
	void *root;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(&source.source, "etc/a.yaml", SLICE_EMPTY, &sample_section, &root);
	struct sample *sample = root;
	struct slice content;
	assert_true(config_read_file(load, &sample->text, &content));
	assert_true(slice_equal(content, SLICE("content")));
	assert_string_equal(config_resolve(load, &sample->secret).data, "etc/none");
	assert_int_equal(config_error_count(load), 0);
	assert_false(config_read_file(load, &sample->secret, &content));
	assert_int_equal(config_error_count(load), 1);
	assert_false(config_load_end(load, NULL, false, &config));
}

static void test_resolve(void **state)
{
	static const struct {
		const char *from, *path, *resolved;
	} rows[] = {
		{"a.yaml", "b", "b"},
		{"a.yaml", "./b", "b"},
		{"x/a.yaml", "b", "x/b"},
		{"x/a.yaml", "../b", "b"},
		{"x/a.yaml", "../../b", "../b"},
		{"x/a.yaml", "../../../b", "../../b"},
		{"/x/a.yaml", "../../b", "/b"},
		{"/a.yaml", "b/", "/b"},
		{"x/a.yaml", "/y//z/./w", "/y/z/w"},
		{"x/a.yaml", "..", "."},
		{"x/a.yaml", "y/../..", "."},
		{"../x/a.yaml", "../b", "../b"},
		{"x/a.yaml", "/", "/"},
		{"x/a.yaml", "/..", "/"},
		{"./a.yaml", "b", "b"},
		{"x/a.yaml", "..b/...", "x/..b/..."},
		{"a.yaml", "../a", "../a"},
	};
	struct test_source source = test_source((struct test_file[]){{0}}, NULL);
	void *root;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(&source.source, "a.yaml", SLICE(""), &sample_section, &root);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config_text path = {slice_from_string(rows[i].path), {rows[i].from, 1, 1}};
		assert_string_equal(config_resolve(load, &path).data, rows[i].resolved);
	}
	assert_true(config_load_end(load, NULL, false, &config));
	config_free(config);
}

static void test_suggestion(void **state)
{
	static const struct slice names[] = {{"api", 3}, {"static", 6}, {"images", 6}};
	struct test_source source = test_source((struct test_file[]){{0}}, NULL);
	void *root;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(&source.source, "a.yaml", SLICE(""), &sample_section, &root);
	assert_string_equal(config_suggestion(load, SLICE("statik"), names, 3), "; did you mean \"static\"?");
	assert_string_equal(config_suggestion(load, SLICE("image"), names, 3), "; did you mean \"images\"?");
	assert_string_equal(config_suggestion(load, SLICE("pai"), names, 3), "; did you mean \"api\"?");
	assert_string_equal(config_suggestion(load, SLICE("x"), names, 3), "");
	assert_string_equal(config_suggestion(load, SLICE("entirely different"), names, 3), "");
	assert_string_equal(config_suggestion(load, SLICE("api"), names, 0), "");
	assert_true(config_load_end(load, NULL, false, &config));
	config_free(config);
}

static void test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {{"", "", 0},
		    {"a", "", 1},
		    {"", "abc", 3},
		    {"cahce", "cache", 1},
		    {"kitten", "sitting", 3},
		    {"ABC", "abc", 0},
		    {"ca", "abc", 3},
		    {"abcdef", "abcdef", 0},
		    {"abcd", "badc", 2},
		    {"abcdefgh", "zzzzzzzz", 6}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice a = slice_from_string(rows[i].a), b = slice_from_string(rows[i].b);
		assert_int_equal(suggest_distance(a, b, 5), rows[i].distance);
		assert_int_equal(suggest_distance(b, a, 5), rows[i].distance);
	}
	char large[65];
	memset(large, 'a', sizeof large);
	assert_int_equal(suggest_distance(slice_from(large, 65), slice_from(large, 65), 2), 3);
	assert_int_equal(suggest_distance(slice_from(large, 64), slice_from(large, 64), 2), 0);
}

// Files of the disk, in a folder of their own.
static void write_file(const char *folder, const char *name, const char *content)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static void test_disk(void **state)
{
	char folder[] = "/tmp/usher-test-XXXXXX", path[300];
	assert_non_null(mkdtemp(folder));
	write_file(folder, "a.yaml", "include: sites-*.yaml\nfile: key\ntext: ${USHER_TEST_VARIABLE}\n");
	write_file(folder, "sites-2.yaml", "list: [c]\n");
	write_file(folder, "sites-1.yaml", "list: [a, b]\n");
	write_file(folder, "key", "KEY\n");
	write_file(folder, "empty", "");
	setenv("USHER_TEST_VARIABLE", "from outside", 1);
	snprintf(path, sizeof path, "%s/a.yaml", folder);
	void *root;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(config_source_disk(), path, SLICE_EMPTY, &sample_section, &root);
	assert_int_equal(config_error_count(load), 0);
	struct sample *sample = root;
	assert_int_equal(sample->list.count, 3);
	assert_string_equal(((struct sample_section *)sample->list.items)->text.text.data, "a");
	assert_string_equal(sample->text.text.data, "from outside");
	assert_true(slice_equal(sample->file.content, SLICE("KEY\n")));
	assert_true(config_load_end(load, NULL, false, &config));
	config_free(config);

	struct config_source *disk = config_source_disk();
	struct slice content = SLICE_EMPTY;
	snprintf(path, sizeof path, "%s/empty", folder);
	assert_int_equal(disk->read_file(disk, path, &content), 0);
	assert_int_equal(content.length, 0);
	free((void *)content.data);
	assert_int_equal(disk->read_file(disk, folder, &content), -EISDIR);
	assert_int_equal(disk->read_file(disk, "/dev/zero", &content), -EFBIG);
	// Files with holes, which take no room: more than a device may have, and the bound.
	snprintf(path, sizeof path, "%s/empty", folder);
	assert_int_equal(truncate(path, UNSIZED_BYTES_MAX + 1), 0);
	assert_int_equal(disk->read_file(disk, path, &content), 0);
	assert_int_equal(content.length, UNSIZED_BYTES_MAX + 1);
	free((void *)content.data);
	assert_int_equal(truncate(path, (off_t)FILE_BYTES_MAX + 1), 0);
	assert_int_equal(disk->read_file(disk, path, &content), -EFBIG);
	// As a configuration, it is one of few megabytes.
	assert_int_equal(truncate(path, DOCUMENT_BYTES_MAX + 1), 0);
	load = config_load_begin(disk, path, SLICE_EMPTY, &sample_section, &root);
	assert_int_equal(config_error_count(load), 1);
	assert_false(config_load_end(load, NULL, false, &config));
	assert_int_equal(disk->read_file(disk, "/no/such/file", &content), -ENOENT);
	snprintf(path, sizeof path, "%s/x*", folder);
	assert_int_equal(disk->glob(disk, path, &content), 0);
	assert_int_equal(content.length, 0);
	free((void *)content.data);
	// Of a size that nobody knows before: /proc says 0.
	assert_int_equal(disk->read_file(disk, "/proc/self/maps", &content), 0);
	assert_true(content.length > 0);
	free((void *)content.data);

	static const char *const names[] = {"a.yaml", "sites-1.yaml", "sites-2.yaml", "key", "empty"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);
}

// Ten thousand sections, as many names, and as many lines.
static void test_many_sections(void **state)
{
	enum { COUNT = 10000 };
	char *buffer = malloc(COUNT * 200);
	assert_non_null(buffer);
	struct text text;
	text_init(&text, buffer, COUNT * 200);
	text_add_string(&text, "list:\n");
	for (int i = 0; i < COUNT; i++)
		text_printf(&text, "  - text: site-%d.example.com\n    number: %d\n", i, 20000 - i);
	text_add_string(&text, "named:\n");
	for (int i = 0; i < COUNT; i++)
		text_printf(&text, "  pool-%d: {text: \"10.0.%d.%d:80\"}\n", i, i / 256, i % 256);
	text_add_char(&text, '\0');
	assert_false(text.overflow);
	struct result result = load_text(&sample_section, buffer);
	assert_string_equal(result.messages, "");
	struct sample *sample = result.root;
	assert_int_equal(sample->list.count, COUNT);
	assert_int_equal(sample->named.count, COUNT);
	struct sample_section *last = (struct sample_section *)sample->list.items + COUNT - 1;
	assert_string_equal(last->text.text.data, "site-9999.example.com");
	assert_int_equal(last->number, 10001);
	assert_int_equal(last->place.line, 2 * COUNT);
	last = (struct sample_section *)sample->named.items + COUNT - 1;
	assert_string_equal(last->name.text.data, "pool-9999");
	result_free(&result);
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_set),	 cmocka_unit_test(test_is_whole), cmocka_unit_test(test_at_free),
		cmocka_unit_test(test_files),	 cmocka_unit_test(test_resolve),  cmocka_unit_test(test_suggestion),
		cmocka_unit_test(test_distance), cmocka_unit_test(test_disk),	  cmocka_unit_test(test_many_sections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
