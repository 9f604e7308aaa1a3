// headers: sets, adds and removes fields of the request on its way to the server, and of the
// response on its way back.
#include "config/load.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "exchange/variables.h"
#include "handlers/handlers.h"
#include "http/syntax.h"

#include <stddef.h>

// --- Keys

struct side_config {
	struct config_place place;
	struct config_pairs set, add;
	struct config_texts remove;
};

struct headers_config {
	struct config_place place;
	struct side_config *request, *response;
};

static const struct config_key side_keys[] = {
	{"set", CONFIG_PAIRS, offsetof(struct side_config, set),
	 .help = "these fields take the place of those of the same name; values may have variables ($host, $path, "
		 "$client, "
		 "$scheme, $request_id, $1, ...)"},
	{"add", CONFIG_PAIRS, offsetof(struct side_config, add),
	 .help = "these fields are added to those that are there"},
	{"remove", CONFIG_TEXTS, offsetof(struct side_config, remove), .help = "fields of these names are left out"},
	{0},
};

static const struct config_section side_section = {
	.name = "headers_side",
	.help = "Changes to fields: first `remove`, then `set`, then `add`. Those that frame a message, or rule a "
		"connection, "
		"are usher's own.",
	.size = sizeof(struct side_config),
	.keys = side_keys,
	.place_offset = offsetof(struct side_config, place),
};

static const struct config_key keys[] = {
	{"request", CONFIG_OPTIONAL, offsetof(struct headers_config, request), .section = &side_section,
	 .help = "changes to requests, before a server gets them"},
	{"response", CONFIG_OPTIONAL, offsetof(struct headers_config, response), .section = &side_section,
	 .help = "changes to responses, before the client gets them"},
	{0},
};

static const struct config_section section = {
	.name = "headers",
	.help = "Sets, adds and removes header fields. usher's own error pages and redirects are not changed.",
	.size = sizeof(struct headers_config),
	.keys = keys,
	.place_offset = offsetof(struct headers_config, place),
};

// --- Loading

enum change_kind { CHANGE_REMOVE, CHANGE_SET, CHANGE_ADD };

struct change {
	enum change_kind kind;
	enum field_id id;
	struct slice name;
	struct template value;
};

struct changes {
	struct change *items;
	size_t count;
};

struct headers {
	struct changes request, response;
};

// Why the configuration may not touch a field; NULL when it may.
static const char *why_not(enum field_id id, bool of_request)
{
	switch (id) {
	case FIELD_CONTENT_LENGTH:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_TRAILER:
		return "it tells how long a message is, which usher works out itself";
	case FIELD_CONNECTION:
	case FIELD_KEEP_ALIVE:
	case FIELD_PROXY_CONNECTION:
	case FIELD_PROXY_AUTHENTICATE:
	case FIELD_PROXY_AUTHENTICATION_INFO:
	case FIELD_PROXY_AUTHORIZATION:
	case FIELD_TE:
	case FIELD_UPGRADE:
	case FIELD_HTTP2_SETTINGS:
		return "it is for one connection only, and usher writes its own (RFC 9110 section 7.6.1)";
	case FIELD_X_REQUEST_ID:
		return "usher writes its own";
	case FIELD_HOST:
		return of_request ? "which host a server is asked for, `proxy` says" : NULL;
	case FIELD_EXPECT:
	case FIELD_VIA:
	case FIELD_MAX_FORWARDS:
		return of_request ? "usher writes its own" : NULL;
	default:
		return NULL;
	}
}

static bool load_name(struct config_load *load, const struct config_text *name, bool of_request,
		      struct change *ret_change)
{
	if (!syntax_all(name->text, SYNTAX_TOKEN)) {
		config_error(load, name->place, "\"%.*s\" is no name of a field", SLICE_ARGUMENTS(name->text));
		return false;
	}
	ret_change->id = field_id_of(name->text);
	ret_change->name = name->text;
	const char *why = why_not(ret_change->id, of_request);
	if (why)
		config_error(load, name->place, "%.*s cannot be changed: %s", SLICE_ARGUMENTS(name->text), why);
	return !why;
}

static bool load_pairs(struct config_load *load, const struct config_pairs *pairs, enum change_kind kind,
		       bool of_request, unsigned captures, struct changes *changes)
{
	bool good = true;
	for (size_t i = 0; i < pairs->count; i++) {
		struct change *change = &changes->items[changes->count++];
		const struct config_pair *pair = &pairs->items[i];
		change->kind = kind;
		// Of several values for one name, the first takes the place of the old ones.
		if (kind == CHANGE_SET && i > 0 && slice_equal_nocase(pair->name.text, pairs->items[i - 1].name.text))
			change->kind = CHANGE_ADD;
		good = load_name(load, &pair->name, of_request, change) && good;
		good = variables_load(load, &pair->value, captures, &change->value) && good;
	}
	return good;
}

static bool load_side(struct config_load *load, const struct side_config *config, bool of_request, unsigned captures,
		      struct changes *ret_changes)
{
	if (!config)
		return true;
	size_t count = config->remove.count + config->set.count + config->add.count;
	bool good = true;
	ret_changes->items = config_alloc(load, (count + 1) * sizeof *ret_changes->items);
	if (!ret_changes->items)
		return false;
	for (size_t i = 0; i < config->remove.count; i++) {
		struct change *change = &ret_changes->items[ret_changes->count++];
		change->kind = CHANGE_REMOVE;
		good = load_name(load, &config->remove.items[i], of_request, change) && good;
	}
	good = load_pairs(load, &config->set, CHANGE_SET, of_request, captures, ret_changes) && good;
	return load_pairs(load, &config->add, CHANGE_ADD, of_request, captures, ret_changes) && good;
}

static bool headers_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			 const void **ret_config)
{
	const struct headers_config *config = value;
	struct headers *headers = config_alloc(load, sizeof *headers);
	if (!headers)
		return false;
	*ret_config = headers;
	bool good = load_side(load, config->request, true, route->captures, &headers->request);
	return load_side(load, config->response, false, route->captures, &headers->response) && good;
}

// --- Handling

static bool apply(const struct changes *changes, const struct slice *values, struct fields *fields,
		  struct arena *arena);
static struct slice *expand_all(struct exchange *exchange, const struct changes *changes);

static void headers_handle(struct exchange *exchange, const void *config)
{
	const struct headers *headers = config;
	struct arena *arena = exchange_arena(exchange);
	// What the response's values are made of is the request as the route found it, not what
	// becomes of it further down.
	struct slice *request = expand_all(exchange, &headers->request);
	struct slice *response = expand_all(exchange, &headers->response);
	if (exchange_failed(exchange))
		return;
	if (!request || !response || !apply(&headers->request, request, &exchange_request(exchange)->fields, arena)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "change request header", NULL);
		return;
	}
	exchange_next(exchange);
	if (exchange_failed(exchange))
		return;
	if (!apply(&headers->response, response, &exchange_response(exchange)->fields, arena))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "change response header", NULL);
}

// --- Helpers

// The values of all changes; NULL when memory is out.
static struct slice *expand_all(struct exchange *exchange, const struct changes *changes)
{
	static struct slice none;
	if (changes->count == 0)
		return &none;
	struct slice *values = arena_alloc(exchange_arena(exchange), changes->count * sizeof *values);
	for (size_t i = 0; i < changes->count && values; i++) {
		const struct change *change = &changes->items[i];
		if (change->kind == CHANGE_REMOVE)
			continue;
		values[i] = variables_expand(exchange, &change->value);
		const char *end = values[i].data + values[i].length;
		if (!values[i].data)
			return NULL;
		// Whatever brought a request here has seen to it already; a line break in a field
		// would be another field.
		if (syntax_skip_value(values[i].data, end) != end)
			exchange_fail(exchange, FAULT_INTERNAL, "change header", "a value has control characters");
	}
	return values;
}

static bool apply_one(const struct change *change, struct slice value, struct fields *fields, struct arena *arena)
{
	bool known = change->id != FIELD_OTHER;
	switch (change->kind) {
	case CHANGE_REMOVE:
		if (known)
			(void)fields_remove(fields, change->id);
		else
			(void)fields_remove_name(fields, change->name);
		return true;
	case CHANGE_SET:
		return known ? fields_set(fields, arena, change->id, value)
			     : fields_set_name(fields, arena, change->name, value);
	case CHANGE_ADD:
		return known ? fields_add(fields, arena, change->id, value)
			     : fields_add_name(fields, arena, change->name, value);
	}
	return false;
}

static bool apply(const struct changes *changes, const struct slice *values, struct fields *fields, struct arena *arena)
{
	for (size_t i = 0; i < changes->count; i++)
		if (!apply_one(&changes->items[i], values[i], fields, arena))
			return false;
	return true;
}

const struct handler_type headers_handler = {
	.order = HANDLER_HEADERS,
	.key =
		{
			.name = "headers",
			.kind = CONFIG_OPTIONAL,
			.section = &section,
			.help = "sets, adds and removes header fields",
		},
	.load = headers_load,
	.handle = headers_handle,
};
