// Includes: puts the trees of other files where they are asked for.
#ifndef USHER_CONFIG_INCLUDE_H
#define USHER_CONFIG_INCLUDE_H

#include "config/loading.h"

// Reads a file and makes it a tree. The content is the caller's when `text` has any (it is
// copied); else it comes from the source. NULL after an error was reported, at `place`.
const struct node *include_read(struct config_load *load, const char *path, struct slice text,
				const struct document *includer, struct config_place place);

// The root's map with what it includes merged in; the map itself when it includes nothing.
const struct node *include_into_map(struct config_load *load, const struct node *map);

// The list with its items that are only an include replaced by what the files hold.
const struct node *include_into_list(struct config_load *load, const struct node *list);

// The path as seen from the file `from` ("dir/file.yaml"), without needless dots, in the
// configuration's memory. NULL when memory is out, which is reported.
const char *include_resolve(struct config_load *load, const char *from, struct slice path);

// Whether the file can be read, and its bytes in the configuration's memory, from which they
// are wiped at the end; false after an error was reported.
bool include_read_bytes(struct config_load *load, struct config_source *source, const char *path,
			struct config_place place, struct slice *ret_content);

// The same for a file that need not be there: nothing is reported.
bool include_read_optional(struct config_load *load, const char *path, struct slice *ret_content);

// The names that match a pattern, malloced; false after an error was reported.
bool include_glob(struct config_load *load, struct config_source *source, const char *pattern,
		  struct config_place place, struct slice *ret_names);

#endif
