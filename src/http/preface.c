#include "http/preface.h"

#include "base/check.h"
#include "base/list.h"
#include "fiber/loop.h"
#include "net/connection_count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char wanted[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum { WANTED_BYTES = sizeof wanted - 1 };

struct prefaces {
	preface_chosen *chosen;
	void *argument;
	struct list_link waiting;
	uint32_t count;
};

struct preface {
	struct prefaces *prefaces;
	struct stream *stream;
	struct list_link link;
	struct timer timer;
	struct address peer;
	const char *listener;
	uint32_t got;
	char bytes[WANTED_BYTES];
};

static void preface_parked(struct stream *stream, void *argument);

static void preface_end(struct preface *preface)
{
	timer_stop(&preface->timer);
	list_remove(&preface->link);
	preface->prefaces->count--;
	free(preface);
}

static void preface_close(struct preface *preface)
{
	connection_count_remove(&preface->peer);
	stream_close(preface->stream);
	preface_end(preface);
}

static void preface_choose(struct preface *preface, bool is_h2)
{
	struct prefaces *prefaces = preface->prefaces;
	prefaces->chosen(prefaces->argument, preface->stream, is_h2, slice_from(preface->bytes, preface->got),
			 &preface->peer, preface->listener);
	preface_end(preface);
}

static void preface_parked(struct stream *stream, void *argument)
{
	struct preface *preface = argument;
	ssize_t got = stream_try_read(stream, preface->bytes + preface->got, WANTED_BYTES - preface->got);
	if (got == 0 || (got < 0 && got != -EAGAIN)) {
		preface_close(preface);
		return;
	}
	preface->got += got > 0 ? (uint32_t)got : 0;
	if (memcmp(preface->bytes, wanted, preface->got) != 0)
		preface_choose(preface, false);
	else if (preface->got == WANTED_BYTES)
		preface_choose(preface, true);
	else
		stream_park(stream, preface_parked, preface);
}

static void preface_timeout(struct timer *timer)
{
	struct preface *preface = LIST_ENTRY((void *)timer, struct preface, timer);
	stream_unpark(preface->stream);
	preface_close(preface);
}

void prefaces_take(struct prefaces *prefaces, struct stream *stream, const struct address *peer, const char *listener,
		   int64_t timeout_ns)
{
	struct preface *preface = malloc(sizeof *preface);
	if (!preface) {
		connection_count_remove(peer);
		stream_close(stream);
		return;
	}
	*preface = (struct preface){.prefaces = prefaces, .stream = stream, .peer = *peer, .listener = listener};
	list_push_back(&prefaces->waiting, &preface->link);
	prefaces->count++;
	timer_init(&preface->timer, preface_timeout);
	timer_start(&preface->timer, stream_deadline(timeout_ns));
	stream_park(stream, preface_parked, preface);
}

struct prefaces *prefaces_new(preface_chosen *chosen, void *argument)
{
	struct prefaces *prefaces = calloc(1, sizeof *prefaces);
	if (!prefaces)
		return NULL;
	prefaces->chosen = chosen;
	prefaces->argument = argument;
	list_init(&prefaces->waiting);
	return prefaces;
}

uint32_t prefaces_count(const struct prefaces *prefaces)
{
	return prefaces->count;
}

void prefaces_abort(struct prefaces *prefaces)
{
	while (!list_is_empty(&prefaces->waiting)) {
		struct preface *preface = LIST_ENTRY(prefaces->waiting.next, struct preface, link);
		stream_unpark(preface->stream);
		preface_close(preface);
	}
}

void prefaces_free(struct prefaces *prefaces)
{
	check(prefaces->count == 0);
	free(prefaces);
}
