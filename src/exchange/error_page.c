#include "exchange/error_page.h"

#include "base/check.h"
#include "config/load.h"
#include "exchange/escape.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "exchange/status_range.h"
#include "exchange/template.h"

#include <string.h>

// The statuses that usher answers by itself.
#define STATUSES(row)                                                                                                  \
	row(400) row(403) row(404) row(405) row(408) row(413) row(414) row(417) row(421) row(429) row(431) row(500)    \
		row(501) row(502) row(503) row(504) row(505) row(508)

enum {
#define STATUS_ENUM(status) STATUS_##status,
	STATUSES(STATUS_ENUM)
#undef STATUS_ENUM
		STATUS_COUNT,
};

// Of all statuses; those of one stand before it.
#define STATUS_ANY STATUS_COUNT

static const unsigned statuses[STATUS_COUNT] = {
#define STATUS_NUMBER(status) status,
	STATUSES(STATUS_NUMBER)
#undef STATUS_NUMBER
};

enum { REPLACED_MAX = 16 };

struct error_pages {
	const struct template *templates[STATUS_COUNT + 1][PAGE_TYPES]; // NULL but for STATUS_ANY: not set
	struct status_range replaced[REPLACED_MAX];			// of servers' answers
	uint32_t replaced_count;
};

// --- Answering

enum page_variable { PAGE_STATUS, PAGE_REASON, PAGE_CODE, PAGE_REQUEST_ID, PAGE_VARIABLES };

static const char *const page_variables[] = {"status", "reason", "code", "request_id", NULL};

static const struct slice media_types[PAGE_TYPES] = {
	[PAGE_TEXT] = {"text/plain; charset=utf-8", sizeof "text/plain; charset=utf-8" - 1},
	[PAGE_HTML] = {"text/html; charset=utf-8", sizeof "text/html; charset=utf-8" - 1},
	[PAGE_JSON] = {"application/json", sizeof "application/json" - 1},
};

// What a client that meets a 503 does well to wait.
// Retry-After where nobody knows better.
enum { RETRY_AFTER_S = 5 };

static size_t status_index(unsigned status)
{
	size_t i = 0;
	while (i < STATUS_COUNT && statuses[i] != status)
		i++;
	return i;
}

static struct slice page_value(struct slice value, enum page_type type, struct arena *arena)
{
	switch (type) {
	case PAGE_TEXT:
		return value;
	case PAGE_HTML:
		return escape(value, ESCAPE_HTML, arena);
	case PAGE_JSON:
		return escape(value, ESCAPE_JSON, arena);
	}
	return value;
}

static struct slice page_make(const struct error_pages *pages, enum page_type type, unsigned status, const char *code,
			      struct slice request_id, struct arena *arena)
{
	const struct template *template = pages->templates[status_index(status)][type];
	if (!template)
		template = pages->templates[STATUS_ANY][type];
	struct slice values[PAGE_VARIABLES] = {
		[PAGE_STATUS] = arena_printf(arena, "%u", status),
		[PAGE_REASON] = status_reason(status),
		[PAGE_CODE] = slice_from_string(code),
		[PAGE_REQUEST_ID] = request_id,
	};
	for (size_t i = 0; i < PAGE_VARIABLES; i++)
		values[i] = page_value(values[i], type, arena);
	return template_expand(template, values, arena);
}

// In whole seconds, rounded up (RFC 9110 section 10.2.3).
static struct slice retry_after(struct exchange *exchange)
{
	int64_t seconds = (exchange->retry_after_ns + SECOND_NS - 1) / SECOND_NS;
	return arena_printf(exchange_arena(exchange), "%lld", (long long)(seconds > 0 ? seconds : RETRY_AFTER_S));
}

void error_page_answer(struct exchange *exchange, unsigned status, const char *code)
{
	const struct error_pages *pages = exchange->route ? exchange->route->errors : exchange->snapshot->errors;
	struct arena *arena = exchange_arena(exchange);
	struct fields *fields = &exchange_response(exchange)->fields;
	enum page_type type = page_type_accepted(&exchange_request(exchange)->fields);
	struct slice page = page_make(pages, type, status, code, exchange->request_id, arena);
	// When memory is out, the status alone has to do.
	if (!page.data)
		page = SLICE_EMPTY;
	(void)fields_set(fields, arena, FIELD_CACHE_CONTROL, SLICE("no-store"));
	if (status == 503 || status == 429)
		(void)fields_set(fields, arena, FIELD_RETRY_AFTER, retry_after(exchange));
	exchange_answer(exchange, status, page.length > 0 ? media_types[type] : SLICE_EMPTY, page);
}

bool error_page_replaces(const struct exchange *exchange, unsigned status)
{
	const struct error_pages *pages = exchange->route->errors;
	return status_is_in(status, pages->replaced, pages->replaced_count);
}

void error_page_fill(struct exchange *exchange)
{
	enum fault_kind kind = exchange->transaction.fault.kind;
	int status = fault_status(kind);
	check(status > 0);
	error_page_answer(exchange, (unsigned)status, fault_word(kind));
}

// --- Loading

struct error_pages_config {
	struct config_place place;
	struct config_file general[PAGE_TYPES];
	struct config_file by_status[STATUS_COUNT];
	struct config_texts replace;
};

#define PAGE_FORM "a file that ends in .html, .json or .txt"
#define STATUS_KEY(status)                                                                                             \
	{#status, CONFIG_FILE, offsetof(struct error_pages_config, by_status[STATUS_##status]),                        \
	 .help = "a page for this status, of the type that the file's name ends in", .form = PAGE_FORM},

static const struct config_key keys[] = {
	{"text", CONFIG_FILE, offsetof(struct error_pages_config, general[PAGE_TEXT]),
	 .help = "the page for who prefers text; $status, $reason, $code and $request_id are filled in"},
	{"html", CONFIG_FILE, offsetof(struct error_pages_config, general[PAGE_HTML]), .help = "the page for browsers"},
	{"json", CONFIG_FILE, offsetof(struct error_pages_config, general[PAGE_JSON]),
	 .help = "the page for who prefers JSON"},
	{"replace", CONFIG_TEXTS, offsetof(struct error_pages_config, replace),
	 .help = "answers of servers with these statuses, such as [500, \"502-504\"], are replaced by these pages, too",
	 .form = STATUS_RANGE_FORM},
	STATUSES(STATUS_KEY){0},
};

const struct config_section error_pages_section = {
	.name = "error_pages",
	.help = "Files that take the place of usher's own pages for errors. Which type a visitor gets, the Accept "
		"field "
		"decides. Answers of servers are passed on as they are, but for those that `replace` names.",
	.size = sizeof(struct error_pages_config),
	.keys = keys,
	.place_offset = offsetof(struct error_pages_config, place),
};

static const char text_page[] = "$status $reason\n\ncode: $code\nrequest: $request_id\n";
static const char json_page[] =
	"{\"status\":$status,\"reason\":\"$reason\",\"code\":\"$code\",\"request_id\":\"$request_id\"}\n";
static const char html_page[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>$status $reason</title>\n"
	"<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;"
	"padding:0 1rem}</style>\n"
	"</head>\n"
	"<body>\n"
	"<main>\n"
	"<h1>$status $reason</h1>\n"
	"<p>Reason: <code>$code</code></p>\n"
	"<p>Request: <code>$request_id</code></p>\n"
	"</main>\n"
	"</body>\n"
	"</html>\n";

static const struct template *page_parse(struct config_load *load, struct slice text)
{
	struct slice wrong;
	const char *detail;
	struct template *template = config_alloc(load, sizeof *template);
	if (!template || !template_parse(text, page_variables, true, config_arena(load), template, &wrong, &detail))
		return NULL;
	return template;
}

static const struct error_pages *pages_standard(struct config_load *load)
{
	struct error_pages *pages = config_alloc(load, sizeof *pages);
	if (!pages)
		return NULL;
	const struct template **any = pages->templates[STATUS_ANY];
	any[PAGE_TEXT] = page_parse(load, slice_from_string(text_page));
	any[PAGE_HTML] = page_parse(load, slice_from_string(html_page));
	any[PAGE_JSON] = page_parse(load, slice_from_string(json_page));
	return any[PAGE_TEXT] && any[PAGE_HTML] && any[PAGE_JSON] ? pages : NULL;
}

// The type of a page for one status, by the name of its file.
static bool type_of_file(struct config_load *load, const struct config_text *path, enum page_type *ret_type)
{
	*ret_type = PAGE_TEXT;
	if (slice_ends_with(path->text, SLICE(".html")) || slice_ends_with(path->text, SLICE(".htm")))
		*ret_type = PAGE_HTML;
	else if (slice_ends_with(path->text, SLICE(".json")))
		*ret_type = PAGE_JSON;
	else if (!slice_ends_with(path->text, SLICE(".txt"))) {
		config_error(load, path->place, "expected " PAGE_FORM ": the type that visitors ask for decides");
		return false;
	}
	return true;
}

const struct error_pages *error_pages_load(struct config_load *load, const void *value, const struct error_pages *outer)
{
	const struct error_pages_config *config = value;
	if (!outer && !(outer = pages_standard(load)))
		return NULL;
	if (!config)
		return outer;
	struct error_pages *pages = config_alloc(load, sizeof *pages);
	if (!pages)
		return NULL;
	*pages = *outer;
	bool good = config->replace.count == 0 || status_ranges_load(load, &config->replace, 400, pages->replaced,
								     REPLACED_MAX, &pages->replaced_count);
	for (size_t i = 0; i < PAGE_TYPES; i++)
		if (config->general[i].path.text.data)
			good = (pages->templates[STATUS_ANY][i] = page_parse(load, config->general[i].content)) && good;
	for (size_t i = 0; i < STATUS_COUNT; i++) {
		const struct config_file *file = &config->by_status[i];
		enum page_type type;
		if (!file->path.text.data)
			continue;
		if (!type_of_file(load, &file->path, &type))
			good = false;
		else
			good = (pages->templates[i][type] = page_parse(load, file->content)) && good;
	}
	return good ? pages : NULL;
}
