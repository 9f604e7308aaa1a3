// Descriptors and listeners of the simulated kernel.
#include "base/check.h"
#include "sim_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct sim_socket *sim_socket_new(struct sim *sim)
{
	struct sim_socket *socket = sim_alloc(sizeof *socket);
	socket->sim = sim;
	socket->descriptor = -1;
	list_init(&socket->pending);
	list_init(&socket->sharing);
	list_push_back(&sim->sockets, &socket->link);
	return socket;
}

// Ends of connections stay until the simulation's end, as happenings may refer to them.
void sim_socket_free(struct sim_socket *socket)
{
	list_remove(&socket->link);
	free(socket->in.bytes);
	free(socket);
}

int sim_descriptor_give(struct sim *sim, struct sim_socket *socket)
{
	if (sim->descriptor_count == sim->descriptor_capacity) {
		sim->descriptor_capacity = sim->descriptor_capacity * 2 + 64;
		sim->by_descriptor =
			sim_realloc(sim->by_descriptor, sim->descriptor_capacity * sizeof *sim->by_descriptor);
	}
	socket->descriptor = SIM_FIRST_DESCRIPTOR + (int)sim->descriptor_count;
	sim->by_descriptor[sim->descriptor_count++] = socket;
	sim->open_count++;
	return socket->descriptor;
}

struct sim_socket *sim_socket_of(struct kernel *kernel, int descriptor)
{
	struct sim *sim = sim_of(kernel);
	check(descriptor >= SIM_FIRST_DESCRIPTOR);
	size_t index = (size_t)(descriptor - SIM_FIRST_DESCRIPTOR);
	check(index < sim->descriptor_count && sim->by_descriptor[index] != NULL); // used after close
	return sim->by_descriptor[index];
}

int sim_watch(struct kernel *kernel, int descriptor, struct io *io)
{
	struct sim *sim = sim_of(kernel);
	struct sim_socket *socket = sim_socket_of(kernel, descriptor);
	check(socket->io == NULL && io != NULL); // once for its life
	if (sim_chance(sim, sim->options.no_memory))
		return -ENOMEM;
	socket->io = io;
	if (sim_ready(socket) != 0)
		sim_edge(socket);
	return 0;
}

void sim_unwatch(struct kernel *kernel, int descriptor)
{
	sim_socket_of(kernel, descriptor)->io = NULL;
}

// --- Listeners.

static uint16_t *port_of(struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return &((struct sockaddr_in *)address)->sin_port;
	return address->sa_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port : NULL;
}

struct sim_listener *sim_listener_find(struct sim *sim, const struct sockaddr *address, socklen_t length)
{
	for (struct list_link *link = sim->listeners.next; link != &sim->listeners; link = link->next) {
		struct sim_listener *listener = LIST_ENTRY(link, struct sim_listener, link);
		if (listener->address_length == length && memcmp(&listener->address, address, length) == 0)
			return listener;
	}
	return NULL;
}

static struct sim_socket *add_socket(struct sim *sim, struct sim_listener *listener)
{
	struct sim_socket *socket = sim_socket_new(sim);
	socket->listener = listener;
	socket->address = listener->address;
	socket->address_length = listener->address_length;
	list_push_back(&listener->sockets, &socket->sharing);
	return socket;
}

int kernel_sim_listen(struct kernel *kernel, struct sockaddr *address, socklen_t length, int backlog)
{
	struct sim *sim = sim_of(kernel);
	check(length <= sizeof(struct sockaddr_storage) && backlog > 0);
	uint16_t *port = port_of(address);
	while (port != NULL && *port == 0) {
		*port = htons(sim->next_port++);
		if (sim_listener_find(sim, address, length) != NULL)
			*port = 0;
	}
	if (sim_listener_find(sim, address, length) != NULL)
		return -EADDRINUSE;
	struct sim_listener *listener = sim_alloc(sizeof *listener);
	list_init(&listener->sockets);
	memcpy(&listener->address, address, length);
	listener->address_length = length;
	listener->backlog_limit = backlog < SIM_BACKLOG_MAX ? (size_t)backlog : SIM_BACKLOG_MAX;
	list_push_back(&sim->listeners, &listener->link);
	return sim_descriptor_give(sim, add_socket(sim, listener));
}

int sim_duplicate(struct kernel *kernel, int descriptor)
{
	struct sim *sim = sim_of(kernel);
	struct sim_listener *listener = sim_socket_of(kernel, descriptor)->listener;
	check(listener != NULL); // connections are not shared
	if (sim_chance(sim, sim->options.no_descriptors))
		return -EMFILE;
	return sim_descriptor_give(sim, add_socket(sim, listener));
}
