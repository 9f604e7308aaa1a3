#include "observe/trace.h"

#include "base/check.h"
#include "base/text.h"
#include "observe/put.h"

// The longest that one record becomes: its words are cut to these.
enum { WHAT_ROOM = 32, BY_ROOM = 96, FILE_ROOM = 64, RECORD_ROOM = WHAT_ROOM + BY_ROOM + FILE_ROOM + 80 };

static const char CUT_MARK[] = " ...";

static struct slice record_by(const struct trace_record *record)
{
	return slice_from(record->by, record->by_length);
}

static char *put_signed(char *to, int64_t number)
{
	if (number >= 0)
		return put_number(to, (uint64_t)number);
	*to++ = '-';
	return put_number(to, 0 - (uint64_t)number);
}

// Of a path that is too long the end is what tells: the name of the file.
static char *put_file(char *to, const char *file)
{
	enum { KEPT = FILE_ROOM - 12 };
	struct slice text = slice_from_string(file);
	if (text.length > KEPT) {
		to = put_string(to, "...");
		text = slice_after(text, text.length - KEPT);
	}
	return put_bare(to, FILE_ROOM, text);
}

static char *put_record(char *to, const struct trace_record *record, int64_t *previous_ms)
{
	to = put_bare(to, WHAT_ROOM, slice_from_string(record->what));
	if (record->by_length) {
		*to++ = '=';
		to = put_bare(to, BY_ROOM, record_by(record));
	}
	if (record->file) {
		*to++ = '@';
		to = put_file(to, record->file);
		*to++ = ':';
		to = put_number(to, record->line);
	}
	if (record->value != TRACE_NO_VALUE) {
		*to++ = '(';
		to = put_signed(to, record->value);
		*to++ = ')';
	}
	int64_t at_ms = record->at_ns / MILLISECOND_NS;
	if (at_ms > 0 && at_ms != *previous_ms) {
		*to++ = '+';
		to = put_signed(to, at_ms);
		to = put_string(to, "ms");
		*previous_ms = at_ms;
	}
	return to;
}

struct slice trace_format_text(const struct trace *trace, char *buffer, size_t size)
{
	struct text text;
	text_init(&text, buffer, size < sizeof(CUT_MARK) ? 0 : size - sizeof(CUT_MARK));
	int64_t previous_ms = 0;
	bool cut = trace->lost > 0;
	for (uint32_t i = 0; i < trace->count && !text.overflow; i++) {
		char record[RECORD_ROOM];
		char *start = record;
		if (i > 0)
			*start++ = ' ';
		char *end = put_record(start, &trace->records[i], &previous_ms);
		check(end <= record + sizeof(record));
		text_add(&text, slice_from(record, (size_t)(end - record)));
	}
	cut = cut || text.overflow;
	text.overflow = false;
	text.capacity = size;
	if (cut)
		text_add_string(&text, CUT_MARK);
	return text_slice(&text);
}

static char *put_member(char *to, const char *name, size_t room, struct slice value)
{
	to = put_string(to, name);
	to = put_json(to, room, value);
	*to++ = '"';
	return to;
}

static char *put_json_record(char *to, const struct trace_record *record)
{
	to = put_member(to, "{\"what\":\"", WHAT_ROOM, slice_from_string(record->what));
	if (record->by_length)
		to = put_member(to, ",\"by\":\"", 6 * BY_ROOM, record_by(record));
	if (record->file) {
		to = put_member(to, ",\"file\":\"", 6 * FILE_ROOM, slice_from_string(record->file));
		to = put_string(to, ",\"line\":");
		to = put_number(to, record->line);
	}
	if (record->value != TRACE_NO_VALUE) {
		to = put_string(to, ",\"value\":");
		to = put_signed(to, record->value);
	}
	to = put_string(to, ",\"at_us\":");
	to = put_signed(to, record->at_ns / 1000);
	*to++ = '}';
	return to;
}

struct slice trace_format_json(const struct trace *trace, char *buffer, size_t size)
{
	enum { TAIL_ROOM = 48 }; // ,{"what":"lost","value":4294967295}]
	check(size >= 64);
	struct text text;
	text_init(&text, buffer, size - TAIL_ROOM);
	text_add_char(&text, '[');
	uint64_t lost = trace->lost;
	for (uint32_t i = 0; i < trace->count; i++) {
		char record[6 * RECORD_ROOM];
		char *start = record;
		if (text.length > 1)
			*start++ = ',';
		char *end = put_json_record(start, &trace->records[i]);
		check(end <= record + sizeof(record));
		text_add(&text, slice_from(record, (size_t)(end - record)));
		lost += text.overflow;
		text.overflow = false;
	}
	text.capacity = size;
	if (lost) {
		text_add_string(&text,
				text.length > 1 ? ",{\"what\":\"lost\",\"value\":" : "{\"what\":\"lost\",\"value\":");
		text_add_number(&text, lost);
		text_add_char(&text, '}');
	}
	text_add_char(&text, ']');
	check(!text.overflow);
	return text_slice(&text);
}
