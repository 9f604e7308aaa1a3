#include "http/h1_reader.h"

#include "base/block.h"
#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

enum {
	// A read of less room than this is not worth a system call.
	ROOM_MIN = 2 * 1024,
	// Once a body fills a block at a read, it goes on in a buffer of this size: fewer
	// system calls for the same bytes.
	LARGE_BUFFER = 128 * 1024,
	PARKED_MIN = 256,
};

void h1_reader_init(struct h1_reader *reader, struct stream *stream)
{
	*reader = (struct h1_reader){.stream = stream};
}

static void buffer_give(char *buffer, size_t capacity)
{
	if (capacity == BLOCK_SIZE)
		block_give(buffer);
	else
		free(buffer);
}

static char *buffer_take(size_t capacity)
{
	return capacity == BLOCK_SIZE ? block_take() : malloc(capacity);
}

static void reader_unpin(struct h1_reader *reader)
{
	if (reader->pinned)
		buffer_give(reader->pinned, reader->pinned_capacity);
	reader->pinned = NULL;
}

void h1_reader_fini(struct h1_reader *reader)
{
	if (reader->buffer)
		buffer_give(reader->buffer, reader->capacity);
	reader->buffer = NULL;
	reader->capacity = reader->floor = reader->start = reader->end = 0;
	reader_unpin(reader);
}

struct slice h1_reader_buffered(const struct h1_reader *reader)
{
	return slice_from(reader->buffer ? reader->buffer + reader->start : NULL, reader->end - reader->start);
}

// Moves what is unused into a buffer of another size. Only while no head is in use.
static bool reader_resize(struct h1_reader *reader, size_t capacity)
{
	size_t length = reader->end - reader->start;
	check(length <= capacity);
	char *buffer = buffer_take(capacity);
	if (!buffer)
		return false;
	if (length)
		memcpy(buffer, reader->buffer + reader->start, length);
	if (reader->buffer)
		buffer_give(reader->buffer, reader->capacity);
	reader->buffer = buffer;
	reader->capacity = capacity;
	reader->floor = 0;
	reader->start = 0;
	reader->end = length;
	return true;
}

int h1_reader_put(struct h1_reader *reader, struct slice bytes)
{
	check(!reader->buffer);
	if (!reader_resize(reader, bytes.length > BLOCK_SIZE ? bytes.length : BLOCK_SIZE))
		return -ENOMEM;
	memcpy(reader->buffer, bytes.data, bytes.length);
	reader->end = bytes.length;
	return 0;
}

void h1_reader_shrink(struct h1_reader *reader)
{
	size_t length = reader->end - reader->start, capacity = PARKED_MIN;
	while (capacity < length + PARKED_MIN / 2)
		capacity *= 2;
	if (reader->capacity != capacity && (reader->capacity == BLOCK_SIZE || reader->capacity > 4 * capacity))
		(void)reader_resize(reader, capacity);
}

// Makes room for more of a head; false when memory is out.
static bool reader_make_head_room(struct h1_reader *reader, size_t limit_bytes)
{
	if (!reader->buffer)
		return reader_resize(reader, BLOCK_SIZE);
	if (reader->start == reader->end)
		reader->start = reader->end = reader->floor = 0;
	size_t length = reader->end - reader->start;
	if (reader->capacity - reader->end >= ROOM_MIN ||
	    (reader->capacity > reader->end && length + ROOM_MIN > limit_bytes))
		return true;
	if (reader->start >= ROOM_MIN) {
		memmove(reader->buffer, reader->buffer + reader->start, length);
		reader->start = 0;
		reader->end = length;
		return true;
	}
	return reader_resize(reader, reader->capacity * 2 > BLOCK_SIZE ? reader->capacity * 2 : BLOCK_SIZE);
}

static enum h1_head_result head_failed(ssize_t error, bool begun, int *ret_error)
{
	switch (error) {
	case 0:
		return begun ? H1_HEAD_CUT : H1_HEAD_NONE;
	case -EAGAIN:
		return H1_HEAD_MORE;
	case -ETIMEDOUT:
		return H1_HEAD_TIMEOUT;
	case -ECANCELED:
		return H1_HEAD_CANCELLED;
	}
	*ret_error = (int)-error;
	return H1_HEAD_FAILED;
}

// Looks for a whole head in what has arrived. True with *ret_result when there is
// something to tell.
static bool reader_scan_head(struct h1_reader *reader, size_t limit_bytes, bool skip_empty_lines,
			     struct slice *ret_head, enum h1_head_result *ret_result)
{
	if (skip_empty_lines && reader->scanner.scanned == 0)
		for (size_t skip;
		     (skip = h1_skip_empty_line(reader->buffer + reader->start, reader->end - reader->start)) > 0;)
			reader->start += skip;
	size_t length = reader->end - reader->start;
	if (length == 0)
		return false;
	ssize_t head = h1_scan_head(&reader->scanner, reader->buffer + reader->start, length);
	if (head == 0 && length < limit_bytes)
		return false;
	if (head < 0) {
		*ret_result = H1_HEAD_BARE_LF;
	} else if (head == 0 || (size_t)head > limit_bytes) {
		*ret_result = H1_HEAD_TOO_LARGE;
	} else {
		*ret_head = slice_from(reader->buffer + reader->start, (size_t)head);
		reader->start += (size_t)head;
		reader->floor = reader->start;
		reader->scanner = (struct h1_scanner){0};
		*ret_result = H1_HEAD_WHOLE;
	}
	return true;
}

enum h1_head_result h1_reader_head(struct h1_reader *reader, size_t limit_bytes, bool skip_empty_lines,
				   enum h1_read_mode mode, const char *what, int64_t deadline_ns,
				   struct slice *ret_head, int *ret_error)
{
	enum h1_head_result result;
	reader_unpin(reader);
	while (reader->start == reader->end ||
	       !reader_scan_head(reader, limit_bytes, skip_empty_lines, ret_head, &result)) {
		// A buffer is taken only when there is something for it: the one that was given
		// back last is still in the cache.
		int waited =
			mode == H1_READ_WAIT && !reader->buffer ? stream_wait(reader->stream, what, deadline_ns) : 0;
		if (waited < 0)
			return head_failed(waited, false, ret_error);
		if (!reader_make_head_room(reader, limit_bytes))
			return H1_HEAD_NO_MEMORY;
		char *to = reader->buffer + reader->end;
		size_t room = reader->capacity - reader->end;
		ssize_t got = mode == H1_READ_TRY ? stream_try_read(reader->stream, to, room)
						  : stream_read(reader->stream, to, room, what, deadline_ns);
		if (got <= 0)
			return head_failed(got, reader->end > reader->start, ret_error);
		reader->end += (size_t)got;
	}
	return result;
}

// --- Bodies

static int body_fail(struct h1_body *body, enum fault_kind kind, const char *detail, int error)
{
	fault_set(&body->body.fault, kind, body->faults->step, detail);
	if (error)
		body->body.fault.system_error = error;
	return -1;
}

// Makes room behind what has arrived of a body, in a large buffer when asked for. The head
// in use stays where it is. False when memory or the largest buffer is out.
static bool reader_make_body_room(struct h1_reader *reader, bool large)
{
	size_t length = reader->end - reader->start;
	if (length == 0)
		reader->start = reader->end = reader->floor;
	large = large && reader->capacity < LARGE_BUFFER;
	if (reader->capacity - reader->end >= ROOM_MIN && !large)
		return true;
	if (reader->start - reader->floor >= ROOM_MIN && !large) {
		memmove(reader->buffer + reader->floor, reader->buffer + reader->start, length);
		reader->start = reader->floor;
		reader->end = reader->start + length;
		return true;
	}
	size_t capacity = large || length > BLOCK_SIZE / 2 ? LARGE_BUFFER : BLOCK_SIZE;
	char *buffer = length + ROOM_MIN <= capacity ? buffer_take(capacity) : NULL;
	if (!buffer)
		return false;
	if (length)
		memcpy(buffer, reader->buffer + reader->start, length);
	if (reader->floor > 0) {
		check(!reader->pinned);
		reader->pinned = reader->buffer;
		reader->pinned_capacity = reader->capacity;
	} else if (reader->buffer) {
		buffer_give(reader->buffer, reader->capacity);
	}
	reader->buffer = buffer;
	reader->capacity = capacity;
	reader->floor = reader->start = 0;
	reader->end = length;
	return true;
}

// Reads more of the body behind what has arrived: 0; 1 at the end of the stream; -1.
static int body_fill(struct h1_body *body)
{
	struct h1_reader *reader = body->reader;
	bool long_body = body->filled && (body->framing != BODY_LENGTH || body->left > BLOCK_SIZE);
	if (!reader_make_body_room(reader, long_body))
		return body_fail(body, FAULT_OUT_OF_MEMORY, NULL, 0);
	char *to = reader->buffer + reader->end;
	size_t room = reader->capacity - reader->end;
	ssize_t got = stream_try_read(reader->stream, to, room);
	if (got == -EAGAIN) {
		if (body->before_wait)
			body->before_wait(body);
		got = stream_read(reader->stream, to, room, body->faults->step, loop_now() + *body->idle_ns);
	}
	if (got > 0) {
		reader->end += (size_t)got;
		body->filled = (size_t)got == room;
		return 0;
	}
	if (got == 0)
		return 1;
	if (got == -ETIMEDOUT)
		return body_fail(body, body->faults->timeout, NULL, 0);
	return body_fail(body, body->faults->gone, NULL, (int)-got);
}

static int body_fill_or_cut(struct h1_body *body)
{
	int result = body_fill(body);
	return result <= 0 ? result : body_fail(body, body->faults->cut, "the connection ended within the body", 0);
}

static void body_take(struct h1_body *body, struct slice bytes, struct slice *ret_bytes)
{
	body->taken += bytes.length;
	*ret_bytes = bytes;
}

static int body_end(struct h1_body *body, struct slice *ret_bytes)
{
	body->ended = true;
	*ret_bytes = SLICE_EMPTY;
	return 0;
}

static int body_read_length(struct h1_body *body, struct slice *ret_bytes)
{
	struct h1_reader *reader = body->reader;
	if (body->left == 0)
		return body_end(body, ret_bytes);
	if (reader->start == reader->end && body_fill_or_cut(body) < 0)
		return -1;
	struct slice bytes = slice_first(h1_reader_buffered(reader), body->left);
	reader->start += bytes.length;
	body->left -= bytes.length;
	body_take(body, bytes, ret_bytes);
	return 0;
}

static int body_read_until_close(struct h1_body *body, struct slice *ret_bytes)
{
	struct h1_reader *reader = body->reader;
	if (reader->start == reader->end) {
		int result = body_fill(body);
		if (result != 0)
			return result < 0 ? -1 : body_end(body, ret_bytes);
	}
	struct slice bytes = h1_reader_buffered(reader);
	reader->start = reader->end;
	body_take(body, bytes, ret_bytes);
	return 0;
}

// Decodes what has arrived, without waiting. BODY_READY: body->ahead holds bytes, or the
// body's fault is set.
static enum body_look chunked_decode(struct h1_body *body)
{
	struct h1_reader *reader = body->reader;
	while (!body->in_trailers) {
		struct slice input = h1_reader_buffered(reader), data = SLICE_EMPTY;
		if (input.length == 0)
			return BODY_WAITS;
		const char *detail = NULL;
		enum h1_chunked_result result = h1_chunked_read(&body->chunked, &input, &data, &detail);
		reader->start = reader->end - input.length;
		switch (result) {
		case H1_CHUNKED_MORE:
			return BODY_WAITS;
		case H1_CHUNKED_DATA:
			body->ahead = data;
			return BODY_READY;
		case H1_CHUNKED_BAD:
			body_fail(body, body->faults->bad, detail, 0);
			return BODY_READY;
		case H1_CHUNKED_TRAILERS:
			body->in_trailers = true;
			reader->scanner = (struct h1_scanner){0};
			break;
		}
	}
	return BODY_ENDED;
}

// Looks for a whole trailer section in what has arrived: BODY_ENDED, BODY_WAITS, or
// BODY_READY with the fault set.
static enum body_look trailers_decode(struct h1_body *body)
{
	struct h1_reader *reader = body->reader;
	struct slice input = h1_reader_buffered(reader);
	ssize_t length = input.length ? h1_scan_head(&reader->scanner, input.data, input.length) : 0;
	if (length == 0 && input.length < body->header_bytes)
		return BODY_WAITS;
	if (length < 0) {
		body_fail(body, body->faults->bad, "a bare LF ends a line of the trailer section", 0);
		return BODY_READY;
	}
	if (length == 0 || (size_t)length > body->header_bytes) {
		body_fail(body, body->faults->bad, "the trailer section is too large", 0);
		body->body.fault.setting = "limits.header";
		return BODY_READY;
	}
	reader->start += (size_t)length;
	reader->scanner = (struct h1_scanner){0};
	if (length > 2) {
		// The section must outlive its buffer: trailers are sent after the last bytes.
		struct slice section = arena_copy(body->arena, slice_first(input, (size_t)length));
		struct fault fault = {0};
		if (!section.data) {
			body_fail(body, FAULT_OUT_OF_MEMORY, NULL, 0);
			return BODY_READY;
		}
		if (!h1_parse_trailers(section, body->limits, body->arena, &body->body.trailers, &fault)) {
			body_fail(body, body->faults->bad, fault.detail, 0);
			return BODY_READY;
		}
	}
	body->ended = true;
	return BODY_ENDED;
}

static enum body_look chunked_look(struct h1_body *body)
{
	if (body->ahead.length)
		return BODY_READY;
	enum body_look look = chunked_decode(body);
	return look == BODY_ENDED ? trailers_decode(body) : look;
}

static int body_read_chunked(struct h1_body *body, struct slice *ret_bytes)
{
	enum body_look look;
	while ((look = chunked_look(body)) == BODY_WAITS)
		if (body_fill_or_cut(body) < 0)
			return -1;
	if (body->body.fault.kind)
		return -1;
	if (look == BODY_ENDED)
		return body_end(body, ret_bytes);
	body_take(body, body->ahead, ret_bytes);
	body->ahead = SLICE_EMPTY;
	return 0;
}

static int h1_body_read(struct body *base, struct slice *ret_bytes)
{
	struct h1_body *body = (struct h1_body *)base;
	if (base->fault.kind)
		return -1;
	if (body->ended)
		return body_end(body, ret_bytes);
	switch (body->framing) {
	case BODY_NONE:
		break;
	case BODY_LENGTH:
		return body_read_length(body, ret_bytes);
	case BODY_CHUNKED:
		return body_read_chunked(body, ret_bytes);
	case BODY_UNTIL_CLOSE:
		return body_read_until_close(body, ret_bytes);
	}
	return body_end(body, ret_bytes);
}

static enum body_look h1_body_look(struct body *base)
{
	struct h1_body *body = (struct h1_body *)base;
	if (base->fault.kind)
		return BODY_READY;
	if (body->ended || body->framing == BODY_NONE || (body->framing == BODY_LENGTH && body->left == 0))
		return BODY_ENDED;
	if (body->framing == BODY_CHUNKED)
		return chunked_look(body);
	return body->reader->start < body->reader->end ? BODY_READY : BODY_WAITS;
}

static struct stream *h1_body_plain_stream(struct body *base, uint64_t *ret_size)
{
	struct h1_body *body = (struct h1_body *)base;
	if (base->fault.kind || body->ended || body->ahead.length || body->reader->start < body->reader->end)
		return NULL;
	switch (body->framing) {
	case BODY_NONE:
		return NULL;
	case BODY_LENGTH:
		*ret_size = body->left;
		break;
	case BODY_CHUNKED:
		*ret_size = body->in_trailers ? 0 : body->chunked.chunk_left;
		break;
	case BODY_UNTIL_CLOSE:
		*ret_size = UINT64_MAX;
		break;
	}
	return *ret_size ? body->reader->stream : NULL;
}

static void h1_body_moved(struct body *base, uint64_t size)
{
	struct h1_body *body = (struct h1_body *)base;
	body->taken += size;
	if (body->framing == BODY_LENGTH)
		body->left -= size;
	else if (body->framing == BODY_CHUNKED)
		body->chunked.chunk_left -= size;
}

static const struct body_operations h1_body_operations = {
	.read = h1_body_read,
	.look = h1_body_look,
	.plain_stream = h1_body_plain_stream,
	.moved = h1_body_moved,
};

void h1_body_init(struct h1_body *body, struct h1_reader *reader, enum body_framing framing, uint64_t length,
		  const struct h1_body_faults *faults, const struct h1_limits *limits, uint32_t header_bytes,
		  const int64_t *idle_ns, struct arena *arena)
{
	*body = (struct h1_body){
		.body = {.operations = &h1_body_operations,
			 .length = framing == BODY_NONE	    ? 0
				   : framing == BODY_LENGTH ? (int64_t)length
							    : BODY_LENGTH_UNKNOWN},
		.reader = reader,
		.faults = faults,
		.arena = arena,
		.limits = limits,
		.header_bytes = header_bytes,
		.framing = framing,
		.left = length,
		.idle_ns = idle_ns,
	};
	h1_chunked_init(&body->chunked);
}
