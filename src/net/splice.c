// Bytes from one plain stream to another through a pipe: the kernel hands pages over, and
// usher never touches them.
#include "base/check.h"
#include "fiber/kernel.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 256 * 1024,
	PIPES_KEPT = 32,		  // for each thread
	BYTES_PER_TURN = 2 * 1024 * 1024, // then others have their turn, however fast both ends are
};

struct pipe_pair {
	int read_end, write_end;
	size_t held; // bytes in it
};

// Pipes kept are empty, always: what one transfer left in a pipe would go out in another.
struct pipe_list {
	struct pipe_pair pipes[PIPES_KEPT];
	unsigned count;
};

static _Thread_local struct pipe_list kept;

static int pipe_take(struct pipe_pair *ret_pipe)
{
	if (kept.count > 0) {
		*ret_pipe = kept.pipes[--kept.count];
		return 0;
	}
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	// May fail beyond the user's share of pipe memory (pipe-user-pages-soft): then the
	// pipe has the size that it has, and moves less at a time.
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
	*ret_pipe = (struct pipe_pair){.read_end = ends[0], .write_end = ends[1]};
	return 0;
}

static void pipe_close(const struct pipe_pair *pipe)
{
	close(pipe->read_end);
	close(pipe->write_end);
}

static void pipe_give(const struct pipe_pair *pipe)
{
	if (pipe->held == 0 && kept.count < PIPES_KEPT)
		kept.pipes[kept.count++] = *pipe;
	else
		pipe_close(pipe);
}

void stream_trim_pipes(void)
{
	while (kept.count > 0)
		pipe_close(&kept.pipes[--kept.count]);
}

bool stream_can_splice(struct stream *from, struct stream *to)
{
	return loop_kernel()->splice && stream_plain_io(from) && stream_plain_io(to);
}

// Takes what there is from `io` into the empty pipe, waiting for it: how many bytes, 0 at
// the end, or -errno.
static ssize_t fill(struct pipe_pair *pipe, struct io *io, size_t size, int64_t idle_ns)
{
	struct kernel *kernel = loop_kernel();
	for (;;) {
		int failed = io_wait_readable(io, "splice from", stream_deadline(idle_ns));
		if (failed)
			return failed;
		ssize_t moved = kernel->splice(kernel, io->descriptor, pipe->write_end, size,
					       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (moved >= 0) {
			pipe->held = (size_t)moved;
			return moved;
		}
		if (moved == -EAGAIN)
			io_used_up_reading(io);
		else if (moved != -EINTR)
			return moved;
	}
}

// Sends all that the pipe holds: 0 or -errno.
static int drain(struct pipe_pair *pipe, struct stream *to, struct io *io, int64_t idle_ns)
{
	struct kernel *kernel = loop_kernel();
	while (pipe->held > 0) {
		int failed = io_wait_writable(io, "splice to", stream_deadline(idle_ns));
		if (failed)
			return failed;
		ssize_t moved = kernel->splice(kernel, pipe->read_end, io->descriptor, pipe->held,
					       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (moved > 0) {
			check((size_t)moved <= pipe->held);
			pipe->held -= (size_t)moved;
			to->bytes_written += (uint64_t)moved;
		} else if (moved == -EAGAIN) {
			io_used_up_writing(io);
		} else if (moved != -EINTR) {
			return moved < 0 ? (int)moved : -EIO;
		}
	}
	return 0;
}

int stream_splice(struct stream *from, struct stream *to, uint64_t size, int64_t idle_ns, uint64_t *ret_moved,
		  bool *ret_read_failed)
{
	struct io *source = stream_plain_io(from), *sink = stream_plain_io(to);
	check(source && sink);
	bool to_the_end = size == UINT64_MAX;
	*ret_moved = 0;
	*ret_read_failed = false;
	struct pipe_pair pipe;
	int failed = pipe_take(&pipe);
	if (failed)
		return failed;
	uint64_t turn_end = BYTES_PER_TURN;
	while (!failed && *ret_moved < size) {
		uint64_t left = size - *ret_moved;
		ssize_t filled = fill(&pipe, source, left < PIPE_SIZE ? (size_t)left : PIPE_SIZE, idle_ns);
		if (filled == 0 && to_the_end)
			break;
		if (filled <= 0) {
			*ret_read_failed = true;
			failed = filled == 0 ? -EPIPE : (int)filled;
			break;
		}
		from->bytes_read += (uint64_t)filled;
		failed = drain(&pipe, to, sink, idle_ns);
		*ret_moved += (uint64_t)filled - pipe.held;
		if (!failed && *ret_moved >= turn_end) {
			turn_end = *ret_moved + BYTES_PER_TURN;
			fiber_yield();
			failed = fiber_is_cancelled(fiber_current()) ? -ECANCELED : 0;
		}
	}
	pipe_give(&pipe);
	return failed;
}
