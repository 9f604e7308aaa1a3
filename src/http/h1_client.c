#include "http/h1_client.h"

#include "base/check.h"
#include "fiber/fiber.h"

#include <errno.h>

static const struct h1_body_faults response_faults = {
	.timeout = FAULT_RESPONSE_BODY_TIMEOUT,
	.cut = FAULT_RESPONSE_TRUNCATED,
	.bad = FAULT_RESPONSE_BAD,
	.gone = FAULT_RESPONSE_TRUNCATED,
	.step = "read response body",
};

static struct h1_client *client_of(struct http_client *client)
{
	return (struct h1_client *)client;
}

// --- Sending

static int send_failed(struct h1_client *client, struct fault *ret_fault)
{
	if (client->sent == H1_SEND_READ_FAILED) {
		if (ret_fault->kind == FAULT_NONE)
			*ret_fault = client->sending.body->fault;
		return -1;
	}
	int error = client->sending.error;
	enum fault_kind kind = error == -ETIMEDOUT   ? FAULT_SEND_TIMEOUT
			       : error == -ECANCELED ? FAULT_CLIENT_GONE
						     : FAULT_SEND_FAILED;
	if (ret_fault->kind == FAULT_NONE)
		*ret_fault = (struct fault){.kind = kind, .step = client->sending.step, .system_error = -error};
	return -1;
}

static void sending_ended(struct h1_client *client, enum h1_send_result result)
{
	client->sent = result;
	client->sending_rest = false;
	client->client.sent_ns = loop_now();
}

static void sender_run(void *argument)
{
	struct h1_client *client = argument;
	sending_ended(client, h1_send_rest(&client->sending));
	// A server that stops reading may have answered already; but without the rest of
	// the request there is nothing to wait for.
	if (client->sent != H1_SEND_READ_FAILED)
		return;
	if (client->waiter)
		fiber_cancel(client->waiter);
	else // a response is under way: the server learns that the request ends here
		(void)stream_shutdown(client->stream);
}

static int start_sender(struct h1_client *client, struct fault *ret_fault)
{
	check(!client->sender);
	client->sender = fiber_spawn_joinable("send request body", sender_run, client);
	if (client->sender)
		return 0;
	fault_set(ret_fault, FAULT_OUT_OF_MEMORY, "send request", NULL);
	return -1;
}

static int send_body(struct http_client *http, struct fault *ret_fault)
{
	return start_sender(client_of(http), ret_fault);
}

static bool holds_body(const struct http_client *http)
{
	const struct h1_client *client = (const struct h1_client *)http;
	return client->sending_rest && !client->sender;
}

static int send_request(struct http_client *http, const struct client_request *request, struct fault *ret_fault)
{
	struct h1_client *client = client_of(http);
	bool hold_body = request->hold_body;
	client->method = request->method;
	client->sending = (struct h1_sending){
		.stream = client->stream,
		.head = h1_request_head(request, client->arena),
		.body = hold_body ? body_empty() : request->body,
		.framing = hold_body ? BODY_NONE : request->framing,
		.idle_ns = client->settings->send_timeout_ns,
		.step = "send request",
	};
	if (!client->sending.head.data) {
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, "send request", NULL);
		return -1;
	}
	bool finished = false;
	client->sent = h1_send_start(&client->sending, &finished);
	client->sending.body = request->body;
	client->sending.framing = request->framing;
	if (client->sent != H1_SEND_DONE)
		return send_failed(client, ret_fault);
	client->client.sent_ns = loop_now();
	client->sending_rest = hold_body || !finished;
	return client->sending_rest && !hold_body ? start_sender(client, ret_fault) : 0;
}

// --- Reading

static int head_failed(struct h1_client *client, enum h1_head_result result, int error, struct fault *ret_fault)
{
	static const char step[] = "read response header";
	switch (result) {
	case H1_HEAD_NONE:
		fault_set(ret_fault, FAULT_SERVER_CLOSED, step, "the server closed before a byte of its answer");
		break;
	case H1_HEAD_CUT:
		fault_set(ret_fault, FAULT_SERVER_CLOSED, step, "the server closed within the header section");
		break;
	case H1_HEAD_FAILED:
		fault_set(ret_fault, FAULT_SERVER_CLOSED, step, NULL);
		ret_fault->system_error = error;
		break;
	case H1_HEAD_TOO_LARGE:
		fault_set(ret_fault, FAULT_RESPONSE_HEADER_TOO_LARGE, step, "the header section is too large");
		ret_fault->setting = "limits.header";
		break;
	case H1_HEAD_BARE_LF:
		fault_set(ret_fault, FAULT_RESPONSE_BAD, step, "a bare LF ends a line");
		break;
	case H1_HEAD_TIMEOUT:
		fault_set(ret_fault, FAULT_RESPONSE_TIMEOUT, step, NULL);
		ret_fault->setting = "timeouts.response";
		break;
	case H1_HEAD_CANCELLED:
		fault_set(ret_fault, FAULT_CLIENT_GONE, step, NULL);
		break;
	case H1_HEAD_NO_MEMORY:
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, step, NULL);
		break;
	case H1_HEAD_WHOLE:
	case H1_HEAD_MORE:
		check(false);
	}
	return -1;
}

// Waits for a head; the time for it starts when the request is wholly sent.
static enum h1_head_result wait_head(struct h1_client *client, int64_t patience_ns, struct slice *ret_head,
				     int *ret_error)
{
	const struct client_settings *settings = client->settings;
	for (;;) {
		int64_t from_ns = client->sending_rest ? loop_now() : client->client.sent_ns;
		int64_t wait_ns = patience_ns ? patience_ns : settings->response_timeout_ns;
		enum h1_head_result result =
			h1_reader_head(&client->reader, settings->header_bytes, false, H1_READ_WAIT,
				       "read response header", from_ns + wait_ns, ret_head, ret_error);
		if (result != H1_HEAD_TIMEOUT || patience_ns)
			return result;
		if (!client->sending_rest && loop_now() >= client->client.sent_ns + wait_ns)
			return result;
	}
}

// Whether the wait ended because the request's own body failed.
static bool sender_cancelled(struct h1_client *client, enum h1_head_result result)
{
	if (result != H1_HEAD_CANCELLED || client->sending_rest || client->sent != H1_SEND_READ_FAILED)
		return false;
	(void)fiber_clear_cancel();
	return true;
}

static int read_head(struct http_client *http, int64_t patience_ns, struct response *ret_response,
		     struct fault *ret_fault)
{
	struct h1_client *client = client_of(http);
	struct slice head;
	int error = 0;
	if (client->sender && client->sent == H1_SEND_READ_FAILED && !client->sending_rest)
		return send_failed(client, ret_fault);
	client->waiter = fiber_current();
	enum h1_head_result result = wait_head(client, patience_ns, &head, &error);
	client->waiter = NULL;
	client->client.got_bytes |= result == H1_HEAD_WHOLE || h1_reader_buffered(&client->reader).length > 0;
	if (result == H1_HEAD_TIMEOUT && patience_ns)
		return 1;
	if (sender_cancelled(client, result))
		return send_failed(client, ret_fault);
	if (result != H1_HEAD_WHOLE)
		return head_failed(client, result, error, ret_fault);
	*ret_response = (struct response){0};
	const struct client_settings *settings = client->settings;
	if (!h1_parse_response(head, client->method, &settings->limits, client->arena, ret_response, ret_fault))
		return -1;
	h1_body_init(&client->body, &client->reader, ret_response->framing, ret_response->content_length,
		     &response_faults, &settings->limits, settings->header_bytes, &settings->read_timeout_ns,
		     client->arena);
	ret_response->body = &client->body.body;
	// After an interim response the answer is still to come.
	client->persistent = ret_response->persistent && ret_response->status >= 200;
	return 0;
}

static struct stream *tunnel(struct http_client *http, struct slice *ret_early)
{
	struct h1_client *client = client_of(http);
	*ret_early = h1_reader_buffered(&client->reader);
	return client->stream;
}

static bool fini(struct http_client *http)
{
	struct h1_client *client = client_of(http);
	bool whole = !client->sending_rest && client->sent == H1_SEND_DONE && client->persistent &&
		     client->body.body.operations && body_look(&client->body.body) == BODY_ENDED &&
		     h1_reader_buffered(&client->reader).length == 0;
	if (client->sender) {
		fiber_cancel(client->sender);
		fiber_join(client->sender);
	}
	h1_reader_fini(&client->reader);
	return whole;
}

static const struct http_client_operations operations = {
	.send = send_request,
	.send_body = send_body,
	.holds_body = holds_body,
	.read_head = read_head,
	.tunnel = tunnel,
	.fini = fini,
};

void h1_client_init(struct h1_client *client, const struct client_settings *settings, struct stream *stream,
		    struct arena *arena)
{
	*client = (struct h1_client){
		.client.operations = &operations, .settings = settings, .stream = stream, .arena = arena};
	h1_reader_init(&client->reader, stream);
}
