// What arrives: nghttp2 takes frames apart and calls these.
#include "base/log.h"
#include "http/h2_connection.h"
#include "http/h2_memory.h"

#include <errno.h>

static struct h2_exchange *exchange_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static void end_abuse(struct h2_connection *connection)
{
	h2_connection_doom(connection, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *header, void *user_data)
{
	struct h2_connection *connection = user_data;
	if (!h2_limits_frame(&connection->limits, &connection->server->settings, header->type, header->length,
			     loop_now()))
		end_abuse(connection);
	return 0;
}

// --- Header sections

// RFC 9113 section 8.7: REFUSED_STREAM says that nothing was done, and that the request may be
// sent again. An exchange may outlive its stream for a moment, when the client resets it: so
// there may be too many where the session still finds room.
static bool may_begin(struct h2_connection *connection)
{
	return connection->exchange_count < connection->server->settings.streams && !connection->doomed;
}

static void begin_request(struct h2_connection *connection, int32_t id)
{
	if (!may_begin(connection)) {
		(void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
		return;
	}
	connection->requests++;
	connection->section = h2_exchange_new(connection, id);
	if (!connection->section)
		(void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct h2_connection *connection = user_data;
	const struct h2_server_settings *settings = &connection->server->settings;
	connection->section = NULL;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		begin_request(connection, frame->hd.stream_id);
	else
		connection->section = exchange_of(session, frame->hd.stream_id);
	struct h2_exchange *exchange = connection->section;
	if (!exchange)
		return 0;
	if (exchange->started)
		h2_section_init(&exchange->section, &exchange->transaction->arena, &settings->limits,
				settings->header_bytes, false, true);
	h2_connection_set_timer(connection);
	return 0;
}

// Also of fields that nghttp2 would pass over: those make the section malformed.
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
		     const uint8_t *value, size_t value_length, uint8_t flags, void *user_data)
{
	struct h2_connection *connection = user_data;
	struct h2_exchange *exchange = connection->section;
	if (!exchange || exchange->id != frame->hd.stream_id)
		return 0;
	h2_section_add(&exchange->section, slice_from(name, name_length), slice_from(value, value_length));
	if (!h2_limits_section(&connection->limits, &connection->server->settings, exchange->section.bytes))
		end_abuse(connection);
	return 0;
}

static void end_trailers(struct h2_exchange *exchange)
{
	struct body *body = &exchange->body;
	struct fault fault = {0};
	if (!h2_section_to_trailers(&exchange->section, &body->trailers, &fault))
		fault_set(&body->fault, fault.kind, "read trailers", fault.detail);
	h2_request_body_end(exchange);
}

static void end_section(struct h2_connection *connection, const nghttp2_frame *frame)
{
	struct h2_exchange *exchange = connection->section;
	if (!exchange || exchange->id != frame->hd.stream_id)
		return;
	connection->section = NULL;
	if (exchange->started)
		end_trailers(exchange);
	else
		h2_exchange_start(exchange, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
	h2_connection_set_timer(connection);
	if (connection->server->settings.requests && connection->requests >= connection->server->settings.requests)
		h2_connection_announce(connection);
}

// What the session has found malformed and resets: the log is to tell of it, as of what is
// answered with 400.
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user_data)
{
	struct h2_connection *connection = user_data;
	struct h2_exchange *exchange = connection->section;
	if (frame->hd.type != NGHTTP2_HEADERS || !exchange || exchange->id != frame->hd.stream_id)
		return 0;
	fault_set(&exchange->section.fault, FAULT_BAD_REQUEST, "read request header",
		  "the header section is malformed by RFC 9113 section 8");
	if (exchange->started)
		fault_set(&exchange->body.fault, FAULT_BAD_REQUEST, "read trailers", "malformed trailers");
	else
		h2_exchange_start(exchange, true);
	connection->section = NULL;
	h2_connection_set_timer(connection);
	return 0;
}

// --- Other frames

static void end_of_data(nghttp2_session *session, const nghttp2_frame *frame)
{
	struct h2_exchange *exchange = exchange_of(session, frame->hd.stream_id);
	if (exchange && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		h2_request_body_end(exchange);
}

// RFC 9113 section 10.5: DATA without content or end serves nobody.
static bool is_idle_data(const nghttp2_frame *frame)
{
	return frame->hd.length <= frame->data.padlen && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
}

static void greet(struct h2_connection *connection)
{
	if (connection->greeted)
		return;
	connection->greeted = true;
	h2_connection_set_timer(connection);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct h2_connection *connection = user_data;
	const struct h2_server_settings *settings = &connection->server->settings;
	bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
	bool within = true;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		end_section(connection, frame);
		break;
	case NGHTTP2_DATA:
		end_of_data(session, frame);
		within = !is_idle_data(frame) || h2_limits_control(&connection->limits, settings, loop_now());
		break;
	case NGHTTP2_RST_STREAM:
		within = h2_limits_reset(&connection->limits, settings, loop_now());
		break;
	case NGHTTP2_SETTINGS:
		greet(connection);
		break;
	case NGHTTP2_PING:
		// The answer to the one that went with the first GOAWAY.
		if (is_ack && connection->goodbye == H2_ANNOUNCED)
			h2_connection_say_goodbye(connection);
		break;
	default:
		break;
	}
	if (!within)
		end_abuse(connection);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes, size_t length,
		   void *user_data)
{
	struct h2_exchange *exchange = exchange_of(session, stream_id);
	if (!exchange)
		return nghttp2_session_consume(session, stream_id, length);
	if (h2_request_body_add(exchange, slice_from(bytes, length)))
		return 0;
	fault_set(&exchange->body.fault, FAULT_OUT_OF_MEMORY, "read request body", NULL);
	return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_INTERNAL_ERROR);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user_data)
{
	struct h2_exchange *exchange = exchange_of(session, stream_id);
	if (exchange)
		h2_exchange_closed(exchange, error_code);
	return 0;
}

// --- What was sent

// Those that the session sends for the client's errors, not our own (CVE-2025-8671).
static bool is_for_client_error(uint32_t error_code)
{
	return error_code == NGHTTP2_PROTOCOL_ERROR || error_code == NGHTTP2_FLOW_CONTROL_ERROR ||
	       error_code == NGHTTP2_STREAM_CLOSED || error_code == NGHTTP2_FRAME_SIZE_ERROR;
}

static void headers_taken(struct h2_exchange *exchange, const nghttp2_frame *frame)
{
	if (!exchange)
		return;
	exchange->transaction->response_bytes += frame->hd.length + H2_FRAME_HEADER_BYTES;
	exchange->end_taken |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	if (exchange->sender && exchange->end_taken)
		fiber_wake(exchange->sender);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct h2_connection *connection = user_data;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		headers_taken(exchange_of(session, frame->hd.stream_id), frame);
		break;
	case NGHTTP2_RST_STREAM:
		if (is_for_client_error(frame->rst_stream.error_code) &&
		    !h2_limits_reset(&connection->limits, &connection->server->settings, loop_now()))
			end_abuse(connection);
		break;
	case NGHTTP2_GOAWAY:
		if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !connection->doomed) {
			log_info("client %lu: HTTP/2 connection ended with %s: %.*s",
				 (unsigned long)connection->client.number,
				 nghttp2_http2_strerror(frame->goaway.error_code), (int)frame->goaway.opaque_data_len,
				 (const char *)frame->goaway.opaque_data);
			h2_connection_doom(connection, frame->goaway.error_code);
		}
		break;
	default:
		break;
	}
	return 0;
}

// RFC 9113 section 5.5: frames of unknown types are passed over, but counted, which the session
// does for none that it was not told of.
static int on_unknown_frame(nghttp2_session *session, void **payload, const nghttp2_frame_hd *header, void *user_data)
{
	return NGHTTP2_ERR_CANCEL;
}

// --- Feeding

void h2_frames_receive(struct h2_connection *connection, struct slice bytes)
{
	connection->in_session = true;
	ssize_t used = nghttp2_session_mem_recv(connection->session, (const uint8_t *)bytes.data, bytes.length);
	connection->in_session = false;
	if (h2_memory_was_short())
		h2_connection_fail(connection);
	if (used >= 0)
		return;
	if (used == NGHTTP2_ERR_FLOODED) {
		connection->limits.over = H2_ABUSE_ACKS;
		end_abuse(connection);
	} else if (used == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
		h2_connection_doom(connection, NGHTTP2_PROTOCOL_ERROR);
	} else {
		h2_connection_doom(connection, NGHTTP2_INTERNAL_ERROR);
	}
}

// --- Setting up

enum {
	// Answers to PING and SETTINGS that wait to be sent.
	ACKS_MAX = 256,
	// h2_limits counts CONTINUATION frames. nghttp2 counts each piece in which the head of one
	// comes: its bound is to be out of the way of those that h2_limits lets pass.
	CONTINUATION_PIECES_MAX = 16 * H2_FRAME_HEADER_BYTES,
};

bool h2_frames_set_up(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_options)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	if (nghttp2_session_callbacks_new(&callbacks))
		return false;
	if (nghttp2_option_new(&options)) {
		nghttp2_session_callbacks_del(callbacks);
		return false;
	}
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, h2_lent_send);
	// The window opens as bodies are read, not as they come.
	nghttp2_option_set_no_auto_window_update(options, 1);
	nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
	nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unknown_frame);
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		if (type != NGHTTP2_PRIORITY_UPDATE)
			nghttp2_option_set_user_recv_extension_type(options, (uint8_t)type);
	nghttp2_option_set_max_outbound_ack(options, ACKS_MAX);
	nghttp2_option_set_max_continuations(options, CONTINUATION_PIECES_MAX);
	*ret_callbacks = callbacks;
	*ret_options = options;
	return true;
}
