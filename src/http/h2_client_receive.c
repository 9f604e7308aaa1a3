// What comes on a stream of a link: heads, data, trailers, and the end.
#include "base/check.h"
#include "fiber/fiber.h"
#include "http/h2_client_stream.h"

#include <errno.h>

enum {
	// Interim responses that wait to be read; a server that sends more at once has lost its way.
	HEADS_MAX = 16,
};

static const char *step_of(const struct h2_client_stream *stream)
{
	return stream->has_final ? "read response body" : "read response header";
}

static void wake_both(struct h2_client_stream *stream)
{
	if (stream->reader)
		fiber_wake(stream->reader);
	if (stream->flusher)
		fiber_wake(stream->flusher);
	client_tunnel_poke(stream);
}

// The first fault stands; a response that has come wholly stands, too.
static void set_fault(struct h2_client_stream *stream, const struct fault *fault)
{
	if (stream->fault.kind == FAULT_NONE && !stream->has_ended)
		stream->fault = *fault;
	wake_both(stream);
}

void client_stream_fail(struct h2_client_stream *stream, const struct fault *fault, uint32_t code)
{
	set_fault(stream, fault);
	client_stream_reset(stream, code);
}

// A second reset of a stream whose HEADERS were not sent yet would go out alone: the first one
// takes HEADERS back, and to the server the stream is idle (RFC 9113 section 5.1).
void client_stream_reset(struct h2_client_stream *stream, uint32_t code)
{
	struct h2_link *link = stream->link;
	if (stream->is_closed || stream->is_reset || link->is_broken || stream->id <= 0)
		return;
	stream->is_reset = true;
	(void)nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, stream->id, code);
	h2_link_write_soon(link);
}

// --- Events

void client_stream_section(struct h2_client_stream *stream)
{
	const struct client_settings *settings = stream->client->settings;
	stream->client->client.got_bytes = true;
	h2_section_init(&stream->section, stream->client->arena, &settings->limits, settings->header_bytes, true,
			stream->has_final);
}

static bool queue_head(struct h2_client_stream *stream, const struct response *response)
{
	struct h2_head *head = arena_alloc(stream->client->arena, sizeof(*head));
	if (!head)
		return false;
	*head = (struct h2_head){.response = *response};
	if (stream->last_head)
		stream->last_head->next = head;
	else
		stream->first_head = head;
	stream->last_head = head;
	stream->heads++;
	return true;
}

static void take_head(struct h2_client_stream *stream, bool end_stream, struct fault *ret_fault)
{
	struct response response;
	enum method method = stream->is_tunnel ? METHOD_CONNECT : stream->request->method;
	if (!h2_section_to_response(&stream->section, method, end_stream, &response, ret_fault))
		return;
	if (stream->heads >= HEADS_MAX) {
		fault_set(ret_fault, FAULT_RESPONSE_BAD, "read response header", "too many interim responses at once");
		return;
	}
	bool made = !stream->is_tunnel || client_tunnel_response(stream, &response);
	if (!made || !queue_head(stream, &response)) {
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, "read response header", NULL);
		return;
	}
	if (response.status < 200 && response.status != 101)
		return;
	stream->has_final = true;
	client_stream_body_init(stream, &response);
}

void client_stream_headers(struct h2_client_stream *stream, bool end_stream)
{
	struct fault fault = {0};
	if (!stream->has_final)
		take_head(stream, end_stream, &fault);
	else
		(void)h2_section_to_trailers(&stream->section, &stream->body.trailers, &fault);
	if (fault.kind) {
		client_stream_fail(stream, &fault, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	if (end_stream)
		client_stream_end(stream);
	else
		wake_both(stream);
}

void client_stream_data(struct h2_client_stream *stream, struct slice bytes)
{
	if (h2_data_put(&stream->data, bytes)) {
		wake_both(stream);
		return;
	}
	client_stream_fail(stream, &(struct fault){.kind = FAULT_OUT_OF_MEMORY, .step = step_of(stream)},
			   NGHTTP2_INTERNAL_ERROR);
}

void client_stream_end(struct h2_client_stream *stream)
{
	stream->has_ended = true;
	wake_both(stream);
}

// --- The end

static const char *reset_detail(uint32_t code)
{
	switch (code) {
	case NGHTTP2_NO_ERROR:
		return "the server reset the stream (NO_ERROR)";
	case NGHTTP2_PROTOCOL_ERROR:
		return "the server reset the stream (PROTOCOL_ERROR)";
	case NGHTTP2_INTERNAL_ERROR:
		return "the server reset the stream (INTERNAL_ERROR)";
	case NGHTTP2_FLOW_CONTROL_ERROR:
		return "the server reset the stream (FLOW_CONTROL_ERROR)";
	case NGHTTP2_STREAM_CLOSED:
		return "the server reset the stream (STREAM_CLOSED)";
	case NGHTTP2_FRAME_SIZE_ERROR:
		return "the server reset the stream (FRAME_SIZE_ERROR)";
	case NGHTTP2_REFUSED_STREAM:
		return "the server refused the stream (REFUSED_STREAM)";
	case NGHTTP2_CANCEL:
		return "the server reset the stream (CANCEL)";
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return "the server reset the stream (ENHANCE_YOUR_CALM)";
	case NGHTTP2_INADEQUATE_SECURITY:
		return "the server reset the stream (INADEQUATE_SECURITY)";
	case NGHTTP2_HTTP_1_1_REQUIRED:
		return "the server wants HTTP/1.1 (HTTP_1_1_REQUIRED)";
	default:
		return "the server reset the stream";
	}
}

// RFC 9113 section 8.7: the server has done nothing with the request. It may be sent again
// where nothing of its body is gone.
static void set_unseen(struct h2_client_stream *stream, struct fault *fault)
{
	stream->client->client.unseen = true;
	fault->retry_safe = stream->taken == 0;
}

static struct fault lost(const struct h2_client_stream *stream, const char *detail)
{
	return (struct fault){.kind = stream->has_final ? FAULT_RESPONSE_TRUNCATED : FAULT_SERVER_CLOSED,
			      .step = step_of(stream),
			      .detail = detail};
}

// Without the server's RST_STREAM, a refusal is GOAWAY's or the session's own, before anything
// was sent. The rest is what nghttp2 found wrong with the message: a length that is not true,
// a field out of place.
static struct fault unreset(const struct h2_client_stream *stream, uint32_t code)
{
	if (code == NGHTTP2_REFUSED_STREAM)
		return lost(stream, stream->link->goes_away ? "the server goes away without the request (GOAWAY)"
							    : "the request was not sent");
	return (struct fault){.kind = FAULT_RESPONSE_BAD,
			      .step = step_of(stream),
			      .detail = "the response is malformed, or not as long as it says"};
}

void client_stream_closed(struct h2_client_stream *stream, uint32_t code)
{
	stream->is_closed = true;
	struct fault fault = stream->was_reset ? lost(stream, reset_detail(code)) : unreset(stream, code);
	if (code == NGHTTP2_REFUSED_STREAM && !stream->client->client.got_bytes)
		set_unseen(stream, &fault);
	set_fault(stream, &fault);
}

void client_stream_break(struct h2_client_stream *stream, enum fault_kind kind, const char *detail, int system_error)
{
	struct fault fault = lost(stream, detail);
	// Who writes notes that the server is gone as often before who reads.
	bool is_cut = stream->has_final && kind == FAULT_SEND_FAILED;
	if (kind != FAULT_SERVER_CLOSED && !is_cut)
		fault.kind = kind;
	fault.system_error = system_error;
	if (!stream->is_started)
		set_unseen(stream, &fault);
	stream->is_closed = true;
	set_fault(stream, &fault);
}

// --- Reading

int client_stream_wait(struct h2_client_stream *stream, const char *what, int64_t deadline_ns)
{
	check(!stream->reader);
	stream->reader = fiber_current();
	int error = fiber_wait(what, deadline_ns);
	stream->reader = NULL;
	return error;
}

void client_stream_drop_lent(struct h2_client_stream *stream)
{
	struct h2_link *link = stream->link;
	size_t lent = stream->lent;
	if (lent == 0)
		return;
	h2_data_drop(&stream->data, lent);
	stream->lent = 0;
	if (stream->is_closed || stream->has_ended)
		return;
	(void)nghttp2_session_consume_stream(link->session, stream->id, lent);
	h2_link_write_soon(link);
}

static struct h2_client_stream *stream_of(struct body *body)
{
	return LIST_ENTRY(body, struct h2_client_stream, body);
}

static int body_fail(struct h2_client_stream *stream, enum fault_kind kind, const char *setting)
{
	fault_set(&stream->body.fault, kind, "read response body", NULL);
	stream->body.fault.setting = setting;
	return -1;
}

// What came before the end, or before a failure, is handed out first.
static int response_read(struct body *body, struct slice *ret_bytes)
{
	struct h2_client_stream *stream = stream_of(body);
	*ret_bytes = SLICE_EMPTY;
	client_stream_drop_lent(stream);
	while (body->fault.kind == FAULT_NONE && stream->data.bytes == 0 && !stream->has_ended) {
		if (stream->fault.kind) {
			body->fault = stream->fault;
			return -1;
		}
		int64_t deadline_ns = stream_deadline(stream->client->settings->read_timeout_ns);
		int error = client_stream_wait(stream, "read response body", deadline_ns);
		if (error == -ETIMEDOUT && stream->data.bytes == 0 && !stream->has_ended)
			return body_fail(stream, FAULT_RESPONSE_BODY_TIMEOUT, "timeouts.read");
		if (error == -ECANCELED)
			return body_fail(stream, FAULT_CLIENT_GONE, NULL);
	}
	if (body->fault.kind)
		return -1;
	*ret_bytes = h2_data_first(&stream->data);
	stream->lent = ret_bytes->length;
	return 0;
}

static enum body_look response_look(struct body *body)
{
	const struct h2_client_stream *stream = stream_of(body);
	if (body->fault.kind || stream->data.bytes > stream->lent)
		return BODY_READY;
	if (stream->has_ended)
		return BODY_ENDED;
	return stream->fault.kind ? BODY_READY : BODY_WAITS;
}

static const struct body_operations response_operations = {.read = response_read, .look = response_look};

void client_stream_body_init(struct h2_client_stream *stream, const struct response *response)
{
	stream->body.operations = &response_operations;
	stream->body.length = response->framing == BODY_NONE	 ? 0
			      : response->framing == BODY_LENGTH ? (int64_t)response->content_length
								 : BODY_LENGTH_UNKNOWN;
}
