#include "net/proxy_acceptor.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "fiber/io.h"
#include "fiber/loop.h"
#include "net/proxy_header.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct proxy_acceptor {
	proxy_accepted *accepted;
	void *argument;
	struct list_link waiting;
	uint32_t count;
};

struct waiting {
	struct list_link link;
	struct deferred deferred;
	struct proxy_acceptor *acceptor;
	struct fiber *fiber;
	struct io io;
	int tag;
	struct address peer;
	const char *name;
	int64_t deadline_ns;
};

struct proxy_acceptor *proxy_acceptor_new(proxy_accepted *accepted, void *argument)
{
	struct proxy_acceptor *acceptor = malloc(sizeof *acceptor);
	if (!acceptor)
		return NULL;
	*acceptor = (struct proxy_acceptor){accepted, argument, {0}, 0};
	list_init(&acceptor->waiting);
	return acceptor;
}

void proxy_acceptor_free(struct proxy_acceptor *acceptor)
{
	if (!acceptor)
		return;
	check(acceptor->count == 0);
	free(acceptor);
}

uint32_t proxy_acceptor_connections(const struct proxy_acceptor *acceptor)
{
	return acceptor->count;
}

void proxy_acceptor_abort(struct proxy_acceptor *acceptor)
{
	for (struct list_link *link = acceptor->waiting.next; link != &acceptor->waiting; link = link->next)
		fiber_cancel(LIST_ENTRY(link, struct waiting, link)->fiber);
}

// --- One connection

static void free_waiting(struct deferred *deferred)
{
	free(LIST_ENTRY(deferred, struct waiting, deferred));
}

// Exactly so many bytes: 0, or -errno; -EPIPE when it ends before.
static int read_exactly(struct waiting *waiting, char *to, size_t count)
{
	while (count > 0) {
		ssize_t got = io_read(&waiting->io, to, count, "PROXY header", waiting->deadline_ns);
		if (got <= 0)
			return got < 0 ? (int)got : -EPIPE;
		to += got;
		count -= (size_t)got;
	}
	return 0;
}

static const char *fault_of(int error)
{
	return error == -EPIPE ? "it ended before" : error == -ETIMEDOUT ? "it did not come in time" : "it was lost";
}

// Whether the connection goes on, with its client in *ret_client.
static bool read_header(struct waiting *waiting, struct address *ret_client)
{
	char bytes[PROXY_HEADER_MAX], peer[ADDRESS_TEXT_MAX];
	size_t length = 0, needed = PROXY_HEADER_FIRST;
	enum proxy_header_result result = PROXY_HEADER_MORE;
	int error = 0;
	*ret_client = waiting->peer;
	while (result == PROXY_HEADER_MORE && error == 0) {
		error = read_exactly(waiting, bytes + length, needed);
		length += needed;
		if (error == 0)
			result = proxy_header_read(slice_from(bytes, length), &needed, ret_client);
	}
	if (error == 0 && result != PROXY_HEADER_WRONG)
		return true;
	// A balancer that only looks whether somebody is there says nothing.
	if (error != -ECANCELED && !(error == -EPIPE && length == PROXY_HEADER_FIRST))
		log_warning("%s: %.*s sent no PROXY header: %s", waiting->name,
			    SLICE_ARGUMENTS(address_format(&waiting->peer, peer)),
			    error ? fault_of(error) : "what came is none");
	return false;
}

static void run(void *argument)
{
	struct waiting *waiting = argument;
	struct proxy_acceptor *acceptor = waiting->acceptor;
	struct address client;
	bool goes_on = read_header(waiting, &client);
	int descriptor = goes_on ? io_release(&waiting->io) : -1;
	if (!goes_on)
		io_close(&waiting->io);
	list_remove(&waiting->link);
	acceptor->count--;
	if (descriptor >= 0)
		acceptor->accepted(acceptor->argument, waiting->tag, descriptor, &client, waiting->name);
	loop_defer(&waiting->deferred, free_waiting);
}

void proxy_acceptor_accept(struct proxy_acceptor *acceptor, int tag, int descriptor, const struct address *peer,
			   const char *name, int64_t timeout_ns)
{
	struct waiting *waiting = calloc(1, sizeof *waiting);
	if (!waiting) {
		close(descriptor);
		return;
	}
	waiting->acceptor = acceptor;
	waiting->tag = tag;
	waiting->peer = *peer;
	waiting->name = name;
	waiting->deadline_ns = timeout_ns > 0 ? loop_now() + timeout_ns : FIBER_NEVER;
	if (io_open(&waiting->io, descriptor) < 0) {
		loop_defer(&waiting->deferred, free_waiting);
		return;
	}
	waiting->fiber = fiber_spawn("PROXY header", run, waiting);
	if (!waiting->fiber) {
		io_close(&waiting->io);
		loop_defer(&waiting->deferred, free_waiting);
		return;
	}
	list_push_back(&acceptor->waiting, &waiting->link);
	acceptor->count++;
}
