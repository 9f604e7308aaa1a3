// The little HTTP that clients and origins speak.
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "proxy_sim.h"
#include "sim_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char wire_byte(uint64_t token, unsigned part, uint64_t position)
{
	uint64_t number = (token * 32 + part) * UINT64_C(0x9e3779b97f4a7c15) + position;
	return (char)(number * UINT64_C(0xd1342543de82ef95) >> 56);
}

// --- Life

struct wire *wire_new(void)
{
	struct wire *wire = sim_alloc(sizeof *wire);
	wire->tcp.io.descriptor = -1;
	wire->piece = one_in(12) ? 1 : one_in(3) ? 1 + (size_t)draw(100) : SIZE_MAX;
	// No timeout may strike because of many small pauses.
	wire->pause_ns = !one_in(3) ? 0 : wire->piece < SIZE_MAX ? world.pause_ns / 1000 : world.pause_ns;
	wire->patience_ns = 5000 * SECOND_NS;
	return wire;
}

static void really_free(struct deferred *deferred)
{
	free(LIST_ENTRY(deferred, struct wire, deferred));
}

void wire_close(struct wire *wire, bool reset)
{
	if (wire->tcp.io.descriptor < 0)
		return;
	if (reset)
		stream_reset_on_close(&wire->tcp.stream);
	stream_close(&wire->tcp.stream);
}

void wire_free(struct wire *wire)
{
	wire_close(wire, false);
	loop_defer(&wire->deferred, really_free);
}

// --- Writing

int wire_write(struct wire *wire, const char *bytes, size_t size)
{
	while (size > 0) {
		if (wire->tcp.io.descriptor < 0)
			return -ECANCELED;
		size_t piece = size < wire->piece ? size : wire->piece;
		struct iovec part = {(void *)bytes, piece};
		int failed = stream_write_all(&wire->tcp.stream, &part, 1, false, "write", wire->patience_ns);
		if (failed)
			return failed;
		bytes += piece;
		size -= piece;
		if (wire->pause_ns && one_in(8) &&
		    fiber_sleep("pause", loop_now() + (int64_t)draw((uint64_t)wire->pause_ns)))
			return -ECANCELED;
	}
	return 0;
}

int wire_print(struct wire *wire, const char *format, ...)
{
	char *text = sim_alloc(PROXY_HEAD_MAX);
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, PROXY_HEAD_MAX, format, arguments);
	va_end(arguments);
	check(length >= 0 && length < PROXY_HEAD_MAX);
	int failed = wire_write(wire, text, (size_t)length);
	free(text);
	return failed;
}

static size_t body_piece(uint64_t sent, uint64_t to)
{
	uint64_t most = 1 + draw(one_in(4) ? 5000 : 300);
	return (size_t)(most < to - sent ? most : to - sent);
}

int wire_write_body(struct wire *wire, enum body_framing framing, uint64_t token, unsigned part, uint64_t to,
		    uint64_t *sent)
{
	char *bytes = sim_alloc(5100);
	int failed = 0;
	while (*sent < to && !failed) {
		size_t size = body_piece(*sent, to), at = 0;
		if (framing == BODY_CHUNKED)
			at = (size_t)snprintf(bytes, 64, one_in(8) ? "%zX;a=\"b\"\r\n" : "%zx\r\n", size);
		for (size_t i = 0; i < size; i++)
			bytes[at++] = wire_byte(token, part, *sent + i);
		if (framing == BODY_CHUNKED) {
			bytes[at++] = '\r';
			bytes[at++] = '\n';
		}
		failed = wire_write(wire, bytes, at);
		*sent += size;
	}
	free(bytes);
	return failed;
}

// --- Reading

// More bytes behind what is there: their count, 0 at the end, or -errno.
static ssize_t fill(struct wire *wire)
{
	if (wire->start == wire->end)
		wire->start = wire->end = 0;
	check(wire->end < sizeof wire->buffer);
	size_t room = sizeof wire->buffer - wire->end;
	if (wire->pause_ns && one_in(8) && fiber_sleep("pause", loop_now() + (int64_t)draw((uint64_t)wire->pause_ns)))
		return -ECANCELED;
	if (wire->tcp.io.descriptor < 0)
		return -ECANCELED;
	if (wire->piece < room)
		room = wire->piece;
	ssize_t got =
		stream_read(&wire->tcp.stream, wire->buffer + wire->end, room, "read", loop_now() + wire->patience_ns);
	if (got > 0)
		wire->end += (size_t)got;
	return got;
}

// One byte: it, or a negative error; -EPIPE at the end.
static int read_byte(struct wire *wire)
{
	if (wire->start == wire->end) {
		ssize_t got = fill(wire);
		if (got <= 0)
			return got == 0 ? -EPIPE : (int)got;
	}
	return (unsigned char)wire->buffer[wire->start++];
}

int wire_read_head(struct wire *wire)
{
	size_t length = 0;
	for (;;) {
		int byte = read_byte(wire);
		if (byte < 0)
			return byte == -EPIPE && length == 0 ? 1 : byte;
		check(length < sizeof wire->head - 1);
		wire->head[length++] = (char)byte;
		wire->head[length] = '\0';
		if (length >= 4 && memcmp(wire->head + length - 4, "\r\n\r\n", 4) == 0)
			return 0;
	}
}

struct slice wire_field(const struct wire *wire, const char *name)
{
	char start[64];
	snprintf(start, sizeof start, "\r\n%s:", name);
	const char *at = strcasestr(wire->head, start);
	if (!at)
		return SLICE_EMPTY;
	at += strlen(start);
	return slice_trim(slice_from(at, (size_t)(strstr(at, "\r\n") - at)));
}

bool wire_framing(const struct wire *wire, enum body_framing *ret_framing, uint64_t *ret_length)
{
	struct slice length = wire_field(wire, "Content-Length");
	struct slice coding = wire_field(wire, "Transfer-Encoding");
	*ret_length = 0;
	*ret_framing = BODY_UNTIL_CLOSE;
	check(!(length.data && coding.data));
	if (coding.data) {
		check(slice_equal_nocase(coding, SLICE("chunked")));
		*ret_framing = BODY_CHUNKED;
		return true;
	}
	if (!length.data)
		return false;
	check(slice_to_number(length, ret_length));
	*ret_framing = BODY_LENGTH;
	return true;
}

// `size` bytes of content.
static int read_content(struct wire *wire, uint64_t size, uint64_t token, unsigned part, uint64_t stop_at,
			uint64_t *got)
{
	for (uint64_t i = 0; i < size; i++) {
		if (*got >= stop_at)
			return -ECANCELED;
		int byte = read_byte(wire);
		if (byte < 0)
			return byte;
		char expected = wire_byte(token, part, *got);
		if ((char)byte != expected && !world.asks[token].bad)
			ask_failed(&world.asks[token], "each byte of a body is the one that was sent", __FILE__,
				   __LINE__);
		(*got)++;
	}
	return 0;
}

static int read_line(struct wire *wire, char line[256])
{
	size_t length = 0;
	for (;;) {
		int byte = read_byte(wire);
		if (byte < 0)
			return byte;
		check(length < 255);
		line[length++] = (char)byte;
		line[length] = '\0';
		if (length >= 2 && line[length - 2] == '\r' && byte == '\n') {
			line[length - 2] = '\0';
			return 0;
		}
	}
}

static int read_chunked(struct wire *wire, uint64_t token, unsigned part, uint64_t stop_at, uint64_t *got)
{
	char line[256];
	for (;;) {
		int failed = read_line(wire, line);
		if (failed)
			return failed;
		char *end;
		uint64_t size = strtoull(line, &end, 16);
		check(end != line && *end == '\0');
		if (size == 0)
			break;
		failed = read_content(wire, size, token, part, stop_at, got);
		if (!failed)
			failed = read_line(wire, line);
		if (failed)
			return failed;
		check(line[0] == '\0');
	}
	do {
		int failed = read_line(wire, line);
		if (failed)
			return failed;
	} while (line[0] != '\0');
	return 0;
}

int wire_read_body(struct wire *wire, enum body_framing framing, uint64_t length, uint64_t token, unsigned part,
		   uint64_t stop_at, uint64_t *got)
{
	switch (framing) {
	case BODY_NONE:
		return 0;
	case BODY_LENGTH:
		return read_content(wire, length, token, part, stop_at, got);
	case BODY_CHUNKED:
		return read_chunked(wire, token, part, stop_at, got);
	case BODY_UNTIL_CLOSE:
		break;
	}
	int failed = read_content(wire, UINT64_MAX, token, part, stop_at, got);
	return failed == -EPIPE ? 0 : failed;
}
