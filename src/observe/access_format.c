#include "observe/access_format.h"

#include "base/check.h"
#include "base/date.h"
#include "fiber/loop.h"
#include "observe/put.h"
#include "observe/trace.h"

#include <errno.h>
#include <stdlib.h>

// Room for the values of a line: most are short, those that clients choose freely are not.
enum { SHORT = 256, MIDDLE = 512, LONG = 4096, NUMBER = 32 };

enum kind {
	KIND_SLICE,
	KIND_STRING,
	KIND_COUNT,	    // an unsigned
	KIND_COUNT_OR_NONE, // 0: absent
	KIND_BYTES,	    // a uint64_t
	KIND_DURATION,	    // an int64_t of nanoseconds; below 0: absent
	KIND_BOOL,
	KIND_BOOL_OF_TLS, // absent without TLS
	KIND_TIME_LOG,
	KIND_TIME_ISO,
	KIND_REQUEST,
	KIND_TRACE,
};

struct variable {
	struct slice name;
	struct slice member; // what comes before its value in JSON
	enum kind kind;
	unsigned room;
	size_t offset;
};

#define NUMBER_VARIABLE(variable, kind, member)                                                                        \
	{                                                                                                              \
		SLICE(variable), SLICE(",\"" variable "\":"), kind, NUMBER, offsetof(struct access_record, member)     \
	}
#define TEXT_VARIABLE(variable, kind, room, member)                                                                    \
	{                                                                                                              \
		SLICE(variable), SLICE(",\"" variable "\":\""), kind, room, offsetof(struct access_record, member)     \
	}

static const struct variable variables[] = {
	TEXT_VARIABLE("time", KIND_TIME_LOG, NUMBER, time_ns),
	TEXT_VARIABLE("time_iso", KIND_TIME_ISO, NUMBER, time_ns),
	TEXT_VARIABLE("client", KIND_SLICE, SHORT, client),
	TEXT_VARIABLE("country", KIND_SLICE, NUMBER, country),
	TEXT_VARIABLE("user", KIND_SLICE, MIDDLE, user),
	TEXT_VARIABLE("request_id", KIND_SLICE, MIDDLE, request_id),
	TEXT_VARIABLE("method", KIND_SLICE, SHORT, method),
	TEXT_VARIABLE("scheme", KIND_SLICE, SHORT, scheme),
	TEXT_VARIABLE("host", KIND_SLICE, MIDDLE, host),
	TEXT_VARIABLE("target", KIND_SLICE, LONG, target),
	TEXT_VARIABLE("path", KIND_SLICE, LONG, path),
	TEXT_VARIABLE("query", KIND_SLICE, LONG, query),
	TEXT_VARIABLE("request", KIND_REQUEST, SHORT + LONG + SHORT, method),
	TEXT_VARIABLE("protocol", KIND_SLICE, SHORT, protocol),
	TEXT_VARIABLE("tls_version", KIND_STRING, SHORT, tls_version),
	TEXT_VARIABLE("tls_cipher", KIND_STRING, SHORT, tls_cipher),
	TEXT_VARIABLE("tls_server_name", KIND_SLICE, MIDDLE, tls_server_name),
	NUMBER_VARIABLE("tls_resumed", KIND_BOOL_OF_TLS, tls_resumed),
	TEXT_VARIABLE("client_certificate_subject", KIND_SLICE, LONG, certificate_subject),
	TEXT_VARIABLE("client_certificate_fingerprint", KIND_SLICE, SHORT, certificate_fingerprint),
	TEXT_VARIABLE("client_certificate_verification", KIND_SLICE, MIDDLE, certificate_verification),
	NUMBER_VARIABLE("status", KIND_COUNT, status),
	NUMBER_VARIABLE("bytes_received", KIND_BYTES, bytes_received),
	NUMBER_VARIABLE("bytes_sent", KIND_BYTES, bytes_sent),
	NUMBER_VARIABLE("body_bytes_sent", KIND_BYTES, body_bytes_sent),
	NUMBER_VARIABLE("duration_ms", KIND_DURATION, duration_ns),
	TEXT_VARIABLE("site", KIND_SLICE, MIDDLE, site),
	TEXT_VARIABLE("route", KIND_SLICE, MIDDLE, route),
	TEXT_VARIABLE("pool", KIND_SLICE, MIDDLE, pool),
	TEXT_VARIABLE("server", KIND_SLICE, MIDDLE, server),
	NUMBER_VARIABLE("server_status", KIND_COUNT_OR_NONE, server_status),
	NUMBER_VARIABLE("tries", KIND_COUNT, tries),
	NUMBER_VARIABLE("reused", KIND_BOOL, server_reused),
	NUMBER_VARIABLE("connect_ms", KIND_DURATION, connect_ns),
	NUMBER_VARIABLE("response_ms", KIND_DURATION, response_ns),
	TEXT_VARIABLE("fault", KIND_STRING, SHORT, fault),
	TEXT_VARIABLE("fault_step", KIND_STRING, SHORT, fault_step),
	TEXT_VARIABLE("fault_detail", KIND_STRING, MIDDLE, fault_detail),
	TEXT_VARIABLE("fault_setting", KIND_STRING, SHORT, fault_setting),
	TEXT_VARIABLE("referer", KIND_SLICE, LONG, referer),
	TEXT_VARIABLE("user_agent", KIND_SLICE, LONG, user_agent),
	TEXT_VARIABLE("trace", KIND_TRACE, LONG, trace),
};

enum { VARIABLE_COUNT = sizeof(variables) / sizeof(variables[0]) };

// What json has, in this order.
static const char *const json_members[] = {
	"time_iso",
	"client",
	"country",
	"user",
	"request_id",
	"method",
	"scheme",
	"host",
	"path",
	"query",
	"protocol",
	"status",
	"bytes_received",
	"bytes_sent",
	"body_bytes_sent",
	"duration_ms",
	"site",
	"route",
	"pool",
	"server",
	"server_status",
	"tries",
	"reused",
	"connect_ms",
	"response_ms",
	"fault",
	"fault_step",
	"fault_detail",
	"fault_setting",
	"tls_version",
	"tls_cipher",
	"tls_server_name",
	"tls_resumed",
	"client_certificate_subject",
	"client_certificate_fingerprint",
	"client_certificate_verification",
	"referer",
	"user_agent",
	"trace",
};

enum { JSON_MEMBER_COUNT = sizeof(json_members) / sizeof(json_members[0]) };

// https://httpd.apache.org/docs/2.4/logs.html: "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\""
static const char combined[] =
	"$client - $user [$time] \"$request\" $status $body_bytes_sent_or_none \"$referer\" \"$user_agent\"";

// Of combined alone: %b is "-" where no byte was sent.
static const struct variable body_bytes_or_none =
	NUMBER_VARIABLE("body_bytes_sent_or_none", KIND_BYTES, body_bytes_sent);

// A piece of a format: first the literal, then the variable's value.
struct piece {
	struct slice literal;
	const struct variable *variable; // NULL: none
	bool quoted;
};

struct access_format {
	bool json;
	size_t count;
	struct piece pieces[];
};

// --- Lines

static struct slice slice_of(const struct access_record *record, const struct variable *variable)
{
	const char *at = (const char *)record + variable->offset;
	if (variable->kind == KIND_SLICE)
		return *(const struct slice *)at;
	const char *string = *(const char *const *)at;
	return string ? slice_from_string(string) : SLICE_EMPTY;
}

static char *put_value(char *to, size_t room, struct slice value, const struct access_format *format, bool quoted)
{
	if (format->json)
		return put_json(to, room, value);
	return quoted ? put_quoted(to, room, value) : put_bare(to, room, value);
}

static char *put_trace(char *to, size_t room, const struct trace *trace, const struct access_format *format,
		       bool quoted)
{
	char text[TRACE_TEXT_MAX];
	return put_value(to, room, trace_format_text(trace, text, sizeof(text)), format, quoted);
}

// The request line as it was; nothing when there was none to be read.
static char *put_request(char *to, const struct access_record *record, const struct access_format *format, bool quoted)
{
	const char *start = to;
	to = put_value(to, SHORT - 1, record->method, format, quoted);
	if (record->target.data) {
		if (to != start)
			*to++ = ' ';
		to = put_value(to, LONG, record->target, format, quoted);
	}
	if (record->protocol.data && to != start) {
		*to++ = ' ';
		to = put_value(to, SHORT - 1, record->protocol, format, quoted);
	}
	return to;
}

static char *put_time_iso(char *to, int64_t time_ns)
{
	date_format_rfc3339(time_ns, to);
	return to + DATE_RFC3339_LENGTH;
}

static bool is_absent(const struct access_record *record, const struct variable *variable)
{
	const char *at = (const char *)record + variable->offset;
	switch (variable->kind) {
	case KIND_SLICE:
	case KIND_STRING:
		return slice_of(record, variable).data == NULL;
	case KIND_COUNT_OR_NONE:
		return *(const unsigned *)at == 0;
	case KIND_DURATION:
		return *(const int64_t *)at < 0;
	case KIND_REQUEST:
		return record->method.data == NULL && record->target.data == NULL;
	case KIND_TRACE:
		return record->trace == NULL || record->trace->count == 0;
	case KIND_BYTES:
		return variable == &body_bytes_or_none && *(const uint64_t *)at == 0;
	case KIND_BOOL_OF_TLS:
		return record->tls_version == NULL;
	case KIND_COUNT:
	case KIND_BOOL:
	case KIND_TIME_LOG:
	case KIND_TIME_ISO:
		return false;
	}
	check_failed("a kind of variable", __FILE__, __LINE__);
}

static char *put_variable(char *to, const struct access_record *record, const struct piece *piece,
			  const struct access_format *format)
{
	const struct variable *variable = piece->variable;
	const char *at = (const char *)record + variable->offset;
	switch (variable->kind) {
	case KIND_SLICE:
	case KIND_STRING:
		return put_value(to, variable->room, slice_of(record, variable), format, piece->quoted);
	case KIND_COUNT:
	case KIND_COUNT_OR_NONE:
		return put_number(to, *(const unsigned *)at);
	case KIND_BYTES:
		return put_number(to, *(const uint64_t *)at);
	case KIND_DURATION:
		return put_milliseconds(to, *(const uint64_t *)at);
	case KIND_BOOL:
	case KIND_BOOL_OF_TLS:
		return put_string(to, *(const bool *)at ? "true" : "false");
	case KIND_TIME_LOG:
		return put_bytes(to, date_log(record->time_ns / SECOND_NS));
	case KIND_TIME_ISO:
		return put_time_iso(to, record->time_ns);
	case KIND_REQUEST:
		return put_request(to, record, format, piece->quoted);
	case KIND_TRACE:
		return put_trace(to, variable->room, record->trace, format, piece->quoted);
	}
	check_failed("a kind of variable", __FILE__, __LINE__);
}

static bool is_json_string(enum kind kind)
{
	return kind == KIND_SLICE || kind == KIND_STRING || kind == KIND_TIME_ISO || kind == KIND_TRACE;
}

// An object on one line; absent members are left out. The first comma gives way to the brace.
static char *put_json_line(char *to, const struct access_record *record, const struct access_format *format)
{
	char *start = to;
	for (size_t i = 0; i < format->count; i++) {
		const struct piece *piece = &format->pieces[i];
		const struct variable *variable = piece->variable;
		if (is_absent(record, variable))
			continue;
		to = put_bytes(to, piece->literal);
		if (variable->kind == KIND_SLICE || variable->kind == KIND_STRING)
			to = put_json(to, variable->room, slice_of(record, variable));
		else
			to = put_variable(to, record, piece, format);
		if (is_json_string(variable->kind))
			*to++ = '"';
	}
	*start = '{';
	*to++ = '}';
	return to;
}

// As Apache does it, a value that is there but empty is "" where no quotes are around.
static bool is_empty(const struct access_record *record, const struct variable *variable)
{
	return (variable->kind == KIND_SLICE || variable->kind == KIND_STRING) &&
	       slice_of(record, variable).length == 0;
}

static char *put_text_line(char *to, const struct access_record *record, const struct access_format *format)
{
	for (size_t i = 0; i < format->count; i++) {
		const struct piece *piece = &format->pieces[i];
		to = put_bytes(to, piece->literal);
		if (piece->variable == NULL)
			continue;
		if (is_absent(record, piece->variable))
			*to++ = '-';
		else if (!piece->quoted && is_empty(record, piece->variable))
			to = put_string(to, "\"\"");
		else
			to = put_variable(to, record, piece, format);
	}
	return to;
}

size_t access_format_line(const struct access_format *format, const struct access_record *record, char *to)
{
	char *end = format->json ? put_json_line(to, record, format) : put_text_line(to, record, format);
	*end++ = '\n';
	check(end - to <= ACCESS_LINE_MAX);
	return (size_t)(end - to);
}

// --- Formats

static const struct variable *variable_find(struct slice name)
{
	for (size_t i = 0; i < VARIABLE_COUNT; i++) {
		if (slice_equal(variables[i].name, name))
			return &variables[i];
	}
	return NULL;
}

static int json_new(struct access_format **ret_format)
{
	struct access_format *format = calloc(1, sizeof(*format) + JSON_MEMBER_COUNT * sizeof(struct piece));
	if (format == NULL)
		return -ENOMEM;
	format->json = true;
	format->count = JSON_MEMBER_COUNT;
	for (size_t i = 0; i < JSON_MEMBER_COUNT; i++) {
		const struct variable *variable = variable_find(slice_from_string(json_members[i]));
		check(variable);
		bool is_time = variable->kind == KIND_TIME_ISO;
		struct slice member = is_time ? SLICE(",\"time\":\"") : variable->member;
		format->pieces[i] = (struct piece){.literal = member, .variable = variable};
	}
	*ret_format = format;
	return 0;
}

static size_t name_length(struct slice text)
{
	size_t length = 0;
	while (length < text.length &&
	       ((text.data[length] >= 'a' && text.data[length] <= 'z') || text.data[length] == '_'))
		length++;
	return length;
}

static void track_quotes(struct slice literal, bool *quoted)
{
	for (size_t i = 0; i < literal.length; i++) {
		if (literal.data[i] == '"')
			*quoted = !*quoted;
	}
}

// Takes one piece off the front of *rest; false when its variable is unknown: *ret_piece's
// literal is the part at fault then.
static bool piece_next(struct slice *rest, bool *quoted, bool of_combined, struct piece *ret_piece)
{
	size_t dollar = slice_find(*rest, '$');
	*ret_piece = (struct piece){.literal = slice_first(*rest, dollar)};
	track_quotes(ret_piece->literal, quoted);
	ret_piece->quoted = *quoted;
	struct slice after = slice_after(*rest, dollar + 1);
	if (dollar == rest->length) {
		*rest = SLICE_EMPTY;
		return true;
	}
	if (after.length > 0 && after.data[0] == '$') { // the literal up to the first dollar, and it
		ret_piece->literal.length++;
		*rest = slice_after(after, 1);
		return true;
	}
	struct slice name = slice_first(after, name_length(after));
	ret_piece->variable =
		of_combined && slice_equal(name, body_bytes_or_none.name) ? &body_bytes_or_none : variable_find(name);
	if (ret_piece->variable == NULL) {
		ret_piece->literal = slice_from(rest->data + dollar, name.length + 1);
		return false;
	}
	*rest = slice_after(after, name.length);
	return true;
}

// The longest line, with the mark of two quotes for empty values.
static bool fits_line(const struct access_format *format)
{
	size_t longest = 1;
	for (size_t i = 0; i < format->count; i++)
		longest += format->pieces[i].literal.length + 2 +
			   (format->pieces[i].variable ? format->pieces[i].variable->room : 0);
	return longest <= ACCESS_LINE_MAX;
}

static int text_new(struct slice text, bool of_combined, struct access_format **ret_format, struct slice *ret_wrong)
{
	size_t most = 1;
	for (size_t i = 0; i < text.length; i++)
		most += text.data[i] == '$';
	struct access_format *format = calloc(1, sizeof(*format) + most * sizeof(struct piece));
	if (format == NULL)
		return -ENOMEM;
	bool quoted = false;
	for (struct slice rest = text; rest.length > 0;) {
		struct piece *piece = &format->pieces[format->count];
		if (!piece_next(&rest, &quoted, of_combined, piece)) {
			*ret_wrong = piece->literal;
			access_format_free(format);
			return -EINVAL;
		}
		format->count++;
	}
	if (text.length == 0 || memchr(text.data, '\n', text.length) || !fits_line(format)) {
		*ret_wrong = text;
		access_format_free(format);
		return -EINVAL;
	}
	*ret_format = format;
	return 0;
}

int access_format_new(struct slice format, struct access_format **ret_format, struct slice *ret_wrong)
{
	if (slice_equal(format, SLICE("json")))
		return json_new(ret_format);
	if (slice_equal(format, SLICE("combined")))
		return text_new(slice_from_string(combined), true, ret_format, ret_wrong);
	return text_new(format, false, ret_format, ret_wrong);
}

void access_format_free(struct access_format *format)
{
	free(format);
}

bool access_format_has_country(const struct access_format *format)
{
	for (size_t i = 0; i < format->count; i++)
		if (format->pieces[i].variable &&
		    format->pieces[i].variable->offset == offsetof(struct access_record, country))
			return true;
	return false;
}

bool access_log_check_format(struct slice format, struct slice *ret_wrong)
{
	struct access_format *compiled;
	*ret_wrong = SLICE_EMPTY;
	if (access_format_new(format, &compiled, ret_wrong) != 0)
		return false;
	access_format_free(compiled);
	return true;
}
