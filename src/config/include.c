#include "config/include.h"

#include "config/map.h"
#include "config/yaml.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

// Nodes that are collected.
struct nodes {
	const struct node **items;
	size_t count, capacity;
};

static bool nodes_add(struct config_load *load, struct nodes *nodes, const struct node *node)
{
	if (nodes->count == nodes->capacity) {
		size_t capacity = nodes->capacity ? 2 * nodes->capacity : 16;
		const struct node **items = scratch_alloc(load, capacity * sizeof *items);
		if (items == NULL)
			return false;
		if (nodes->count > 0)
			memcpy(items, nodes->items, nodes->count * sizeof *items);
		nodes->items = items;
		nodes->capacity = capacity;
	}
	nodes->items[nodes->count++] = node;
	return true;
}

// --- Files

// Malloced bytes: 0 or -errno, of which only -ENOMEM is noted.
static int read_quietly(struct config_load *load, struct config_source *source, const char *path,
			struct slice *ret_content)
{
	struct slice content = SLICE_EMPTY;
	int error = source->read_file(source, path, &content);
	if (error == 0 && content.length > FILE_BYTES_MAX) {
		free((void *)content.data);
		error = -EFBIG;
	}
	if (error == -ENOMEM)
		load_out_of_memory(load);
	if (error == 0)
		*ret_content = content;
	return error;
}

static bool read_bytes(struct config_load *load, struct config_source *source, const char *path,
		       struct config_place place, struct slice *ret_content)
{
	int error = read_quietly(load, source, path, ret_content);
	if (error != 0 && error != -ENOMEM) {
		const char *words = strerrordesc_np(-error);
		config_error(load, place, "cannot read \"%s\": %s", path, words ? words : "unknown error");
	}
	return error == 0;
}

// It may have been a private key.
static void wipe_and_free(void *content)
{
	explicit_bzero(content, malloc_usable_size(content));
	free(content);
}

// Leaves malloced bytes to the configuration.
static bool own_bytes(struct config_load *load, struct slice content, struct slice *ret_content)
{
	if (content.data != NULL && !config_at_free(load, wipe_and_free, (void *)content.data))
		return false;
	*ret_content = content.data != NULL ? content : SLICE("");
	return true;
}

bool include_read_bytes(struct config_load *load, struct config_source *source, const char *path,
			struct config_place place, struct slice *ret_content)
{
	struct slice content;
	return read_bytes(load, source, path, place, &content) && own_bytes(load, content, ret_content);
}

bool include_read_optional(struct config_load *load, const char *path, struct slice *ret_content)
{
	struct slice content;
	return read_quietly(load, load->source, path, &content) == 0 && own_bytes(load, content, ret_content);
}

static bool check_chain(struct config_load *load, const char *path, const struct document *includer,
			struct config_place place)
{
	for (const struct document *document = includer; document != NULL; document = document->includer) {
		if (strcmp(document->name, path) == 0) {
			config_error(load, place, "\"%s\" includes itself", path);
			return false;
		}
	}
	if (includer != NULL && includer->depth >= INCLUDE_DEPTH_MAX) {
		config_error(load, place, "files are included more than %d deep", INCLUDE_DEPTH_MAX);
		return false;
	}
	if (load->document_count >= FILES_MAX) {
		config_error(load, place, "more than %d files are included", FILES_MAX);
		return false;
	}
	return true;
}

const struct node *include_read(struct config_load *load, const char *path, struct slice text,
				const struct document *includer, struct config_place place)
{
	if (!check_chain(load, path, includer, place))
		return NULL;
	struct document *document = scratch_alloc(load, sizeof *document);
	struct slice name = arena_copy(&load->config->arena, slice_from_string(path));
	if (document == NULL || name.data == NULL) {
		load_out_of_memory(load);
		return NULL;
	}
	document->name = name.data;
	document->includer = includer;
	document->depth = includer != NULL ? includer->depth + 1 : 0;
	document->order = load->document_count;
	if (text.data != NULL) {
		document->content = arena_copy(&load->scratch, text);
		if (document->content.data == NULL) {
			load_out_of_memory(load);
			return NULL;
		}
	} else {
		if (!read_bytes(load, load->source, name.data, place, &document->content))
			return NULL;
		document->is_malloced = true;
	}
	if (document->content.length > DOCUMENT_BYTES_MAX) {
		config_error(load, place, "\"%s\" is larger than %d MiB", name.data, DOCUMENT_BYTES_MAX >> 20);
		if (document->is_malloced)
			free((void *)document->content.data);
		return NULL;
	}
	*load->documents_end = document;
	load->documents_end = &document->next;
	load->document_count++;
	return yaml_read(load, document);
}

// Removes "." and "x/.." from a path in place.
static void remove_dots(char *path)
{
	bool is_absolute = path[0] == '/';
	size_t length = 0, kept = 0; // what is written; how much of it ".." must not take back
	if (is_absolute)
		length = kept = 1;
	for (const char *segment = path + length; *segment != '\0';) {
		size_t size = strcspn(segment, "/");
		bool is_parent = size == 2 && memcmp(segment, "..", 2) == 0;
		if (is_parent && length > kept) {
			while (length > kept && path[--length] != '/')
				;
		} else if (size > 0 && !(size == 1 && segment[0] == '.') && !(is_parent && is_absolute)) {
			if (length > 0 && path[length - 1] != '/')
				path[length++] = '/';
			memmove(path + length, segment, size);
			length += size;
			if (is_parent)
				kept = length;
		}
		segment += size + (segment[size] == '/');
	}
	if (length == 0)
		path[length++] = '.';
	path[length] = '\0';
}

const char *include_resolve(struct config_load *load, const char *from, struct slice path)
{
	const char *slash = from != NULL ? strrchr(from, '/') : NULL;
	bool is_relative = slash != NULL && !slice_starts_with(path, SLICE("/"));
	size_t folder = is_relative ? (size_t)(slash - from) + 1 : 0;
	// One byte for the NUL, one for the "." that an empty path becomes.
	char *whole = arena_alloc(&load->config->arena, folder + path.length + 2);
	if (whole == NULL) {
		load_out_of_memory(load);
		return NULL;
	}
	if (folder > 0)
		memcpy(whole, from, folder);
	if (path.length > 0)
		memcpy(whole + folder, path.data, path.length);
	whole[folder + path.length] = '\0';
	remove_dots(whole);
	return whole;
}

// --- Includes

static bool is_in_chain(const char *path, const struct document *document)
{
	for (; document != NULL; document = document->includer) {
		if (strcmp(document->name, path) == 0)
			return true;
	}
	return false;
}

// What is wrong in one file does not keep the others from being read.
static bool add_file(struct config_load *load, const char *path, const struct node *value, struct nodes *nodes)
{
	const struct node *root = include_read(load, path, SLICE_EMPTY, value->document, node_place(value));
	return root != NULL ? nodes_add(load, nodes, root) : !load->out_of_memory;
}

bool include_glob(struct config_load *load, struct config_source *source, const char *pattern,
		  struct config_place place, struct slice *ret_names)
{
	struct slice names = SLICE_EMPTY;
	int error = source->glob(source, pattern, &names);
	if (error == -ENOMEM) {
		load_out_of_memory(load);
		return false;
	}
	if (error != 0) {
		const char *words = strerrordesc_np(-error);
		config_error(load, place, "cannot look for \"%s\": %s", pattern, words ? words : "unknown error");
		return false;
	}
	*ret_names = names;
	return true;
}

static bool add_pattern(struct config_load *load, const char *pattern, const struct node *value, struct nodes *nodes)
{
	struct slice names;
	if (!include_glob(load, load->source, pattern, node_place(value), &names))
		return !load->out_of_memory;
	bool ok = true, found = false;
	for (size_t at = 0; ok && at < names.length;) {
		size_t length = strnlen(names.data + at, names.length - at);
		struct slice name = arena_copy(&load->scratch, slice_from(names.data + at, length));
		at += length + 1;
		found = true;
		if (name.data == NULL) {
			load_out_of_memory(load);
			ok = false;
		} else if (!is_in_chain(name.data, value->document)) {
			// A pattern may well match the file that it stands in.
			ok = add_file(load, name.data, value, nodes);
		}
	}
	free((void *)names.data);
	if (!found)
		config_warning(load, node_place(value), "no file matches \"%s\"", pattern);
	return ok;
}

// Reads the files that `value` names, one path or pattern or a list of them.
static bool add_included(struct config_load *load, const struct node *value, struct nodes *nodes)
{
	if (value->kind == NODE_LIST) {
		for (size_t i = 0; i < value->item_count; i++) {
			const struct node *item = value->items[i];
			if (item->kind == NODE_LIST) {
				config_error(load, node_place(item),
					     "expected the name of a file to include, not a list");
				continue;
			}
			if (!add_included(load, item, nodes))
				return false;
		}
		return true;
	}
	if (value->kind != NODE_SCALAR || value->text.length == 0) {
		config_error(load, node_place(value), "expected the name of a file to include, or a list of them");
		return true;
	}
	const char *path = include_resolve(load, value->document->name, value->text);
	if (path == NULL)
		return false;
	if (strpbrk(value->text.data, "*?[") != NULL)
		return add_pattern(load, path, value, nodes);
	return add_file(load, path, value, nodes);
}

// The map without its entry.
static const struct node *map_without(struct config_load *load, const struct node *map,
				      const struct node_entry *without)
{
	struct node *rest = scratch_alloc(load, sizeof *rest);
	struct node_entry *entries = scratch_alloc(load, map->entry_count * sizeof *entries);
	if (rest == NULL || entries == NULL)
		return NULL;
	*rest = *map;
	rest->entry_count = 0;
	for (size_t i = 0; i < map->entry_count; i++) {
		if (&map->entries[i] != without)
			entries[rest->entry_count++] = map->entries[i];
	}
	rest->entries = entries;
	return rest;
}

const struct node *include_into_map(struct config_load *load, const struct node *map)
{
	const struct node_entry *include = node_find(map, SLICE("include"));
	if (include == NULL)
		return map;
	struct nodes files = {0}, maps = {0};
	const struct node *rest = map_without(load, map, include);
	if (rest == NULL || !nodes_add(load, &maps, rest) || !add_included(load, include->value, &files))
		return NULL;
	for (size_t i = 0; i < files.count; i++) {
		const struct node *file = files.items[i];
		if (file->kind != NODE_MAP) {
			config_error(load, node_place(file),
				     "expected a map, to be included in a map; this file holds %s",
				     node_kind_word(file));
			continue;
		}
		file = include_into_map(load, file);
		if (file == NULL || !nodes_add(load, &maps, file))
			return NULL;
	}
	return map_join(load, maps.items, maps.count);
}

static bool is_include(const struct node *node)
{
	return node->kind == NODE_MAP && node->entry_count == 1 &&
	       slice_equal(node->entries[0].name->text, SLICE("include"));
}

static bool add_item(struct config_load *load, const struct node *item, struct nodes *items)
{
	if (!is_include(item))
		return nodes_add(load, items, item);
	struct nodes files = {0};
	if (!add_included(load, item->entries[0].value, &files))
		return false;
	for (size_t i = 0; i < files.count; i++) {
		const struct node *file = files.items[i];
		bool is_list = file->kind == NODE_LIST;
		size_t count = is_list ? file->item_count : 1;
		// A file without content adds nothing.
		if (file->kind == NODE_MAP && file->entry_count == 0)
			count = 0;
		for (size_t j = 0; j < count; j++) {
			if (!add_item(load, is_list ? file->items[j] : file, items))
				return false;
		}
	}
	return true;
}

const struct node *include_into_list(struct config_load *load, const struct node *list)
{
	bool has_include = false;
	for (size_t i = 0; i < list->item_count; i++)
		has_include = has_include || is_include(list->items[i]);
	if (!has_include)
		return list;
	struct nodes items = {0};
	for (size_t i = 0; i < list->item_count; i++) {
		if (!add_item(load, list->items[i], &items))
			return NULL;
	}
	struct node *whole = scratch_alloc(load, sizeof *whole);
	if (whole == NULL)
		return NULL;
	*whole = *list;
	whole->items = items.items;
	whole->item_count = items.count;
	return whole;
}
