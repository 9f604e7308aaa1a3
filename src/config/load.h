// Loads a configuration: YAML files to typed structs, by the tables of key.h.
#ifndef USHER_CONFIG_LOAD_H
#define USHER_CONFIG_LOAD_H

#include "base/arena.h"
#include "config/key.h"

#include <stdbool.h>
#include <stdio.h>

struct config;

// Where files and the environment come from: the disk, a record of it, or a test.
struct config_source {
	// The whole content of a file: 0, or -errno. The bytes are malloced and the loader's.
	int (*read_file)(struct config_source *source, const char *path, struct slice *ret_content);
	// The names that match a glob pattern, sorted, NUL-separated, malloced: 0 or -errno.
	int (*glob)(struct config_source *source, const char *pattern, struct slice *ret_names);
	// NULL when it is not set.
	const char *(*environment)(struct config_source *source, const char *name);
};

// The disk and the process's environment.
struct config_source *config_source_disk(void);

// A loading under way, for refine and finish functions and for features.
struct config_load;

// Begins to load the file at `path` (or the given text, when text.data is not NULL; then path
// names it). The root section decides what is allowed. *ret_root is the filled-in struct of
// the root section, NULL when nothing could be loaded at all. Errors are collected; features
// may go on to check *ret_root and add theirs. NULL when memory is out.
struct config_load *config_load_begin(struct config_source *source, const char *path, struct slice text,
				      const struct config_section *root, void **ret_root);

// Ends it. Without errors the configuration is handed over (all memory of the load: free it
// with config_free); else it is freed, and false returned. Prints what was found, sorted by
// place, with source lines and carets, to `messages` (NULL: nowhere).
bool config_load_end(struct config_load *load, FILE *messages, bool colours, struct config **ret_config);

void config_free(struct config *config);

// Memory that lives as long as the configuration.
struct arena *config_arena(struct config_load *load);

// Reports; the load goes on, to find more, and finally fails (a warning does not fail it).
void config_error(struct config_load *load, struct config_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void config_warning(struct config_load *load, struct config_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
size_t config_error_count(const struct config_load *load);

// Whether a key of a loaded struct was written, and where (its key; the struct's own place
// when it was not).
bool config_is_set(const struct config_load *load, const void *section_struct, const char *key);
struct config_place config_where(const struct config_load *load, const void *section_struct, const char *key);

#endif
