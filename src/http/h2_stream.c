// An HTTP/2 stream as a stream of bytes, for tunnels (RFC 8441).
#include "base/check.h"
#include "http/h2_connection.h"

#include <errno.h>

static struct h2_exchange *exchange_of(struct stream *stream)
{
	return LIST_ENTRY((void *)stream, struct h2_exchange, stream);
}

static ssize_t stream_got(struct stream *stream, ssize_t count)
{
	if (count > 0)
		stream->bytes_read += (uint64_t)count;
	return count;
}

static ssize_t h2_stream_read(struct stream *stream, void *to, size_t size, const char *what, int64_t deadline_ns)
{
	struct h2_exchange *exchange = exchange_of(stream);
	int error = h2_request_body_wait(exchange, what, deadline_ns);
	return error ? error : stream_got(stream, h2_request_body_copy(exchange, to, size));
}

static ssize_t h2_stream_try_read(struct stream *stream, void *to, size_t size)
{
	return stream_got(stream, h2_request_body_copy(exchange_of(stream), to, size));
}

static int h2_stream_wait(struct stream *stream, const char *what, int64_t deadline_ns)
{
	return h2_request_body_wait(exchange_of(stream), what, deadline_ns);
}

static ssize_t h2_stream_write(struct stream *stream, const struct iovec *parts, int count, bool more, const char *what,
			       int64_t deadline_ns)
{
	int i = 0;
	while (i < count && parts[i].iov_len == 0)
		i++;
	check(i < count); // at least one byte
	ssize_t sent =
		h2_send_some(exchange_of(stream), slice_from(parts[i].iov_base, parts[i].iov_len), what, deadline_ns);
	if (sent > 0)
		stream->bytes_written += (uint64_t)sent;
	return sent;
}

static int h2_stream_shutdown(struct stream *stream)
{
	struct h2_exchange *exchange = exchange_of(stream);
	if (exchange->closed)
		return -ECONNRESET;
	h2_send_end(exchange);
	return 0;
}

// The exchange ends the HTTP/2 stream when it ends itself.
static void h2_stream_close(struct stream *stream)
{
	struct h2_exchange *exchange = exchange_of(stream);
	timer_stop(&exchange->parked_soon);
	exchange->is_parked = false;
	exchange->owner = NULL;
}

static bool is_readable(const struct h2_exchange *exchange)
{
	return exchange->first || exchange->body_ended || exchange->closed;
}

static void call_parked(struct h2_exchange *exchange)
{
	exchange->is_parked = false;
	timer_stop(&exchange->parked_soon);
	exchange->stream.parked(&exchange->stream, exchange->stream.parked_argument);
}

static void parked_soon(struct timer *timer)
{
	call_parked(LIST_ENTRY((void *)timer, struct h2_exchange, parked_soon));
}

static void h2_stream_park(struct stream *stream)
{
	struct h2_exchange *exchange = exchange_of(stream);
	exchange->is_parked = true;
	if (is_readable(exchange))
		timer_start(&exchange->parked_soon, loop_now());
}

static void h2_stream_unpark(struct stream *stream)
{
	struct h2_exchange *exchange = exchange_of(stream);
	exchange->is_parked = false;
	timer_stop(&exchange->parked_soon);
}

void h2_stream_notify(struct h2_exchange *exchange)
{
	if (exchange->is_parked && is_readable(exchange))
		call_parked(exchange);
	if (exchange->closed && exchange->owner)
		fiber_cancel(exchange->owner);
}

static struct io *h2_stream_plain_io(struct stream *stream)
{
	return NULL;
}

static void h2_stream_set_owner(struct stream *stream, struct fiber *owner)
{
	struct h2_exchange *exchange = exchange_of(stream);
	exchange->owner = owner;
	if (owner && exchange->closed)
		fiber_cancel(owner);
}

static bool h2_stream_is_quiet(struct stream *stream, bool ask)
{
	return !is_readable(exchange_of(stream));
}

// What is lent must live until it is taken, and these bytes do not: there is no last word.
static void h2_stream_say_last(struct stream *stream, struct slice bytes)
{
}

// An exchange that ends before END_STREAM was sent resets its stream in any case.
static void h2_stream_reset_on_close(struct stream *stream)
{
}

static const struct stream_operations operations = {
	.read = h2_stream_read,
	.try_read = h2_stream_try_read,
	.wait = h2_stream_wait,
	.write = h2_stream_write,
	.shutdown = h2_stream_shutdown,
	.close = h2_stream_close,
	.park = h2_stream_park,
	.unpark = h2_stream_unpark,
	.plain_io = h2_stream_plain_io,
	.set_owner = h2_stream_set_owner,
	.is_quiet = h2_stream_is_quiet,
	.say_last = h2_stream_say_last,
	.reset_on_close = h2_stream_reset_on_close,
};

void h2_stream_init(struct h2_exchange *exchange)
{
	exchange->stream = (struct stream){.operations = &operations};
	timer_init(&exchange->parked_soon, parked_soon);
}
