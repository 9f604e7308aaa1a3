#include "h2_visitor.h"

#include "net/connection_count.h"

#include <stdlib.h>

static struct visitor_stream *stream_of(struct visitor *visitor, int32_t id)
{
	for (unsigned i = 0; i < visitor->count; i++)
		if (visitor->streams[i].id == id)
			return &visitor->streams[i];
	fail_msg("frame on a stream that was not opened: %d", id);
	return NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
		     const uint8_t *value, size_t value_length, uint8_t flags, void *user_data)
{
	struct visitor_stream *stream = stream_of(user_data, frame->hd.stream_id);
	size_t length = strlen(stream->head);
	int added = snprintf(stream->head + length, VISITOR_HEAD_MAX - length, "%.*s: %.*s\n", (int)name_length, name,
			     (int)value_length, value);
	assert_true(added > 0 && (size_t)added < VISITOR_HEAD_MAX - length);
	if (name_length == 7 && memcmp(name, ":status", 7) == 0)
		stream->status = (unsigned)strtoul((const char *)value, NULL, 10);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct visitor *visitor = user_data;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		stream_of(visitor, frame->hd.stream_id)->interims +=
			stream_of(visitor, frame->hd.stream_id)->status < 200;
		break;
	case NGHTTP2_GOAWAY:
		visitor->goaways++;
		visitor->goaway_code = frame->goaway.error_code;
		visitor->goaway_last = frame->goaway.last_stream_id;
		break;
	case NGHTTP2_PING:
		visitor->pings++;
		break;
	case NGHTTP2_RST_STREAM:
		visitor->reset_count++;
		break;
	default:
		break;
	}
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		stream_of(visitor, frame->hd.stream_id)->ended = true;
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t length,
		   void *user_data)
{
	struct visitor_stream *stream = stream_of(user_data, id);
	stream->body = realloc(stream->body, stream->body_length + length);
	assert_non_null(stream->body);
	memcpy(stream->body + stream->body_length, bytes, length);
	stream->body_length += length;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
	struct visitor_stream *stream = stream_of(user_data, id);
	stream->closed = true;
	stream->code = code;
	return 0;
}

static ssize_t upload(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
		      nghttp2_data_source *source, void *user_data)
{
	struct visitor_stream *stream = source->ptr;
	struct slice left = slice_after(stream->upload, stream->uploaded);
	if (left.length == 0 && stream->upload_held)
		return NGHTTP2_ERR_DEFERRED;
	left = slice_first(left, size);
	if (left.length > 0)
		memcpy(to, left.data, left.length);
	stream->uploaded += left.length;
	if (stream->uploaded == stream->upload.length && !stream->upload_held)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)left.length;
}

void visitor_connect(struct tcp_stream *tcp, struct h2_server *server)
{
	struct address address;
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	int listening = test_listen(8, &address);
	assert_int_equal(tcp_connect(tcp, &address, test_deadline()), 0);
	int accepted = accept4(listening, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	close(listening);
	address_from_sockaddr((struct sockaddr *)&name, length, &address);
	assert_int_equal(connection_count_add(&address, 0, 0), CONNECTION_COUNTED);
	struct stream *owned = tcp_new(accepted);
	assert_non_null(owned);
	h2_server_take(server, owned, SLICE_EMPTY, &address, "test", NULL);
}

void visitor_open(struct visitor *visitor, struct h2_server *server, const nghttp2_settings_entry *settings,
		  size_t count, bool holds_windows)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	memset(visitor, 0, sizeof *visitor);
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	assert_int_equal(nghttp2_option_new(&option), 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_option_set_no_auto_window_update(option, holds_windows);
	assert_int_equal(nghttp2_session_client_new2(&visitor->session, callbacks, visitor, option), 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	visitor_connect(&visitor->tcp, server);
	driver_leave_out(&visitor->tcp);
	assert_int_equal(nghttp2_submit_settings(visitor->session, NGHTTP2_FLAG_NONE, settings, count), 0);
}

void visitor_close(struct visitor *visitor)
{
	for (unsigned i = 0; i < visitor->count; i++)
		free(visitor->streams[i].body);
	nghttp2_session_del(visitor->session);
	stream_close(&visitor->tcp.stream);
	fiber_yield();
}

static size_t parse_head(const char *head, nghttp2_nv *list, size_t most)
{
	size_t count = 0;
	struct slice rest = slice_from_string(head), line;
	while (rest.length > 0) {
		slice_cut(rest, '\n', &line, &rest);
		struct slice colon = slice_after(line, 1); // pseudo-fields begin with one
		size_t name = slice_find(colon, ':') + 1;
		assert_true(count < most && name + 2 <= line.length);
		list[count++] = (nghttp2_nv){(uint8_t *)line.data, (uint8_t *)line.data + name + 2, name,
					     line.length - name - 2, NGHTTP2_NV_FLAG_NONE};
	}
	return count;
}

struct visitor_stream *visitor_request(struct visitor *visitor, const char *head, struct slice upload_bytes, bool held)
{
	nghttp2_nv list[256];
	size_t count = parse_head(head, list, COUNT(list));
	assert_true(visitor->count < VISITOR_STREAMS_MAX);
	struct visitor_stream *stream = &visitor->streams[visitor->count++];
	stream->upload = upload_bytes;
	stream->upload_held = held;
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = upload};
	stream->id = nghttp2_submit_request(visitor->session, NULL, list, count,
					    upload_bytes.data || held ? &provider : NULL, stream);
	assert_true(stream->id > 0);
	return stream;
}

struct visitor_stream *visitor_get(struct visitor *visitor, const char *path)
{
	char head[512];
	snprintf(head, sizeof head, ":method: GET\n:scheme: http\n:authority: a.example\n:path: %s\n", path);
	return visitor_request(visitor, head, SLICE_EMPTY, false);
}

void visitor_upload(struct visitor *visitor, struct visitor_stream *stream, struct slice upload_bytes, bool held)
{
	assert_int_equal(stream->uploaded, stream->upload.length);
	stream->upload = upload_bytes;
	stream->uploaded = 0;
	stream->upload_held = held;
	(void)nghttp2_session_resume_data(visitor->session, stream->id);
}

void visitor_turn(struct visitor *visitor)
{
	static uint8_t block[64 * 1024];
	const uint8_t *frame;
	ssize_t length;
	while (!visitor->ended && (length = nghttp2_session_mem_send(visitor->session, &frame)) > 0) {
		struct iovec part = {(void *)frame, (size_t)length};
		if (stream_write_all(&visitor->tcp.stream, &part, 1, false, "test", PATIENCE_NS))
			visitor->ended = true;
	}
	(void)fiber_sleep("test", loop_now() + MILLISECOND_NS);
	while (!visitor->ended && !visitor->deaf) {
		ssize_t got = stream_try_read(&visitor->tcp.stream, block, sizeof block);
		if (got == -EAGAIN)
			break;
		if (got <= 0)
			visitor->ended = true;
		else
			assert_int_equal(nghttp2_session_mem_recv(visitor->session, block, (size_t)got), got);
	}
}
