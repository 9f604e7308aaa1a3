#include "net/tunnel.h"

#include "base/block.h"
#include "base/check.h"
#include "fiber/fiber.h"

#include <errno.h>

static void way_readable(struct stream *stream, void *argument);
static void way_run(void *argument);

static void tunnel_finish(struct tunnel *tunnel)
{
	timer_stop(&tunnel->idle);
	tunnel->done(tunnel);
}

static bool way_is_parked(const struct tunnel_way *way)
{
	return !way->fiber && !way->ended;
}

// One way failed: the other one is stopped as well. The last fiber to leave tells.
static void tunnel_fail(struct tunnel *tunnel)
{
	tunnel->failed = true;
	for (int i = 0; i < 2; i++) {
		struct tunnel_way *way = &tunnel->ways[i];
		if (way_is_parked(way)) {
			stream_unpark(way->from);
			way->ended = true;
		} else if (way->fiber && way->fiber != fiber_current()) {
			fiber_cancel(way->fiber);
		}
	}
}

static bool tunnel_is_over(const struct tunnel *tunnel)
{
	return tunnel->ways[0].ended && tunnel->ways[1].ended;
}

// Waits for as long as either way moves: the tunnel's idle timer ends it.
static int way_send(struct tunnel_way *way, struct slice bytes)
{
	while (bytes.length > 0) {
		struct iovec part = {(void *)bytes.data, bytes.length};
		ssize_t written = stream_write(way->to, &part, 1, false, "send through tunnel", FIBER_NEVER);
		if (written < 0)
			return (int)written;
		bytes = slice_after(bytes, (size_t)written);
		way->bytes += (uint64_t)written;
		way->tunnel->moved_ns = loop_now();
	}
	return 0;
}

// Moves what is there: -EAGAIN when it is quiet again, 0 at the end, or another -errno.
static int way_pump(struct tunnel_way *way, char *block)
{
	if (way->early.length) {
		int error = way_send(way, way->early);
		if (error)
			return error;
		way->early = SLICE_EMPTY;
	}
	for (;;) {
		ssize_t got = stream_try_read(way->from, block, BLOCK_SIZE);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return stream_shutdown(way->to);
		int error = way_send(way, slice_from(block, (size_t)got));
		if (error)
			return error;
	}
}

static void way_run(void *argument)
{
	struct tunnel_way *way = argument;
	struct tunnel *tunnel = way->tunnel;
	char *block = block_take();
	int result = block && !tunnel->failed ? way_pump(way, block) : -ENOMEM;
	block_give(block);
	if (result == -EAGAIN && !tunnel->failed) {
		way->fiber = NULL;
		stream_park(way->from, way_readable, way);
		return;
	}
	if (result < 0)
		tunnel_fail(tunnel);
	way->ended = true;
	way->fiber = NULL;
	if (tunnel_is_over(tunnel))
		tunnel_finish(tunnel);
}

static void way_start(struct tunnel_way *way)
{
	way->fiber = fiber_spawn("tunnel", way_run, way);
	if (way->fiber)
		return;
	way->ended = true;
	tunnel_fail(way->tunnel);
	if (tunnel_is_over(way->tunnel))
		tunnel_finish(way->tunnel);
}

static void way_readable(struct stream *stream, void *argument)
{
	way_start(argument);
}

static void tunnel_idle(struct timer *timer)
{
	struct tunnel *tunnel = LIST_ENTRY((void *)timer, struct tunnel, idle);
	if (loop_now() < tunnel->moved_ns + tunnel->idle_ns)
		timer_start(timer, tunnel->moved_ns + tunnel->idle_ns);
	else
		tunnel_abort(tunnel);
}

void tunnel_abort(struct tunnel *tunnel)
{
	tunnel_fail(tunnel);
	if (tunnel_is_over(tunnel))
		tunnel_finish(tunnel);
}

void tunnel_start(struct tunnel *tunnel, struct stream *a, struct slice a_early, struct stream *b, struct slice b_early,
		  int64_t idle_ns, void (*done)(struct tunnel *tunnel))
{
	*tunnel = (struct tunnel){
		.ways = {{.tunnel = tunnel, .from = a, .to = b, .early = a_early},
			 {.tunnel = tunnel, .from = b, .to = a, .early = b_early}},
		.idle_ns = idle_ns,
		.moved_ns = loop_now(),
		.done = done,
	};
	timer_init(&tunnel->idle, tunnel_idle);
	timer_start(&tunnel->idle, loop_now() + idle_ns);
	tunnel->ways[0].fiber = fiber_spawn("tunnel", way_run, &tunnel->ways[0]);
	tunnel->ways[1].fiber = fiber_spawn("tunnel", way_run, &tunnel->ways[1]);
	if (!tunnel->ways[0].fiber)
		tunnel->ways[0].ended = true;
	if (!tunnel->ways[1].fiber)
		tunnel->ways[1].ended = true;
	if (tunnel->ways[0].ended || tunnel->ways[1].ended)
		tunnel_abort(tunnel);
}
