#include "config/section.h"

#include "base/check.h"
#include "config/expected.h"
#include "config/include.h"
#include "config/loaded.h"
#include "config/message.h"
#include "config/scalar.h"
#include "config/tables.h"
#include "config/value.h"
#include "config/yaml.h"

// False when the node is not of the key's kind or, for texts and numbers, wrong.
static bool key_load(struct config_load *load, const struct config_key *key, const struct node *node, void *object,
		     void *target);

// --- A section

static void store_place(const struct config_section *section, const struct node *node, void *object)
{
	if (section->place_offset != CONFIG_NO_OFFSET)
		*(struct config_place *)((char *)object + section->place_offset) = node_place(node);
}

// A key that another module contributes: what is loaded lies elsewhere, and a pointer to it
// in the struct.
static bool extra_load(struct config_load *load, const struct config_key *key, const struct node *node, void *object,
		       void **slot)
{
	if (key->kind == CONFIG_OPTIONAL)
		return key_load(load, key, node, object, slot);
	size_t size = key->kind == CONFIG_SECTION			      ? key->section->size
		      : key->kind == CONFIG_LIST || key->kind == CONFIG_NAMED ? sizeof(struct config_list)
									      : scalar_size(key->kind);
	void *target = config_alloc(load, size);
	if (target == NULL || !key_load(load, key, node, object, target))
		return false;
	*slot = target;
	return true;
}

static bool entry_load(struct config_load *load, const struct config_section *section, const struct node_entry *entry,
		       void *object)
{
	struct slice name = entry->name->text;
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		if (slice_equal(name, slice_from_string(key->name)))
			return key_load(load, key, entry->value, object, (char *)object + key->offset);
	}
	void **slots = (void **)((char *)object + section->extra_offset);
	for (size_t i = 0; section->extra != NULL && section->extra[i] != NULL; i++) {
		if (slice_equal(name, slice_from_string(section->extra[i]->name)))
			return extra_load(load, section->extra[i], entry->value, object, &slots[i]);
	}
	if (section == load->root && slice_starts_with(name, SLICE("x-")))
		return true;
	expected_report_unknown(load, section, entry);
	return false;
}

// The default as a tree, made once. Lists, maps and quoted texts are YAML; anything else is
// text as it stands, even "*".
static const struct node *standard_node(struct config_load *load, const struct config_key *key)
{
	for (const struct standard *standard = load->standards; standard != NULL; standard = standard->next) {
		if (standard->key == key)
			return standard->node;
	}
	struct standard *standard = scratch_alloc(load, sizeof *standard);
	struct document *document = scratch_alloc(load, sizeof *document);
	struct node *text = scratch_alloc(load, sizeof *text);
	if (standard == NULL || document == NULL || text == NULL)
		return NULL;
	document->name = "(default)";
	document->content = slice_from_string(key->standard);
	document->is_standard = true;
	*text = (struct node){.kind = NODE_SCALAR, .line = 1, .column = 1, .document = document};
	text->text = text->written = document->content;
	bool is_yaml = key->standard[0] != '\0' && strchr("[{\"'", key->standard[0]) != NULL;
	*standard = (struct standard){load->standards, key, is_yaml ? yaml_read_literally(load, document) : text};
	load->standards = standard;
	return standard->node;
}

// What the key is when it is not written. Places in it are those of the section.
static bool key_load_standard(struct config_load *load, const struct config_section *section,
			      const struct config_key *key, const struct node *written, void *object)
{
	if (key->required) {
		char expected[512];
		value_expected(key, expected, sizeof expected);
		config_error(load, node_place(written), "\"%s\" is missing; expected %s", key->name, expected);
		return false;
	}
	void *target = (char *)object + key->offset;
	if (key->standard == NULL && key->kind != CONFIG_SECTION)
		return true;
	struct node empty = {
		.kind = NODE_MAP, .line = written->line, .column = written->column, .document = written->document};
	if (key->standard == NULL) {
		struct node *kept = scratch_alloc(load, sizeof *kept);
		if (kept == NULL)
			return false;
		*kept = empty;
		return key_load(load, key, kept, object, target);
	}
	const struct node *node = standard_node(load, key);
	if (node == NULL)
		return false;
	if (node->kind != NODE_SCALAR)
		return key_load(load, key, node, object, target);
	struct node *placed = scratch_alloc(load, sizeof *placed);
	if (placed == NULL)
		return false;
	*placed = *node;
	placed->line = written->line;
	placed->column = written->column;
	placed->document = written->document;
	placed->visited = false;
	return key_load(load, key, placed, object, target);
}

static bool section_accepts(const struct config_section *section, const struct node *node)
{
	return node->kind == NODE_MAP || (section->shorthand != NULL && !node_is_null(node));
}

// Fills in the struct from a node that the section accepts.
static void section_fill(struct config_load *load, const struct config_section *section, const struct node *node,
			 void *object)
{
	size_t errors = config_error_count(load), broken = load->broken_count;
	store_place(section, node, object);
	if (!loaded_note(load, object, section, node))
		return;
	const struct config_key *shorthand = node->kind == NODE_MAP ? NULL : section_shorthand(section);
	bool ok = true;
	if (shorthand != NULL) {
		struct node name = *node;
		name.kind = NODE_SCALAR;
		name.text = name.written = slice_from_string(shorthand->name);
		ok = entry_load(load, section, &(struct node_entry){&name, node}, object);
	}
	for (size_t i = 0; shorthand == NULL && i < node->entry_count; i++)
		ok = entry_load(load, section, &node->entries[i], object) && ok;
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		bool is_written =
			shorthand != NULL ? key == shorthand : node_find(node, slice_from_string(key->name)) != NULL;
		if (!is_written)
			ok = key_load_standard(load, section, key, node, object) && ok;
	}
	if (ok && section->finish != NULL)
		section->finish(load, object);
	if (!ok || config_error_count(load) > errors || load->broken_count > broken)
		loaded_break(load, object, section);
}

bool section_load(struct config_load *load, const struct config_key *key, const struct config_section *section,
		  const struct node *node, void *object)
{
	if (!section_accepts(section, node)) {
		expected_report(load, key, node);
		return false;
	}
	section_fill(load, section, node, object);
	return true;
}

// --- Keys that hold sections

static bool optional_load(struct config_load *load, const struct config_key *key, const struct node *node,
			  void **target)
{
	void *object = config_alloc(load, key->section->size);
	if (object == NULL || !section_load(load, key, key->section, node, object))
		return false;
	*target = object;
	return true;
}

static bool list_load(struct config_load *load, const struct config_key *key, const struct node *node,
		      struct config_list *list)
{
	bool is_one = node->kind != NODE_LIST;
	if (is_one && !section_accepts(key->section, node)) {
		expected_report(load, key, node);
		return false;
	}
	struct node one = *node;
	if (is_one) {
		one.kind = NODE_LIST;
		one.items = &node;
		one.item_count = 1;
	}
	const struct node *whole = include_into_list(load, &one);
	if (whole == NULL)
		return false;
	if (key->required && whole->item_count == 0) {
		expected_report(load, key, whole);
		return false;
	}
	const struct config_key item = {.name = key->name, .kind = CONFIG_SECTION};
	size_t size = key->section->size;
	list->items = config_alloc(load, whole->item_count * size);
	if (list->items == NULL)
		return false;
	bool ok = true;
	for (size_t i = 0; i < whole->item_count; i++) {
		void *object = (char *)list->items + list->count * size;
		if (load_visit(load, whole->items[i]) &&
		    section_load(load, &item, key->section, whole->items[i], object))
			list->count++;
		else
			ok = false;
	}
	return ok;
}

static bool named_load(struct config_load *load, const struct config_key *key, const struct node *node,
		       struct config_list *list)
{
	if (node->kind != NODE_MAP) {
		expected_report(load, key, node);
		return false;
	}
	size_t size = key->section->size;
	list->items = config_alloc(load, node->entry_count * size);
	if (list->items == NULL)
		return false;
	bool ok = true;
	for (size_t i = 0; i < node->entry_count; i++) {
		const struct node_entry *entry = &node->entries[i];
		const struct config_key item = {.name = entry->name->text.data, .kind = CONFIG_SECTION};
		char *object = (char *)list->items + list->count * size;
		*(struct config_text *)(object + key->section->name_offset) =
			(struct config_text){entry->name->text, node_place(entry->name)};
		if (load_visit(load, entry->value) && section_load(load, &item, key->section, entry->value, object))
			list->count++;
		else
			ok = false;
	}
	return ok;
}

static bool key_load(struct config_load *load, const struct config_key *key, const struct node *node, void *object,
		     void *target)
{
	if (key->secret)
		message_hide(load, node);
	if (!load_visit(load, node))
		return false;
	// What must be there is not there when it is empty; list_load sees to lists with includes.
	bool is_empty = (node->kind == NODE_LIST && node->item_count == 0) ||
			(node->kind == NODE_MAP && node->entry_count == 0 && key->kind == CONFIG_NAMED);
	if (key->required && is_empty) {
		expected_report(load, key, node);
		return false;
	}
	switch (key->kind) {
	case CONFIG_SECTION:
		return section_load(load, key, key->section, node, target);
	case CONFIG_OPTIONAL:
		return optional_load(load, key, node, target);
	case CONFIG_LIST:
		return list_load(load, key, node, target);
	case CONFIG_NAMED:
		return named_load(load, key, node, target);
	case CONFIG_BOOL:
	case CONFIG_INTEGER:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
	case CONFIG_TEXTS:
	case CONFIG_PAIRS:
	case CONFIG_FILE:
		return scalar_load(load, key, node, object, target);
	}
	__builtin_unreachable();
}
