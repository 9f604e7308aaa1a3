#include "net/resolver_socket.h"

#include "fiber/fiber.h"
#include "fiber/io.h"
#include "fiber/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct resolver_socket {
	struct list_link link;
	struct resolver_sockets *sockets; // NULL once it is closed
	struct io io;
	bool wants_write;     // c-ares has bytes that the socket did not take (TCP only)
	struct fiber *writer; // waits for that
	struct deferred end;
};

static const int64_t WRITE_TIMEOUT_NS = 30 * SECOND_NS;

static struct resolver_socket *socket_find(struct resolver_sockets *sockets, int descriptor)
{
	for (struct list_link *link = sockets->open.next; link != &sockets->open; link = link->next) {
		struct resolver_socket *found = LIST_ENTRY(link, struct resolver_socket, link);
		if (found->io.descriptor == descriptor)
			return found;
	}
	return NULL;
}

static void socket_readable(struct io *io)
{
	struct resolver_socket *socket = LIST_ENTRY(io, struct resolver_socket, io);
	socket->sockets->ready(socket->sockets, io->descriptor, ARES_SOCKET_BAD);
	if (socket->sockets)
		io_park(io, socket_readable);
}

static void socket_free(struct deferred *deferred)
{
	free(LIST_ENTRY(deferred, struct resolver_socket, end));
}

// Waits until the socket can be written: the end of a connect, or room.
static void socket_write(void *argument)
{
	struct resolver_socket *socket = argument;
	while (socket->sockets && socket->wants_write) {
		int failed = io_wait_writable(&socket->io, "dns over tcp", loop_now() + WRITE_TIMEOUT_NS);
		if (failed)
			break; // c-ares has a timeout of its own
		if (socket->sockets)
			socket->sockets->ready(socket->sockets, ARES_SOCKET_BAD, socket->io.descriptor);
	}
	socket->writer = NULL;
	if (socket->sockets == NULL)
		loop_defer(&socket->end, socket_free);
}

static void socket_state_changed(void *argument, ares_socket_t descriptor, int readable, int writable)
{
	struct resolver_socket *socket = socket_find(argument, descriptor);
	if (socket == NULL)
		return;
	socket->wants_write = writable;
	// Without a fiber to be had, the query times out.
	if (writable && socket->writer == NULL)
		socket->writer = fiber_spawn("resolver", socket_write, socket);
}

static ares_socket_t socket_open(int family, int type, int protocol, void *argument)
{
	struct resolver_sockets *sockets = argument;
	struct resolver_socket *opened = calloc(1, sizeof(*opened));
	if (opened == NULL) {
		errno = ENOMEM;
		return ARES_SOCKET_BAD;
	}
	int descriptor = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int failed = descriptor < 0 ? -errno : io_open(&opened->io, descriptor);
	if (failed) {
		free(opened);
		errno = -failed;
		return ARES_SOCKET_BAD;
	}
	opened->sockets = sockets;
	list_push_back(&sockets->open, &opened->link);
	io_park(&opened->io, socket_readable);
	return descriptor;
}

static int socket_close(ares_socket_t descriptor, void *argument)
{
	struct resolver_socket *socket = socket_find(argument, descriptor);
	if (socket == NULL)
		return 0;
	list_remove(&socket->link);
	socket->sockets = NULL;
	io_close(&socket->io);
	if (socket->writer == NULL)
		loop_defer(&socket->end, socket_free);
	return 0;
}

static int socket_connect(ares_socket_t descriptor, const struct sockaddr *address, ares_socklen_t length,
			  void *argument)
{
	return connect(descriptor, address, length);
}

static ares_ssize_t socket_receive(ares_socket_t descriptor, void *to, size_t size, int flags, struct sockaddr *from,
				   ares_socklen_t *from_length, void *argument)
{
	ares_ssize_t received = recvfrom(descriptor, to, size, flags, from, from_length);
	struct resolver_socket *socket = received < 0 && errno == EAGAIN ? socket_find(argument, descriptor) : NULL;
	if (socket) {
		io_used_up_reading(&socket->io);
		errno = EAGAIN;
	}
	return received;
}

static ares_ssize_t socket_send(ares_socket_t descriptor, const struct iovec *parts, int count, void *argument)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
	ares_ssize_t sent = sendmsg(descriptor, &message, MSG_NOSIGNAL);
	struct resolver_socket *socket = sent < 0 && errno == EAGAIN ? socket_find(argument, descriptor) : NULL;
	if (socket) {
		io_used_up_writing(&socket->io);
		errno = EAGAIN;
	}
	return sent;
}

static const struct ares_socket_functions socket_functions = {
	.asocket = socket_open,
	.aclose = socket_close,
	.aconnect = socket_connect,
	.arecvfrom = socket_receive,
	.asendv = socket_send,
};

void resolver_sockets_init(struct resolver_sockets *sockets, resolver_sockets_ready *ready,
			   struct ares_options *options)
{
	list_init(&sockets->open);
	sockets->ready = ready;
	options->sock_state_cb = socket_state_changed;
	options->sock_state_cb_data = sockets;
}

void resolver_sockets_use(struct resolver_sockets *sockets, ares_channel channel)
{
	ares_set_socket_functions(channel, &socket_functions, sockets);
}
