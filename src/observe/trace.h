// The decisions of one exchange: what was decided, by which rule, where it stands in the
// configuration, and when.
//
// Always on: a note is a handful of stores into a fixed array, nothing is copied and
// nothing is allocated. The log line, error pages and `usher explain` read the same
// records; nothing is reconstructed afterwards.
#ifndef USHER_OBSERVE_TRACE_H
#define USHER_OBSERVE_TRACE_H

#include "base/slice.h"
#include "fiber/loop.h"

#include <stddef.h>
#include <stdint.h>

enum {
	TRACE_RECORDS_MAX = 16,
	TRACE_TEXT_MAX = 4608, // room that is enough for every trace_format_text
	TRACE_JSON_MAX = 18432 // and for every trace_format_json
};

// The value of a note that has none.
#define TRACE_NO_VALUE INT64_MIN

struct trace_record {
	const char *what; // a literal, one word: "site", "route", "server", "connect"
	const char *by;	  // the rule, name or address that decided; lent for the trace's life
	const char *file; // where that stands in the configuration, or NULL
	int64_t value;	  // a status, an errno, a count; or TRACE_NO_VALUE
	int64_t at_ns;	  // since the exchange began
	uint32_t by_length;
	uint32_t line;
};

struct trace {
	int64_t started_ns;
	uint32_t count;
	uint32_t lost; // notes that came when all records were taken
	struct trace_record records[TRACE_RECORDS_MAX];
};

// Begins, on the loop's clock (loop_now). The records are not touched.
static inline void trace_begin(struct trace *trace, int64_t started_ns)
{
	trace->started_ns = started_ns;
	trace->count = trace->lost = 0;
}

// Notes a decision. `what` is a literal; the bytes of `by` and the string `file` are not
// copied: they are literals, of the configuration, or of the exchange's arena. file is
// NULL (and line 0) where no place in the configuration is meant.
static inline void trace_note(struct trace *trace, const char *what, struct slice by, const char *file, uint32_t line,
			      int64_t value)
{
	if (trace->count == TRACE_RECORDS_MAX) {
		trace->lost++;
		return;
	}
	trace->records[trace->count++] = (struct trace_record){
		.what = what,
		.by = by.data,
		.by_length = (uint32_t)by.length,
		.file = file,
		.line = line,
		.value = value,
		.at_ns = loop_now() - trace->started_ns,
	};
}

// One line for people and logs, in the order of the notes:
//
//   site=shop.example.com@shop.yaml:5 route=/api/@shop.yaml:12 connect=10.0.0.1:80(-111)+3ms
//
// what=by, then @file:line, (value) and +offset where there is one (offsets of a
// millisecond or more, when they differ from the one before). Blanks, parentheses, control
// characters and bytes from 0x80 up in `by` are written as \xNN, quotes and backslashes
// with a backslash, so that no name can pass for a record; long ones are cut. What does not
// fit into `size` bytes, or was lost, shows as " ..." at the end. The text is in `buffer`.
struct slice trace_format_text(const struct trace *trace, char *buffer, size_t size);

// An array of objects {"what","by","file","line","value","at_us"}, members without a value
// left out; always whole and valid (RFC 8259): records that do not fit are left out, and
// {"what":"lost","value":N} tells of them. Needs 64 bytes at least.
struct slice trace_format_json(const struct trace *trace, char *buffer, size_t size);

#endif
