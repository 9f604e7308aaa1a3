// A WebSocket over HTTP/2 towards a server (RFC 8441): a struct stream over one stream.
#include "base/check.h"
#include "base/text.h"
#include "fiber/fiber.h"
#include "http/h2_client_stream.h"

#include <errno.h>
#include <openssl/evp.h>

static struct h2_client_stream *stream_of(struct stream *stream)
{
	return LIST_ENTRY(stream, struct h2_client_stream, tunnel.stream);
}

// --- The answer

// RFC 6455 section 4.2.2: what a visitor that speaks HTTP/1.1 expects for its key. OpenSSL's
// count includes a NUL.
static struct slice accept_value(struct arena *arena, struct slice key)
{
	static const struct slice suffix = {"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36};
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct slice text = arena_printf(arena, "%.*s%.*s", SLICE_ARGUMENTS(key), SLICE_ARGUMENTS(suffix));
	if (!text.data || !EVP_Digest(text.data, text.length, digest, &length, EVP_sha1(), NULL))
		return SLICE_EMPTY;
	unsigned char *encoded = arena_alloc(arena, EVP_ENCODE_LENGTH(EVP_MAX_MD_SIZE));
	if (!encoded)
		return SLICE_EMPTY;
	return slice_from(encoded, (size_t)EVP_EncodeBlock(encoded, digest, (int)length));
}

bool client_tunnel_response(struct h2_client_stream *stream, struct response *response)
{
	if (response->status / 100 != 2)
		return true;
	struct arena *arena = stream->client->arena;
	response->status = 101;
	response->framing = BODY_NONE;
	response->content_length = 0;
	if (!fields_add(&response->fields, arena, FIELD_UPGRADE, SLICE("websocket")))
		return false;
	const struct field *key = fields_find_name(stream->request->fields, SLICE("Sec-WebSocket-Key"));
	if (!key)
		return true; // nobody waits for a proof
	struct slice value = accept_value(arena, key->value);
	return value.data && fields_set_name(&response->fields, arena, SLICE("Sec-WebSocket-Accept"), value);
}

// --- Reading

static bool is_readable(const struct h2_client_stream *stream)
{
	return stream->data.bytes > 0 || stream->has_ended || client_stream_is_gone(stream);
}

static ssize_t tunnel_try_read(struct stream *base, void *to, size_t size)
{
	struct h2_client_stream *stream = stream_of(base);
	struct slice bytes = slice_first(h2_data_first(&stream->data), size);
	if (bytes.length > 0) {
		memcpy(to, bytes.data, bytes.length);
		stream->lent = bytes.length;
		client_stream_drop_lent(stream);
		base->bytes_read += bytes.length;
		return (ssize_t)bytes.length;
	}
	if (stream->has_ended)
		return 0;
	return client_stream_is_gone(stream) ? -ECONNRESET : -EAGAIN;
}

static int tunnel_wait(struct stream *base, const char *what, int64_t deadline_ns)
{
	struct h2_client_stream *stream = stream_of(base);
	int error = 0;
	while (!error && !is_readable(stream))
		error = client_stream_wait(stream, what, deadline_ns);
	return error;
}

static ssize_t tunnel_read(struct stream *base, void *to, size_t size, const char *what, int64_t deadline_ns)
{
	int error = tunnel_wait(base, what, deadline_ns);
	return error ? error : tunnel_try_read(base, to, size);
}

// --- Writing

// One part after the other: what waits in `out` is the caller's, and is taken back when the
// wait ends before the server has taken it.
static ssize_t tunnel_write(struct stream *base, const struct iovec *parts, int count, bool more, const char *what,
			    int64_t deadline_ns)
{
	struct h2_client_stream *stream = stream_of(base);
	while (count > 0 && parts->iov_len == 0) {
		parts++;
		count--;
	}
	if (client_stream_is_gone(stream) || stream->is_last)
		return client_stream_is_gone(stream) ? -ECONNRESET : -EPIPE;
	check(count > 0 && stream->out.length == 0);
	size_t size = parts->iov_len;
	stream->out = slice_from(parts->iov_base, size);
	stream->moved_ns = loop_now();
	int64_t idle_ns = deadline_ns == FIBER_NEVER ? 0 : deadline_ns > loop_now() ? deadline_ns - loop_now() : 1;
	int error = client_stream_flush(stream, what, idle_ns);
	size_t written = size - stream->out.length;
	stream->out = SLICE_EMPTY;
	base->bytes_written += written;
	if (written > 0)
		return (ssize_t)written;
	return error ? error : -ECONNRESET;
}

static int tunnel_shutdown(struct stream *base)
{
	struct h2_client_stream *stream = stream_of(base);
	if (client_stream_is_gone(stream))
		return -ECONNRESET;
	stream->is_last = true;
	return client_stream_flush(stream, "shut down", 0);
}

// --- Parking

void client_tunnel_poke(struct h2_client_stream *stream)
{
	struct h2_client_tunnel *tunnel = &stream->tunnel;
	if (tunnel->owner && client_stream_is_gone(stream))
		fiber_cancel(tunnel->owner);
	if (tunnel->is_parked && is_readable(stream) && list_is_empty(&tunnel->poke))
		list_push_back(&stream->link->poked, &tunnel->poke);
}

static void call_parked(struct h2_client_tunnel *tunnel)
{
	if (!tunnel->is_parked)
		return;
	tunnel->is_parked = false;
	timer_stop(&tunnel->timer);
	tunnel->stream.parked(&tunnel->stream, tunnel->stream.parked_argument);
}

void client_stream_call_poked(struct h2_link *link)
{
	struct list_link *poke;
	while ((poke = list_pop_front(&link->poked)) != NULL)
		call_parked(LIST_ENTRY(poke, struct h2_client_tunnel, poke));
}

static void timer_fired(struct timer *timer)
{
	call_parked(LIST_ENTRY(timer, struct h2_client_tunnel, timer));
}

static void tunnel_park(struct stream *base)
{
	struct h2_client_stream *stream = stream_of(base);
	stream->tunnel.is_parked = true;
	if (is_readable(stream))
		timer_start(&stream->tunnel.timer, loop_now());
}

static void tunnel_unpark(struct stream *base)
{
	struct h2_client_tunnel *tunnel = &stream_of(base)->tunnel;
	tunnel->is_parked = false;
	timer_stop(&tunnel->timer);
	list_remove(&tunnel->poke);
}

// --- The rest

// The stream is reset when its exchange ends.
static void tunnel_close(struct stream *base)
{
	tunnel_unpark(base);
}

static struct io *tunnel_plain_io(struct stream *base)
{
	return NULL;
}

static void tunnel_set_owner(struct stream *base, struct fiber *owner)
{
	struct h2_client_stream *stream = stream_of(base);
	stream->tunnel.owner = owner;
	if (owner && client_stream_is_gone(stream))
		fiber_cancel(owner);
}

static bool tunnel_is_quiet(struct stream *base, bool ask)
{
	return !is_readable(stream_of(base));
}

// There is no last word: whatever room there is belongs to all streams.
static void tunnel_say_last(struct stream *base, struct slice bytes)
{
}

// The reset is what the close is, as long as not both ends have come.
static void tunnel_reset_on_close(struct stream *base)
{
}

static const struct stream_operations tunnel_operations = {
	.read = tunnel_read,
	.try_read = tunnel_try_read,
	.wait = tunnel_wait,
	.write = tunnel_write,
	.shutdown = tunnel_shutdown,
	.close = tunnel_close,
	.park = tunnel_park,
	.unpark = tunnel_unpark,
	.plain_io = tunnel_plain_io,
	.set_owner = tunnel_set_owner,
	.is_quiet = tunnel_is_quiet,
	.say_last = tunnel_say_last,
	.reset_on_close = tunnel_reset_on_close,
};

void client_tunnel_init(struct h2_client_stream *stream)
{
	stream->tunnel.stream.operations = &tunnel_operations;
	list_init(&stream->tunnel.poke);
	timer_init(&stream->tunnel.timer, timer_fired);
}

void client_tunnel_fini(struct h2_client_stream *stream)
{
	stream->tunnel.owner = NULL;
	tunnel_unpark(&stream->tunnel.stream);
}
