// The tree that a YAML file is made into: scalars, lists and maps, each with its place.
//
// Aliases point at the node of their anchor, so that a tree may be reached on several ways;
// it never contains itself. Nodes are not changed once they are made.
#ifndef USHER_CONFIG_NODE_H
#define USHER_CONFIG_NODE_H

#include "base/slice.h"
#include "config/key.h"

struct document;

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node_entry {
	const struct node *name; // a scalar
	const struct node *value;
};

struct node {
	enum node_kind kind;
	bool plain;				     // a scalar without quotes
	bool broken;				     // a scalar with a variable that was reported
	bool visited;				     // by the loader: further visits are repeats
	uint32_t line, column, end_line, end_column; // from 1; the end is behind the last one
	const struct document *document;
	union {
		struct {
			struct slice text;    // variables put in, a NUL behind it
			struct slice written; // as it stands in the file
		};
		struct {
			const struct node *const *items;
			size_t item_count;
		};
		struct {
			const struct node_entry *entries;
			size_t entry_count;
		};
	};
};

struct config_place node_place(const struct node *node);

// Whether the scalar means "nothing": an empty one, ~ or null without quotes.
bool node_is_null(const struct node *node);

// The entry of a map by name, or NULL.
const struct node_entry *node_find(const struct node *map, struct slice name);

// "a list", "an empty list", "a map", "an empty map", "nothing", or "text".
const char *node_kind_word(const struct node *node);

#endif
