// Keys and sections: the tables from which a configuration is loaded, checked, explained
// and documented.
//
// Each feature declares a table of its keys beside its code. The loader fills in structs by
// it; error messages, the JSON Schema and docs/configuration.md come from the same rows.
// This folder knows no feature.
#ifndef USHER_CONFIG_KEY_H
#define USHER_CONFIG_KEY_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_load;
struct config_section;

// Where something stands: line and column count from 1; file NULL means nowhere.
struct config_place {
	const char *file;
	uint32_t line, column;
};

// A scalar with its place. .text.data is NULL when absent.
struct config_text {
	struct slice text; // with a NUL behind it
	struct config_place place;
};

struct config_texts {
	struct config_text *items;
	size_t count;
};

struct config_pair {
	struct config_text name, value;
};

struct config_pairs {
	struct config_pair *items;
	size_t count;
};

// A path, relative to the file that names it, and what the file held.
struct config_file {
	struct config_text path; // resolved
	struct slice content;
};

// Items are structs of the section's size, one behind the other.
struct config_list {
	void *items;
	size_t count;
};

enum config_kind {
	CONFIG_BOOL,	 // bool
	CONFIG_INTEGER,	 // int64_t, min to max
	CONFIG_DURATION, // int64_t nanoseconds: 250ms, 10s, 1m, 2h, 1d; off (0) where min is 0
	CONFIG_SIZE,	 // int64_t bytes: 512, 64KiB, 10MB, 1GiB; off (0) where min is 0
	CONFIG_TEXT,	 // struct config_text
	CONFIG_CHOICE,	 // int: the index into .choices
	CONFIG_TEXTS,	 // struct config_texts; one scalar stands for a list of one
	CONFIG_PAIRS,	 // struct config_pairs, in order; a value may be a list: several pairs
	CONFIG_FILE,	 // struct config_file
	CONFIG_SECTION,	 // a nested struct in place, by .section
	CONFIG_OPTIONAL, // struct X *, NULL when absent, by .section
	CONFIG_LIST,	 // struct config_list of .section; one map may stand for a list of one
	CONFIG_NAMED,	 // struct config_list of .section from a map name -> section
};

struct config_key {
	const char *name;
	enum config_kind kind;
	size_t offset;		    // in the section's struct
	const char *standard;	    // the default, as it would be written; NULL: absent, or zero
	const char *help;	    // one line
	int64_t min, max;	    // of numbers; max 0: no bound
	const char *const *choices; // ends with NULL
	const struct config_section *section;
	bool required; // of a list: not empty either
	bool secret;   // its value is never printed
	bool watched;  // of a FILE: replaced while the configuration rules, it is taken by itself
	// Refines a scalar once it is parsed (each one of TEXTS, each value of PAIRS, the path
	// of FILE), a default too: checks it, may store a parsed form elsewhere in the struct.
	// Reports by config_error and returns false.
	bool (*refine)(struct config_load *load, void *section_struct, const struct config_text *text);
	const char *form;    // what is expected: "an address such as 10.0.0.1:80"
	const char *pattern; // a regular expression for the schema, or NULL
};

#define CONFIG_NO_OFFSET ((size_t)-1)

struct config_section {
	const char *name; // for the reference and the schema; no two sections share one
	const char *help;
	size_t size;
	const struct config_key *keys; // ends with a row without name
	// Keys that other modules contribute, found at run time: the value of key i, always
	// by pointer (NULL when absent), is stored at extra_offset + i * sizeof(void *).
	const struct config_key *const *extra; // ends with NULL; or NULL
	size_t extra_offset;
	size_t place_offset;   // of a struct config_place to be filled in, or CONFIG_NO_OFFSET
	size_t name_offset;    // of a struct config_text for the name, in CONFIG_NAMED
	const char *shorthand; // the key that a bare scalar or list stands for, or NULL
	// Checks over all keys, after they are loaded; left out where one of the section's own
	// keys was wrong (a nested section that failed holds what could be read). False after
	// config_error.
	bool (*finish)(struct config_load *load, void *section_struct);
};

#endif
