// respond: a fixed answer.
#include "config/load.h"
#include "exchange/error_page.h"
#include "exchange/escape.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "exchange/variables.h"
#include "handlers/handlers.h"
#include "http/syntax.h"

#include <stddef.h>

// --- Keys

struct respond_config {
	struct config_place place;
	int64_t status;
	struct config_text body, type;
	struct config_file file;
};

static const struct config_key keys[] = {
	{"status", CONFIG_INTEGER, offsetof(struct respond_config, status), "200", "the status code", .min = 200,
	 .max = 599},
	{"body", CONFIG_TEXT, offsetof(struct respond_config, body),
	 .help = "the content, with variables ($host, $path, $request_id, ...). An error without content gets usher's "
		 "own "
		 "page"},
	{"file", CONFIG_FILE, offsetof(struct respond_config, file),
	 .help = "the content, as it is in this file when the configuration is loaded"},
	{"type", CONFIG_TEXT, offsetof(struct respond_config, type),
	 .help = "the media type of the content; by the file's name when it is absent, else text/plain",
	 .form = "a media type such as text/html"},
	{0},
};

static const struct config_section section = {
	.name = "respond",
	.help = "A fixed answer.",
	.size = sizeof(struct respond_config),
	.keys = keys,
	.place_offset = offsetof(struct respond_config, place),
	.shorthand = "status",
};

// --- Loading

struct respond {
	unsigned status;
	bool error_page;
	bool escaped; // the variables' values, as `escape` says
	enum escape_kind escape;
	struct slice type;
	struct template body;
};

struct media_type {
	const char *extension, *type;
};

static const struct media_type media_types[] = {
	{".html", "text/html; charset=utf-8"},
	{".htm", "text/html; charset=utf-8"},
	{".txt", "text/plain; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".json", "application/json"},
	{".xml", "application/xml"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".jpg", "image/jpeg"},
	{".jpeg", "image/jpeg"},
	{".gif", "image/gif"},
	{".webp", "image/webp"},
	{".ico", "image/vnd.microsoft.icon"},
	{".pdf", "application/pdf"},
	{".wasm", "application/wasm"},
	{".woff2", "font/woff2"},
	{NULL, "application/octet-stream"},
};

static struct slice type_of_file(struct slice path)
{
	const struct media_type *row = media_types;
	while (row->extension && !slice_ends_with(path, slice_from_string(row->extension)))
		row++;
	return slice_from_string(row->type);
}

static bool starts_with_nocase(struct slice whole, struct slice start)
{
	return slice_equal_nocase(slice_first(whole, start.length), start);
}

// What the type's texts must have no raw values of strangers in.
static void choose_escape(struct respond *respond)
{
	struct slice type = respond->type;
	respond->escaped = true;
	if (starts_with_nocase(type, SLICE("text/html")) || starts_with_nocase(type, SLICE("application/xml")) ||
	    starts_with_nocase(type, SLICE("text/xml")) || starts_with_nocase(type, SLICE("application/xhtml")) ||
	    starts_with_nocase(type, SLICE("image/svg")))
		respond->escape = ESCAPE_HTML;
	else if (starts_with_nocase(type, SLICE("application/json")) ||
		 starts_with_nocase(type, SLICE("text/javascript")))
		respond->escape = ESCAPE_JSON;
	else
		respond->escaped = false;
}

static bool check_keys(struct config_load *load, const struct respond_config *config)
{
	bool body = config->body.text.data != NULL, file = config->file.path.text.data != NULL;
	if (body && file) {
		config_error(load, config->file.path.place, "the content is either \"body\" or \"file\"");
		return false;
	}
	// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
	if ((body || file) && (config->status == 204 || config->status == 205 || config->status == 304)) {
		config_error(load, body ? config->body.place : config->file.path.place,
			     "an answer with status %d has no content", (int)config->status);
		return false;
	}
	struct slice type = config->type.text;
	if (type.data && (syntax_skip_value(type.data, type.data + type.length) != type.data + type.length ||
			  slice_find(type, '/') == type.length)) {
		config_error(load, config->type.place, "\"%.*s\" is no media type; expected one such as text/html",
			     SLICE_ARGUMENTS(type));
		return false;
	}
	return true;
}

static bool respond_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			 const void **ret_config)
{
	const struct respond_config *config = value;
	struct respond *respond = config_alloc(load, sizeof *respond);
	if (!respond || !check_keys(load, config))
		return false;
	*ret_config = respond;
	respond->status = (unsigned)config->status;
	respond->type = config->type.text;
	if (config->file.path.text.data) {
		if (!respond->type.data)
			respond->type = type_of_file(config->file.path.text);
		struct template_part *part = config_alloc(load, sizeof *part);
		if (!part)
			return false;
		*part = (struct template_part){config->file.content, -1};
		respond->body = (struct template){.parts = part, .count = 1};
		return true;
	}
	if (!config->body.text.data) {
		respond->error_page = config->status >= 400 && !config->type.text.data;
		return true;
	}
	if (!respond->type.data)
		respond->type = SLICE("text/plain; charset=utf-8");
	choose_escape(respond);
	return variables_load_content(load, &config->body, route->captures, &respond->body);
}

// --- Handling

static struct slice make_body(struct exchange *exchange, const struct respond *respond);

static void respond_handle(struct exchange *exchange, const void *config)
{
	const struct respond *respond = config;
	if (respond->error_page) {
		error_page_answer(exchange, respond->status, "by_rule");
		return;
	}
	if (respond->body.count == 0) {
		exchange_answer(exchange, respond->status, SLICE_EMPTY, SLICE(""));
		return;
	}
	struct slice body = make_body(exchange, respond);
	if (body.data)
		exchange_answer(exchange, respond->status, respond->type, body);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "respond", NULL);
}

// --- Helpers

static struct slice make_body(struct exchange *exchange, const struct respond *respond)
{
	struct slice values[VARIABLE_COUNT];
	struct arena *arena = exchange_arena(exchange);
	if (template_is_literal(&respond->body))
		return respond->body.parts[0].literal;
	variables_fill(exchange, &respond->body, exchange->captures, values);
	for (size_t i = 0; i < VARIABLE_COUNT && respond->escaped; i++)
		if (respond->body.used >> i & 1 && values[i].length > 0) {
			values[i] = escape(values[i], respond->escape, arena);
			if (!values[i].data)
				return SLICE_EMPTY;
		}
	return template_expand(&respond->body, values, arena);
}

const struct handler_type respond_handler = {
	.order = HANDLER_RESPOND,
	.key =
		{
			.name = "respond",
			.kind = CONFIG_OPTIONAL,
			.section = &section,
			.help = "a fixed answer: a status, or with content",
		},
	.load = respond_load,
	.handle = respond_handle,
	.ends = true,
};
