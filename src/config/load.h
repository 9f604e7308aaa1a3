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
	// Whether others than the file's owner and group may read or change it. NULL: not known.
	bool (*is_open_to_others)(struct config_source *source, const char *path);
	// Where watched files come from, and only these: files that may be replaced while the
	// configuration rules. NULL: from here as well.
	struct config_source *watched;
};

// The disk and the process's environment. Files above 64 MiB answer -EFBIG.
struct config_source *config_source_disk(void);

// A loading under way, for refine and finish functions and for features.
struct config_load;

// What is understood beside the keys of the sections:
//
// - `include: FILE`, or a list of them, or a pattern such as sites/*.yaml, in the root's map:
//   the maps of the files are merged in, their lists put behind those that are there. The
//   same as an item of a list of sections stands for the items that the files hold. Relative
//   to the file that includes.
// - ${NAME} and ${NAME:-default} in values: the environment; $${ stands for ${.
// - anchors, aliases and the merge key <<; keys of the root that begin with x- are passed
//   over, for what anchors are put on.
//
// What is read is bounded: 64 MiB a file, 4,096 files, includes 16 deep, 64 levels, 4 million
// nodes, of which aliases may repeat 500,000.

// Begins to load the file at `path` (or the given text, when text.data is not NULL; then path
// names it). The root section decides what is allowed. *ret_root is the filled-in struct of
// the root section, NULL when nothing could be loaded at all. Errors are collected; features
// may go on to check *ret_root and add theirs. NULL when memory is out.
struct config_load *config_load_begin(struct config_source *source, const char *path, struct slice text,
				      const struct config_section *root, void **ret_root);

// Ends it. Without errors the configuration is handed over (all memory of the load: free it
// with config_free); else it is freed, and false returned. Prints what was found, sorted by
// place, with source lines and carets, to `messages` (NULL: nowhere). Values of secret keys
// are left out of the source lines.
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
//
// A struct that stands at the start of another (CONFIG_SECTION at offset 0) has the same
// address: the outer one is asked first.
bool config_is_set(const struct config_load *load, const void *section_struct, const char *key);
struct config_place config_where(const struct config_load *load, const void *section_struct, const char *key);

// Whether nothing was wrong in a loaded struct and in those that it holds; one that is not
// whole holds what could be read. True for what is no struct of a section.
bool config_is_whole(const struct config_load *load, const void *section_struct);

// The file as the configuration's: read through the source, relative to the file that `path`
// stands in. Reports when it cannot be read, and returns false. CONFIG_FILE does this itself.
bool config_read_file(struct config_load *load, const struct config_text *path, struct slice *ret_content);

// The same for a file that may be replaced while the configuration rules, and is then to be
// taken without a reload (a key's `watched`).
bool config_read_watched(struct config_load *load, const struct config_text *path, struct slice *ret_content);

// The names that match a pattern, relative as above, NUL-separated, sorted, as long as the
// load lives; none is no error. Files that come and go are watched. Reports what else goes
// wrong, and returns false.
bool config_glob_watched(struct config_load *load, const struct config_text *pattern, struct slice *ret_names);

// Whether others than its owner and group may read or change the file: a private key is to be
// warned of then. `path` as config_resolve gives it. False where that is not known.
bool config_is_open_to_others(struct config_load *load, const char *path);

// As config_read_file, of an absolute path (a literal), for a file that need not be there: false when it cannot be
// read, and nothing is reported. What was asked for before is not read again.
bool config_read_if_there(struct config_load *load, const char *path, struct slice *ret_content);

// A path as seen from the file that it stands in; in the configuration's memory, NUL behind
// it. .data is NULL when memory is out, which is reported.
struct slice config_resolve(struct config_load *load, const struct config_text *path);

// A variable of the environment, as long as the load lives; NULL when it is not set.
const char *config_environment(struct config_load *load, const char *name);

// Zeroed memory of the configuration; NULL when memory is out, which is reported.
void *config_alloc(struct config_load *load, size_t size);

// Calls free_it(object) when the configuration is freed, the last registered first: for what
// a library allocates. False when memory is out, which is reported, and free_it was called.
bool config_at_free(struct config_load *load, void (*free_it)(void *object), void *object);

// `; did you mean "api"?` for the name nearest to `given`, or "" when none is near.
// Lives as long as the load.
const char *config_suggestion(struct config_load *load, struct slice given, const struct slice *names, size_t count);

#endif
