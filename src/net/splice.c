// Bytes from one plain stream to another through a pipe: the kernel hands pages over, and
// usher never touches them.
//
// Where no pipe can be had, they are copied instead.
#include "base/block.h"
#include "base/check.h"
#include "fiber/kernel.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

// CPU of the forwarding thread for a GB over loopback, Linux 6.18, medians, in ms, by how much
// a pipe holds: for 100 MiB 410 with 64 KiB, 370 with 256 KiB, 360 with 512 KiB, 300 with 1 MiB;
// for 1 MiB no difference. So a pipe grows only for what is long.
enum {
	PIPE_SIZE_LEAST = 64 * 1024, // what a pipe has, as long as the user does not have too many
	PIPE_SIZE = 256 * 1024,
	PIPE_SIZE_LONG = 1024 * 1024,
	LONG_TRANSFER = 8 * 1024 * 1024,
	PIPES_KEPT = 32,		  // for each thread
	BYTES_PER_TURN = 2 * 1024 * 1024, // then others have their turn, however fast both ends are
};

struct pipe_pair {
	int read_end, write_end;
	size_t size;
	size_t held;   // bytes in it
	bool is_grown; // or was refused to grow
};

// Pipes kept are empty, always: what one transfer left in a pipe would go out in another.
struct pipe_list {
	struct pipe_pair pipes[PIPES_KEPT];
	unsigned count;
};

static _Thread_local struct pipe_list kept;

static void pipe_close(const struct pipe_pair *pipe)
{
	close(pipe->read_end);
	close(pipe->write_end);
}

// Beyond the user's share of pipe memory (pipe-user-pages-soft, pipe(7)) a pipe does not get
// larger; then it moves less at a time.
static void pipe_resize(struct pipe_pair *pipe, int size)
{
	int got = fcntl(pipe->write_end, F_SETPIPE_SZ, size);
	if (got < 0)
		got = fcntl(pipe->write_end, F_GETPIPE_SZ);
	if (got > 0)
		pipe->size = (size_t)got;
}

// False when none can be had, or only one so small that copying is cheaper.
static bool pipe_take(struct pipe_pair *ret_pipe)
{
	if (kept.count > 0) {
		*ret_pipe = kept.pipes[--kept.count];
		return true;
	}
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	*ret_pipe = (struct pipe_pair){.read_end = ends[0], .write_end = ends[1]};
	pipe_resize(ret_pipe, PIPE_SIZE);
	if (ret_pipe->size >= PIPE_SIZE_LEAST)
		return true;
	pipe_close(ret_pipe);
	return false;
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

// What a transfer moves bytes by.
struct mover {
	struct pipe_pair pipe;
	char *block; // NULL: by the pipe
};

// One step: at most `size` bytes from one stream to the other. How many it took, 0 at the
// end, or -errno; *ret_failed tells when they could not be sent.
static ssize_t move_by_pipe(struct mover *mover, struct stream *from, struct stream *to, uint64_t size, int64_t idle_ns,
			    int *ret_failed)
{
	struct pipe_pair *pipe = &mover->pipe;
	ssize_t taken = fill(pipe, stream_plain_io(from), size < pipe->size ? (size_t)size : pipe->size, idle_ns);
	if (taken > 0) {
		from->bytes_read += (uint64_t)taken;
		*ret_failed = drain(pipe, to, stream_plain_io(to), idle_ns);
	}
	return taken;
}

static void grow_for_long(struct mover *mover, uint64_t length)
{
	if (mover->block || mover->pipe.is_grown || length < LONG_TRANSFER)
		return;
	pipe_resize(&mover->pipe, PIPE_SIZE_LONG);
	mover->pipe.is_grown = true;
}

static ssize_t move_by_block(struct mover *mover, struct stream *from, struct stream *to, uint64_t size,
			     int64_t idle_ns, int *ret_failed)
{
	size_t room = size < BLOCK_SIZE ? (size_t)size : BLOCK_SIZE;
	ssize_t taken = stream_read(from, mover->block, room, "copy from", stream_deadline(idle_ns));
	if (taken > 0) {
		struct iovec part = {mover->block, (size_t)taken};
		*ret_failed = stream_write_all(to, &part, 1, false, "copy to", idle_ns);
	}
	return taken;
}

static int transfer(struct mover *mover, struct stream *from, struct stream *to, uint64_t size, int64_t idle_ns,
		    bool *ret_read_failed)
{
	uint64_t taken = 0, turn_end = BYTES_PER_TURN;
	while (taken < size) {
		int failed = 0;
		grow_for_long(mover, size == UINT64_MAX ? taken : size);
		ssize_t step = mover->block ? move_by_block(mover, from, to, size - taken, idle_ns, &failed)
					    : move_by_pipe(mover, from, to, size - taken, idle_ns, &failed);
		if (step == 0 && size == UINT64_MAX)
			return 0;
		if (step <= 0) {
			*ret_read_failed = true;
			return step == 0 ? -EPIPE : (int)step;
		}
		if (failed)
			return failed;
		taken += (uint64_t)step;
		if (taken >= turn_end) {
			turn_end = taken + BYTES_PER_TURN;
			fiber_yield();
			if (fiber_is_cancelled(fiber_current()))
				return -ECANCELED;
		}
	}
	return 0;
}

int stream_splice(struct stream *from, struct stream *to, uint64_t size, int64_t idle_ns, uint64_t *ret_moved,
		  bool *ret_read_failed)
{
	check(stream_can_splice(from, to));
	*ret_moved = 0;
	*ret_read_failed = false;
	struct mover mover = {.block = NULL};
	bool piped = pipe_take(&mover.pipe);
	if (!piped) {
		mover.block = block_take();
		if (mover.block == NULL)
			return -ENOMEM;
	}
	uint64_t before = to->bytes_written;
	int failed = transfer(&mover, from, to, size, idle_ns, ret_read_failed);
	*ret_moved = to->bytes_written - before;
	if (piped)
		pipe_give(&mover.pipe);
	block_give(mover.block);
	return failed;
}
