#include "tls/stream.h"

#include "base/block.h"
#include "base/check.h"
#include "fiber/kernel.h"
#include "tls/local.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>

enum {
	// So much of one write is encrypted before the kernel has taken some of it.
	WRITE_MAX = 64 * 1024,
	RECORD_MAX = SSL3_RT_MAX_PLAIN_LENGTH, // 16 KiB, RFC 8446 section 5.1
};

// How long a shutdown waits for room for its last record.
#define SHUTDOWN_NS (5 * SECOND_NS)

static const struct stream_operations tls_operations;

static struct tls_stream *tls_of(struct stream *stream)
{
	return (struct tls_stream *)stream;
}

// --- Its life

struct tls_stream *tls_stream_new(void)
{
	struct tls_stream *tls = calloc(1, sizeof *tls);
	if (!tls)
		return NULL;
	tls->stream.operations = &tls_operations;
	tls->wire.tcp.io.descriptor = -1;
	return tls;
}

struct tcp_stream *tls_stream_tcp(struct tls_stream *tls)
{
	return &tls->wire.tcp;
}

struct stream *tls_stream_stream(struct tls_stream *tls)
{
	return &tls->stream;
}

static void free_now(struct deferred *deferred)
{
	struct tls_stream *tls = LIST_ENTRY((void *)deferred, struct tls_stream, deferred);
	SSL_free(tls->ssl);
	tls_output_clear(&tls->wire.output);
	tls_peer_clear(tls);
	free(tls->reason_text);
	free(tls);
}

void tls_stream_free(struct tls_stream *tls)
{
	check(tls->state == TLS_FRESH && tls->wire.tcp.io.descriptor < 0);
	loop_defer(&tls->deferred, free_now);
}

// --- Reading

// What OpenSSL's last call means: 0 at the end, -EAGAIN, or why the stream is broken.
static int read_result(struct tls_stream *tls, int returned)
{
	switch (SSL_get_error(tls->ssl, returned)) {
	case SSL_ERROR_ZERO_RETURN:
		tls->has_ended = true;
		return 0;
	case SSL_ERROR_WANT_READ:
		tls->is_dry = true;
		return -EAGAIN;
	}
	// Also SSL_ERROR_WANT_WRITE: whoever makes us answer, and does not read the answers.
	tls->state = TLS_BROKEN;
	if (!tls->wire.failed)
		tls->wire.failed = -EPROTO;
	tls_stream_explain(tls);
	(void)tls_output_send(&tls->wire.output, &tls->wire.tcp.io, false); // the alert
	return tls->wire.failed;
}

// Whether a read may give something without the kernel.
static bool has_buffered(const struct tls_stream *tls)
{
	return tls->has_ended || tls->state == TLS_BROKEN || (!tls->is_dry && SSL_has_pending(tls->ssl));
}

// One record at most, or with `size` 0 whether there is something: then 1 for yes.
static int take(struct tls_stream *tls, void *to, int size)
{
	char first;
	if (tls->has_ended)
		return 0;
	if (tls->state == TLS_BROKEN)
		return tls->wire.failed;
	if (tls->wire.tcp.io.descriptor < 0)
		return -ECANCELED;
	if (!has_buffered(tls) && !(tls->wire.tcp.io.ready & KERNEL_READABLE))
		return -EAGAIN;
	ERR_clear_error();
	int count = size > 0 ? SSL_read(tls->ssl, to, size) : SSL_peek(tls->ssl, &first, 1);
	if (count <= 0)
		return read_result(tls, count);
	tls->is_dry = false;
	return count;
}

static ssize_t tls_try_read(struct stream *stream, void *to, size_t size)
{
	struct tls_stream *tls = tls_of(stream);
	check(size > 0 && tls->ssl);
	size_t got = 0;
	int count;
	do {
		size_t room = size - got < INT_MAX ? size - got : INT_MAX;
		count = take(tls, (char *)to + got, (int)room);
		got += count > 0 ? (size_t)count : 0;
	} while (count > 0 && got < size && has_buffered(tls));
	stream->bytes_read += got;
	return got > 0 ? (ssize_t)got : count;
}

// What was left to the next write goes now: whoever waits may wait for an answer to it.
static void before_waiting(struct tls_stream *tls)
{
	if (tls->wire.output.size > 0)
		(void)tls_output_send(&tls->wire.output, &tls->wire.tcp.io, false);
}

static int wait_for_bytes(struct tls_stream *tls, const char *what, int64_t deadline_ns)
{
	if (has_buffered(tls))
		return 0;
	before_waiting(tls);
	return io_wait_readable(&tls->wire.tcp.io, what, deadline_ns);
}

static ssize_t tls_read(struct stream *stream, void *to, size_t size, const char *what, int64_t deadline_ns)
{
	struct tls_stream *tls = tls_of(stream);
	ssize_t count;
	do {
		int failed = wait_for_bytes(tls, what, deadline_ns);
		if (failed)
			return failed;
		count = tls_try_read(stream, to, size);
	} while (count == -EAGAIN);
	return count;
}

static int tls_wait(struct stream *stream, const char *what, int64_t deadline_ns)
{
	struct tls_stream *tls = tls_of(stream);
	do {
		int failed = wait_for_bytes(tls, what, deadline_ns);
		if (failed)
			return failed;
	} while (take(tls, NULL, 0) == -EAGAIN);
	return 0;
}

// --- Writing
//
// A write encrypts up to WRITE_MAX bytes and gives them to the kernel. What the kernel does not
// take is not reported as written; the next write, which begins with the same bytes, passes over
// them. So the pipe stays full, and nothing is reported that may still be lost.

static size_t parts_size(const struct iovec *parts, int count)
{
	size_t size = 0;
	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	return size;
}

// Bytes of the parts, from `offset` on.
struct cursor {
	const struct iovec *part;
	size_t offset; // in the part
};

static void cursor_pass(struct cursor *cursor, size_t size)
{
	cursor->offset += size;
	while (cursor->offset > 0 && cursor->offset >= cursor->part->iov_len) {
		cursor->offset -= cursor->part->iov_len;
		cursor->part++;
	}
}

static void cursor_copy(struct cursor *cursor, char *to, size_t size)
{
	while (size > 0) {
		size_t here = cursor->part->iov_len - cursor->offset;
		size_t count = here < size ? here : size;
		if (count > 0)
			memcpy(to, (const char *)cursor->part->iov_base + cursor->offset, count);
		to += count;
		size -= count;
		cursor->offset += count;
		if (cursor->offset == cursor->part->iov_len)
			*cursor = (struct cursor){cursor->part + 1, 0};
	}
}

static int encrypt_record(struct tls_stream *tls, const void *bytes, size_t size)
{
	ERR_clear_error();
	if (SSL_write(tls->ssl, bytes, (int)size) == (int)size)
		return 0;
	tls->state = TLS_BROKEN;
	if (!tls->wire.failed)
		tls->wire.failed = -EPROTO;
	tls_stream_explain(tls);
	return tls->wire.failed;
}

// Encrypts `size` bytes: large parts from where they are, small ones joined.
static int encrypt(struct tls_stream *tls, struct cursor *cursor, size_t size)
{
	char *joined = NULL;
	int failed = 0;
	while (size > 0 && !failed) {
		size_t record = size < RECORD_MAX ? size : RECORD_MAX;
		if (cursor->part->iov_len - cursor->offset >= record) {
			failed = encrypt_record(tls, (const char *)cursor->part->iov_base + cursor->offset, record);
			cursor_pass(cursor, record);
		} else if (joined || (joined = block_take())) {
			cursor_copy(cursor, joined, record);
			failed = encrypt_record(tls, joined, record);
		} else {
			failed = -ENOMEM;
		}
		size -= failed ? 0 : record;
		tls->unreported += failed ? 0 : (uint32_t)record;
	}
	block_give(joined);
	return failed;
}

// How many bytes of the write have left since it last told; 0 when the kernel took too few.
static size_t report(struct tls_stream *tls)
{
	// Ciphertext is longer than what it hides, so that at least these have gone.
	size_t left = tls->unreported < tls->wire.output.size ? tls->unreported : tls->wire.output.size;
	size_t written = tls->unreported - left;
	tls->unreported = (uint32_t)left;
	tls->stream.bytes_written += written;
	return written;
}

static ssize_t encrypt_and_send(struct tls_stream *tls, const struct iovec *parts, size_t size, bool more,
				const char *what, int64_t deadline_ns)
{
	struct cursor cursor = {parts, 0};
	size_t end = size < WRITE_MAX ? size : WRITE_MAX;
	int failed = 0;
	if (end > tls->unreported) {
		cursor_pass(&cursor, tls->unreported);
		tls->wire.is_single = end - tls->unreported <= RECORD_MAX;
		tls->wire.is_more = more;
		failed = encrypt(tls, &cursor, end - tls->unreported);
		tls->wire.is_single = false;
	}
	while (!failed) {
		failed = tls_output_send(&tls->wire.output, &tls->wire.tcp.io, more || end < size);
		size_t written = report(tls);
		if (written > 0)
			return (ssize_t)written;
		if (failed == -EAGAIN)
			failed = io_wait_writable(&tls->wire.tcp.io, what, deadline_ns);
	}
	return failed;
}

static ssize_t tls_write(struct stream *stream, const struct iovec *parts, int count, bool more, const char *what,
			 int64_t deadline_ns)
{
	struct tls_stream *tls = tls_of(stream);
	size_t size = parts_size(parts, count);
	if (tls->write_failed || tls->state == TLS_BROKEN)
		return tls->write_failed ? tls->write_failed : tls->wire.failed;
	check(tls->state == TLS_OPEN && size > 0 && size >= tls->unreported);
	// Who is cancelled here has begun nothing.
	ssize_t written = io_wait_writable(&tls->wire.tcp.io, what, deadline_ns);
	if (written == 0)
		written = encrypt_and_send(tls, parts, size, more, what, deadline_ns);
	// What was encrypted is part of the connection now, and cannot be replaced by anything.
	if (written < 0 && tls->unreported > 0)
		tls->write_failed = (int)written;
	return written;
}

int tls_stream_flush(struct tls_stream *tls, const char *what, int64_t deadline_ns)
{
	int failed;
	while ((failed = tls_output_send(&tls->wire.output, &tls->wire.tcp.io, false)) == -EAGAIN) {
		failed = io_wait_writable(&tls->wire.tcp.io, what, deadline_ns);
		if (failed)
			break;
	}
	return failed;
}

static void tls_say_last(struct stream *stream, struct slice bytes)
{
	struct tls_stream *tls = tls_of(stream);
	if (tls->state != TLS_OPEN || tls->write_failed || bytes.length == 0)
		return;
	size_t size = bytes.length < RECORD_MAX ? bytes.length : RECORD_MAX;
	if (encrypt_record(tls, bytes.data, size) == 0)
		(void)tls_output_send(&tls->wire.output, &tls->wire.tcp.io, false);
}

// --- The end

// RFC 8446 section 6.1. Only after all that was written: a reader takes what comes before it
// for whole.
static void notify_close(struct tls_stream *tls)
{
	if (tls->state != TLS_OPEN || tls->write_failed || tls->unreported > 0)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(tls->ssl);
	ERR_clear_error();
	tls->state = TLS_SHUT;
}

static int tls_shutdown(struct stream *stream)
{
	struct tls_stream *tls = tls_of(stream);
	if (tls->wire.tcp.io.descriptor < 0)
		return -EBADF;
	notify_close(tls);
	int failed = tls_stream_flush(tls, "send close_notify", loop_now() + SHUTDOWN_NS);
	return failed ? failed : stream_shutdown(&tls->wire.tcp.stream);
}

static void tls_close(struct stream *stream)
{
	struct tls_stream *tls = tls_of(stream);
	if (tls->wire.tcp.io.descriptor >= 0 && !tls->resets_on_close) {
		notify_close(tls);
		(void)tls_output_send(&tls->wire.output, &tls->wire.tcp.io, false);
	}
	stream_close(&tls->wire.tcp.stream);
	loop_defer(&tls->deferred, free_now);
}

static void tls_reset_on_close(struct stream *stream)
{
	struct tls_stream *tls = tls_of(stream);
	tls->resets_on_close = true;
	stream_reset_on_close(&tls->wire.tcp.stream);
}

// --- While no fiber reads

// Partial records, tickets and the like are nobody else's concern.
static void wire_parked(struct stream *tcp, void *argument)
{
	struct tls_stream *tls = argument;
	if (take(tls, NULL, 0) == -EAGAIN)
		stream_park(tcp, wire_parked, tls);
	else
		tls->stream.parked(&tls->stream, tls->stream.parked_argument);
}

static void tls_park(struct stream *stream)
{
	struct tls_stream *tls = tls_of(stream);
	before_waiting(tls);
	if (has_buffered(tls))
		tls->wire.tcp.io.ready |= KERNEL_READABLE; // so that the loop looks at it
	stream_park(&tls->wire.tcp.stream, wire_parked, tls);
}

static void tls_unpark(struct stream *stream)
{
	stream_unpark(&tls_of(stream)->wire.tcp.stream);
}

static struct io *tls_plain_io(struct stream *stream)
{
	return NULL;
}

static void tls_set_owner(struct stream *stream, struct fiber *owner)
{
	stream_set_owner(&tls_of(stream)->wire.tcp.stream, owner);
}

static bool tls_is_quiet(struct stream *stream, bool ask)
{
	struct tls_stream *tls = tls_of(stream);
	struct io *io = &tls->wire.tcp.io;
	if (ask)
		io->ready |= KERNEL_READABLE;
	else if (io->descriptor < 0 || (io->ready & (KERNEL_END | KERNEL_HANGUP)))
		return false;
	return take(tls, NULL, 0) == -EAGAIN;
}

static const struct stream_operations tls_operations = {
	.read = tls_read,
	.try_read = tls_try_read,
	.wait = tls_wait,
	.write = tls_write,
	.shutdown = tls_shutdown,
	.close = tls_close,
	.park = tls_park,
	.unpark = tls_unpark,
	.plain_io = tls_plain_io,
	.set_owner = tls_set_owner,
	.is_quiet = tls_is_quiet,
	.say_last = tls_say_last,
	.reset_on_close = tls_reset_on_close,
};
