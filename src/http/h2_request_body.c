// The body of a request: what came is kept in a chain of blocks that is never longer than
// the stream's window, as the window opens only when the reader takes.
#include "base/block.h"
#include "base/check.h"
#include "http/h2_connection.h"

#include <errno.h>

// In a block; there are bytes between start and end, or it is not in the chain.
struct h2_chunk {
	struct h2_chunk *next;
	uint32_t start, end;
	char bytes[];
};

enum { CHUNK_BYTES = BLOCK_SIZE - sizeof(struct h2_chunk) };

// --- What comes

static struct h2_chunk *chunk_with_room(struct h2_exchange *exchange)
{
	struct h2_chunk *last = exchange->last;
	if (last && last->end < CHUNK_BYTES)
		return last;
	struct h2_chunk *chunk = block_take();
	if (!chunk)
		return NULL;
	*chunk = (struct h2_chunk){0};
	*(last ? &last->next : &exchange->first) = chunk;
	exchange->last = chunk;
	return chunk;
}

static void notify(struct h2_exchange *exchange)
{
	if (exchange->reader)
		fiber_wake(exchange->reader);
	h2_stream_notify(exchange);
}

bool h2_request_body_add(struct h2_exchange *exchange, struct slice bytes)
{
	exchange->body_bytes += bytes.length;
	while (bytes.length > 0) {
		struct h2_chunk *chunk = chunk_with_room(exchange);
		if (!chunk)
			return false;
		struct slice part = slice_first(bytes, CHUNK_BYTES - chunk->end);
		memcpy(chunk->bytes + chunk->end, part.data, part.length);
		chunk->end += (uint32_t)part.length;
		bytes = slice_after(bytes, part.length);
	}
	notify(exchange);
	return true;
}

void h2_request_body_end(struct h2_exchange *exchange)
{
	exchange->body_ended = true;
	notify(exchange);
}

// --- What is taken

// So much of what came is used up: its memory, and its part of the window, are free.
static void give_back(struct h2_exchange *exchange, size_t size)
{
	struct h2_connection *connection = exchange->connection;
	struct h2_chunk *chunk = exchange->first;
	if (size == 0)
		return;
	chunk->start += (uint32_t)size;
	if (chunk->start == chunk->end) {
		exchange->first = chunk->next;
		exchange->last = chunk->next ? exchange->last : NULL;
		block_give(chunk);
	}
	if (connection->failed)
		return;
	if (exchange->closed)
		(void)nghttp2_session_consume_connection(connection->session, size);
	else
		(void)nghttp2_session_consume(connection->session, exchange->id, size);
	h2_output_soon(connection);
}

// The next bytes, lent until the next call, an empty slice at the end: 0, -EAGAIN or
// -ECONNRESET.
static int take(struct h2_exchange *exchange, struct slice *ret_bytes)
{
	give_back(exchange, exchange->handed);
	struct h2_chunk *chunk = exchange->first;
	exchange->handed = chunk ? chunk->end - chunk->start : 0;
	if (!chunk && !exchange->body_ended)
		return exchange->closed ? -ECONNRESET : -EAGAIN;
	*ret_bytes = chunk ? slice_from(chunk->bytes + chunk->start, exchange->handed) : SLICE_EMPTY;
	return 0;
}

ssize_t h2_request_body_copy(struct h2_exchange *exchange, void *to, size_t size)
{
	struct slice bytes;
	int error = take(exchange, &bytes);
	if (error)
		return error;
	exchange->handed = bytes.length < size ? bytes.length : size;
	if (exchange->handed > 0)
		memcpy(to, bytes.data, exchange->handed);
	return (ssize_t)exchange->handed;
}

int h2_request_body_wait(struct h2_exchange *exchange, const char *what, int64_t deadline_ns)
{
	int error = 0;
	check(!exchange->reader); // one reader
	exchange->reader = fiber_current();
	while (!error && !exchange->first && !exchange->body_ended && !exchange->closed)
		error = fiber_wait(what, deadline_ns);
	exchange->reader = NULL;
	return error;
}

void h2_request_body_drop(struct h2_exchange *exchange)
{
	exchange->handed = 0;
	while (exchange->first)
		give_back(exchange, exchange->first->end - exchange->first->start);
}

// --- As a body

static struct h2_exchange *exchange_of(struct body *body)
{
	return LIST_ENTRY((void *)body, struct h2_exchange, body);
}

// RFC 9110 section 10.1.1: a client that waits for 100 (Continue) gets it when its body is
// about to be read, unless the server's has been passed on before.
static void send_continue(struct h2_exchange *exchange)
{
	struct transaction *transaction = exchange->transaction;
	if (transaction->request.expects_continue && !exchange->continued)
		(void)transaction->operations->inform(transaction, &(struct response){.status = 100});
}

static int read_failed(struct h2_exchange *exchange, int error)
{
	bool is_late = error == -ETIMEDOUT;
	struct fault *fault = &exchange->body.fault;
	fault_set(fault, is_late ? FAULT_BODY_TIMEOUT : FAULT_CLIENT_GONE, "read request body", NULL);
	fault->system_error = -error;
	fault->setting = is_late ? "timeouts.body" : NULL;
	return -1;
}

static int body_read_next(struct body *body, struct slice *ret_bytes)
{
	struct h2_exchange *exchange = exchange_of(body);
	if (body->fault.kind)
		return -1;
	int result;
	while ((result = take(exchange, ret_bytes)) == -EAGAIN) {
		send_continue(exchange);
		int error = h2_request_body_wait(exchange, "read request body",
						 stream_deadline(exchange->transaction->body_timeout_ns));
		if (error)
			return read_failed(exchange, error);
	}
	if (body->fault.kind) // the trailers that ended it were malformed
		return -1;
	return result < 0 ? read_failed(exchange, result) : 0;
}

static enum body_look look_at_body(struct body *body)
{
	const struct h2_exchange *exchange = exchange_of(body);
	const struct h2_chunk *first = exchange->first;
	if (body->fault.kind || (first && (first->next || first->end - first->start > exchange->handed)))
		return BODY_READY;
	return exchange->body_ended ? BODY_ENDED : BODY_WAITS;
}

static const struct body_operations body_operations = {.read = body_read_next, .look = look_at_body};

void h2_request_body_init(struct h2_exchange *exchange, bool end_stream)
{
	struct request *request = &exchange->transaction->request;
	exchange->body_ended = end_stream;
	exchange->body = (struct body){
		.operations = &body_operations,
		.length = request->framing == BODY_LENGTH ? (int64_t)request->content_length
			  : request->framing == BODY_NONE ? 0
							  : BODY_LENGTH_UNKNOWN,
	};
	request->body = &exchange->body;
}
