#include "config/node.h"

#include "config/loading.h"

struct config_place node_place(const struct node *node)
{
	return (struct config_place){node->document->name, node->line, node->column};
}

bool node_is_null(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->plain &&
	       (node->text.length == 0 || slice_equal(node->text, SLICE("~")) ||
		slice_equal(node->text, SLICE("null")));
}

const struct node_entry *node_find(const struct node *map, struct slice name)
{
	for (size_t i = 0; i < map->entry_count; i++) {
		if (slice_equal(map->entries[i].name->text, name))
			return &map->entries[i];
	}
	return NULL;
}

const char *node_kind_word(const struct node *node)
{
	switch (node->kind) {
	case NODE_SCALAR:
		return node_is_null(node) ? "nothing" : "text";
	case NODE_LIST:
		return node->item_count == 0 ? "an empty list" : "a list";
	case NODE_MAP:
		return node->entry_count == 0 ? "an empty map" : "a map";
	}
	__builtin_unreachable();
}
