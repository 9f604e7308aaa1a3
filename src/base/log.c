#include "base/log.h"

#include "base/date.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 4096, LINES_A_SECOND = 20 };

static enum log_level level_ = LOG_LEVEL_INFO;
static int descriptor_ = STDERR_FILENO;
static int on_terminal_ = -1; // -1: not asked yet

struct level_look {
	const char *word;
	const char *colour;
};

static const struct level_look looks[] = {
	[LOG_LEVEL_ERROR] = {"error", "\033[31m"},
	[LOG_LEVEL_WARNING] = {"warning", "\033[33m"},
	[LOG_LEVEL_INFO] = {"info", "\033[32m"},
	[LOG_LEVEL_DEBUG] = {"debug", "\033[2m"},
};

void log_set_level(enum log_level level)
{
	__atomic_store_n(&level_, level, __ATOMIC_RELAXED);
}

// NO_COLOR is how people say that they want none, on terminals either.
static bool shows_colours(int descriptor)
{
	const char *unwanted = getenv("NO_COLOR");
	return isatty(descriptor) && !(unwanted && unwanted[0]);
}

void log_set_descriptor(int descriptor)
{
	__atomic_store_n(&descriptor_, descriptor, __ATOMIC_RELAXED);
	__atomic_store_n(&on_terminal_, shows_colours(descriptor), __ATOMIC_RELAXED);
}

static bool is_on_terminal(void)
{
	int on_terminal = __atomic_load_n(&on_terminal_, __ATOMIC_RELAXED);
	if (on_terminal < 0) {
		on_terminal = shows_colours(__atomic_load_n(&descriptor_, __ATOMIC_RELAXED));
		__atomic_store_n(&on_terminal_, on_terminal, __ATOMIC_RELAXED);
	}
	return on_terminal > 0;
}

// Whether the line may be written; *ret_left_out tells how many of the same place were not,
// in the last second that had some.
static bool pass_place(struct log_place *place, long second, unsigned *ret_left_out)
{
	*ret_left_out = 0;
	if (place->second != second) {
		if (place->lines > LINES_A_SECOND)
			*ret_left_out = place->lines - LINES_A_SECOND;
		*place = (struct log_place){.second = second};
	}
	place->lines++;
	return place->lines <= LINES_A_SECOND;
}

static void add_head(struct text *line, enum log_level level, const struct timespec *now)
{
	char *date = text_room(line, DATE_RFC3339_LENGTH);
	if (date != NULL)
		date_format_rfc3339(now->tv_sec * INT64_C(1000000000) + now->tv_nsec, date);
	text_add_char(line, ' ');
	bool coloured = is_on_terminal();
	if (coloured)
		text_add_string(line, looks[level].colour);
	text_add_string(line, looks[level].word);
	if (coloured)
		text_add_string(line, "\033[0m");
	text_add(line, SLICE(": "));
}

// Control characters could forge lines, or steer the terminal that shows them.
static void add_visible(struct text *line, struct slice message)
{
	for (size_t i = 0; i < message.length && !line->overflow; i++) {
		unsigned char c = (unsigned char)message.data[i];
		if (c >= ' ' && c != 0x7f) {
			text_add_char(line, (char)c);
			continue;
		}
		char *escape = text_room(line, 4);
		if (escape != NULL) {
			escape[0] = '\\';
			escape[1] = 'x';
			escape[2] = "0123456789abcdef"[c >> 4];
			escape[3] = "0123456789abcdef"[c & 15];
		}
	}
}

void log_line(enum log_level level, struct log_place *place, const char *format, ...)
{
	if (level > __atomic_load_n(&level_, __ATOMIC_RELAXED))
		return;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	unsigned left_out;
	if (!pass_place(place, now.tv_sec, &left_out))
		return;

	char message[LINE_SIZE];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length >= sizeof message)
		length = sizeof message - 1;

	char buffer[LINE_SIZE];
	struct text line;
	text_init(&line, buffer, sizeof buffer - 1); // one for the newline
	add_head(&line, level, &now);
	if (left_out > 0)
		text_printf(&line, "(%u more like this were left out) ", left_out);
	add_visible(&line, slice_from(message, (size_t)length));
	buffer[line.length] = '\n';
	ssize_t written = write(__atomic_load_n(&descriptor_, __ATOMIC_RELAXED), buffer, line.length + 1);
	(void)written; // there is nowhere else to tell
}
