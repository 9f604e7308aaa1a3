#include "fake_kernel.h"

#include "base/check.h"

#include <errno.h>

static struct fake_kernel *fake_of(struct kernel *kernel)
{
	return (struct fake_kernel *)kernel;
}

static int64_t fake_now(struct kernel *kernel)
{
	return fake_of(kernel)->now_ns;
}

static int64_t fake_wall_clock(struct kernel *kernel)
{
	return 1000 * SECOND_NS + fake_of(kernel)->now_ns;
}

static int fake_wait(struct kernel *kernel, struct kernel_event *events, int capacity, int64_t timeout_ns)
{
	struct fake_kernel *fake = fake_of(kernel);
	fake->waits++;
	fake->last_timeout_ns = timeout_ns;
	int count = fake->event_count;
	check(count <= capacity);
	for (int i = 0; i < count; i++)
		events[i] = fake->events[i];
	fake->event_count = 0;
	if (count > 0 || fake->interrupted) {
		fake->interrupted = false;
		return count;
	}
	check(timeout_ns >= 0); // it would never return
	fake->now_ns += timeout_ns;
	return 0;
}

static void fake_interrupt(struct kernel *kernel)
{
	fake_of(kernel)->interrupted = true;
}

static int fake_watch(struct kernel *kernel, int descriptor, struct io *io)
{
	return 0;
}

static void fake_close(struct kernel *kernel, int descriptor)
{
}

static ssize_t fake_read(struct kernel *kernel, int descriptor, void *to, size_t size)
{
	return -EAGAIN;
}

struct loop *fake_loop_new(struct fake_kernel *fake)
{
	*fake = (struct fake_kernel){
		.kernel = {.now = fake_now,
			   .wall_clock = fake_wall_clock,
			   .wait = fake_wait,
			   .interrupt = fake_interrupt,
			   .watch = fake_watch,
			   .read = fake_read,
			   .close = fake_close},
		.now_ns = INT64_C(123456789012345),
	};
	return loop_new(&fake->kernel);
}

void fake_event(struct fake_kernel *fake, struct io *io, unsigned ready)
{
	check(fake->event_count < FAKE_EVENTS_MAX);
	fake->events[fake->event_count++] = (struct kernel_event){io, ready};
}
