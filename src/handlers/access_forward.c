#include "handlers/access_forward.h"

#include "base/hash.h"
#include "exchange/life.h"
#include "exchange/subrequest.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "handlers/access_forward_known.h"
#include "handlers/proxy.h"
#include "http/body.h"
#include "http/syntax.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum {
	PAGE_MAX = 64 * 1024,  // of the service's answer to the visitor
	BODY_MAX = 256 * 1024, // of what the visitor sends
};

// --- Keys

static const struct config_key forward_keys[] = {
	{"to", CONFIG_TEXTS, offsetof(struct access_forward, to), .required = true,
	 .help = "the service: the name of a pool, or addresses of servers",
	 .form = "an address such as http://127.0.0.1:4180"},
	{"path", CONFIG_TEXT, offsetof(struct access_forward, path), "/",
	 "what is asked for there, by GET, with the visitor's fields and X-Forwarded-Method and X-Forwarded-Uri",
	 .form = "a path such as /oauth2/auth"},
	{"user", CONFIG_TEXT, offsetof(struct access_forward, user), "Remote-User",
	 "the field of its answer that tells the user's name"},
	{"groups", CONFIG_TEXT, offsetof(struct access_forward, groups), "Remote-Groups",
	 "the field of its answer that tells his groups, separated by commas"},
	{"body", CONFIG_SIZE, offsetof(struct access_forward, body_bytes), "off",
	 "the visitor's body goes to it, too, by POST; one that is larger is refused", .max = BODY_MAX},
	{"remember", CONFIG_DURATION, offsetof(struct access_forward, remember_ns), "off",
	 "how long it is not asked again about whom it has let in", .max = 3600 * SECOND_NS},
	{"remember_by", CONFIG_TEXTS, offsetof(struct access_forward, by_texts),
	 .help = "by what he is known then: `host`, `method`, `target`, `client`, and names of fields, one of which "
		 "his "
		 "request must have; all of these, Cookie and Authorization unless it is written",
	 .form = "a list such as [Cookie, host]"},
	{"take", CONFIG_TEXTS, offsetof(struct access_forward, take),
	 .help = "fields of its answer that servers get; whoever asks cannot send them himself"},
	{0},
};

const struct config_section access_forward_section = {
	.name = "access.forward",
	.help = "An authentication service that is asked about each visitor: 2xx lets him in, any other answer is his. "
		"Without an answer, nobody gets in.",
	.size = sizeof(struct access_forward),
	.keys = forward_keys,
	.place_offset = offsetof(struct access_forward, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "to",
};

static enum access_forward_by by_of(struct slice text)
{
	static const char *const words[] = {
		[ACCESS_FORWARD_BY_HOST] = "host",
		[ACCESS_FORWARD_BY_METHOD] = "method",
		[ACCESS_FORWARD_BY_TARGET] = "target",
		[ACCESS_FORWARD_BY_CLIENT] = "client",
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (slice_equal(text, slice_from_string(words[i])))
			return (enum access_forward_by)i;
	return ACCESS_FORWARD_BY_FIELD;
}

// Who has none of the fields is nobody whom the service could know again.
static bool load_by(struct config_load *load, struct access_forward *forward)
{
	static const char *const standard[] = {"host", "method", "target", "client", "Cookie", "Authorization"};
	bool is_standard = forward->by_texts.count == 0, has_field = false;
	forward->by_count = is_standard ? sizeof standard / sizeof *standard : forward->by_texts.count;
	forward->by = config_alloc(load, forward->by_count * sizeof *forward->by);
	forward->by_names = config_alloc(load, forward->by_count * sizeof *forward->by_names);
	if (!forward->by || !forward->by_names)
		return false;
	for (size_t i = 0; i < forward->by_count; i++) {
		struct slice text = is_standard ? slice_from_string(standard[i]) : forward->by_texts.items[i].text;
		forward->by[i] = by_of(text);
		forward->by_names[i] = text;
		has_field |= forward->by[i] == ACCESS_FORWARD_BY_FIELD;
	}
	if (!has_field)
		config_error(load, forward->by_texts.items[0].place,
			     "everybody would be taken for one visitor; name a field that tells them apart, such as "
			     "Cookie");
	return has_field;
}

static uint64_t digest_of(const struct access_forward *forward)
{
	const struct config_texts texts[] = {
		forward->to,
		{(struct config_text *)&forward->path, 1},
		{(struct config_text *)&forward->user, 1},
		{(struct config_text *)&forward->groups, 1},
		forward->take,
		forward->by_texts,
	};
	uint64_t digest = 0;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (size_t j = 0; j < texts[i].count; j++)
			digest = hash_number(digest ^ hash_fast(texts[i].items[j].text) ^ (i + 1));
	return digest;
}

bool access_forward_load(struct config_load *load, struct snapshot *snapshot, const struct route *route,
			 struct access_forward *forward)
{
	bool good = true;
	if (!slice_starts_with(forward->path.text, SLICE("/")) ||
	    slice_find(forward->path.text, ' ') < forward->path.text.length) {
		config_error(load, forward->path.place, "\"%.*s\" is no path such as /auth",
			     SLICE_ARGUMENTS(forward->path.text));
		good = false;
	}
	const struct config_texts names[] = {
		forward->take, forward->by_texts, {&forward->user, 1}, {&forward->groups, 1}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (size_t j = 0; j < names[i].count; j++) {
			const struct config_text *name = &names[i].items[j];
			if (syntax_all(name->text, SYNTAX_TOKEN))
				continue;
			config_error(load, name->place, "\"%.*s\" is no name of a field", SLICE_ARGUMENTS(name->text));
			good = false;
		}
	forward->proxy = proxy_config_to(load, snapshot, route, &forward->to);
	for (size_t i = 0; i < forward->take.count; i++)
		good = snapshot_own_field(load, snapshot, forward->take.items[i].text) && good;
	forward->digest = digest_of(forward);
	return good && load_by(load, forward) && forward->proxy;
}

// --- Asking

// In the subrequest's memory: the visitor may leave before it ends.
struct asking {
	const struct access_forward *forward;
	struct exchange *visitor; // NULL: he has left
	struct fiber *waiter;	  // his
	bool *done, *is_let_in;	  // his
	struct fields *told;	  // his
};

static bool copy_field(struct exchange *visitor, struct fields *to, struct slice name, struct slice value)
{
	struct arena *arena = exchange_arena(visitor);
	struct slice own_name = arena_copy(arena, name), own_value = arena_copy(arena, value);
	return own_name.data && own_value.data && fields_add_name(to, arena, own_name, own_value);
}

static struct slice text_of(struct exchange *visitor, const struct fields *fields, struct slice name)
{
	const struct field *field = fields_find_name(fields, name);
	return field ? arena_copy(exchange_arena(visitor), field->value) : SLICE_EMPTY;
}

static void let_in(struct asking *asking, const struct fields *answer)
{
	struct exchange *visitor = asking->visitor;
	const struct config_texts *take = &asking->forward->take;
	visitor->user = text_of(visitor, answer, asking->forward->user.text);
	visitor->groups = text_of(visitor, answer, asking->forward->groups.text);
	*asking->is_let_in = true;
	for (uint32_t i = 0; i < answer->count; i++)
		for (size_t j = 0; j < take->count; j++)
			if (slice_equal_nocase(answer->items[i].name, take->items[j].text) &&
			    !copy_field(visitor, asking->told, take->items[j].text, answer->items[i].value))
				exchange_fail(visitor, FAULT_OUT_OF_MEMORY, "ask an authentication service", NULL);
}

// All of the content, in the subrequest's memory; .data is NULL when it is too large, or breaks off.
static struct slice read_page(struct exchange *subrequest)
{
	char *room = arena_alloc(exchange_arena(subrequest), PAGE_MAX);
	struct slice page;
	bool is_whole = room && body_read_whole(exchange_response(subrequest)->body, room, PAGE_MAX, &page) == 0;
	return is_whole ? page : (struct slice){0};
}

// The page that a service shows, or where it sends him.
static void refuse(struct asking *asking, struct exchange *subrequest)
{
	const struct response *from = exchange_response(subrequest);
	struct slice page = read_page(subrequest);
	struct exchange *visitor = asking->visitor;
	if (!visitor) // he left while it was read
		return;
	struct arena *arena = exchange_arena(visitor);
	struct slice content = arena_copy(arena, page),
		     type = arena_copy(arena, fields_value(&from->fields, FIELD_CONTENT_TYPE));
	bool good = page.data && content.data;
	for (uint32_t i = 0; good && i < from->fields.count; i++) {
		const struct field *field = &from->fields.items[i];
		if (field->id != FIELD_CONTENT_TYPE && field->id != FIELD_CONTENT_LENGTH)
			good = copy_field(visitor, &exchange_response(visitor)->fields, field->name, field->value);
	}
	if (good)
		exchange_answer(visitor, from->status, type, content);
	else
		exchange_fail(visitor, FAULT_RESPONSE_BAD, "ask an authentication service",
			      "its answer is too large, or broke off");
}

static void take_answer(struct asking *asking, struct exchange *subrequest)
{
	struct exchange *visitor = asking->visitor;
	unsigned status = exchange_response(subrequest)->status;
	if (exchange_failed(subrequest)) {
		exchange_log_fault(subrequest);
		exchange_fail(visitor, subrequest->transaction.fault.kind, "ask an authentication service", NULL);
	} else if (status >= 200 && status < 300) {
		let_in(asking, &exchange_response(subrequest)->fields);
	} else {
		refuse(asking, subrequest);
	}
}

// --- The visitor's body

static bool set_body(struct request *request, struct arena *arena, struct slice bytes)
{
	struct body_bytes *body = arena_alloc(arena, sizeof *body);
	if (!body)
		return false;
	body_bytes_init(body, bytes);
	request->body = &body->body;
	return true;
}

// All of it is read, to be sent twice. False when the exchange has failed. Suspends.
static bool read_body(struct exchange *exchange, size_t size, struct slice *ret_bytes)
{
	struct request *request = exchange_request(exchange);
	struct body *body = request->body;
	size_t room_size = body->length >= 0 && (size_t)body->length < size ? (size_t)body->length : size;
	char *room = arena_alloc(exchange_arena(exchange), room_size + 1);
	int error = room ? body_read_whole(body, room, room_size + 1, ret_bytes) : -ENOMEM;
	if (error == 0 && ret_bytes->length > size)
		error = -E2BIG;
	if (error == 0 && set_body(request, exchange_arena(exchange), *ret_bytes)) {
		request->body->length = body->length;
		request->body->trailers = body->trailers;
		request->expects_continue = false;
		return true;
	}
	exchange_fail(exchange,
		      error == -E2BIG			? FAULT_BODY_TOO_LARGE
		      : error == -1 && body->fault.kind ? body->fault.kind
							: FAULT_OUT_OF_MEMORY,
		      "read request body", error == -E2BIG ? "it is larger than access.forward.body" : NULL);
	return false;
}

static bool send_body(struct exchange *subrequest, struct slice bytes)
{
	struct request *request = exchange_request(subrequest);
	struct slice own = arena_copy(exchange_arena(subrequest), bytes);
	request->framing = BODY_LENGTH;
	request->content_length = own.length;
	return own.data && set_body(request, exchange_arena(subrequest), own);
}

// --- The request

static bool prepare(struct exchange *subrequest, const struct access_forward *forward)
{
	static const enum field_id left_out[] = {
		FIELD_CONTENT_LENGTH,
		FIELD_TRANSFER_ENCODING,
		FIELD_EXPECT,
		FIELD_UPGRADE,
		FIELD_RANGE,
		FIELD_IF_RANGE,
		FIELD_IF_MATCH,
		FIELD_IF_NONE_MATCH,
		FIELD_IF_MODIFIED_SINCE,
		FIELD_IF_UNMODIFIED_SINCE,
	};
	struct request *request = exchange_request(subrequest);
	struct arena *arena = exchange_arena(subrequest);
	struct slice method = request->method_name, target = subrequest->target;
	for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
		(void)fields_remove(&request->fields, left_out[i]);
	bool has_body = request->framing != BODY_NONE;
	if (!has_body) {
		(void)fields_remove(&request->fields, FIELD_CONTENT_TYPE);
		(void)fields_remove(&request->fields, FIELD_CONTENT_ENCODING);
	}
	request->method = has_body ? METHOD_POST : METHOD_GET;
	request->method_name = has_body ? SLICE("POST") : SLICE("GET");
	subrequest->target = forward->path.text;
	return fields_set_name(&request->fields, arena, SLICE("X-Forwarded-Method"), method) &&
	       fields_set_name(&request->fields, arena, SLICE("X-Forwarded-Uri"), target);
}

static void run(struct exchange *subrequest, void *argument)
{
	struct asking *asking = argument;
	if (prepare(subrequest, asking->forward))
		proxy_handler.handle(subrequest, asking->forward->proxy);
	else
		exchange_fail(subrequest, FAULT_OUT_OF_MEMORY, "ask an authentication service", NULL);
	if (asking->visitor)
		take_answer(asking, subrequest);
	if (!asking->visitor)
		return;
	*asking->done = true;
	fiber_wake(asking->waiter);
}

static bool wait_for(struct exchange *exchange, struct asking *asking, const bool *done)
{
	int64_t total_ns = exchange->route->timeouts->total_ns;
	int64_t deadline_ns = total_ns > 0 ? exchange->transaction.started_ns + total_ns : FIBER_NEVER;
	while (!*done) {
		int error = fiber_wait("authentication service", deadline_ns);
		if (*done || error == 0)
			continue;
		asking->visitor = NULL;
		exchange_fail(exchange, error == -ECANCELED ? FAULT_CLIENT_GONE : FAULT_RESPONSE_TIMEOUT,
			      "ask an authentication service", NULL);
		return false;
	}
	return true;
}

static bool ask(struct exchange *exchange, const struct access_forward *forward, const struct slice *body,
		struct fields *ret_told)
{
	bool done = false, is_let_in = false;
	struct exchange *subrequest = subrequest_new(exchange);
	struct asking *asking = subrequest ? arena_alloc(exchange_arena(subrequest), sizeof *asking) : NULL;
	if (!asking || (body && !send_body(subrequest, *body))) {
		if (subrequest)
			subrequest_free(subrequest);
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "ask an authentication service", NULL);
		return false;
	}
	*asking = (struct asking){forward, exchange, fiber_current(), &done, &is_let_in, ret_told};
	*ret_told = (struct fields){0};
	if (!subrequest_start(subrequest, run, asking)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "ask an authentication service", NULL);
		return false;
	}
	return wait_for(exchange, asking, &done) && is_let_in && !exchange_failed(exchange);
}

bool access_forward_ask(struct exchange *exchange, const struct access_forward *forward, struct fields *ret_told)
{
	struct slice body, key;
	if (forward->body_bytes > 0 && exchange_request(exchange)->framing != BODY_NONE)
		return read_body(exchange, (size_t)forward->body_bytes, &body) &&
		       ask(exchange, forward, &body, ret_told); // what it says is of this body
	key = access_forward_key(exchange, forward);
	if (key.data && access_forward_recall(exchange, forward, key, ret_told))
		return true;
	bool is_let_in = ask(exchange, forward, NULL, ret_told);
	if (is_let_in && key.data)
		access_forward_remember(exchange, forward, key, ret_told);
	return is_let_in;
}
