#include "handlers/cache_body.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 4096 };

struct cache_body {
	struct body body; // first
	struct body *inner;
	struct exchange_end end;
	char *copy; // malloced; NULL: nothing yet, or given up
	size_t length, capacity, most;
	bool is_over; // done, or given up
	cache_body_done *done;
	void *argument;
};

static void give_up(struct cache_body *body)
{
	free(body->copy);
	body->copy = NULL;
	body->is_over = true;
}

static bool reserve(struct cache_body *body, size_t more)
{
	if (more > body->most - body->length)
		return false;
	size_t capacity = body->capacity ? body->capacity : FIRST_BYTES;
	while (capacity < body->length + more)
		capacity *= 2;
	if (capacity == body->capacity)
		return true;
	char *copy = realloc(body->copy, capacity);
	if (!copy)
		return false;
	body->copy = copy;
	body->capacity = capacity;
	return true;
}

static void keep(struct cache_body *body, struct slice bytes)
{
	if (body->is_over)
		return;
	if (!reserve(body, bytes.length)) {
		give_up(body);
		return;
	}
	memcpy(body->copy + body->length, bytes.data, bytes.length);
	body->length += bytes.length;
}

// What has trailers is more than what is stored.
static void finish(struct cache_body *body)
{
	if (!body->is_over && body->inner->trailers.count == 0)
		body->done(body->argument, slice_from(body->copy ? body->copy : "", body->length));
	give_up(body);
}

static int read_body(struct body *base, struct slice *ret_bytes)
{
	struct cache_body *body = (struct cache_body *)base;
	if (body_read(body->inner, ret_bytes) < 0) {
		base->fault = body->inner->fault;
		give_up(body);
		return -1;
	}
	if (ret_bytes->length > 0) {
		keep(body, *ret_bytes);
	} else {
		base->trailers = body->inner->trailers;
		finish(body);
	}
	return 0;
}

// Who is told that the body has ended may not read any more.
static enum body_look look_body(struct body *base)
{
	struct cache_body *body = (struct cache_body *)base;
	enum body_look look = body_look(body->inner);
	if (look == BODY_ENDED) {
		base->trailers = body->inner->trailers;
		finish(body);
	}
	return look;
}

static const struct body_operations operations = {.read = read_body, .look = look_body};

static void free_at_end(struct exchange *exchange, struct exchange_end *end)
{
	give_up(LIST_ENTRY((void *)end, struct cache_body, end));
}

bool cache_body_attach(struct exchange *exchange, size_t most_bytes, cache_body_done *done, void *argument)
{
	struct response *response = exchange_response(exchange);
	struct cache_body *body = arena_zalloc(exchange_arena(exchange), sizeof *body);
	if (!body)
		return false;
	body->body.operations = &operations;
	body->body.length = response->body->length;
	body->inner = response->body;
	body->most = most_bytes;
	body->done = done;
	body->argument = argument;
	exchange_at_end(exchange, &body->end, free_at_end);
	response->body = &body->body;
	return true;
}
