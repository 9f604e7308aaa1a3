// What goes on a stream of a link: the request's body, pulled to its end, and its trailers.
#include "base/check.h"
#include "fiber/fiber.h"
#include "http/h2_client_stream.h"

#include <errno.h>

static const char step[] = "send request";

// --- Into frames

void client_stream_started(struct h2_client_stream *stream)
{
	stream->is_started = true;
	stream->moved_ns = loop_now();
}

void client_stream_sent(struct h2_client_stream *stream)
{
	stream->is_sent = true;
	stream->client->client.sent_ns = loop_now();
	if (stream->reader) // the time for an answer begins
		fiber_wake(stream->reader);
}

// The end: of the stream, or of its data where trailers follow.
static ssize_t end_data(struct h2_client_stream *stream, uint32_t *flags)
{
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	const struct fields *trailers = stream->is_tunnel ? NULL : &stream->request->body->trailers;
	if (!trailers || trailers->count == 0)
		return 0;
	nghttp2_nv *list = NULL;
	ssize_t count = h2_trailers_list(trailers, stream->client->arena, &list);
	if (count == 0)
		return 0;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (count < 0 || nghttp2_submit_trailer(stream->link->session, stream->id, list, (size_t)count) != 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

ssize_t client_stream_pull(struct h2_client_stream *stream, uint8_t *to, size_t size, uint32_t *flags)
{
	struct slice part = slice_first(stream->out, size);
	if (part.length > 0) {
		memcpy(to, part.data, part.length);
		stream->out = slice_after(stream->out, part.length);
		stream->moved_ns = loop_now();
	}
	if (stream->out.length > 0)
		return (ssize_t)part.length;
	if (stream->flusher)
		fiber_wake(stream->flusher);
	if (stream->is_last) {
		ssize_t failed = end_data(stream, flags);
		return failed ? failed : (ssize_t)part.length;
	}
	return part.length > 0 ? (ssize_t)part.length : NGHTTP2_ERR_DEFERRED;
}

// --- From the body

static int body_failed(struct h2_client_stream *stream, const char *detail, struct fault *ret_fault)
{
	struct body *body = stream->request->body;
	if (detail)
		fault_set(&body->fault, FAULT_INTERNAL, step, detail);
	if (ret_fault->kind == FAULT_NONE)
		*ret_fault = body->fault;
	return -1;
}

int client_stream_take(struct h2_client_stream *stream, struct fault *ret_fault)
{
	struct body *body = stream->request->body;
	bool has_length = stream->request->framing == BODY_LENGTH && body->length >= 0;
	struct slice bytes;
	check(stream->out.length == 0 && !stream->is_last);
	if (body_read(body, &bytes) < 0)
		return body_failed(stream, NULL, ret_fault);
	stream->taken += bytes.length;
	if (has_length && stream->taken > (uint64_t)body->length)
		return body_failed(stream, "a body is longer than its length", ret_fault);
	bool is_last = bytes.length == 0 || body_look(body) == BODY_ENDED;
	if (is_last && has_length && stream->taken != (uint64_t)body->length)
		return body_failed(stream, "a body is shorter than its length", ret_fault);
	stream->out = bytes;
	stream->is_last = is_last;
	stream->moved_ns = loop_now();
	return 0;
}

// --- By a fiber

static int64_t flush_deadline(const struct h2_client_stream *stream, int64_t idle_ns)
{
	return idle_ns <= 0 || idle_ns > FIBER_NEVER - stream->moved_ns ? FIBER_NEVER : stream->moved_ns + idle_ns;
}

int client_stream_flush(struct h2_client_stream *stream, const char *what, int64_t idle_ns)
{
	struct h2_link *link = stream->link;
	check(!stream->flusher);
	if (!client_stream_is_gone(stream) && (stream->out.length > 0 || stream->is_last)) {
		(void)nghttp2_session_resume_data(link->session, stream->id);
		h2_link_write_soon(link);
	}
	while (stream->out.length > 0 && !client_stream_is_gone(stream)) {
		int64_t deadline_ns = flush_deadline(stream, idle_ns);
		if (loop_now() >= deadline_ns)
			return -ETIMEDOUT;
		stream->flusher = fiber_current();
		int error = fiber_wait(what, deadline_ns);
		stream->flusher = NULL;
		if (error == -ECANCELED)
			return error;
	}
	return 0;
}

static void sender_run(void *argument)
{
	struct h2_client_stream *stream = argument;
	struct fault fault = {0};
	int error = 0;
	while (!error && !client_stream_is_gone(stream)) {
		error = client_stream_flush(stream, "send request body", stream->client->settings->send_timeout_ns);
		if (error || stream->is_last || client_stream_is_gone(stream))
			break;
		if (client_stream_take(stream, &fault) < 0) {
			// The server must not take what it got for the whole.
			client_stream_fail(stream, &fault, NGHTTP2_CANCEL);
			return;
		}
	}
	if (error == -ETIMEDOUT) {
		fault = (struct fault){.kind = FAULT_SEND_TIMEOUT, .step = step, .setting = "timeouts.send"};
		client_stream_fail(stream, &fault, NGHTTP2_CANCEL);
	}
}

bool client_stream_start_sender(struct h2_client_stream *stream)
{
	check(!stream->sender);
	stream->sender = fiber_spawn_joinable("send request body", sender_run, stream);
	return stream->sender != NULL;
}
