#include "h2_origin.h"

#include <stdlib.h>

static void add_text(char text[ORIGIN_TEXT], const uint8_t *name, size_t name_length, const uint8_t *value,
		     size_t value_length)
{
	size_t length = strlen(text);
	int added = snprintf(text + length, ORIGIN_TEXT - length, "%.*s: %.*s\n", (int)name_length, (const char *)name,
			     (int)value_length, (const char *)value);
	assert_true(added > 0);
	if ((size_t)added >= ORIGIN_TEXT - length)
		text[length] = '\0'; // no room for it
}

static struct origin_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

// --- What comes

static int section_begins(nghttp2_session *session, const nghttp2_frame *frame, void *argument)
{
	struct origin *origin = argument;
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	assert_true(origin->count < ORIGIN_STREAMS);
	struct origin_stream *stream = &origin->streams[origin->count++];
	*stream = (struct origin_stream){.id = frame->hd.stream_id};
	return nghttp2_session_set_stream_user_data(session, stream->id, stream);
}

static int field_came(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
		      const uint8_t *value, size_t value_length, uint8_t flags, void *argument)
{
	struct origin_stream *stream = stream_of(session, frame->hd.stream_id);
	assert_non_null(stream);
	stream->head_bytes += stream->has_head ? 0 : value_length;
	add_text(stream->has_head ? stream->trailers : stream->head, name, name_length, value, value_length);
	return 0;
}

static int data_came(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size,
		     void *argument)
{
	struct origin_stream *stream = stream_of(session, id);
	assert_non_null(stream);
	size_t room = stream->body_bytes < ORIGIN_TEXT - 1 ? ORIGIN_TEXT - 1 - stream->body_bytes : 0;
	memcpy(stream->body + (room ? stream->body_bytes : 0), bytes, size < room ? size : room);
	stream->body_bytes += size;
	return 0;
}

static int frame_came(nghttp2_session *session, const nghttp2_frame *frame, void *argument)
{
	struct origin *origin = argument;
	struct origin_stream *stream = stream_of(session, frame->hd.stream_id);
	bool is_answer = frame->hd.flags & NGHTTP2_FLAG_ACK;
	origin->pings += frame->hd.type == NGHTTP2_PING && !is_answer;
	origin->ping_answers += frame->hd.type == NGHTTP2_PING && is_answer;
	origin->settings_answers += frame->hd.type == NGHTTP2_SETTINGS && is_answer;
	origin->window_updates += frame->hd.type == NGHTTP2_WINDOW_UPDATE;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		origin->goaways++;
		origin->goaway_code = frame->goaway.error_code;
	}
	if (!stream)
		return 0;
	stream->has_head |= frame->hd.type == NGHTTP2_HEADERS;
	if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
		stream->has_ended |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	return 0;
}

static int stream_closed(nghttp2_session *session, int32_t id, uint32_t code, void *argument)
{
	struct origin_stream *stream = stream_of(session, id);
	if (stream) {
		stream->is_closed = true;
		stream->code = code;
	}
	return 0;
}

// --- What goes

static void flush(struct origin *origin)
{
	if (origin->is_flushing)
		return;
	origin->is_flushing = true;
	const uint8_t *bytes;
	ssize_t size;
	while (!origin->is_over && (size = nghttp2_session_mem_send(origin->session, &bytes)) > 0) {
		struct iovec part = {(void *)bytes, (size_t)size};
		if (stream_write_all(&origin->stream->stream, &part, 1, false, "test", PATIENCE_NS) != 0)
			origin->is_over = true;
	}
	origin->is_flushing = false;
}

static ssize_t pull(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
		    nghttp2_data_source *source, void *argument)
{
	struct origin_stream *stream = source->ptr;
	struct slice part = slice_first(stream->data, size);
	if (part.length)
		memcpy(to, part.data, part.length);
	stream->data = slice_after(stream->data, part.length);
	if (stream->data.length == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF | (stream->data_ends ? 0u : NGHTTP2_DATA_FLAG_NO_END_STREAM);
	return (ssize_t)part.length;
}

void origin_head(struct origin *origin, const struct origin_stream *stream, const char *lines, bool ends)
{
	nghttp2_nv list[64];
	size_t count = 0;
	while (*lines) {
		const char *colon = strchr(lines + 1, ':'), *end = strchr(lines, '\n');
		assert_true(colon && end && colon < end && count < 64);
		list[count++] = (nghttp2_nv){(uint8_t *)lines, (uint8_t *)colon + 2, (size_t)(colon - lines),
					     (size_t)(end - colon - 2), NGHTTP2_NV_FLAG_NONE};
		lines = end + 1;
	}
	assert_int_equal(nghttp2_submit_headers(origin->session, ends ? NGHTTP2_FLAG_END_STREAM : 0, stream->id, NULL,
						list, count, NULL),
			 0);
	flush(origin);
}

void origin_data_start(struct origin *origin, struct origin_stream *stream, struct slice bytes, bool ends)
{
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = pull};
	stream->data = bytes;
	stream->data_ends = ends;
	assert_int_equal(nghttp2_submit_data(origin->session, NGHTTP2_FLAG_END_STREAM, stream->id, &provider), 0);
	flush(origin);
}

void origin_data(struct origin *origin, struct origin_stream *stream, struct slice bytes, bool ends)
{
	origin_data_start(origin, stream, bytes, ends);
	origin_until(stream->data.length == 0 || stream->is_closed || origin->is_over);
}

void origin_reset(struct origin *origin, const struct origin_stream *stream, uint32_t code)
{
	assert_int_equal(nghttp2_submit_rst_stream(origin->session, 0, stream->id, code), 0);
	flush(origin);
}

void origin_goaway(struct origin *origin, int32_t last_id, uint32_t code)
{
	assert_int_equal(nghttp2_submit_goaway(origin->session, 0, last_id, code, NULL, 0), 0);
	flush(origin);
}

void origin_ping(struct origin *origin)
{
	assert_int_equal(nghttp2_submit_ping(origin->session, 0, NULL), 0);
	flush(origin);
}

void origin_settings(struct origin *origin, int32_t id, uint32_t value)
{
	nghttp2_settings_entry entry = {id, value};
	assert_int_equal(nghttp2_submit_settings(origin->session, 0, &entry, 1), 0);
	flush(origin);
}

void origin_consume(struct origin *origin, const struct origin_stream *stream, size_t size)
{
	assert_int_equal(nghttp2_session_consume(origin->session, stream->id, size), 0);
	flush(origin);
}

void origin_raw(struct origin *origin, struct slice bytes)
{
	origin_until(!origin->is_flushing);
	driver_send(origin->stream, bytes);
}

// --- Its life

static void origin_run(void *argument)
{
	struct origin *origin = argument;
	uint8_t bytes[8192];
	for (;;) {
		ssize_t got = stream_read(&origin->stream->stream, bytes, sizeof(bytes), "origin",
					  loop_now() + 1000 * PATIENCE_NS);
		if (got <= 0)
			break;
		if (nghttp2_session_mem_recv(origin->session, bytes, (size_t)got) != got)
			break;
		flush(origin);
	}
	origin->is_over = true;
}

void origin_open(struct origin *origin, struct tcp_stream *stream, const nghttp2_settings_entry *settings, size_t count,
		 bool manual_windows)
{
	memset(origin, 0, sizeof(*origin));
	origin->stream = stream;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	assert_int_equal(nghttp2_option_new(&option), 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, section_begins);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, field_came);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_came);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_came);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
	nghttp2_option_set_no_auto_window_update(option, manual_windows);
	assert_int_equal(nghttp2_session_server_new2(&origin->session, callbacks, origin, option), 0);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	assert_int_equal(nghttp2_submit_settings(origin->session, 0, settings, count), 0);
	origin->fiber = fiber_spawn_joinable("origin", origin_run, origin);
	assert_non_null(origin->fiber);
	flush(origin);
}

void origin_close(struct origin *origin)
{
	fiber_cancel(origin->fiber);
	fiber_join(origin->fiber);
	nghttp2_session_del(origin->session);
}

struct origin_stream *origin_request(struct origin *origin, unsigned number)
{
	origin_until(origin->count > number && origin->streams[number].has_head);
	return &origin->streams[number];
}
