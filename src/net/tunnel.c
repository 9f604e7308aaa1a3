#include "net/tunnel.h"

#include "base/block.h"
#include "base/check.h"
#include "fiber/fiber.h"

#include <errno.h>

// What way_pump says of a way that has to wait for its turn.
enum { WAITS = -EINPROGRESS };

static void way_readable(struct stream *stream, void *argument);
static void way_run(void *argument);

static void tunnel_finish(struct tunnel *tunnel)
{
	timer_stop(&tunnel->idle);
	tunnel->done(tunnel);
}

static void way_give_back(struct tunnel_way *way)
{
	if (way->booked > 0)
		pace_give_back(way->pace, way->booked, loop_now_exact());
	way->booked = 0;
}

static void way_end(struct tunnel_way *way)
{
	way_give_back(way);
	way->ended = true;
}

// Parked, or waiting for its turn.
static void way_stop(struct tunnel_way *way)
{
	if (timer_is_running(&way->turn))
		timer_stop(&way->turn);
	else
		stream_unpark(way->from);
	way_end(way);
}

// One way failed: the other one is stopped as well. The last fiber to leave tells.
static void tunnel_fail(struct tunnel *tunnel)
{
	tunnel->failed = true;
	for (int i = 0; i < 2; i++) {
		struct tunnel_way *way = &tunnel->ways[i];
		if (!way->fiber && !way->ended)
			way_stop(way);
		else if (way->fiber && way->fiber != fiber_current())
			fiber_cancel(way->fiber);
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

// Books the next piece where all was used: false when the timer tells its turn.
static bool way_has_turn(struct tunnel_way *way)
{
	if (!way->pace || way->booked > 0)
		return true;
	int64_t now_ns = loop_now_exact();
	way->booked = pace_piece(way->pace);
	int64_t wait_ns = pace_book(way->pace, way->booked, now_ns);
	if (wait_ns > 0)
		timer_start(&way->turn, now_ns + wait_ns);
	return wait_ns == 0;
}

// The next bytes, as many as may go: 1, or as stream_try_read says, in the block if they are not early ones.
static ssize_t way_take(struct tunnel_way *way, char *block, struct slice *ret_bytes)
{
	size_t most = way->pace ? way->booked : SIZE_MAX;
	if (way->early.length > 0) {
		*ret_bytes = slice_first(way->early, most);
		way->early = slice_after(way->early, ret_bytes->length);
	} else {
		ssize_t got = stream_try_read(way->from, block, most < BLOCK_SIZE ? most : BLOCK_SIZE);
		if (got <= 0)
			return got;
		*ret_bytes = slice_from(block, (size_t)got);
	}
	if (way->pace)
		way->booked -= ret_bytes->length;
	return 1;
}

// Moves what is there: -EAGAIN when it is quiet again, WAITS, 0 at the end, or another -errno.
static int way_pump(struct tunnel_way *way, char *block)
{
	for (;;) {
		struct slice bytes;
		if (!way_has_turn(way))
			return WAITS;
		ssize_t got = way_take(way, block, &bytes);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return stream_shutdown(way->to);
		int error = way_send(way, bytes);
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
	if ((result == -EAGAIN || result == WAITS) && !tunnel->failed) {
		way->fiber = NULL;
		if (result == WAITS)
			return;
		way_give_back(way);
		stream_park(way->from, way_readable, way);
		return;
	}
	timer_stop(&way->turn);
	if (result < 0)
		tunnel_fail(tunnel);
	way_end(way);
	way->fiber = NULL;
	if (tunnel_is_over(tunnel))
		tunnel_finish(tunnel);
}

static void way_start(struct tunnel_way *way)
{
	way->fiber = fiber_spawn("tunnel", way_run, way);
	if (way->fiber)
		return;
	way_end(way);
	tunnel_fail(way->tunnel);
	if (tunnel_is_over(way->tunnel))
		tunnel_finish(way->tunnel);
}

static void way_readable(struct stream *stream, void *argument)
{
	struct tunnel_way *way = argument;
	if (way_has_turn(way))
		way_start(way);
}

static void way_turn(struct timer *timer)
{
	struct tunnel_way *way = LIST_ENTRY((void *)timer, struct tunnel_way, turn);
	way->tunnel->moved_ns = loop_now();
	way_start(way);
}

static void tunnel_idle(struct timer *timer)
{
	struct tunnel *tunnel = LIST_ENTRY((void *)timer, struct tunnel, idle);
	if (timer_is_running(&tunnel->ways[0].turn) || timer_is_running(&tunnel->ways[1].turn))
		tunnel->moved_ns = loop_now();
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

static void way_init(struct tunnel_way *way, struct tunnel *tunnel, const struct tunnel_side *side, struct stream *to)
{
	*way = (struct tunnel_way){
		.tunnel = tunnel, .from = side->stream, .to = to, .early = side->early, .pace = side->pace};
	timer_init(&way->turn, way_turn);
	way->fiber = fiber_spawn("tunnel", way_run, way);
	way->ended = !way->fiber;
}

void tunnel_start(struct tunnel *tunnel, struct tunnel_side a, struct tunnel_side b, int64_t idle_ns,
		  void (*done)(struct tunnel *tunnel))
{
	*tunnel = (struct tunnel){.idle_ns = idle_ns, .moved_ns = loop_now(), .done = done};
	timer_init(&tunnel->idle, tunnel_idle);
	timer_start(&tunnel->idle, loop_now() + idle_ns);
	way_init(&tunnel->ways[0], tunnel, &a, b.stream);
	way_init(&tunnel->ways[1], tunnel, &b, a.stream);
	if (tunnel->ways[0].ended || tunnel->ways[1].ended)
		tunnel_abort(tunnel);
}
