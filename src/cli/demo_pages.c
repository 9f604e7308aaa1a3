#include "cli/demo_pages.h"

#include "base/text.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"

#include <stdlib.h>
#include <string.h>

enum {
	PAGE_MAX = 80 * 1024,
	MEMORY_MAX = 1024 * 1024,
	BIG_STEP = 16 * 1024,
};

static struct transaction *pages_begin(struct http_service *service, const struct client *client)
{
	struct arena arena;
	arena_init(&arena, MEMORY_MAX);
	struct transaction *transaction = arena_zalloc(&arena, sizeof *transaction);
	if (!transaction) {
		arena_fini(&arena);
		return NULL;
	}
	transaction->arena = arena;
	transaction->client = client;
	return transaction;
}

static void pages_end(struct transaction *transaction)
{
	struct arena arena = transaction->arena;
	arena_fini(&arena);
}

// The number that the query gives for the name, at most `most`.
static uint64_t query_number(const struct request *request, struct slice name, uint64_t standard, uint64_t most)
{
	struct slice rest = request->query, pair, found, value;
	uint64_t number;
	while (rest.length > 0) {
		if (!slice_cut(rest, '&', &pair, &rest)) {
			pair = rest;
			rest = SLICE_EMPTY;
		}
		if (slice_cut(pair, '=', &found, &value) && slice_equal(found, name) && slice_to_number(value, &number))
			return number < most ? number : most;
	}
	return standard;
}

// --- Bodies

// A body that comes in steps, with a pause before each but the first.
struct step_body {
	struct body body;
	const char *name;
	uint64_t done, steps;
	int64_t pause_ns;
	char text[128];
	bool events;
};

static int step_read(struct body *body, struct slice *ret_bytes)
{
	struct step_body *steps = (struct step_body *)body;
	*ret_bytes = SLICE_EMPTY;
	if (steps->done == steps->steps)
		return 0;
	if (steps->done > 0 && fiber_sleep("pause", loop_now() + steps->pause_ns) < 0) {
		fault_set(&body->fault, FAULT_CLIENT_GONE, "send response", NULL);
		return -1;
	}
	steps->done++;
	struct text text;
	text_init(&text, steps->text, sizeof steps->text);
	text_printf(&text, steps->events ? "id: %llu\ndata: %.64s %llu\n\n" : "piece %llu from %.64s of %llu\n",
		    (unsigned long long)steps->done, steps->name,
		    (unsigned long long)(steps->events ? steps->done : steps->steps));
	*ret_bytes = text_slice(&text);
	return 0;
}

static struct body *step_body_new(struct transaction *transaction, uint64_t steps, int64_t pause_ns, bool events)
{
	static const struct body_operations operations = {.read = step_read};
	struct step_body *body = arena_zalloc(&transaction->arena, sizeof *body);
	if (!body)
		return body_empty();
	body->body = (struct body){.operations = &operations, .length = BODY_LENGTH_UNKNOWN};
	body->name = transaction->client->listener;
	body->steps = steps;
	body->pause_ns = pause_ns;
	body->events = events;
	return &body->body;
}

struct big_body {
	struct body body;
	uint64_t left;
};

static int big_read(struct body *body, struct slice *ret_bytes)
{
	static const char line[] = "All work and no play makes a proxy a dull boy. 0123456789012345\n";
	static char page[BIG_STEP];
	struct big_body *big = (struct big_body *)body;
	if (!page[0]) {
		for (size_t i = 0; i < sizeof page; i++)
			page[i] = line[i % (sizeof line - 1)];
	}
	uint64_t offset = ((uint64_t)body->length - big->left) % sizeof page;
	uint64_t step = sizeof page - offset < big->left ? sizeof page - offset : big->left;
	*ret_bytes = slice_from(page + offset, (size_t)step);
	big->left -= step;
	return 0;
}

static struct body *big_body_new(struct transaction *transaction, uint64_t bytes)
{
	static const struct body_operations operations = {.read = big_read};
	struct big_body *body = arena_zalloc(&transaction->arena, sizeof *body);
	if (!body)
		return body_empty();
	body->body = (struct body){.operations = &operations, .length = (int64_t)bytes};
	body->left = bytes;
	return &body->body;
}

// --- Pages

static void answer(struct transaction *transaction, unsigned status, struct slice type, struct body *body)
{
	struct response *response = &transaction->response;
	response->status = (uint16_t)status;
	response->body = body;
	bool well = fields_add(&response->fields, &transaction->arena, FIELD_CONTENT_TYPE, type) &&
		    fields_add_name(&response->fields, &transaction->arena, SLICE("X-Origin"),
				    slice_from_string(transaction->client->listener));
	if (!well)
		transaction->close_after = true;
}

static void answer_text(struct transaction *transaction, unsigned status, struct slice text)
{
	struct body_bytes *body = arena_zalloc(&transaction->arena, sizeof *body);
	if (body)
		body_bytes_init(body, text);
	answer(transaction, status, SLICE("text/plain; charset=utf-8"), body ? &body->body : body_empty());
}

// How much of a body came; it is not kept.
static bool count_body(struct transaction *transaction, uint64_t *ret_count)
{
	struct slice bytes;
	uint64_t count = 0;
	do {
		if (body_read(transaction->request.body, &bytes) < 0) {
			transaction->fault = transaction->request.body->fault;
			return false;
		}
		count += bytes.length;
	} while (bytes.length > 0);
	*ret_count = count;
	return true;
}

static void show_request(struct transaction *transaction, unsigned status)
{
	const struct request *request = &transaction->request;
	char *buffer = arena_alloc(&transaction->arena, PAGE_MAX);
	uint64_t count;
	struct text text;
	if (!count_body(transaction, &count))
		return;
	if (!buffer) {
		answer_text(transaction, 503, SLICE("no memory\n"));
		return;
	}
	text_init(&text, buffer, PAGE_MAX);
	text_printf(&text, "This is origin %s. It was asked:\n\n", transaction->client->listener);
	text_add(&text, request->method_name);
	text_add_char(&text, ' ');
	text_add(&text, request->target);
	text_printf(&text, " HTTP/1.%u\n", request->version_minor);
	for (uint32_t i = 0; i < request->fields.count; i++) {
		text_add(&text, request->fields.items[i].name);
		text_add(&text, SLICE(": "));
		text_add(&text, request->fields.items[i].value);
		text_add_char(&text, '\n');
	}
	if (count > 0)
		text_printf(&text, "\nand a body of %llu bytes\n", (unsigned long long)count);
	answer_text(transaction, status, text_slice(&text));
}

static void make_page(struct transaction *transaction)
{
	const struct request *request = &transaction->request;
	struct slice path = request->path;
	if (slice_equal(path, SLICE("/slow"))) {
		int64_t pause_ns = (int64_t)query_number(request, SLICE("seconds"), 2, 600) * SECOND_NS;
		if (fiber_sleep("pause", loop_now() + pause_ns) == 0)
			show_request(transaction, 200);
	} else if (slice_equal(path, SLICE("/chunked"))) {
		uint64_t pieces = query_number(request, SLICE("pieces"), 5, 1000);
		answer(transaction, 200, SLICE("text/plain; charset=utf-8"),
		       step_body_new(transaction, pieces, 200 * MILLISECOND_NS, false));
	} else if (slice_equal(path, SLICE("/sse"))) {
		uint64_t events = query_number(request, SLICE("events"), 10, 1000 * 1000);
		answer(transaction, 200, SLICE("text/event-stream"),
		       step_body_new(transaction, events, SECOND_NS, true));
	} else if (slice_equal(path, SLICE("/big"))) {
		uint64_t bytes = query_number(request, SLICE("bytes"), 1000 * 1000, UINT64_C(1) << 40);
		answer(transaction, 200, SLICE("text/plain; charset=utf-8"), big_body_new(transaction, bytes));
	} else if (slice_equal(path, SLICE("/status"))) {
		uint64_t code = query_number(request, SLICE("code"), 404, 599);
		show_request(transaction, code < 200 ? 200 : (unsigned)code);
	} else {
		show_request(transaction, 200);
	}
}

static void pages_serve(struct transaction *transaction)
{
	if (transaction->fault.kind == FAULT_NONE)
		make_page(transaction);
	int status = fault_status(transaction->fault.kind);
	if (transaction->fault.kind != FAULT_NONE && status != 0) {
		const char *why =
			transaction->fault.detail ? transaction->fault.detail : fault_word(transaction->fault.kind);
		answer_text(transaction, (unsigned)status, arena_printf(&transaction->arena, "%s\n", why));
	}
	// Without an answer, the client has gone, or something was cancelled.
	if (transaction->response.status != 0)
		(void)transaction->operations->respond(transaction);
}

struct http_service demo_pages = {.begin = pages_begin, .serve = pages_serve, .end = pages_end};
