#include "config/yaml.h"

#include "base/check.h"
#include "config/map.h"
#include "config/message.h"
#include "config/utf8.h"
#include "config/variable.h"

#include <libfyaml.h>
#include <stdlib.h>

// A list or map that is being read.
struct open_node {
	struct node *node;
	size_t first_child; // in reader.children
	bool is_flow;	    // written with [ or {
};

struct anchor {
	struct anchor *next;
	struct slice name;
	const struct node *node; // NULL while it is being read
};

struct reader {
	struct config_load *load;
	const struct document *document;
	bool literally;
	struct fy_parser *parser;
	struct open_node open[NESTING_MAX];
	unsigned depth;
	// What was read of the nodes in `open`: the innermost one's are last. Maps have names
	// and values in turn.
	const struct node **children;
	size_t child_count, child_capacity;
	struct anchor *anchors; // newest first
	const struct node *root;
	unsigned line, column; // of what was read last
};

static struct config_place reader_place(const struct reader *reader)
{
	return (struct config_place){reader->document->name, reader->line, reader->column};
}

static bool children_grow(struct reader *reader)
{
	size_t capacity = reader->child_capacity ? 2 * reader->child_capacity : 64;
	const struct node **children = realloc(reader->children, capacity * sizeof *children);
	if (children == NULL) {
		load_out_of_memory(reader->load);
		return false;
	}
	reader->children = children;
	reader->child_capacity = capacity;
	return true;
}

static bool child_add(struct reader *reader, const struct node *node)
{
	if (reader->child_count == reader->child_capacity && !children_grow(reader))
		return false;
	reader->children[reader->child_count++] = node;
	return true;
}

// Whether the next child of the innermost map is a name.
static bool name_is_next(const struct reader *reader)
{
	if (reader->depth == 0)
		return false;
	const struct open_node *open = &reader->open[reader->depth - 1];
	return open->node->kind == NODE_MAP && (reader->child_count - open->first_child) % 2 == 0;
}

static bool node_done(struct reader *reader, const struct node *node)
{
	if (name_is_next(reader) && node->kind != NODE_SCALAR) {
		config_error(reader->load, node_place(node), "a key must be text, not %s", node_kind_word(node));
		return false;
	}
	if (reader->depth > 0)
		return child_add(reader, node);
	reader->root = node;
	return true;
}

static struct node *node_new(struct reader *reader, enum node_kind kind, struct fy_event *event)
{
	if (++reader->load->node_count > NODES_MAX) {
		config_error(reader->load, reader_place(reader), "the configuration has more than %d values",
			     NODES_MAX);
		return NULL;
	}
	struct node *node = scratch_alloc(reader->load, sizeof *node);
	if (node == NULL)
		return NULL;
	node->kind = kind;
	node->document = reader->document;
	const struct fy_mark *end = event ? fy_event_end_mark(event) : NULL;
	node->line = reader->line;
	node->column = reader->column;
	node->end_line = end && end->line >= 0 ? (uint32_t)end->line + 1 : node->line;
	node->end_column = end && end->column >= 0 ? (uint32_t)end->column + 1 : node->column;
	return node;
}

// Keeps in mind where the event stands: its opening quote or sign counts as the start.
static void note_place(struct reader *reader, struct fy_event *event)
{
	const struct fy_mark *mark = fy_event_start_mark(event);
	if (mark == NULL || mark->line < 0 || mark->column < 0)
		return;
	bool has_sign = event->type == FYET_ALIAS;
	if (event->type == FYET_SCALAR && event->scalar.value != NULL) {
		enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);
		has_sign = style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
	}
	reader->line = (unsigned)mark->line + 1;
	reader->column = (unsigned)mark->column + (has_sign && mark->column > 0 ? 0 : 1);
}

static struct slice token_text(struct fy_token *token)
{
	size_t length = 0;
	const char *text = token ? fy_token_get_text(token, &length) : NULL;
	return text ? slice_from(text, length) : SLICE("");
}

// Standard tags (!!str and the like) change nothing, as kinds are fixed by the tables.
static bool tag_is_allowed(struct reader *reader, struct fy_event *event)
{
	struct slice tag = token_text(fy_event_get_tag_token(event));
	if (tag.length == 0 || slice_equal(tag, SLICE("!")) || slice_starts_with(tag, SLICE("tag:yaml.org,2002:")))
		return true;
	config_error(reader->load, reader_place(reader), "tags such as \"%.*s\" are not used here",
		     SLICE_ARGUMENTS(tag));
	return false;
}

static bool anchor_begin(struct reader *reader, struct fy_event *event, struct anchor **ret_anchor)
{
	struct fy_token *token = fy_event_get_anchor_token(event);
	*ret_anchor = NULL;
	if (token == NULL)
		return true;
	struct anchor *anchor = scratch_alloc(reader->load, sizeof *anchor);
	if (anchor == NULL)
		return false;
	anchor->name = arena_copy(&reader->load->scratch, token_text(token));
	if (anchor->name.data == NULL) {
		load_out_of_memory(reader->load);
		return false;
	}
	anchor->next = reader->anchors;
	reader->anchors = anchor;
	*ret_anchor = anchor;
	return true;
}

static bool read_alias(struct reader *reader, struct fy_event *event)
{
	struct slice name = token_text(event->alias.anchor);
	for (const struct anchor *anchor = reader->anchors; anchor != NULL; anchor = anchor->next) {
		if (!slice_equal(anchor->name, name))
			continue;
		if (anchor->node->kind != NODE_SCALAR && anchor->node->end_line == 0) {
			config_error(reader->load, reader_place(reader), "the alias *%.*s stands in what it stands for",
				     SLICE_ARGUMENTS(name));
			return false;
		}
		return node_done(reader, anchor->node);
	}
	config_error(reader->load, reader_place(reader), "no anchor &%.*s stands above this alias",
		     SLICE_ARGUMENTS(name));
	return false;
}

static bool read_scalar(struct reader *reader, struct fy_event *event)
{
	struct node *node = node_new(reader, NODE_SCALAR, event);
	struct anchor *anchor;
	if (node == NULL || !tag_is_allowed(reader, event) || !anchor_begin(reader, event, &anchor))
		return false;
	if (anchor != NULL)
		anchor->node = node;
	struct slice written = token_text(event->scalar.value);
	node->plain = event->scalar.value == NULL || fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
	if (memchr(written.data, '\0', written.length) != NULL) {
		config_error(reader->load, node_place(node), "a NUL byte cannot stand in text");
		return false;
	}
	node->written = arena_copy(&reader->load->config->arena, written);
	if (node->written.data == NULL) {
		load_out_of_memory(reader->load);
		return false;
	}
	node->text = node->written;
	// A variable that is wrong is reported, and the reading goes on with what is written.
	if (!reader->literally && !name_is_next(reader) && memmem(written.data, written.length, "${", 2) != NULL)
		node->broken = !variable_expand(reader->load, node_place(node), node->written, &node->text);
	return node_done(reader, node);
}

static bool open_begin(struct reader *reader, enum node_kind kind, struct fy_event *event)
{
	if (reader->depth == NESTING_MAX) {
		config_error(reader->load, reader_place(reader), "lists and maps are nested more than %d deep",
			     NESTING_MAX);
		return false;
	}
	struct anchor *anchor;
	struct node *node = node_new(reader, kind, event);
	if (node == NULL || !tag_is_allowed(reader, event) || !anchor_begin(reader, event, &anchor))
		return false;
	if (anchor != NULL)
		anchor->node = node;
	if (name_is_next(reader)) {
		config_error(reader->load, node_place(node), "a key must be text, not a %s",
			     kind == NODE_LIST ? "list" : "map");
		return false;
	}
	node->end_line = 0; // until open_end
	struct fy_token *token =
		kind == NODE_LIST ? event->sequence_start.sequence_start : event->mapping_start.mapping_start;
	const struct fy_mark *start = token ? fy_token_start_mark(token) : NULL;
	const struct fy_mark *end = token ? fy_token_end_mark(token) : NULL;
	bool is_flow = start && end && end->input_pos == start->input_pos + 1;
	reader->open[reader->depth++] = (struct open_node){node, reader->child_count, is_flow};
	return true;
}

static bool open_end(struct reader *reader, struct fy_event *event)
{
	check(reader->depth > 0);
	const struct open_node *open = &reader->open[--reader->depth];
	struct node *node = open->node;
	const struct node **children = &reader->children[open->first_child];
	size_t count = reader->child_count - open->first_child;
	const struct fy_mark *end = fy_event_end_mark(event);
	node->end_line = end && end->line >= 0 ? (uint32_t)end->line + 1 : node->line;
	node->end_column = end && end->column >= 0 ? (uint32_t)end->column + 1 : node->column;
	if (node->kind == NODE_MAP) {
		check(count % 2 == 0);
		if (!map_build(reader->load, node, children, count / 2))
			return false;
	} else {
		const struct node **items = scratch_alloc(reader->load, count * sizeof *items);
		if (items == NULL)
			return false;
		if (count > 0)
			memcpy(items, children, count * sizeof *items);
		node->items = items;
		node->item_count = count;
	}
	reader->child_count = open->first_child;
	return node_done(reader, node);
}

static bool read_event(struct reader *reader, struct fy_event *event)
{
	note_place(reader, event);
	switch (event->type) {
	case FYET_MAPPING_START:
		return open_begin(reader, NODE_MAP, event);
	case FYET_SEQUENCE_START:
		return open_begin(reader, NODE_LIST, event);
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		return open_end(reader, event);
	case FYET_SCALAR:
		return read_scalar(reader, event);
	case FYET_ALIAS:
		return read_alias(reader, event);
	case FYET_DOCUMENT_START:
		if (reader->root == NULL)
			return true;
		config_error(reader->load, reader_place(reader), "a second document begins here; a file holds one");
		return false;
	case FYET_NONE:
	case FYET_STREAM_START:
	case FYET_STREAM_END:
	case FYET_DOCUMENT_END:
		return true;
	}
	return true;
}

// What libfyaml found wrong. Where a [ or { is open, that is often the reason.
static void report_syntax(struct reader *reader, struct fy_diag *diag)
{
	void *previous = NULL;
	const struct fy_diag_error *error;
	bool is_reported = false;
	char hint[80] = "";
	for (unsigned i = reader->depth; i > 0 && hint[0] == '\0'; i--) {
		const struct node *node = reader->open[i - 1].node;
		if (reader->open[i - 1].is_flow)
			snprintf(hint, sizeof hint, "; the %c at line %u, column %u is still open",
				 node->kind == NODE_LIST ? '[' : '{', node->line, node->column);
	}
	while ((error = fy_diag_errors_iterate(diag, &previous)) != NULL) {
		struct config_place place = {reader->document->name, error->line > 0 ? (uint32_t)error->line : 1,
					     error->column > 0 ? (uint32_t)error->column : 1};
		config_error(reader->load, place, "this is not YAML: %s%s", error->msg, hint);
		is_reported = true;
	}
	if (!is_reported)
		config_error(reader->load, reader_place(reader), "this is not YAML%s", hint);
}

static void read_events(struct reader *reader, struct fy_diag *diag)
{
	for (;;) {
		struct fy_event *event = fy_parser_parse(reader->parser);
		if (event == NULL) {
			if (fy_parser_get_stream_error(reader->parser))
				report_syntax(reader, diag);
			return;
		}
		bool ok = read_event(reader, event);
		bool is_end = event->type == FYET_STREAM_END;
		fy_parser_event_free(reader->parser, event);
		if (!ok || is_end)
			return;
	}
}

// Bytes that YAML leaves out, or that say nothing good about the file.
static bool check_bytes(struct config_load *load, const struct document *document, struct slice content)
{
	struct config_place place = {document->name, 1, 1};
	for (size_t i = 0; i < content.length;) {
		unsigned char c = (unsigned char)content.data[i];
		size_t length = utf8_length(slice_after(content, i));
		if (length == 0 || (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
			if (length == 0)
				config_error(load, place, "this is not UTF-8");
			else
				config_error(load, place, "a control character (0x%02x) cannot stand here", c);
			return false;
		}
		place.column++;
		bool ends_line = c == '\n' || (c == '\r' && !(i + 1 < content.length && content.data[i + 1] == '\n'));
		if (ends_line) {
			place.line++;
			place.column = 1;
		}
		i += length;
	}
	return true;
}

static const struct node *read_content(struct reader *reader, struct slice content)
{
	struct fy_diag_cfg diag_settings;
	fy_diag_cfg_default(&diag_settings);
	diag_settings.fp = NULL;
	diag_settings.level = FYET_ERROR;
	struct fy_diag *diag = fy_diag_create(&diag_settings);
	if (diag == NULL) {
		load_out_of_memory(reader->load);
		return NULL;
	}
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg settings = {.flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
					.diag = diag};
	reader->parser = fy_parser_create(&settings);
	if (reader->parser == NULL || fy_parser_set_string(reader->parser, content.data, content.length) != 0)
		load_out_of_memory(reader->load);
	else
		read_events(reader, diag);
	if (reader->parser != NULL)
		fy_parser_destroy(reader->parser);
	fy_diag_destroy(diag);
	return reader->root;
}

static const struct node *read_document(struct config_load *load, const struct document *document, bool literally)
{
	struct reader reader = {.load = load, .document = document, .literally = literally, .line = 1, .column = 1};
	struct slice content = document->content;
	if (slice_starts_with(content, SLICE("\xef\xbb\xbf")))
		content = slice_after(content, 3);
	if (!check_bytes(load, document, content))
		return NULL;
	size_t errors = config_error_count(load);
	if (!children_grow(&reader))
		return NULL;
	const struct node *root = content.length > 0 ? read_content(&reader, content) : NULL;
	free(reader.children);
	if (config_error_count(load) > errors)
		return reader.depth == 0 ? root : NULL;
	// A file of comments alone holds nothing; so does one of --- and no more.
	return root != NULL && !node_is_null(root) ? root : node_new(&reader, NODE_MAP, NULL);
}

const struct node *yaml_read(struct config_load *load, const struct document *document)
{
	return read_document(load, document, false);
}

const struct node *yaml_read_literally(struct config_load *load, const struct document *document)
{
	return read_document(load, document, true);
}
