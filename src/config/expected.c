#include "config/expected.h"

#include "base/text.h"
#include "config/message.h"
#include "config/suggest.h"
#include "config/tables.h"
#include "config/value.h"

enum { SHOWN_MAX = 60 };

// ", not "value"": the value as it stands in the file, so that the environment stays unseen.
static void add_found(struct text *text, const struct config_key *key, const struct node *node)
{
	if (node->kind != NODE_SCALAR) {
		text_printf(text, ", not %s", node_kind_word(node));
	} else if (node_is_null(node)) {
		text_add_string(text, "; it has no value");
	} else if (!key->secret) {
		bool is_long = node->written.length > SHOWN_MAX;
		text_add_string(text, ", not \"");
		text_add(text, slice_first(node->written, is_long ? SHOWN_MAX : node->written.length));
		text_add_string(text, is_long ? "...\"" : "\"");
	}
}

void expected_report(struct config_load *load, const struct config_key *key, const struct node *node)
{
	char expected[512], buffer[1024];
	struct text message;
	text_init(&message, buffer, sizeof buffer);
	value_expected(key, expected, sizeof expected);
	text_printf(&message, "expected %s for \"%s\"", expected, key->name);
	add_found(&message, key, node);
	// For a choice the nearest one may be meant.
	if (key->kind == CONFIG_CHOICE && node->kind == NODE_SCALAR && !key->secret) {
		struct suggestion suggestion;
		suggest_begin(&suggestion, node->written);
		for (size_t i = 0; key->choices[i] != NULL; i++)
			suggest_compare(&suggestion, slice_from_string(key->choices[i]));
		if (suggestion.nearest.data != NULL)
			text_printf(&message, "; did you mean \"%.*s\"?", SLICE_ARGUMENTS(suggestion.nearest));
	}
	config_error(load, node_place(node), "%.*s", (int)message.length, message.data);
}

// "one of host, routes or proxy", cut where it gets long.
static void add_keys(struct text *text, const struct config_section *section)
{
	const struct config_key *key;
	for (size_t i = 0; (key = section_key(section, i)) != NULL; i++) {
		bool is_last = section_key(section, i + 1) == NULL;
		text_printf(text, "%s%s", i == 0 ? "" : is_last ? " or " : ", ", key->name);
	}
}

// The keys of this name in sections around this one, of which the root's map is "the top":
// where they stand, as words; none: no bytes.
static void add_places(struct text *text, struct config_load *load, const struct config_section *section,
		       const struct node_entry *entry)
{
	struct section_list list;
	section_list_collect(&list, load->root);
	for (size_t i = 0; i < list.count; i++) {
		const struct config_section *around = list.items[i];
		const struct config_key *key = section_find_key(around, entry->name->text);
		if (around == section || key == NULL || !section_holds(around, section))
			continue;
		if (key->secret)
			message_hide(load, entry->value);
		text_add_string(text, text->length > 0 ? " or " : "");
		if (around == load->root)
			text_add_string(text, "at the top");
		else
			text_printf(text, "in \"%s\"", around->name);
	}
}

// Such a key was not misspelt, but put too deep.
static bool report_too_deep(struct config_load *load, const struct config_section *section,
			    const struct node_entry *entry)
{
	char buffer[600];
	struct text places;
	text_init(&places, buffer, sizeof buffer);
	add_places(&places, load, section, entry);
	if (places.length == 0)
		return false;
	config_error(load, node_place(entry->name), "unknown key \"%.*s\"; it stands %.*s, not in \"%s\"",
		     SLICE_ARGUMENTS(slice_first(entry->name->text, SHOWN_MAX)), (int)places.length, places.data,
		     section->name);
	return true;
}

void expected_report_unknown(struct config_load *load, const struct config_section *section,
			     const struct node_entry *entry)
{
	struct slice given = slice_first(entry->name->text, SHOWN_MAX);
	if (report_too_deep(load, section, entry))
		return;
	struct suggestion suggestion;
	suggest_begin(&suggestion, given);
	const struct config_key *key;
	for (size_t i = 0; (key = section_key(section, i)) != NULL; i++)
		suggest_compare(&suggestion, slice_from_string(key->name));
	if (section == load->root)
		suggest_compare(&suggestion, SLICE("include"));
	if (suggestion.nearest.data != NULL) {
		key = section_find_key(section, suggestion.nearest);
		if (key != NULL && key->secret)
			message_hide(load, entry->value);
		config_error(load, node_place(entry->name), "unknown key \"%.*s\"; did you mean \"%.*s\"?",
			     SLICE_ARGUMENTS(given), SLICE_ARGUMENTS(suggestion.nearest));
		return;
	}
	char buffer[600];
	struct text keys;
	text_init(&keys, buffer, sizeof buffer);
	add_keys(&keys, section);
	config_error(load, node_place(entry->name), "unknown key \"%.*s\"; known here: %.*s", SLICE_ARGUMENTS(given),
		     (int)keys.length, keys.data);
}
