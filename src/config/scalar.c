#include "config/scalar.h"

#include "base/check.h"
#include "config/expected.h"
#include "config/include.h"
#include "config/value.h"

size_t scalar_size(enum config_kind kind)
{
	switch (kind) {
	case CONFIG_BOOL:
		return sizeof(bool);
	case CONFIG_INTEGER:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
		return sizeof(int64_t);
	case CONFIG_TEXT:
		return sizeof(struct config_text);
	case CONFIG_CHOICE:
		return sizeof(int);
	case CONFIG_TEXTS:
		return sizeof(struct config_texts);
	case CONFIG_PAIRS:
		return sizeof(struct config_pairs);
	case CONFIG_FILE:
		return sizeof(struct config_file);
	case CONFIG_SECTION:
	case CONFIG_OPTIONAL:
	case CONFIG_LIST:
	case CONFIG_NAMED:
		break;
	}
	check(false); // sections have sizes of their own
	return 0;
}

static struct config_text text_of(const struct node *node)
{
	return (struct config_text){node->text, node_place(node)};
}

// A scalar that says something; reported otherwise.
static bool text_load(struct config_load *load, const struct config_key *key, const struct node *node,
		      struct config_text *ret_text)
{
	if (node->kind == NODE_SCALAR && node->broken)
		return false;
	if (node->kind != NODE_SCALAR || node_is_null(node)) {
		expected_report(load, key, node);
		return false;
	}
	*ret_text = text_of(node);
	return true;
}

static bool refine(struct config_load *load, const struct config_key *key, void *object, const struct config_text *text)
{
	return key->refine == NULL || key->refine(load, object, text);
}

static bool texts_load(struct config_load *load, const struct config_key *key, const struct node *node, void *object,
		       struct config_texts *texts)
{
	bool is_list = node->kind == NODE_LIST, ok = true;
	size_t count = is_list ? node->item_count : 1;
	texts->items = config_alloc(load, count * sizeof *texts->items);
	if (texts->items == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct node *item = is_list ? node->items[i] : node;
		struct config_text *text = &texts->items[texts->count];
		if (!load_visit(load, item) || !text_load(load, key, item, text)) {
			ok = false;
			continue;
		}
		texts->count++;
		ok = refine(load, key, object, text) && ok;
	}
	return ok;
}

static size_t count_pairs(const struct node *map)
{
	size_t count = 0;
	for (size_t i = 0; i < map->entry_count; i++)
		count += map->entries[i].value->kind == NODE_LIST ? map->entries[i].value->item_count : 1;
	return count;
}

static bool pair_load(struct config_load *load, const struct config_key *key, const struct node *name,
		      const struct node *value, void *object, struct config_pairs *pairs)
{
	struct config_pair *pair = &pairs->items[pairs->count];
	if (!load_visit(load, value) || !text_load(load, key, value, &pair->value))
		return false;
	pair->name = text_of(name);
	pairs->count++;
	return refine(load, key, object, &pair->value);
}

static bool pairs_load(struct config_load *load, const struct config_key *key, const struct node *node, void *object,
		       struct config_pairs *pairs)
{
	if (node->kind != NODE_MAP) {
		expected_report(load, key, node);
		return false;
	}
	bool ok = true;
	pairs->items = config_alloc(load, count_pairs(node) * sizeof *pairs->items);
	if (pairs->items == NULL)
		return false;
	for (size_t i = 0; i < node->entry_count; i++) {
		const struct node_entry *entry = &node->entries[i];
		if (entry->value->kind != NODE_LIST) {
			ok = pair_load(load, key, entry->name, entry->value, object, pairs) && ok;
			continue;
		}
		for (size_t j = 0; j < entry->value->item_count; j++)
			ok = pair_load(load, key, entry->name, entry->value->items[j], object, pairs) && ok;
	}
	return ok;
}

static bool file_load(struct config_load *load, const struct config_key *key, const struct config_text *text,
		      struct config_file *file)
{
	struct config_source *source = key->watched ? load_watched(load) : load->source;
	struct slice path = config_resolve(load, text);
	if (path.data == NULL)
		return false;
	file->path = (struct config_text){path, text->place};
	return include_read_bytes(load, source, path.data, text->place, &file->content);
}

// Whether the text is one of the kind's values, which is then stored.
static bool value_load(const struct config_key *key, struct slice text, void *target)
{
	switch (key->kind) {
	case CONFIG_BOOL:
		return value_bool(text, target);
	case CONFIG_INTEGER:
		return value_integer(key, text, target);
	case CONFIG_DURATION:
		return value_duration(key, text, target);
	case CONFIG_SIZE:
		return value_size(key, text, target);
	case CONFIG_CHOICE:
		return value_choice(key, text, target);
	case CONFIG_TEXT:
	case CONFIG_TEXTS:
	case CONFIG_PAIRS:
	case CONFIG_FILE:
	case CONFIG_SECTION:
	case CONFIG_OPTIONAL:
	case CONFIG_LIST:
	case CONFIG_NAMED:
		break;
	}
	check(false); // the caller has dealt with these
	return false;
}

bool scalar_load(struct config_load *load, const struct config_key *key, const struct node *node, void *object,
		 void *target)
{
	if (key->kind == CONFIG_TEXTS)
		return texts_load(load, key, node, object, target);
	if (key->kind == CONFIG_PAIRS)
		return pairs_load(load, key, node, object, target);
	struct config_text text;
	if (!text_load(load, key, node, &text))
		return false;
	if (key->kind == CONFIG_TEXT) {
		*(struct config_text *)target = text;
	} else if (key->kind == CONFIG_FILE) {
		struct config_file *file = target;
		return file_load(load, key, &text, file) && refine(load, key, object, &file->path);
	} else if (!value_load(key, text.text, target)) {
		expected_report(load, key, node);
		return false;
	}
	return refine(load, key, object, &text);
}
