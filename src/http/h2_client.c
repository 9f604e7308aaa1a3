// One exchange on a link: an http_client.
#include "http/h2_client.h"

#include "base/check.h"
#include "fiber/fiber.h"
#include "http/h2_client_stream.h"
#include "http/h2_link.h"
#include "http/h2_message.h"

#include <errno.h>

static const char send_step[] = "send request", read_step[] = "read response header";

static struct h2_client *client_of(struct http_client *http)
{
	return (struct h2_client *)http;
}

// --- Sending

static bool asks_for_websocket(const struct client_request *request)
{
	struct slice rest = request->upgrade, protocol;
	while (slice_next_member(&rest, &protocol))
		if (slice_equal_nocase(protocol, SLICE("websocket")))
			return true;
	return false;
}

static struct h2_client_stream *begin_stream(struct h2_client *client, const struct client_request *request)
{
	struct h2_client_stream *stream = arena_zalloc(client->arena, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->link = client->link;
	stream->client = client;
	stream->request = request;
	stream->is_tunnel = asks_for_websocket(request);
	client_tunnel_init(stream);
	list_push_back(&client->link->streams, &stream->place);
	client->stream = stream;
	return stream;
}

// What a fault of the link before anything was sent is: the request may go elsewhere.
static int not_sent(struct h2_client_stream *stream, enum fault_kind kind, const char *detail, struct fault *ret_fault)
{
	if (stream->fault.kind && ret_fault->kind == FAULT_NONE)
		*ret_fault = stream->fault;
	fault_set(ret_fault, kind, send_step, detail);
	stream->client->client.unseen = true;
	ret_fault->retry_safe = stream->taken == 0;
	return -1;
}

// RFC 8441 section 3: only a server that says so takes an extended CONNECT.
static int meet_websocket(struct h2_client_stream *stream, struct fault *ret_fault)
{
	struct h2_link *link = stream->link;
	int error = h2_link_meet(link, stream_deadline(stream->client->settings->response_timeout_ns));
	if (error == -ECANCELED)
		return not_sent(stream, FAULT_CLIENT_GONE, NULL, ret_fault);
	if (error == -ETIMEDOUT)
		return not_sent(stream, FAULT_RESPONSE_TIMEOUT, "the server's settings did not come", ret_fault);
	if (error)
		return not_sent(stream, FAULT_SERVER_CLOSED, NULL, ret_fault);
	if (h2_link_takes_upgrades(link))
		return 0;
	fault_set(ret_fault, FAULT_UPGRADE_FAILED, send_step,
		  "the server takes no WebSocket over HTTP/2 (SETTINGS_ENABLE_CONNECT_PROTOCOL)");
	return -1;
}

// Whether the request ends with its header section.
static bool has_no_content(const struct h2_client_stream *stream)
{
	const struct client_request *request = stream->request;
	if (stream->is_tunnel)
		return false;
	if (request->framing == BODY_NONE)
		return true;
	return !request->hold_body && stream->is_last && stream->out.length == 0 && request->body->trailers.count == 0;
}

static ssize_t pull(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
		    nghttp2_data_source *source, void *argument)
{
	struct h2_client_stream *stream = nghttp2_session_get_stream_user_data(session, id);
	return stream ? client_stream_pull(stream, to, size, flags) : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int submit(struct h2_client_stream *stream, struct fault *ret_fault)
{
	struct h2_link *link = stream->link;
	struct client_request request = *stream->request;
	nghttp2_nv *list = NULL;
	// RFC 9110 section 7.8: an upgrade is an offer that a server may pass over, and in HTTP/2
	// there is only one to be had.
	request.upgrade = stream->is_tunnel ? SLICE("websocket") : SLICE_EMPTY;
	ssize_t count = h2_request_list(&request, stream->client->arena, &list);
	if (count < 0) {
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, send_step, NULL);
		return -1;
	}
	if (h2_link_is_over(link))
		return not_sent(stream, FAULT_SERVER_CLOSED, "the connection takes no more requests", ret_fault);
	nghttp2_data_provider provider = {.read_callback = pull};
	bool is_whole = has_no_content(stream);
	stream->id =
		nghttp2_submit_request(link->session, NULL, list, (size_t)count, is_whole ? NULL : &provider, stream);
	if (stream->id < 0) {
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, send_step, nghttp2_strerror(stream->id));
		return -1;
	}
	stream->moved_ns = stream->client->client.sent_ns = loop_now();
	h2_link_watch(link);
	h2_link_write_soon(link);
	return 0;
}

static int start_sender(struct h2_client_stream *stream, struct fault *ret_fault)
{
	if (client_stream_start_sender(stream))
		return 0;
	fault_set(ret_fault, FAULT_OUT_OF_MEMORY, send_step, NULL);
	return -1;
}

static int send_request(struct http_client *http, const struct client_request *request, struct fault *ret_fault)
{
	struct h2_client *client = client_of(http);
	check(!client->stream);
	struct h2_client_stream *stream = begin_stream(client, request);
	if (!stream) {
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, send_step, NULL);
		return -1;
	}
	if (stream->is_tunnel && meet_websocket(stream, ret_fault) < 0)
		return -1;
	// What is there of the body goes out with the head.
	bool has_body = request->framing != BODY_NONE && !stream->is_tunnel;
	bool waits = request->hold_body || !has_body || body_look(request->body) == BODY_WAITS;
	if (!waits && client_stream_take(stream, ret_fault) < 0)
		return -1;
	if (submit(stream, ret_fault) < 0)
		return -1;
	return has_body && !request->hold_body && !stream->is_last ? start_sender(stream, ret_fault) : 0;
}

static bool holds_body(const struct http_client *http)
{
	const struct h2_client_stream *stream = ((const struct h2_client *)http)->stream;
	return stream && stream->request->hold_body && !stream->sender;
}

static int send_body(struct http_client *http, struct fault *ret_fault)
{
	struct h2_client_stream *stream = client_of(http)->stream;
	stream->moved_ns = loop_now();
	return start_sender(stream, ret_fault);
}

// --- Reading

static bool waits_for_server(const struct h2_client_stream *stream)
{
	return !stream->is_sent && (!stream->is_started || stream->out.length > 0 || stream->is_last);
}

// Until when the server may take its time: to take what is ready to be sent, or, from when
// all is sent, to answer. While the body is still to come neither runs.
static int64_t head_deadline(const struct h2_client_stream *stream)
{
	const struct client_settings *settings = stream->client->settings;
	if (stream->is_sent || stream->is_tunnel)
		return stream->client->client.sent_ns + settings->response_timeout_ns;
	if (waits_for_server(stream))
		return stream->moved_ns + settings->send_timeout_ns;
	return loop_now() + settings->response_timeout_ns;
}

static int head_timed_out(struct h2_client_stream *stream, struct fault *ret_fault)
{
	bool is_sending = !stream->is_tunnel && waits_for_server(stream);
	*ret_fault = (struct fault){
		.kind = is_sending ? FAULT_SEND_TIMEOUT : FAULT_RESPONSE_TIMEOUT,
		.step = is_sending ? send_step : read_step,
		.setting = is_sending ? "timeouts.send" : "timeouts.response",
	};
	return -1;
}

static void take_head(struct h2_client_stream *stream, struct response *ret_response)
{
	struct h2_head *head = stream->first_head;
	stream->first_head = head->next;
	if (!stream->first_head)
		stream->last_head = NULL;
	stream->heads--;
	*ret_response = head->response;
	ret_response->body = ret_response->status < 200 ? body_empty() : &stream->body;
}

static int read_head(struct http_client *http, int64_t patience_ns, struct response *ret_response,
		     struct fault *ret_fault)
{
	struct h2_client_stream *stream = client_of(http)->stream;
	int64_t patient_until_ns = loop_now() + patience_ns;
	while (!stream->first_head) {
		if (stream->fault.kind) {
			if (ret_fault->kind == FAULT_NONE)
				*ret_fault = stream->fault;
			return -1;
		}
		int64_t deadline_ns = patience_ns ? patient_until_ns : head_deadline(stream);
		int error = client_stream_wait(stream, read_step, deadline_ns);
		if (error == -ECANCELED) {
			fault_set(ret_fault, FAULT_CLIENT_GONE, read_step, NULL);
			return -1;
		}
		if (error != -ETIMEDOUT || stream->first_head || stream->fault.kind)
			continue;
		if (patience_ns)
			return 1;
		if (loop_now() >= head_deadline(stream))
			return head_timed_out(stream, ret_fault);
	}
	take_head(stream, ret_response);
	return 0;
}

static struct stream *tunnel(struct http_client *http, struct slice *ret_early)
{
	*ret_early = SLICE_EMPTY; // what came with the head waits to be read
	return &client_of(http)->stream->tunnel.stream;
}

// --- The end

static void end_stream(struct h2_client_stream *stream)
{
	struct h2_link *link = stream->link;
	if (stream->sender) {
		fiber_cancel(stream->sender);
		fiber_join(stream->sender);
	}
	// From here on the session's words about it are for nobody.
	if (stream->id > 0)
		(void)nghttp2_session_set_stream_user_data(link->session, stream->id, NULL);
	client_stream_reset(stream, NGHTTP2_CANCEL);
	client_tunnel_fini(stream);
	h2_data_fini(&stream->data);
	list_remove(&stream->place);
}

static bool fini(struct http_client *http)
{
	struct h2_client *client = client_of(http);
	if (client->stream)
		end_stream(client->stream);
	client->stream = NULL;
	bool is_good = !h2_link_is_over(client->link);
	h2_link_release(client->link);
	return is_good;
}

static const struct http_client_operations operations = {
	.send = send_request,
	.send_body = send_body,
	.holds_body = holds_body,
	.read_head = read_head,
	.tunnel = tunnel,
	.fini = fini,
};

void h2_client_init(struct h2_client *client, const struct client_settings *settings, struct h2_link *link,
		    struct arena *arena)
{
	*client = (struct h2_client){
		.client.operations = &operations,
		.settings = settings,
		.link = link,
		.arena = arena,
	};
	h2_link_hold(link);
}
