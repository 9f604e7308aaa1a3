#include "http/h1_writer.h"

#include "base/check.h"
#include "base/text.h"
#include "http/h1.h"

#include <errno.h>
#include <stdlib.h>

enum { PARTS_MAX = 6 };

// The parts of one write.
struct parts {
	struct iovec list[PARTS_MAX];
	int count;
	uint64_t bytes;
};

static void parts_add(struct parts *parts, struct slice bytes)
{
	if (bytes.length == 0)
		return;
	check(parts->count < PARTS_MAX);
	parts->list[parts->count++] = (struct iovec){(void *)bytes.data, bytes.length};
	parts->bytes += bytes.length;
}

static enum h1_send_result write_parts(struct h1_sending *sending, struct parts *parts, uint64_t payload, bool more)
{
	if (parts->count == 0)
		return H1_SEND_DONE;
	uint64_t before = sending->stream->bytes_written;
	int error = stream_write_all(sending->stream, parts->list, parts->count, more, sending->step, sending->idle_ns);
	sending->sent += sending->stream->bytes_written - before;
	sending->head = SLICE_EMPTY;
	if (error) {
		sending->error = error;
		return H1_SEND_WRITE_FAILED;
	}
	sending->sent_body += payload;
	return H1_SEND_DONE;
}

// The last chunk, with the trailer fields where there are any: in memory of its own, for
// the caller to free, NULL without trailers. False when memory is out.
static bool add_last_chunk(struct parts *parts, const struct fields *trailers, char **ret_memory)
{
	*ret_memory = NULL;
	if (trailers->count == 0) {
		parts_add(parts, SLICE("0\r\n\r\n"));
		return true;
	}
	struct text text = {.capacity = h1_fields_bound(trailers) + sizeof "0\r\n\r\n"};
	text.data = *ret_memory = malloc(text.capacity);
	if (!text.data)
		return false;
	text_add(&text, SLICE("0\r\n"));
	h1_write_fields(&text, trailers);
	text_add(&text, SLICE("\r\n"));
	check(!text.overflow);
	parts_add(parts, slice_from(text.data, text.length));
	return true;
}

// Writes bytes of the body with what frames them; with `last`, the end of the body too.
static enum h1_send_result write_bytes(struct h1_sending *sending, struct slice bytes, bool last)
{
	struct parts parts = {0};
	char line[H1_CHUNK_LINE_MAX], *trailers = NULL;
	parts_add(&parts, sending->head);
	if (sending->framing == BODY_CHUNKED) {
		if (bytes.length)
			parts_add(&parts, slice_from(line, h1_chunk_line(line, bytes.length)));
		parts_add(&parts, bytes);
		if (bytes.length)
			parts_add(&parts, SLICE("\r\n"));
		if (last && !add_last_chunk(&parts, &sending->body->trailers, &trailers)) {
			sending->error = -ENOMEM;
			return H1_SEND_WRITE_FAILED;
		}
	} else {
		parts_add(&parts, bytes);
	}
	enum h1_send_result result = write_parts(sending, &parts, bytes.length, false);
	free(trailers);
	return result;
}

// RFC 9112 section 6.2: as many bytes as Content-Length says, or the connection must not
// be taken for a good one.
static bool fits_length(struct h1_sending *sending, size_t more)
{
	return sending->framing != BODY_LENGTH || sending->body->length < 0 ||
	       sending->sent_body + more <= (uint64_t)sending->body->length;
}

static enum h1_send_result read_failed(struct h1_sending *sending, const char *detail)
{
	fault_set(&sending->body->fault, FAULT_INTERNAL, sending->step, detail);
	return H1_SEND_READ_FAILED;
}

// Sends the next bytes of the body; *ret_finished when they were the last.
static enum h1_send_result send_next(struct h1_sending *sending, bool *ret_finished)
{
	struct slice bytes;
	if (body_read(sending->body, &bytes) < 0)
		return H1_SEND_READ_FAILED;
	if (!fits_length(sending, bytes.length))
		return read_failed(sending, "a body is longer than its length");
	bool last = bytes.length == 0 || body_look(sending->body) == BODY_ENDED;
	if (last && sending->framing == BODY_LENGTH && sending->body->length >= 0 &&
	    sending->sent_body + bytes.length != (uint64_t)sending->body->length)
		return read_failed(sending, "a body is shorter than its length");
	*ret_finished = last;
	return write_bytes(sending, bytes, last);
}

enum h1_send_result h1_send_start(struct h1_sending *sending, bool *ret_finished)
{
	enum body_look look = body_look(sending->body);
	*ret_finished = false;
	if (look == BODY_READY)
		return send_next(sending, ret_finished);
	*ret_finished = look == BODY_ENDED;
	if (look == BODY_ENDED && sending->framing == BODY_LENGTH && sending->body->length > 0)
		return read_failed(sending, "a body is shorter than its length");
	return write_bytes(sending, SLICE_EMPTY, look == BODY_ENDED);
}

// Moves bytes that come unchanged from a plain socket. Does nothing when that is not
// possible or not worth it.
static enum h1_send_result splice_some(struct h1_sending *sending)
{
	uint64_t size, moved = 0;
	struct body *body = sending->body;
	struct stream *from = body->operations->plain_stream ? body->operations->plain_stream(body, &size) : NULL;
	if (!from || size < STREAM_SPLICE_MIN || !stream_can_splice(from, sending->stream))
		return H1_SEND_DONE;
	bool chunk = sending->framing == BODY_CHUNKED, read_failed = false;
	if (chunk && size == UINT64_MAX)
		return H1_SEND_DONE;
	struct parts parts = {0};
	char line[H1_CHUNK_LINE_MAX];
	if (chunk)
		parts_add(&parts, slice_from(line, h1_chunk_line(line, size)));
	enum h1_send_result result = write_parts(sending, &parts, 0, true);
	if (result != H1_SEND_DONE)
		return result;
	int error = stream_splice(from, sending->stream, size, sending->idle_ns, &moved, &read_failed);
	body->operations->moved(body, moved);
	sending->sent += moved;
	sending->sent_body += moved;
	if (error && !read_failed) {
		sending->error = error;
		return H1_SEND_WRITE_FAILED;
	}
	// Where reading failed, the next body_read meets the same and names it.
	if (chunk && !error) {
		parts = (struct parts){0};
		parts_add(&parts, SLICE("\r\n"));
		return write_parts(sending, &parts, 0, false);
	}
	return H1_SEND_DONE;
}

enum h1_send_result h1_send_rest(struct h1_sending *sending)
{
	bool finished = false;
	while (!finished) {
		enum h1_send_result result = splice_some(sending);
		if (result == H1_SEND_DONE)
			result = send_next(sending, &finished);
		if (result != H1_SEND_DONE)
			return result;
	}
	return H1_SEND_DONE;
}
