// Answers: from a response to frames. What is sent is lent to the session, which copies it
// into the output when the client's windows and priorities let it go.
#include "base/check.h"
#include "base/date.h"
#include "http/h2_connection.h"
#include "http/h2_priority.h"

#include <errno.h>

enum {
	// With less room than this, data waits for the next write.
	ROOM_MIN = 1024,
	// A frame of fewer bytes, because the client's window allows no more, costs more than it
	// brings.
	TINY_BYTES = 256,
};

static int write_failed(struct transaction *transaction, int error)
{
	enum fault_kind kind = error == -ETIMEDOUT ? FAULT_CLIENT_SLOW : FAULT_CLIENT_GONE;
	fault_set(&transaction->fault, kind, "send response", NULL);
	if (transaction->fault.kind == kind)
		transaction->fault.system_error = -error;
	return -1;
}

static int out_of_memory(struct transaction *transaction)
{
	fault_set(&transaction->fault, FAULT_OUT_OF_MEMORY, "send response", NULL);
	return -1;
}

// --- Lending

static struct h2_exchange *exchange_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

// A stream that nobody answers any more is about to be reset.
ssize_t h2_lent_read(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t size, uint32_t *flags,
		     nghttp2_data_source *source, void *user_data)
{
	struct h2_connection *connection = user_data;
	struct h2_exchange *exchange = exchange_of(session, stream_id);
	if (!exchange || (exchange->lent.length == 0 && !exchange->lent_last))
		return NGHTTP2_ERR_DEFERRED;
	struct slice part = slice_first(exchange->lent, size);
	size_t room = h2_output_room(connection);
	if (room < H2_FRAME_HEADER_BYTES + (part.length < ROOM_MIN ? part.length : ROOM_MIN))
		return NGHTTP2_ERR_PAUSE;
	bool is_tiny = part.length < exchange->lent.length && part.length < TINY_BYTES;
	part = slice_first(part, room - H2_FRAME_HEADER_BYTES);
	if (!h2_limits_data(&connection->limits, &connection->server->settings, part.length, is_tiny, loop_now()))
		h2_connection_doom(connection, NGHTTP2_ENHANCE_YOUR_CALM);
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (part.length == exchange->lent.length && exchange->lent_last) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (exchange->trailer_count > 0) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			if (nghttp2_submit_trailer(session, stream_id, exchange->trailers, exchange->trailer_count))
				return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		}
	}
	return (ssize_t)part.length;
}

int h2_lent_send(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_header, size_t size,
		 nghttp2_data_source *source, void *user_data)
{
	struct h2_connection *connection = user_data;
	struct h2_exchange *exchange = exchange_of(session, frame->hd.stream_id);
	check(exchange && size <= exchange->lent.length); // as h2_lent_read has just said
	struct slice header = slice_from(frame_header, H2_FRAME_HEADER_BYTES), part = slice_first(exchange->lent, size);
	if (h2_output_put(connection, header) < header.length || h2_output_put(connection, part) < part.length)
		return NGHTTP2_ERR_CALLBACK_FAILURE; // no memory for a block
	exchange->lent = slice_after(exchange->lent, size);
	exchange->taken += size;
	exchange->transaction->response_bytes += header.length + size;
	exchange->end_taken |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	h2_limits_grant(&connection->limits);
	if (exchange->sender && exchange->lent.length == 0)
		fiber_wake(exchange->sender);
	return 0;
}

static bool is_taken(const struct h2_exchange *exchange)
{
	return exchange->lent.length == 0 && (!exchange->lent_last || exchange->end_taken);
}

static void lend(struct h2_exchange *exchange, struct slice bytes, bool last)
{
	check(is_taken(exchange));
	exchange->lent = bytes;
	exchange->lent_last = last;
}

static void withdraw(struct h2_exchange *exchange)
{
	exchange->lent = SLICE_EMPTY;
	exchange->lent_last = false;
}

// Tells the session that there is something.
static void offer(struct h2_exchange *exchange)
{
	if (exchange->closed)
		return;
	// Fails where the session has not asked yet.
	(void)nghttp2_session_resume_data(exchange->connection->session, exchange->id);
	h2_output_collect(exchange->connection);
}

static int wait_taken(struct h2_exchange *exchange, const char *what, int64_t deadline_ns)
{
	int error = 0;
	check(!exchange->sender); // one at a time
	exchange->sender = fiber_current();
	while (!error && !is_taken(exchange))
		error = exchange->closed ? -ECONNRESET : fiber_wait(what, deadline_ns);
	exchange->sender = NULL;
	return error;
}

// The client takes what is lent, if slowly: each byte starts idle_ns anew.
static int wait_while_moving(struct h2_exchange *exchange, const char *what, int64_t idle_ns)
{
	uint64_t before;
	int error;
	do {
		before = exchange->taken;
		error = wait_taken(exchange, what, stream_deadline(idle_ns));
	} while (error == -ETIMEDOUT && exchange->taken > before);
	if (error)
		withdraw(exchange);
	return error;
}

int h2_send(struct h2_exchange *exchange, struct slice bytes, bool last, const char *what, int64_t idle_ns)
{
	lend(exchange, bytes, last);
	offer(exchange);
	return wait_while_moving(exchange, what, idle_ns);
}

ssize_t h2_send_some(struct h2_exchange *exchange, struct slice bytes, const char *what, int64_t deadline_ns)
{
	uint64_t before = exchange->taken;
	lend(exchange, bytes, false);
	offer(exchange);
	int error = wait_taken(exchange, what, deadline_ns);
	withdraw(exchange);
	uint64_t taken = exchange->taken - before;
	return taken > 0 ? (ssize_t)taken : error;
}

void h2_send_end(struct h2_exchange *exchange)
{
	lend(exchange, SLICE_EMPTY, true);
	offer(exchange);
}

// --- Interim responses

static bool is_due(const struct h2_exchange *exchange, const struct response *interim)
{
	const struct transaction *transaction = exchange->transaction;
	bool is_continue = interim->status == 100;
	return !transaction->response_started &&
	       (!is_continue || (transaction->request.expects_continue && !exchange->continued));
}

// Its slices are good for this call only, so that the session copies them.
static int inform(struct transaction *transaction, const struct response *interim)
{
	struct h2_exchange *exchange = transaction->carrier;
	struct response plain = *interim;
	nghttp2_nv *list;
	if (exchange->closed)
		return write_failed(transaction, -ECONNRESET);
	if (!is_due(exchange, interim))
		return 0;
	exchange->continued |= interim->status == 100;
	plain.framing = BODY_NONE;
	ssize_t count = h2_response_list(&plain, &transaction->arena, &list);
	if (count < 0)
		return 0; // it can do without
	if (nghttp2_submit_headers(exchange->connection->session, NGHTTP2_FLAG_NONE, exchange->id, NULL, list,
				   (size_t)count, NULL))
		return out_of_memory(transaction);
	h2_output_collect(exchange->connection);
	return 0;
}

// --- The head

// RFC 9110 section 8.6: HEAD and 304 tell the length that a GET would have.
static void choose_framing(struct transaction *transaction)
{
	struct response *response = &transaction->response;
	uint64_t length;
	bool has_content = !response_has_no_content(transaction->request.method, response->status);
	if (has_content) {
		response->framing = response->body->length >= 0 ? BODY_LENGTH : BODY_CHUNKED;
		response->content_length = response->body->length >= 0 ? (uint64_t)response->body->length : 0;
		return;
	}
	bool tells_length = response->status >= 200 && response->status != 204;
	bool is_head_of_length = transaction->request.method == METHOD_HEAD && response->framing == BODY_LENGTH;
	if (tells_length && slice_to_number(fields_value(&response->fields, FIELD_CONTENT_LENGTH), &length))
		response->content_length = length;
	else
		tells_length = tells_length && is_head_of_length;
	response->framing = tells_length ? BODY_LENGTH : BODY_NONE;
	response->body = body_empty();
}

// RFC 8441 section 5: what HTTP/1.1 answers with 101 is a 2xx here; and so no other 2xx may
// reach a client that asked for a WebSocket.
static bool answer_extended(struct transaction *transaction)
{
	struct response *response = &transaction->response;
	if (response->status / 100 == 2) {
		fault_set(&transaction->fault, FAULT_UPGRADE_FAILED, "send response",
			  "the answer to a WebSocket's request was neither 101 nor a refusal");
		return false;
	}
	if (response->status == 101) {
		response->status = 200;
		response->framing = BODY_NONE;
		(void)fields_remove_name(&response->fields, SLICE("Sec-WebSocket-Accept"));
	}
	return true;
}

// RFC 9110 section 6.6.1: who receives a response without Date adds it.
static bool add_date(struct transaction *transaction)
{
	struct fields *fields = &transaction->response.fields;
	if (fields_find(fields, FIELD_DATE))
		return true;
	struct slice now = arena_copy(&transaction->arena, date_http(loop_wall_clock() / SECOND_NS));
	return now.data && fields_add(fields, &transaction->arena, FIELD_DATE, now);
}

// All that the list points to lives as long as the exchange, which resets the stream before
// it ends where the list is still needed: the session need not copy.
static void lend_list(nghttp2_nv *list, ssize_t count)
{
	for (ssize_t i = 0; i < count; i++)
		list[i].flags |= NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
}

static int submit_head(struct h2_exchange *exchange, bool ends)
{
	struct transaction *transaction = exchange->transaction;
	nghttp2_data_provider provider = {.read_callback = h2_lent_read};
	nghttp2_nv *list;
	ssize_t count = h2_response_list(&transaction->response, &transaction->arena, &list);
	if (count < 0)
		return out_of_memory(transaction);
	lend_list(list, count);
	if (nghttp2_submit_response(exchange->connection->session, exchange->id, list, (size_t)count,
				    ends ? NULL : &provider))
		return out_of_memory(transaction);
	transaction->response_started = true;
	transaction->response_started_ns = loop_now();
	h2_priority_of_response(exchange->connection->session, exchange->id, &transaction->request.fields,
				&transaction->response.fields);
	return 0;
}

// --- The body

// The body's last bytes are known: what follows them.
static int take_trailers(struct h2_exchange *exchange, const struct body *body)
{
	nghttp2_nv *list;
	if (body->trailers.count == 0)
		return 0;
	ssize_t count = h2_trailers_list(&body->trailers, &exchange->transaction->arena, &list);
	if (count < 0)
		return out_of_memory(exchange->transaction);
	lend_list(list, count);
	exchange->trailers = list;
	exchange->trailer_count = (size_t)count;
	return 0;
}

// The next bytes and whether they are the last. 0, or -1 with a fault on the transaction.
static int read_body(struct h2_exchange *exchange, struct slice *ret_bytes, bool *ret_last)
{
	struct transaction *transaction = exchange->transaction;
	struct body *body = transaction->response.body;
	if (body_read(body, ret_bytes) < 0) {
		if (transaction->fault.kind == FAULT_NONE)
			transaction->fault = body->fault;
		return -1;
	}
	*ret_last = ret_bytes->length == 0 || body_look(body) == BODY_ENDED;
	return *ret_last ? take_trailers(exchange, body) : 0;
}

static int send_response(struct h2_exchange *exchange)
{
	struct transaction *transaction = exchange->transaction;
	struct slice bytes = SLICE_EMPTY;
	bool last = false;
	// What is there of the body leaves with the head.
	if (body_look(transaction->response.body) != BODY_WAITS && read_body(exchange, &bytes, &last) < 0)
		return -1;
	if (submit_head(exchange, last && bytes.length == 0 && exchange->trailer_count == 0) < 0)
		return -1;
	for (;;) {
		int error = h2_send(exchange, bytes, last, "send response", transaction->send_timeout_ns);
		if (error)
			return write_failed(transaction, error);
		if (last)
			return 0;
		if (read_body(exchange, &bytes, &last) < 0)
			return -1;
	}
}

static int respond(struct transaction *transaction)
{
	struct h2_exchange *exchange = transaction->carrier;
	check(!transaction->response_started && transaction->response.status >= 101);
	if (exchange->closed)
		return write_failed(transaction, -ECONNRESET);
	bool is_tunnel = transaction->response.status == 101;
	if (exchange->is_extended && !answer_extended(transaction))
		return -1;
	if (!is_tunnel)
		choose_framing(transaction);
	if (!add_date(transaction))
		return out_of_memory(transaction);
	// A tunnel's head ends nothing: its bytes follow.
	int result = is_tunnel ? submit_head(exchange, false) : send_response(exchange);
	if (is_tunnel)
		h2_output_collect(exchange->connection);
	transaction->request_body_bytes = exchange->body_bytes;
	transaction->response_body_bytes = exchange->taken;
	return result;
}

const struct transaction_operations h2_transaction_operations = {.inform = inform, .respond = respond};
