#include "base/check.h"
#include "base/date.h"
#include "base/text.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "http/h1_connection.h"
#include "http/h1_writer.h"

#include <errno.h>

static const struct h1_body_faults request_faults = {
	.timeout = FAULT_BODY_TIMEOUT,
	.cut = FAULT_CLIENT_GONE,
	.bad = FAULT_BAD_FRAMING,
	.gone = FAULT_CLIENT_GONE,
	.step = "read request body",
};

// How many bytes of a request's body may still be on their way when the response is sent
// and the connection yet stay open for another request.
enum { UNREAD_MAX = 64 * 1024 };

static int inform(struct transaction *transaction, const struct response *interim);

// RFC 9110 section 10.1.1: a client that waits for 100 (Continue) gets it when its body is
// about to be read, unless the server's has been passed on before.
static void send_continue(struct h1_body *body)
{
	struct h1_work *work = body->owner;
	if (!work->continued && work->transaction->request.expects_continue)
		(void)inform(work->transaction, &(struct response){.status = 100});
}

static const struct transaction_operations operations;

bool h1_transaction_init(struct h1_connection *connection, struct transaction *transaction)
{
	struct h1_work *work = arena_zalloc(&transaction->arena, sizeof *work);
	if (!work)
		return false;
	work->connection = connection;
	work->transaction = transaction;
	work->body.ended = true;
	wait_queue_init(&work->writers);
	connection->activity->work = work;
	transaction->operations = &operations;
	transaction->client = &connection->activity->client;
	transaction->carrier = work;
	transaction->request.version_major = transaction->request.version_minor = 1;
	transaction->request.body = body_empty();
	transaction->started_ns = loop_now();
	transaction->body_timeout_ns = connection->server->settings.body_timeout_ns;
	transaction->send_timeout_ns = connection->server->settings.send_timeout_ns;
	return true;
}

void h1_request_begin(struct h1_connection *connection, struct transaction *transaction)
{
	const struct h1_server_settings *settings = &connection->server->settings;
	struct h1_work *work = connection->activity->work;
	struct request *request = &transaction->request;
	// Here, before any rule adds fields: a client must not name those for removal.
	fields_remove_named_by_connection(&request->fields);
	if (!request->scheme.length)
		request->scheme = connection->activity->client.scheme;
	h1_body_init(&work->body, &connection->activity->reader, request->framing, request->content_length,
		     &request_faults, &settings->limits, settings->header_bytes, &transaction->body_timeout_ns,
		     &transaction->arena);
	work->body.before_wait = send_continue;
	work->body.owner = work;
	work->body.ended = request->framing == BODY_NONE;
	request->body = &work->body.body;
}

static int write_failed(struct transaction *transaction, int error)
{
	enum fault_kind kind = error == -ETIMEDOUT ? FAULT_CLIENT_SLOW : FAULT_CLIENT_GONE;
	fault_set(&transaction->fault, kind, "send response", NULL);
	if (transaction->fault.kind == kind)
		transaction->fault.system_error = -error;
	return -1;
}

// What a cancelled sender of the request's body left unsaid says nothing of the client.
static bool is_only_cancelled(const struct h1_work *work, int error)
{
	return error == -ECANCELED && fiber_current() != work->connection->activity->fiber;
}

// The fiber that sends the request's body on may have 100 (Continue) to say while the
// exchange's own sends another response: one waits for the other. 0 or -ECANCELED.
static int writing_begin(struct h1_work *work)
{
	while (work->writing) {
		int error = wait_queue_wait(&work->writers, "send response", FIBER_NEVER);
		if (error)
			return error;
	}
	work->writing = true;
	return 0;
}

static void writing_end(struct h1_work *work)
{
	work->writing = false;
	wait_queue_wake_one(&work->writers);
}

// --- Interim responses

static int write_interim(struct transaction *transaction, const struct response *interim)
{
	struct h1_work *work = transaction->carrier;
	struct stream *stream = h1_connection_stream(work->connection);
	struct text text = {.capacity = h1_fields_bound(&interim->fields) + 128};
	text.data = arena_alloc(&transaction->arena, text.capacity);
	if (!text.data)
		return 0;
	h1_write_status_line(&text, interim->status, status_reason(interim->status));
	h1_write_fields(&text, &interim->fields);
	text_add(&text, SLICE("\r\n"));
	check(!text.overflow);
	struct iovec part = {text.data, text.length};
	uint64_t before = stream->bytes_written;
	int error = stream_write_all(stream, &part, 1, false, "send interim response", transaction->send_timeout_ns);
	uint64_t written = stream->bytes_written - before;
	transaction->response_bytes += written;
	if (!error)
		return 0;
	work->continued &= interim->status != 100;
	// Nothing can follow a part of one.
	work->broken |= written > 0;
	return written == 0 && is_only_cancelled(work, error) ? -1 : write_failed(transaction, error);
}

static int inform(struct transaction *transaction, const struct response *interim)
{
	struct h1_work *work = transaction->carrier;
	if (transaction->request.version_minor == 0)
		return 0; // RFC 9110 section 15.2: never to HTTP/1.0 clients
	int error = writing_begin(work);
	if (error)
		return is_only_cancelled(work, error) ? -1 : write_failed(transaction, error);
	bool is_continue = interim->status == 100;
	bool is_due = !is_continue || (transaction->request.expects_continue && !work->continued);
	int result = 0;
	if (is_due && !transaction->response_started && !work->broken) {
		work->continued |= is_continue;
		result = write_interim(transaction, interim);
	}
	writing_end(work);
	return result;
}

// --- The response

// RFC 9112 section 6: how the body is framed for this client.
static enum body_framing choose_framing(struct transaction *transaction)
{
	const struct response *response = &transaction->response;
	if (response_has_no_content(transaction->request.method, response->status))
		return BODY_NONE;
	if (response->body->length >= 0)
		return BODY_LENGTH;
	return transaction->request.version_minor == 0 ? BODY_UNTIL_CLOSE : BODY_CHUNKED;
}

// Whether the client may go on sending a body that nobody will read.
static bool request_is_unread(const struct h1_work *work)
{
	const struct h1_body *body = &work->body;
	if (body->ended || (body->framing == BODY_LENGTH && body->left == 0))
		return false;
	if (body->body.fault.kind || body->framing != BODY_LENGTH || body->left > UNREAD_MAX)
		return true;
	return work->transaction->request.expects_continue && !work->continued;
}

// RFC 9112 section 9.3: whether the connection can carry another request.
static bool closes(struct h1_work *work, enum body_framing framing)
{
	struct transaction *transaction = work->transaction;
	const struct h1_server *server = work->connection->server;
	return transaction->close_after || server->draining || framing == BODY_UNTIL_CLOSE ||
	       !transaction->request.persistent || request_is_unread(work) ||
	       (server->settings.requests && work->connection->requests >= server->settings.requests);
}

static void write_framing(struct text *text, const struct transaction *transaction, enum body_framing framing)
{
	const struct response *response = &transaction->response;
	if (framing == BODY_LENGTH) {
		text_add(text, SLICE("Content-Length: "));
		text_add_number(text, (uint64_t)response->body->length);
		text_add(text, SLICE("\r\n"));
	} else if (framing == BODY_CHUNKED) {
		text_add(text, SLICE("Transfer-Encoding: chunked\r\n"));
	} else if (framing == BODY_NONE && response->status >= 200 && response->status != 204 &&
		   transaction->request.method != METHOD_CONNECT) {
		// HEAD and 304 tell the length that a GET would have (RFC 9110 section 8.6).
		struct slice length = fields_value(&response->fields, FIELD_CONTENT_LENGTH);
		if (length.data) {
			h1_write_field(text, SLICE("Content-Length"), length);
		} else if (response->framing == BODY_LENGTH && transaction->request.method == METHOD_HEAD) {
			text_add(text, SLICE("Content-Length: "));
			text_add_number(text, response->content_length);
			text_add(text, SLICE("\r\n"));
		}
	}
}

static void write_connection(struct text *text, const struct transaction *transaction)
{
	if (transaction->response.status == 101) {
		text_add(text, SLICE("Connection: upgrade\r\n")); // Upgrade is among the fields
	} else if (transaction->close_after) {
		text_add(text, SLICE("Connection: close\r\n"));
	} else if (transaction->request.version_minor == 0) {
		text_add(text, SLICE("Connection: keep-alive\r\n"));
	}
}

// The head of the final response, in the arena; empty when memory is out.
static struct slice write_head(struct transaction *transaction, enum body_framing framing)
{
	const struct response *response = &transaction->response;
	struct slice reason = response->reason.length ? response->reason : status_reason(response->status);
	struct text text = {.capacity = h1_fields_bound(&response->fields) + reason.length + 256};
	text.data = arena_alloc(&transaction->arena, text.capacity);
	if (!text.data)
		return SLICE_EMPTY;
	h1_write_status_line(&text, response->status, reason);
	h1_write_fields(&text, &response->fields);
	if (!fields_find(&response->fields, FIELD_DATE)) {
		// RFC 9110 section 6.6.1: who receives a response without Date adds it.
		text_add(&text, SLICE("Date: "));
		text_add(&text, date_http(loop_wall_clock() / SECOND_NS));
		text_add(&text, SLICE("\r\n"));
	}
	write_framing(&text, transaction, framing);
	write_connection(&text, transaction);
	text_add(&text, SLICE("\r\n"));
	check(!text.overflow);
	return slice_from(text.data, text.length);
}

static int send_final(struct transaction *transaction)
{
	struct h1_work *work = transaction->carrier;
	struct h1_connection *connection = work->connection;
	struct response *response = &transaction->response;
	check(!transaction->response_started && response->status >= 101);
	enum body_framing framing = choose_framing(transaction);
	transaction->close_after = response->status != 101 && closes(work, framing);
	if (framing == BODY_NONE)
		response->body = body_empty();
	struct h1_sending sending = {
		.stream = h1_connection_stream(connection),
		.head = write_head(transaction, framing),
		.body = response->body,
		.framing = framing,
		.idle_ns = transaction->send_timeout_ns,
		.step = "send response",
	};
	if (sending.head.length == 0) {
		fault_set(&transaction->fault, FAULT_OUT_OF_MEMORY, "send response", NULL);
		return -1;
	}
	transaction->response_started = true;
	transaction->response_started_ns = loop_now();
	bool finished = false;
	enum h1_send_result result = h1_send_start(&sending, &finished);
	if (result == H1_SEND_DONE && !finished)
		result = h1_send_rest(&sending);
	transaction->request_body_bytes = work->body.taken;
	transaction->response_bytes += sending.sent;
	transaction->response_body_bytes += sending.sent_body;
	if (result == H1_SEND_DONE)
		return 0;
	// Where nothing went out, and the client is there, another answer is still possible.
	work->broken = sending.sent > 0 || result == H1_SEND_WRITE_FAILED;
	// The client must not take what it got for whole: chunked coding and lengths show
	// that by themselves, a body that ends with the connection only by a reset.
	if (work->broken && framing == BODY_UNTIL_CLOSE)
		stream_reset_on_close(h1_connection_stream(connection));
	if (result == H1_SEND_WRITE_FAILED)
		return write_failed(transaction, sending.error);
	if (transaction->fault.kind == FAULT_NONE)
		transaction->fault = response->body->fault;
	transaction->response_started = work->broken;
	return -1;
}

static int respond(struct transaction *transaction)
{
	struct h1_work *work = transaction->carrier;
	int error = writing_begin(work);
	if (error)
		return write_failed(transaction, error);
	int result = work->broken ? write_failed(transaction, -EPIPE) : send_final(transaction);
	writing_end(work);
	return result;
}

static const struct transaction_operations operations = {.inform = inform, .respond = respond};

void h1_refuse_bare(struct h1_connection *connection)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n"
				     "Retry-After: 1\r\n\r\n";
	stream_say_last(h1_connection_stream(connection), slice_from_string(answer));
}
