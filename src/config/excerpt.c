#include "config/excerpt.h"

#include "config/utf8.h"

#include <stdio.h>

enum { SHOWN_BEFORE = 100, SHOWN_WIDTH = 160 };

void excerpt_begin(struct excerpt *excerpt, const struct config_load *load)
{
	*excerpt = (struct excerpt){.load = load};
	section_list_collect(&excerpt->sections, load->root);
}

// The length of the line that begins at `at`, without its end.
static size_t line_length(struct slice content, size_t at)
{
	size_t length = 0;
	while (at + length < content.length && content.data[at + length] != '\n' && content.data[at + length] != '\r')
		length++;
	return length;
}

// Walks to the place's line; false when the file ends before.
static bool find_line(struct excerpt *excerpt, const struct document *document, uint32_t line)
{
	struct slice content = document->content;
	if (excerpt->document != document || excerpt->line > line) {
		excerpt->document = document;
		excerpt->at = slice_starts_with(content, SLICE("\xef\xbb\xbf")) ? 3 : 0;
		excerpt->line = 1;
	}
	while (excerpt->line < line) {
		size_t end = excerpt->at + line_length(content, excerpt->at);
		if (end >= content.length)
			return false;
		bool is_pair = content.data[end] == '\r' && end + 1 < content.length && content.data[end + 1] == '\n';
		excerpt->at = end + (is_pair ? 2 : 1);
		excerpt->line++;
	}
	return excerpt->at < content.length;
}

// Whether a hidden value covers the column (from 1) of the line.
static bool is_hidden(const struct excerpt *excerpt, uint32_t line, uint32_t column)
{
	for (const struct hidden *hidden = excerpt->load->hidden; hidden != NULL; hidden = hidden->next) {
		const struct node *node = hidden->node;
		if (node->document != excerpt->document || line < node->line || line > node->end_line)
			continue;
		bool begins = line > node->line || column >= node->column;
		bool ends = line < node->end_line || column < node->end_column;
		if (begins && ends)
			return true;
	}
	return false;
}

// Where in the line the value of a key with a secret key's name begins, as far as one sees
// without YAML: what cannot be parsed must not show it either.
static size_t secret_begins(const struct excerpt *excerpt, struct slice line)
{
	size_t first = line.length;
	for (size_t i = 0; i < excerpt->sections.count; i++) {
		const struct config_key *key;
		for (size_t j = 0; (key = section_key(excerpt->sections.items[i], j)) != NULL; j++) {
			if (!key->secret)
				continue;
			const char *found = memmem(line.data, line.length, key->name, strlen(key->name));
			if (found == NULL)
				continue;
			struct slice behind = slice_after(line, (size_t)(found - line.data) + strlen(key->name));
			size_t colon = slice_find(behind, ':');
			size_t begin = (size_t)(behind.data - line.data) + colon + 1;
			while (begin < line.length && line.data[begin] == ' ')
				begin++;
			if (colon < behind.length && begin < first)
				first = begin;
		}
	}
	return first;
}

// The bytes that are shown, from the column `from` (0 is the first), at most SHOWN_WIDTH
// columns; parts that are hidden as one *** each.
static void print_line(const struct excerpt *excerpt, struct slice line, uint32_t from, FILE *to)
{
	size_t secret = secret_begins(excerpt, line);
	bool was_hidden = false;
	uint32_t column = 0;
	for (size_t i = 0; i < line.length && column < from + SHOWN_WIDTH; column++) {
		size_t length = utf8_length(slice_after(line, i));
		bool hide = i >= secret || is_hidden(excerpt, excerpt->line, column + 1);
		unsigned char c = (unsigned char)line.data[i];
		if (column < from) {
			// Left of what is shown.
		} else if (hide) {
			fputs(was_hidden ? "" : "***", to);
		} else if (length == 0 || c < 0x20 || c == 0x7f) {
			fputc(c == '\t' ? ' ' : '?', to);
		} else {
			fwrite(line.data + i, 1, length, to);
		}
		was_hidden = hide;
		i += length > 0 ? length : 1;
	}
	fputc('\n', to);
}

void excerpt_print(struct excerpt *excerpt, const struct document *document, struct config_place place, FILE *to,
		   bool colours)
{
	if (!find_line(excerpt, document, place.line))
		return;
	struct slice content = document->content;
	struct slice line = {content.data + excerpt->at, line_length(content, excerpt->at)};
	uint32_t column = place.column > 0 ? place.column - 1 : 0;
	uint32_t from = column > SHOWN_BEFORE ? column - SHOWN_BEFORE : 0;
	fputs("  ", to);
	print_line(excerpt, line, from, to);
	fprintf(to, "  %*s%s^%s\n", (int)(column - from), "", colours ? "\033[32m" : "", colours ? "\033[0m" : "");
}
