#include "config/message.h"

#include "base/check.h"
#include "base/text.h"
#include "config/excerpt.h"

#include <stdlib.h>

enum { MESSAGE_LENGTH_MAX = 2048 };

static bool same_place(const struct config_place *a, const struct config_place *b)
{
	return a->file == b->file && a->line == b->line && a->column == b->column;
}

void message_add(struct config_load *load, struct config_place place, bool is_warning, const char *format,
		 va_list arguments)
{
	// Counted before anything can fail: an error that cannot be kept is one all the same.
	if (!is_warning)
		load->error_count++;
	if (load->message_count >= MESSAGES_MAX) {
		load->message_count++;
		return;
	}
	char buffer[MESSAGE_LENGTH_MAX];
	vsnprintf(buffer, sizeof buffer, format, arguments);
	for (const struct message *message = load->messages; message != NULL; message = message->next) {
		if (same_place(&message->place, &place) && strcmp(message->text, buffer) == 0)
			return;
	}
	struct message *message = scratch_alloc(load, sizeof *message);
	struct slice text = arena_copy(&load->scratch, slice_from_string(buffer));
	if (message == NULL || text.data == NULL) {
		load_out_of_memory(load);
		return;
	}
	*message = (struct message){.place = place, .is_warning = is_warning, .text = text.data};
	message->order = load->message_count++;
	*load->messages_end = message;
	load->messages_end = &message->next;
}

void config_error(struct config_load *load, struct config_place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	message_add(load, place, false, format, arguments);
	va_end(arguments);
}

void config_warning(struct config_load *load, struct config_place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	message_add(load, place, true, format, arguments);
	va_end(arguments);
}

void message_hide(struct config_load *load, const struct node *node)
{
	struct hidden *hidden = scratch_alloc(load, sizeof *hidden);
	if (hidden == NULL)
		return;
	*hidden = (struct hidden){load->hidden, node};
	load->hidden = hidden;
}

// --- Printing

static unsigned file_order(const struct message *message)
{
	return message->document != NULL ? message->document->order + 1 : 0;
}

static int compare(const void *a, const void *b)
{
	const struct message *one = *(struct message *const *)a, *other = *(struct message *const *)b;
	unsigned one_order = file_order(one), other_order = file_order(other);
	if (one_order != other_order)
		return one_order < other_order ? -1 : 1;
	if (one->place.line != other->place.line)
		return one->place.line < other->place.line ? -1 : 1;
	if (one->place.column != other->place.column)
		return one->place.column < other->place.column ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}

// Files are known by the address of their name, which every place has from there.
static const struct document *find_document(const struct config_load *load, const char *file)
{
	const struct document *document = load->documents;
	while (document != NULL && document->name != file)
		document = document->next;
	return document;
}

// Text of a file may hold anything; a terminal shall see none of it but letters.
static void print_clean(FILE *to, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		fputc(c < 0x20 || c == 0x7f ? ' ' : c, to);
	}
}

static void print_message(const struct message *message, struct excerpt *excerpt, FILE *to, bool colours)
{
	const char *bold = colours ? "\033[1m" : "", *plain = colours ? "\033[0m" : "";
	const char *sign = !colours ? "" : message->is_warning ? "\033[35m" : "\033[31m";
	if (message->place.file != NULL) {
		fputs(bold, to);
		print_clean(to, message->place.file);
		fprintf(to, ":%u:%u: %s", message->place.line, message->place.column, plain);
	}
	fputs(sign, to);
	if (message->is_warning)
		fputs("warning: ", to);
	print_clean(to, message->text);
	fprintf(to, "%s\n", plain);
	if (message->document != NULL)
		excerpt_print(excerpt, message->document, message->place, to, colours);
}

void messages_print(struct config_load *load, FILE *to, bool colours)
{
	size_t kept = load->message_count < MESSAGES_MAX ? load->message_count : MESSAGES_MAX;
	const struct message **sorted = kept > 0 ? malloc(kept * sizeof *sorted) : NULL;
	if (kept > 0 && sorted == NULL)
		load_out_of_memory(load);
	size_t count = 0;
	for (struct message *message = load->messages; sorted != NULL && message != NULL; message = message->next) {
		check(count < kept);
		message->document = find_document(load, message->place.file);
		sorted[count++] = message;
	}
	if (count > 0)
		qsort(sorted, count, sizeof *sorted, compare);
	struct excerpt excerpt;
	excerpt_begin(&excerpt, load);
	for (size_t i = 0; i < count; i++)
		print_message(sorted[i], &excerpt, to, colours);
	free(sorted);
	if (load->message_count > MESSAGES_MAX)
		fprintf(to, "and %zu more\n", load->message_count - MESSAGES_MAX);
	if (load->out_of_memory)
		fputs("memory is out\n", to);
}
