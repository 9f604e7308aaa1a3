#include "control/sockets.h"

#include "base/check.h"
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

const struct listening *sockets_find(const struct sockets *sockets, const struct address *configured)
{
	for (size_t i = 0; sockets && i < sockets->count; i++) {
		if (address_equal(&sockets->items[i].configured, configured))
			return &sockets->items[i];
	}
	return NULL;
}

static void listening_close(struct listening *listening)
{
	for (unsigned i = 0; i < listening->count; i++)
		close(listening->descriptors[i]);
	free(listening->descriptors);
	*listening = (struct listening){0};
}

static int bound_address(int descriptor, struct address *ret_address)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	if (getsockname(descriptor, (struct sockaddr *)&name, &length) < 0)
		return -errno;
	address_from_sockaddr((struct sockaddr *)&name, length, ret_address);
	return 0;
}

// Sockets that share a port let any process of the same user join in; only one that does
// not share finds out whether the port is free. It also settles port 0.
static int probe(const struct listening *listening, struct address *ret_bound)
{
	int descriptor = listener_bind(&listening->configured, BACKLOG, false);
	if (descriptor < 0)
		return descriptor;
	int error = bound_address(descriptor, ret_bound);
	close(descriptor);
	return error;
}

// A UNIX socket cannot be bound twice: all threads share one. The master has one thread, whose mask of
// modes it is.
static int open_local(struct listening *listening, bool for_owner)
{
	mode_t before = umask(0);
	(void)umask(for_owner ? 0177 : before);
	int descriptor = listener_bind(&listening->configured, BACKLOG, false);
	(void)umask(before);
	if (descriptor < 0)
		return descriptor;
	listening->descriptors[listening->count++] = descriptor;
	return 0;
}

static int listening_open(struct listening *listening, const struct plan_listen *listen, unsigned threads)
{
	const struct address *address = &listen->address;
	check(threads > 0 && address->length > 0);
	*listening = (struct listening){.configured = *address, .bound = *address};
	listening->descriptors = calloc(threads, sizeof *listening->descriptors);
	if (!listening->descriptors)
		return -ENOMEM;
	bool local = address->any.sa_family == AF_UNIX;
	int error = local ? open_local(listening, listen->for_owner) : probe(listening, &listening->bound);
	while (error == 0 && listening->count < threads) {
		int descriptor = local ? fcntl(listening->descriptors[0], F_DUPFD_CLOEXEC, 0)
				       : listener_bind(&listening->bound, BACKLOG, true);
		if (descriptor < 0)
			error = local ? -errno : descriptor;
		else
			listening->descriptors[listening->count++] = descriptor;
	}
	if (error < 0)
		listening_close(listening);
	return error;
}

int sockets_open(const struct plan *plan, const struct sockets *held, unsigned threads, struct sockets *ret_opened,
		 const struct plan_listen **ret_failed)
{
	struct sockets opened = {.items = calloc(plan->listen_count + 1, sizeof *opened.items)};
	*ret_failed = NULL;
	if (!opened.items)
		return -ENOMEM;
	for (size_t i = 0; i < plan->listen_count; i++) {
		const struct plan_listen *listen = &plan->listens[i];
		if (sockets_find(held, &listen->address))
			continue;
		int error = listening_open(&opened.items[opened.count], listen, threads);
		if (error < 0) {
			sockets_close(&opened);
			*ret_failed = listen;
			return error;
		}
		opened.count++;
	}
	*ret_opened = opened;
	return 0;
}

int sockets_merge(struct sockets *sockets, struct sockets *more)
{
	struct listening *items =
		reallocarray(sockets->items, sockets->count + more->count + 1, sizeof *sockets->items);
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < more->count; i++)
		items[sockets->count + i] = more->items[i];
	sockets->items = items;
	sockets->count += more->count;
	free(more->items);
	*more = (struct sockets){0};
	return 0;
}

static bool plan_has(const struct plan *plan, const struct address *address)
{
	for (size_t i = 0; i < plan->listen_count; i++) {
		if (address_equal(&plan->listens[i].address, address))
			return true;
	}
	return false;
}

static void listening_unlink(const struct listening *listening)
{
	if (listening->configured.any.sa_family == AF_UNIX)
		(void)unlink(listening->configured.local.sun_path);
}

void sockets_keep(struct sockets *sockets, const struct plan *plan)
{
	check(plan->listen_count > 0);
	size_t kept = 0;
	for (size_t i = 0; i < sockets->count; i++) {
		if (plan_has(plan, &sockets->items[i].configured)) {
			sockets->items[kept++] = sockets->items[i];
			continue;
		}
		listening_unlink(&sockets->items[i]);
		listening_close(&sockets->items[i]);
	}
	sockets->count = kept;
}

void sockets_close(struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		listening_close(&sockets->items[i]);
	free(sockets->items);
	*sockets = (struct sockets){0};
}

void sockets_unlink(const struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		listening_unlink(&sockets->items[i]);
}
