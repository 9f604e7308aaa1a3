// Loads configurations from files that exist in the test only.
#ifndef USHER_TESTS_CONFIG_SUPPORT_H
#define USHER_TESTS_CONFIG_SUPPORT_H

#include "config/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs those above.
#include <cmocka.h>

struct test_file {
	const char *name, *content;
};

struct test_variable {
	const char *name, *value;
};

// Files and variables; each table ends with a row without name.
struct test_source {
	struct config_source source;
	const struct test_file *files;
	const struct test_variable *variables;
	unsigned reads;
};

struct test_source test_source(const struct test_file *files, const struct test_variable *variables);

// What a load gave. Free it with result_free.
struct result {
	bool ok;
	char *messages;
	void *root;
	struct config *config;
};

// Loads the first of the files.
struct result load_files(const struct config_section *root, const struct test_file *files,
			 const struct test_variable *variables);

// Loads the text as "a.yaml".
struct result load_text(const struct config_section *root, const char *text);
void result_free(struct result *result);

// That the text fails with exactly these messages.
void assert_messages(const struct config_section *root, const char *text, const char *messages);

// One of everything.
struct sample_section {
	struct config_place place;
	struct config_text name, text;
	int64_t number;
};

struct sample {
	struct config_place place;
	bool yes, yes_by_default;
	int64_t integer, duration, size;
	struct config_text text, secret;
	int choice;
	struct config_texts texts;
	struct config_pairs pairs;
	struct config_file file;
	struct sample_section section;
	struct sample_section *optional;
	struct config_list list, named;
	void *extra[4];
	int64_t refined; // the sum of the lengths of all refined texts
	unsigned finished;
};

extern const struct config_section sample_section;

#endif
