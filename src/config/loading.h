// A loading under way, as the files of this folder share it. Not for other folders.
//
// Files become trees of nodes (yaml.h), includes are put in (include.h), sections take the
// trees apart by their tables (section.h, value.h), and messages are kept until the end
// (message.h).
#ifndef USHER_CONFIG_LOADING_H
#define USHER_CONFIG_LOADING_H

#include "base/arena.h"
#include "config/load.h"
#include "config/node.h"

enum {
	FILE_BYTES_MAX = 512 << 20,    // databases of addresses are the largest
	UNSIZED_BYTES_MAX = 64 << 20,  // of what does not say before how large it is: a pipe, a device
	DOCUMENT_BYTES_MAX = 64 << 20, // of YAML
	FILES_MAX = 4096,
	INCLUDE_DEPTH_MAX = 16,
	NESTING_MAX = 64,
	NODES_MAX = 4000000,
	REPEATS_MAX = 500000,
	TEXT_BYTES_MAX = 1 << 20, // of a scalar, after its variables are put in
	MESSAGES_MAX = 1000,
};

// What must be done when the configuration is freed.
struct cleanup {
	struct cleanup *next;
	void (*free_it)(void *object);
	void *object;
};

struct config {
	struct arena arena;
	struct cleanup *cleanups;
};

// A file that was read.
struct document {
	struct document *next; // in the order of reading
	const struct document *includer;
	const char *name; // as it was asked for; lives as long as the configuration
	struct slice content;
	bool is_malloced; // the content
	bool is_standard; // not a file, but a default
	unsigned order;
	unsigned depth;
};

// A default that was made a tree.
struct standard {
	struct standard *next;
	const struct config_key *key;
	const struct node *node;
};

struct message {
	struct message *next;
	struct config_place place;
	bool is_warning;
	const char *text;
	size_t order;			 // of reporting
	const struct document *document; // of the place; known when it is printed
};

// A file that need not be there, and was asked for.
struct optional_file {
	struct optional_file *next;
	const char *path; // a literal
	struct slice content;
	bool is_there;
};

// Part of a file that is never shown.
struct hidden {
	struct hidden *next;
	const struct node *node;
};

// A section that was loaded into `object`: for config_is_set and config_where.
struct loaded {
	struct loaded *next_in_slot;
	const void *object;
	const struct config_section *section;
	const struct node *node;
	struct config_place place;
	bool is_broken; // something in it was wrong
};

struct config_load {
	struct config *config;
	struct arena scratch; // freed at the end: nodes, messages
	struct config_source *source;
	const struct config_section *root;

	struct document *documents, **documents_end;
	unsigned document_count;
	size_t node_count, repeat_count;

	struct message *messages, **messages_end;
	size_t message_count, error_count;
	bool out_of_memory;
	struct hidden *hidden;
	struct optional_file *optional_files;
	struct standard *standards;

	struct loaded **slots; // by the object's address; slot_count is a power of two
	size_t slot_count, loaded_count;
	size_t broken_count; // of sections in which something was wrong
};

// Where watched files come from, and what is found out about them.
static inline struct config_source *load_watched(const struct config_load *load)
{
	return load->source->watched != NULL ? load->source->watched : load->source;
}

// Scratch memory, zeroed; NULL when memory is out, which is reported.
void *scratch_alloc(struct config_load *load, size_t size);

// Notes that memory is out: the load fails.
void load_out_of_memory(struct config_load *load);

// Counts a value that is read once more than it is written. False, and reported, when that
// happened too often: a few lines with aliases can stand for more than memory holds.
bool load_count_repeat(struct config_load *load, const struct node *node);

// Counts a repeat when the node was loaded before: false as above.
bool load_visit(struct config_load *load, const struct node *node);

#endif
