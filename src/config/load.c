#include "config/load.h"

#include "base/check.h"
#include "config/include.h"
#include "config/loaded.h"
#include "config/message.h"
#include "config/section.h"
#include "config/suggest.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY_MAX_MIB = 1024 };

static void load_root(struct config_load *load, const char *path, struct slice text, void **ret_root)
{
	const struct node *node = include_read(load, path, text, NULL, (struct config_place){0});
	if (node != NULL && node->kind != NODE_MAP) {
		config_error(load, node_place(node), "expected a map of keys and values, not %s", node_kind_word(node));
		node = NULL;
	}
	if (node != NULL)
		node = include_into_map(load, node);
	void *object = node != NULL ? config_alloc(load, load->root->size) : NULL;
	if (object == NULL)
		return;
	section_load(load, NULL, load->root, node, object);
	*ret_root = load->out_of_memory ? NULL : object;
}

struct config_load *config_load_begin(struct config_source *source, const char *path, struct slice text,
				      const struct config_section *root, void **ret_root)
{
	check(source != NULL && path != NULL && root != NULL);
	struct config_load *load = calloc(1, sizeof *load);
	struct config *config = calloc(1, sizeof *config);
	if (load == NULL || config == NULL) {
		free(load);
		free(config);
		return NULL;
	}
	arena_init(&config->arena, (size_t)MEMORY_MAX_MIB << 20);
	arena_init(&load->scratch, (size_t)MEMORY_MAX_MIB << 20);
	load->config = config;
	load->source = source;
	load->root = root;
	load->documents_end = &load->documents;
	load->messages_end = &load->messages;
	*ret_root = NULL;
	load_root(load, path, text, ret_root);
	return load;
}

bool config_load_end(struct config_load *load, FILE *messages, bool colours, struct config **ret_config)
{
	bool ok = load->error_count == 0 && !load->out_of_memory;
	if (messages != NULL)
		messages_print(load, messages, colours);
	for (struct document *document = load->documents; document != NULL; document = document->next) {
		if (document->is_malloced)
			free((void *)document->content.data);
	}
	if (ok)
		*ret_config = load->config;
	else
		config_free(load->config);
	arena_fini(&load->scratch);
	free(load);
	return ok;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (struct cleanup *cleanup = config->cleanups; cleanup != NULL; cleanup = cleanup->next)
		cleanup->free_it(cleanup->object);
	arena_fini(&config->arena);
	free(config);
}

struct arena *config_arena(struct config_load *load)
{
	return &load->config->arena;
}

size_t config_error_count(const struct config_load *load)
{
	return load->error_count;
}

void *config_alloc(struct config_load *load, size_t size)
{
	void *memory = arena_zalloc(&load->config->arena, size);
	if (memory == NULL)
		load_out_of_memory(load);
	return memory;
}

bool config_at_free(struct config_load *load, void (*free_it)(void *object), void *object)
{
	struct cleanup *cleanup = config_alloc(load, sizeof *cleanup);
	if (cleanup == NULL) {
		free_it(object);
		return false;
	}
	*cleanup = (struct cleanup){load->config->cleanups, free_it, object};
	load->config->cleanups = cleanup;
	return true;
}

struct slice config_resolve(struct config_load *load, const struct config_text *path)
{
	const char *resolved = include_resolve(load, path->place.file, path->text);
	return resolved != NULL ? slice_from_string(resolved) : SLICE_EMPTY;
}

static bool read_from(struct config_load *load, struct config_source *source, const struct config_text *path,
		      struct slice *ret_content)
{
	struct slice resolved = config_resolve(load, path);
	return resolved.data != NULL && include_read_bytes(load, source, resolved.data, path->place, ret_content);
}

bool config_read_file(struct config_load *load, const struct config_text *path, struct slice *ret_content)
{
	return read_from(load, load->source, path, ret_content);
}

bool config_read_watched(struct config_load *load, const struct config_text *path, struct slice *ret_content)
{
	return read_from(load, load_watched(load), path, ret_content);
}

bool config_glob_watched(struct config_load *load, const struct config_text *pattern, struct slice *ret_names)
{
	struct slice resolved = config_resolve(load, pattern), names;
	if (resolved.data == NULL || !include_glob(load, load_watched(load), resolved.data, pattern->place, &names))
		return false;
	struct slice copy = names.length > 0 ? arena_copy(&load->scratch, names) : SLICE("");
	free((void *)names.data);
	if (copy.data == NULL) {
		load_out_of_memory(load);
		return false;
	}
	*ret_names = copy;
	return true;
}

const char *config_environment(struct config_load *load, const char *name)
{
	return load->source->environment(load->source, name);
}

bool config_is_open_to_others(struct config_load *load, const char *path)
{
	struct config_source *source = load_watched(load);
	return source->is_open_to_others != NULL && source->is_open_to_others(source, path);
}

bool config_read_if_there(struct config_load *load, const char *path, struct slice *ret_content)
{
	struct optional_file *file = load->optional_files;
	while (file != NULL && strcmp(file->path, path) != 0)
		file = file->next;
	if (file == NULL) {
		file = scratch_alloc(load, sizeof *file);
		if (file == NULL)
			return false;
		*file = (struct optional_file){load->optional_files, path, SLICE_EMPTY, false};
		load->optional_files = file;
		file->is_there = include_read_optional(load, path, &file->content);
	}
	*ret_content = file->content;
	return file->is_there;
}

const char *config_suggestion(struct config_load *load, struct slice given, const struct slice *names, size_t count)
{
	struct suggestion suggestion;
	suggest_begin(&suggestion, given);
	for (size_t i = 0; i < count; i++)
		suggest_compare(&suggestion, names[i]);
	if (suggestion.nearest.data == NULL)
		return "";
	struct slice text =
		arena_printf(&load->scratch, "; did you mean \"%.*s\"?", SLICE_ARGUMENTS(suggestion.nearest));
	return text.data != NULL ? text.data : "";
}

void *scratch_alloc(struct config_load *load, size_t size)
{
	void *memory = arena_zalloc(&load->scratch, size);
	if (memory == NULL)
		load_out_of_memory(load);
	return memory;
}

void load_out_of_memory(struct config_load *load)
{
	if (!load->out_of_memory)
		load->error_count++;
	load->out_of_memory = true;
}

bool load_count_repeat(struct config_load *load, const struct node *node)
{
	if (node->document->is_standard)
		return true;
	if (load->repeat_count < REPEATS_MAX) {
		load->repeat_count++;
		return true;
	}
	if (load->repeat_count++ == REPEATS_MAX)
		config_error(load, node_place(node), "aliases repeat more than %d values", REPEATS_MAX);
	return false;
}

bool load_visit(struct config_load *load, const struct node *node)
{
	if (node->visited)
		return load_count_repeat(load, node);
	// The one thing about a node that changes; nobody reads it but this function.
	((struct node *)node)->visited = true;
	return true;
}
