#include "control/admin.h"

#include "exchange/exchange.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "http/body.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_MAX = 64 * 1024, MESSAGE_MAX = 512 };
#define BODY_TIMEOUT_NS (10 * SECOND_NS)

void admin_refuse(struct admin_answer *answer, unsigned status, const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	json_t *error = json_pack("{s:s}", "error", message);
	answer->status = status;
	answer->text = error ? json_dumps(error, JSON_COMPACT) : NULL;
	json_decref(error);
}

// --- Reading

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Percent-decodes into the arena. False for what is no percent-encoding, and for NUL.
static bool decode(struct slice text, struct arena *arena, struct slice *ret_text)
{
	char *room = arena_alloc(arena, text.length + 1);
	size_t length = 0;
	for (size_t i = 0; room && i < text.length; i++) {
		int value = (unsigned char)text.data[i];
		if (value == '%') {
			if (text.length - i < 3 || digit_of(text.data[i + 1]) < 0 || digit_of(text.data[i + 2]) < 0)
				return false;
			value = digit_of(text.data[i + 1]) * 16 + digit_of(text.data[i + 2]);
			i += 2;
		}
		if (value == 0)
			return false;
		room[length++] = (char)value;
	}
	*ret_text = slice_from(room, length);
	return room != NULL;
}

static bool read_path(struct exchange *exchange, struct admin_request *request)
{
	struct slice rest = exchange_request(exchange)->path, segment;
	while (rest.length > 0) {
		rest = slice_after(rest, 1); // the slash
		size_t length = slice_find(rest, '/');
		segment = slice_first(rest, length);
		rest = slice_after(rest, length);
		if (segment.length == 0 && rest.length == 0)
			break;
		if (request->count == ADMIN_SEGMENTS_MAX ||
		    !decode(segment, exchange_arena(exchange), &request->segments[request->count++]))
			return false;
	}
	return true;
}

static bool read_body(struct exchange *exchange, struct slice *ret_body)
{
	struct body *body = exchange_request(exchange)->body;
	char *room = arena_alloc(exchange_arena(exchange), BODY_MAX);
	int error = room ? body_read_whole(body, room, BODY_MAX, ret_body) : 0;
	if (!room)
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "read request body", NULL);
	else if (error == -E2BIG)
		exchange_fail(exchange, FAULT_BODY_TOO_LARGE, "read request body", NULL);
	else if (error < 0)
		exchange->transaction.fault = body->fault;
	return !exchange_failed(exchange);
}

// --- Answering

struct admin_call {
	struct admin_request request;
	struct admin_answer answer;
	struct exchange_end end;
};

static void answer_call(void *argument)
{
	struct admin_call *call = argument;
	const struct admin_request *request = &call->request;
	if (request->count > 0 && slice_equal(request->segments[0], SLICE("pools")))
		admin_pools(request, &call->answer);
	else if (request->count > 0 && slice_equal(request->segments[0], SLICE("cache")))
		admin_cache(request, &call->answer);
	else if (request->count > 0 && slice_equal(request->segments[0], SLICE("access")))
		admin_access(request, &call->answer);
	else
		admin_refuse(&call->answer, 404, "there is /pools, /cache and /access");
}

static void free_at_end(struct exchange *exchange, struct exchange_end *end)
{
	free(LIST_ENTRY((void *)end, struct admin_call, end)->answer.text);
}

static void send_answer(struct exchange *exchange, const struct admin_answer *answer)
{
	struct slice text = answer->text ? slice_from_string(answer->text) : SLICE_EMPTY;
	exchange_answer(exchange, answer->status, answer->text ? SLICE("application/json") : SLICE_EMPTY, text);
	if (answer->allow)
		exchange_always(exchange, SLICE("Allow"), slice_from_string(answer->allow));
}

void admin_handle(struct exchange *exchange)
{
	struct admin_call *call = arena_alloc(exchange_arena(exchange), sizeof *call);
	if (!call) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "admin", NULL);
		return;
	}
	*call = (struct admin_call){
		.request = {.method = exchange_request(exchange)->method, .now_ns = loop_now()},
		.answer = {.status = 500},
	};
	exchange->transaction.body_timeout_ns = exchange->transaction.send_timeout_ns = BODY_TIMEOUT_NS;
	if (!read_path(exchange, &call->request)) {
		exchange_fail(exchange, FAULT_BAD_TARGET, "admin", NULL);
		return;
	}
	if (!read_body(exchange, &call->request.body))
		return;
	exchange_at_end(exchange, &call->end, free_at_end);
	if (offload(answer_call, call) < 0)
		exchange_fail(exchange, FAULT_OVERLOADED, "admin", NULL);
	else
		send_answer(exchange, &call->answer);
}
