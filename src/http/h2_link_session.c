// A link's nghttp2 session: what it is told at the start, and what it tells.
#include "fiber/loop.h"
#include "http/h2_client_stream.h"
#include "http/h2_link.h"
#include "http/h2_memory.h"

enum {
	// How many frames that serve nobody (PING, SETTINGS, empty DATA, ...) a server may send in
	// a period beyond those that come with its work.
	CONTROLS_MAX = 1000,
	// A frame of a request or a response excuses so many: WINDOW_UPDATE for stream and
	// connection, and a PING to measure the way.
	CONTROLS_A_FRAME = 4,
	// What nghttp2 queues at most of acknowledgements while nothing can be written. Two visits
	// may come before the writer runs, with more than what counts as a flood without work.
	ACKNOWLEDGEMENTS_MAX = 3 * CONTROLS_MAX,
	// A header section's 8 CONTINUATION frames, the heads of which (RFC 9113 section 4.1) may
	// come in 9 pieces each: nghttp2 counts these.
	CONTINUATION_PIECES_MAX = 8 * 9,
	// What a request's header section may be; what visitors may send is limited by others.
	SECTION_BYTES_MAX = 4 * 1024 * 1024,
};

#define CONTROLS_PERIOD_NS (10 * SECOND_NS)

static struct h2_client_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

// --- Frames that come

static bool is_work(const nghttp2_frame_hd *frame)
{
	bool ends = frame->flags & NGHTTP2_FLAG_END_STREAM;
	return frame->type == NGHTTP2_HEADERS || (frame->type == NGHTTP2_DATA && (frame->length > 0 || ends));
}

static void excuse(struct h2_link *link)
{
	link->controls -= link->controls < CONTROLS_A_FRAME ? link->controls : CONTROLS_A_FRAME;
}

// RFC 9113 section 10.5: what serves nobody is counted.
static int frame_begins(nghttp2_session *session, const nghttp2_frame_hd *frame, void *argument)
{
	struct h2_link *link = argument;
	if (is_work(frame)) {
		excuse(link);
		return 0;
	}
	if (loop_now() - link->controls_since_ns > CONTROLS_PERIOD_NS) {
		link->controls_since_ns = loop_now();
		link->controls = 0;
	}
	link->is_flooded |= ++link->controls > CONTROLS_MAX;
	return 0;
}

// A promise's section stands on the stream that it was made on, and is none of its own.
static struct h2_client_stream *section_of(nghttp2_session *session, const nghttp2_frame *frame)
{
	return frame->hd.type == NGHTTP2_HEADERS ? stream_of(session, frame->hd.stream_id) : NULL;
}

static int section_begins(nghttp2_session *session, const nghttp2_frame *frame, void *argument)
{
	struct h2_client_stream *stream = section_of(session, frame);
	if (stream)
		client_stream_section(stream);
	return 0;
}

static int field_came(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
		      const uint8_t *value, size_t value_length, uint8_t flags, void *argument)
{
	struct h2_client_stream *stream = section_of(session, frame);
	if (stream)
		h2_section_add(&stream->section, slice_from(name, name_length), slice_from(value, value_length));
	return 0;
}

// A field that breaks a rule is not passed over, as nghttp2 would: the whole message is
// malformed (RFC 9113 section 8.1.1).
static int bad_field_came(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
			  const uint8_t *value, size_t value_length, uint8_t flags, void *argument)
{
	return field_came(session, frame, name, name_length, value, value_length, flags, argument);
}

static int data_came(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size,
		     void *argument)
{
	struct h2_client_stream *stream = stream_of(session, id);
	if (stream)
		client_stream_data(stream, slice_from(bytes, size));
	// The connection's window is opened again at once: an exchange whose visitor is slow must
	// not hold up the others. What waits is bounded by the windows of the streams.
	return nghttp2_session_consume_connection(session, size) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void settings_came(struct h2_link *link, bool is_acknowledgement)
{
	if (is_acknowledgement) {
		link->is_acknowledged = true;
		return;
	}
	link->has_settings = link->has_news = true;
	wait_queue_wake_all(&link->introduced);
}

static int frame_came(nghttp2_session *session, const nghttp2_frame *frame, void *argument)
{
	struct h2_link *link = argument;
	struct h2_client_stream *stream = stream_of(session, frame->hd.stream_id);
	bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		settings_came(link, frame->hd.flags & NGHTTP2_FLAG_ACK);
		break;
	case NGHTTP2_GOAWAY:
		link->goes_away = link->has_news = true;
		break;
	case NGHTTP2_HEADERS:
		if (stream)
			client_stream_headers(stream, ends);
		break;
	case NGHTTP2_DATA:
		if (stream && ends)
			client_stream_end(stream);
		break;
	case NGHTTP2_RST_STREAM:
		if (stream)
			stream->was_reset = true;
		break;
	default:
		break;
	}
	return 0;
}

static int bad_frame_came(nghttp2_session *session, const nghttp2_frame *frame, int error, void *argument)
{
	struct h2_link *link = argument;
	link->detail = nghttp2_strerror(error);
	return 0;
}

static int stream_closed(nghttp2_session *session, int32_t id, uint32_t code, void *argument)
{
	struct h2_client_stream *stream = stream_of(session, id);
	if (stream)
		client_stream_closed(stream, code);
	return 0;
}

// --- Frames that go

static int frame_goes(nghttp2_session *session, const nghttp2_frame *frame, void *argument)
{
	struct h2_link *link = argument;
	struct h2_client_stream *stream = stream_of(session, frame->hd.stream_id);
	bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
	if (is_message)
		excuse(link);
	if (stream && frame->hd.type == NGHTTP2_HEADERS)
		client_stream_started(stream);
	if (stream && is_message && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		client_stream_sent(stream);
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		link->is_terminated = true;
	return 0;
}

// --- The session

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, frame_begins);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, section_begins);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, field_came);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, bad_field_came);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_came);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_came);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, bad_frame_came);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_goes);
}

static bool introduce(struct h2_link *link)
{
	const struct h2_link_settings *settings = &link->settings;
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings->stream_window},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings->header_bytes},
	};
	return nghttp2_submit_settings(link->session, NGHTTP2_FLAG_NONE, entries,
				       sizeof(entries) / sizeof(entries[0])) == 0 &&
	       nghttp2_session_set_local_window_size(link->session, NGHTTP2_FLAG_NONE, 0, (int32_t)settings->window) ==
		       0;
}

bool h2_link_session_new(struct h2_link *link)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	bool made = nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0;
	if (made) {
		set_callbacks(callbacks);
		nghttp2_option_set_no_auto_window_update(option, 1);
		// A promised stream is refused, also one that crosses ENABLE_PUSH on its way.
		nghttp2_option_set_max_reserved_remote_streams(option, 0);
		nghttp2_option_set_max_outbound_ack(option, ACKNOWLEDGEMENTS_MAX);
		nghttp2_option_set_max_continuations(option, CONTINUATION_PIECES_MAX);
		nghttp2_option_set_max_send_header_block_length(option, SECTION_BYTES_MAX);
		made = nghttp2_session_client_new3(&link->session, callbacks, link, option, h2_memory()) == 0;
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	if (made && !introduce(link)) {
		nghttp2_session_del(link->session);
		made = false;
	}
	link->detail = "the server broke a rule of HTTP/2";
	return made;
}
