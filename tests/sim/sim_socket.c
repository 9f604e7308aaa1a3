// Connections of the simulated kernel, after what Linux does (net/ipv4/tcp.c).
#include "base/check.h"
#include "fiber/loop.h"
#include "sim_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MORE_DELAY_NS = 200 * MILLISECOND_NS; // of data written with MSG_MORE
static const int64_t GIVE_UP_NS = 127 * SECOND_NS;	   // after six retries of a connect

// --- What is true of a socket.

static size_t unread(const struct sim_socket *socket)
{
	return (size_t)(socket->in.arrived - socket->in.read);
}

static size_t room_to_write(const struct sim_socket *socket)
{
	const struct sim_pipe *out = &socket->peer->in;
	return out->capacity - (size_t)(out->written - out->read);
}

// Linux tells of room only when there is a third of the buffer.
static bool has_much_room(const struct sim_socket *socket)
{
	size_t third = socket->peer->in.capacity / 3;
	return room_to_write(socket) >= (third > 0 ? third : 1);
}

unsigned sim_ready(struct sim_socket *socket)
{
	if (socket->listener != NULL)
		return socket->listener->backlog_count > 0 ? KERNEL_READABLE : 0;
	if (socket->connecting)
		return 0;
	unsigned ready = 0;
	if (socket->reset || socket->error != 0)
		ready |= KERNEL_HANGUP | KERNEL_END | KERNEL_READABLE | KERNEL_WRITABLE;
	if (socket->fin_received || socket->read_shut)
		ready |= KERNEL_END | KERNEL_READABLE;
	if ((socket->fin_received || socket->read_shut) && socket->write_shut)
		ready |= KERNEL_HANGUP;
	if (unread(socket) > 0)
		ready |= KERNEL_READABLE;
	if (socket->write_shut || has_much_room(socket))
		ready |= KERNEL_WRITABLE;
	else
		socket->wants_room = true;
	return ready;
}

static int take_error(struct sim_socket *socket)
{
	int error = socket->error;
	socket->error = 0;
	return error;
}

// --- Reading.

static void tell_of_room(struct sim_socket *writer)
{
	if (!writer->wants_room || writer->room_is_on_its_way || writer->is_dead || !has_much_room(writer))
		return;
	writer->room_is_on_its_way = true;
	sim_later(writer->sim, writer->sim->now_ns + sim_delay(writer->sim), SIM_ROOM, writer, 0);
}

static size_t copy_out(struct sim_pipe *pipe, char *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = pipe->bytes[(pipe->read + i) % pipe->capacity];
	pipe->read += size;
	return size;
}

ssize_t sim_read(struct kernel *kernel, int descriptor, void *to, size_t size)
{
	struct sim *sim = sim_of(kernel);
	struct sim_socket *socket = sim_socket_of(kernel, descriptor);
	sim->counts.reads++;
	check(socket->listener == NULL && size > 0);
	if (sim_chance(sim, sim->options.interrupted))
		return -EINTR;
	if (socket->connecting)
		return -EAGAIN;
	size_t there = unread(socket);
	if (there > 0) {
		size_t count = there < size ? there : size;
		if (count > 1 && sim_chance(sim, sim->options.short_read)) {
			// As if the rest had arrived only now: with an edge of its own.
			count = 1 + random_below(&sim->random, count - 1);
			sim->counts.short_reads++;
			sim_edge(socket);
		}
		copy_out(&socket->in, to, count);
		tell_of_room(socket->peer);
		return (ssize_t)count;
	}
	// The order is Linux's: after an end, a reset is no failure; and a failure that
	// somebody else has been told already looks like an end.
	if (socket->fin_received || socket->read_shut)
		return 0;
	if (socket->error != 0)
		return -take_error(socket);
	return socket->reset ? 0 : -EAGAIN;
}

// --- Writing.

static void copy_in(struct sim_pipe *pipe, const struct iovec *parts, size_t size)
{
	for (size_t left = size; left > 0; parts++) {
		const char *from = parts->iov_base;
		for (size_t i = 0; i < parts->iov_len && left > 0; i++, left--)
			pipe->bytes[pipe->written++ % pipe->capacity] = from[i];
	}
}

// What was written arrives in pieces, each at its time, in order.
static void send_pieces(struct sim *sim, struct sim_socket *receiver, uint64_t from, bool more)
{
	struct sim_pipe *pipe = &receiver->in;
	while (from < pipe->written) {
		uint64_t left = pipe->written - from;
		uint64_t size = random_below(&sim->random, 3) == 0 ? 1 + random_below(&sim->random, left) : left;
		int64_t when = sim->now_ns + sim_delay(sim);
		if (when < pipe->last_arrival_ns)
			when = pipe->last_arrival_ns;
		from += size;
		if (more) {
			// Held back until more is written, for a while.
			sim_later(sim, when + MORE_DELAY_NS, SIM_ARRIVAL, receiver, from);
		} else {
			pipe->last_arrival_ns = when;
			sim_later(sim, when, SIM_ARRIVAL, receiver, from);
		}
	}
}

static void lose_connection(struct sim_socket *socket)
{
	struct sim *sim = socket->sim;
	sim->counts.resets++;
	sim_later(sim, sim->now_ns + sim_delay(sim), SIM_RESET, socket, 0);
	sim_later(sim, sim->now_ns + sim_delay(sim), SIM_RESET, socket->peer, 0);
}

ssize_t sim_write(struct kernel *kernel, int descriptor, const struct iovec *parts, int count, int flags)
{
	struct sim *sim = sim_of(kernel);
	struct sim_socket *socket = sim_socket_of(kernel, descriptor);
	sim->counts.writes++;
	check(socket->listener == NULL);
	if (sim_chance(sim, sim->options.interrupted))
		return -EINTR;
	if (socket->connecting)
		return -EAGAIN;
	if (socket->error != 0)
		return -take_error(socket);
	if (socket->reset || socket->write_shut)
		return -EPIPE;

	size_t wanted = 0;
	for (int i = 0; i < count; i++)
		wanted += parts[i].iov_len;
	size_t size = room_to_write(socket);
	if (size >= wanted) {
		size = wanted;
		if (size > 1 && sim_chance(sim, sim->options.short_write)) {
			size = 1 + random_below(&sim->random, size - 1);
			sim->counts.short_writes++;
		}
	}
	struct sim_pipe *out = &socket->peer->in;
	uint64_t from = out->written;
	copy_in(out, parts, size);
	send_pieces(sim, socket->peer, from, (flags & MSG_MORE) != 0);
	if (size < wanted) {
		socket->wants_room = true;
		tell_of_room(socket);
	}
	if (sim_chance(sim, sim->options.reset))
		lose_connection(socket);
	return size > 0 || wanted == 0 ? (ssize_t)size : -EAGAIN;
}

// --- Connecting.

static void make_pipe(struct sim *sim, struct sim_pipe *pipe)
{
	pipe->capacity = 1 + random_below(&sim->random, sim->options.buffer_size);
	pipe->bytes = sim_alloc(pipe->capacity);
}

static void set_client_address(struct sim *sim, struct sim_socket *client, int family)
{
	uint16_t port = htons(sim->next_port++);
	if (family == AF_INET6) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&client->address;
		*v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
		v6->sin6_addr = in6addr_loopback;
		client->address_length = sizeof *v6;
	} else if (family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)&client->address;
		*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		client->address_length = sizeof *v4;
	} else {
		client->address.ss_family = (sa_family_t)family;
		client->address_length = sizeof(sa_family_t);
	}
}

int sim_connect(struct kernel *kernel, const struct sockaddr *address, socklen_t length)
{
	struct sim *sim = sim_of(kernel);
	check(length <= sizeof(struct sockaddr_storage));
	if (sim_chance(sim, sim->options.no_descriptors))
		return -EMFILE;
	struct sim_listener *listener = sim_listener_find(sim, address, length);
	bool refused = listener == NULL || sim_chance(sim, sim->options.refuse);
	if (refused && random_below(&sim->random, 4) == 0) {
		sim->counts.refusals++;
		return -ECONNREFUSED; // at once, as on the loopback interface
	}
	struct sim_socket *client = sim_socket_new(sim), *server = sim_socket_new(sim);
	client->peer = server;
	server->peer = client;
	client->connecting = server->connecting = true;
	make_pipe(sim, &client->in);
	make_pipe(sim, &server->in);
	memcpy(&client->address, address, length); // where it goes to; the server's end has the client's own
	client->address_length = length;
	set_client_address(sim, server, address->sa_family);
	int64_t when = sim->now_ns + sim_delay(sim);
	if (refused)
		sim_later(sim, when, SIM_REFUSAL, client, ECONNREFUSED);
	else if (sim_chance(sim, sim->options.blackhole))
		sim_later(sim, sim->now_ns + GIVE_UP_NS, SIM_REFUSAL, client, ETIMEDOUT);
	else
		sim_later(sim, when, SIM_CONNECT, client, 0);
	return sim_descriptor_give(sim, client);
}

int sim_connect_result(struct kernel *kernel, int descriptor)
{
	return -take_error(sim_socket_of(kernel, descriptor));
}

static void wake_listener(struct sim_listener *listener)
{
	for (struct list_link *link = listener->sockets.next; link != &listener->sockets; link = link->next)
		sim_edge(LIST_ENTRY(link, struct sim_socket, sharing));
}

static void refuse(struct sim_socket *client, int error)
{
	if (client->is_dead)
		return;
	client->sim->counts.refusals++;
	client->connecting = false;
	client->reset = true;
	client->error = error;
	sim_edge(client);
}

static void finish_connect(struct sim_socket *client)
{
	if (client->is_dead)
		return;
	struct sim *sim = client->sim;
	struct sim_listener *listener =
		sim_listener_find(sim, (struct sockaddr *)&client->address, client->address_length);
	if (listener == NULL) {
		refuse(client, ECONNREFUSED);
		return;
	}
	if (listener->backlog_count == listener->backlog_limit) {
		// Not answered; the client asks again after a second.
		sim_later(sim, sim->now_ns + SECOND_NS, SIM_CONNECT, client, 0);
		return;
	}
	sim->counts.connections++;
	client->connecting = client->peer->connecting = false;
	client->connected = client->peer->connected = true;
	listener->backlog[listener->backlog_count++] = client->peer;
	sim_edge(client);
	wake_listener(listener);
}

int sim_accept(struct kernel *kernel, int descriptor, struct sockaddr_storage *ret_peer, socklen_t *ret_length)
{
	struct sim *sim = sim_of(kernel);
	struct sim_socket *socket = sim_socket_of(kernel, descriptor);
	struct sim_listener *listener = socket->listener;
	check(listener != NULL);
	if (sim_chance(sim, sim->options.interrupted))
		return -EINTR;
	if (listener->backlog_count == 0)
		return -EAGAIN;
	if (sim_chance(sim, sim->options.no_descriptors))
		return -EMFILE;
	struct sim_socket *accepted = listener->backlog[0];
	listener->backlog_count--;
	memmove(listener->backlog, listener->backlog + 1, listener->backlog_count * sizeof(struct sim_socket *));
	if (sim_chance(sim, sim->options.aborted)) {
		accepted->is_dead = true;
		sim_later(sim, sim->now_ns + sim_delay(sim), SIM_RESET, accepted->peer, 0);
		return -ECONNABORTED;
	}
	*ret_peer = accepted->address;
	*ret_length = accepted->address_length;
	return sim_descriptor_give(sim, accepted);
}

// --- Ending.

static void send_fin(struct sim_socket *socket)
{
	struct sim *sim = socket->sim;
	struct sim_pipe *out = &socket->peer->in;
	if (out->fin_sent || socket->reset)
		return;
	out->fin_sent = true;
	int64_t when = sim->now_ns + sim_delay(sim);
	if (when < out->last_arrival_ns)
		when = out->last_arrival_ns;
	out->last_arrival_ns = when;
	sim_later(sim, when, SIM_FIN, socket->peer, 0);
}

// The other end hears of it; what had not arrived there is lost.
static void send_reset(struct sim_socket *socket)
{
	struct sim *sim = socket->sim;
	struct sim_pipe *out = &socket->peer->in;
	out->written = out->arrived;
	out->fin_sent = false;
	sim->counts.resets++;
	sim_later(sim, sim->now_ns + sim_delay(sim), SIM_RESET, socket->peer, 0);
}

int sim_shutdown(struct kernel *kernel, int descriptor, int how)
{
	struct sim_socket *socket = sim_socket_of(kernel, descriptor);
	check(socket->listener == NULL);
	if (!socket->connected || socket->reset)
		return -ENOTCONN;
	if (how == SHUT_RD || how == SHUT_RDWR)
		socket->read_shut = true;
	if (how == SHUT_WR || how == SHUT_RDWR) {
		socket->write_shut = true;
		send_fin(socket);
	}
	sim_edge(socket);
	return 0;
}

int sim_reset_on_close(struct kernel *kernel, int descriptor)
{
	sim_socket_of(kernel, descriptor)->reset_on_close = true;
	return 0;
}

static void close_listener(struct sim_socket *socket)
{
	struct sim_listener *listener = socket->listener;
	list_remove(&socket->sharing);
	if (!list_is_empty(&listener->sockets))
		return;
	for (size_t i = 0; i < listener->backlog_count; i++) {
		listener->backlog[i]->is_dead = true;
		send_reset(listener->backlog[i]);
	}
	list_remove(&listener->link);
	free(listener);
}

// When nobody can read or write any more; the sockets themselves stay, as happenings refer to
// them.
static void free_buffers(struct sim_socket *socket)
{
	struct sim_socket *ends[2] = {socket, socket->peer};
	if (!socket->peer->is_dead && !socket->peer->connecting)
		return;
	for (int i = 0; i < 2; i++) {
		free(ends[i]->in.bytes);
		ends[i]->in.bytes = NULL;
	}
}

void sim_close(struct kernel *kernel, int descriptor)
{
	struct sim *sim = sim_of(kernel);
	struct sim_socket *socket = sim_socket_of(kernel, descriptor);
	sim->by_descriptor[descriptor - SIM_FIRST_DESCRIPTOR] = NULL;
	sim->open_count--;
	socket->descriptor = -1;
	socket->io = NULL;
	socket->is_dead = true;
	list_remove(&socket->pending);
	if (socket->listener != NULL) {
		close_listener(socket);
		sim_socket_free(socket);
		return;
	}
	if (socket->connected && !socket->reset) {
		// What was not read makes it a reset (RFC 2525 section 2.17).
		if (socket->reset_on_close || unread(socket) > 0)
			send_reset(socket);
		else
			send_fin(socket);
	}
	free_buffers(socket);
}

// --- Happenings.

static void arrive(struct sim_socket *receiver, uint64_t position)
{
	struct sim_pipe *pipe = &receiver->in;
	if (position > pipe->written)
		position = pipe->written; // the rest was lost in a reset
	if (receiver->reset || position <= pipe->arrived)
		return;
	pipe->arrived = position;
	if (receiver->is_dead || receiver->read_shut) {
		// Nobody can read it any more, and the sender is told so.
		pipe->read = position;
		if (receiver->is_dead)
			send_reset(receiver);
		return;
	}
	sim_edge(receiver);
}

static void end(struct sim_socket *receiver)
{
	if (receiver->reset || !receiver->in.fin_sent)
		return;
	check(receiver->in.arrived <= receiver->in.written);
	arrive(receiver, receiver->in.written);
	receiver->fin_received = true;
	sim_edge(receiver);
}

static void be_reset(struct sim_socket *socket)
{
	if (socket->reset || socket->connecting)
		return;
	socket->reset = true;
	// As Linux: broken pipe for one that has seen the other's end.
	socket->error = socket->fin_received ? EPIPE : ECONNRESET;
	socket->in.written = socket->in.arrived;
	sim_edge(socket);
}

void sim_happen(const struct sim_happening *happening)
{
	struct sim_socket *socket = happening->socket;
	switch (happening->kind) {
	case SIM_ARRIVAL:
		arrive(socket, happening->position);
		break;
	case SIM_FIN:
		end(socket);
		break;
	case SIM_RESET:
		be_reset(socket);
		break;
	case SIM_CONNECT:
		finish_connect(socket);
		break;
	case SIM_REFUSAL:
		refuse(socket, (int)happening->position);
		break;
	case SIM_ROOM:
		socket->room_is_on_its_way = false;
		socket->wants_room = false;
		sim_edge(socket);
		break;
	}
}
