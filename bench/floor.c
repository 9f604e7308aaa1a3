// The floor: the least that a forwarder on sockets can do.
//
// usage: floor PORT ORIGIN_PORT. One thread, epoll edge-triggered, callbacks, persistent
// connections on both sides with a shared list of idle ones to the origin. It looks at
// nothing but the end of the headers and, in responses, Content-Length; it takes GET
// without a body and no pipelining. What a real proxy costs more than this is what it
// does more than this.
#include "tcp.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

enum { BUFFER_SIZE = 64 * 1024, EVENTS = 256 };

struct connection {
	int descriptor;
	bool is_server;
	bool readable;		 // an edge said so, and no read has found it empty since
	struct connection *peer; // of the exchange under way
	struct connection *next; // in the list of idle servers
	size_t start, end;	 // of what is read and not yet passed on
	int64_t body_left;	 // of the response: -1 while its head is not complete
	char buffer[];
};

static int poller;
static struct sockaddr_in origin;
static struct connection *idle_servers;

static void server_pump(struct connection *server);
static void client_read(struct connection *client);

static struct connection *connection_new(int descriptor, bool is_server)
{
	struct connection *connection = malloc(sizeof(*connection) + BUFFER_SIZE);
	if (connection == NULL)
		die("malloc");
	*connection = (struct connection){.descriptor = descriptor, .is_server = is_server, .body_left = -1};
	tcp_watch(poller, descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP, connection);
	return connection;
}

static void accept_all(int listener)
{
	for (;;) {
		int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (descriptor < 0)
			return;
		int on = 1;
		setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		connection_new(descriptor, false);
	}
}

static struct connection *server_take(void)
{
	struct connection *server = idle_servers;
	if (server != NULL) {
		idle_servers = server->next;
		return server;
	}
	int descriptor = tcp_connect(&origin);
	fcntl(descriptor, F_SETFL, O_NONBLOCK);
	return connection_new(descriptor, true);
}

static void server_drop_idle(struct connection *server)
{
	for (struct connection **at = &idle_servers; *at != NULL; at = &(*at)->next)
		if (*at == server) {
			*at = server->next;
			return;
		}
}

// Ends both sides of an exchange, or the one that there is. Memory is kept until the
// process ends where an event of the same turn could still name it: closing is rare.
static void connection_end(struct connection *connection)
{
	struct connection *peer = connection->peer;
	if (connection->descriptor < 0)
		return;
	if (connection->is_server && peer == NULL)
		server_drop_idle(connection);
	close(connection->descriptor);
	connection->descriptor = -1;
	connection->peer = NULL;
	if (peer != NULL) {
		peer->peer = NULL;
		close(peer->descriptor);
		peer->descriptor = -1;
	}
}

// A read; 0 when nothing is there now, -1 at an end or a failure.
static ssize_t connection_fill(struct connection *connection)
{
	size_t room = BUFFER_SIZE - connection->end;
	ssize_t count = read(connection->descriptor, connection->buffer + connection->end, room);
	if (count <= 0) {
		connection->readable = false;
		return count < 0 && errno == EAGAIN ? 0 : -1;
	}
	// With edges, a short read means that there is no more (epoll(7)).
	if ((size_t)count < room)
		connection->readable = false;
	connection->end += (size_t)count;
	return count;
}

static void client_read(struct connection *client)
{
	if (client->peer != NULL || !client->readable)
		return;
	ssize_t count = connection_fill(client);
	if (count < 0) {
		connection_end(client);
		return;
	}
	if (count == 0 || memmem(client->buffer, client->end, "\r\n\r\n", 4) == NULL)
		return;
	struct connection *server = server_take();
	server->peer = client;
	server->body_left = -1;
	client->peer = server;
	ssize_t written = write(server->descriptor, client->buffer, client->end);
	if (written != (ssize_t)client->end)
		connection_end(client);
	client->end = 0;
}

// Finds the end of the response's head and its Content-Length: false while more is needed.
static bool response_head(struct connection *server)
{
	const char *head_end = memmem(server->buffer, server->end, "\r\n\r\n", 4);
	if (head_end == NULL)
		return false;
	size_t head = (size_t)(head_end - server->buffer) + 4;
	const char *field = memmem(server->buffer, head, "\r\nContent-Length: ", 18);
	if (field == NULL)
		die("a response without Content-Length");
	server->body_left = strtoll(field + 18, NULL, 10) - (int64_t)(server->end - head);
	return true;
}

// Passes on what is there; true when all of the buffer went out.
static bool server_flush(struct connection *server)
{
	while (server->start < server->end) {
		ssize_t count =
			write(server->peer->descriptor, server->buffer + server->start, server->end - server->start);
		if (count < 0) {
			if (errno != EAGAIN)
				connection_end(server);
			return false;
		}
		server->start += (size_t)count;
	}
	server->start = server->end = 0;
	return true;
}

static void server_pump(struct connection *server)
{
	while (server->peer != NULL) {
		if (server->body_left >= 0 && !server_flush(server))
			return;
		if (server->body_left == 0) {
			struct connection *client = server->peer;
			client->peer = server->peer = NULL;
			server->body_left = -1;
			server->next = idle_servers;
			idle_servers = server;
			client_read(client);
			return;
		}
		if (!server->readable)
			return;
		ssize_t count = connection_fill(server);
		if (count < 0)
			connection_end(server);
		if (count <= 0)
			return;
		if (server->body_left >= 0)
			server->body_left -= count;
		else if (!response_head(server))
			continue;
	}
	if (server->descriptor >= 0 && server->readable) // the origin closed an idle connection
		connection_end(server);
}

static void connection_event(struct connection *connection, uint32_t events)
{
	if (connection->descriptor < 0)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		connection->readable = true;
	if (connection->is_server) {
		if (connection->readable)
			server_pump(connection);
		return;
	}
	if (connection->peer == NULL)
		client_read(connection);
	else if (events & (EPOLLHUP | EPOLLERR))
		connection_end(connection);
	else if (connection->peer->start < connection->peer->end)
		server_pump(connection->peer);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: floor PORT ORIGIN_PORT\n");
		return 2;
	}
	tcp_prepare();
	origin = tcp_loopback(argv[2]);
	int listener = tcp_listen(argv[1]);
	poller = epoll_create1(EPOLL_CLOEXEC);
	tcp_watch(poller, listener, EPOLLIN, NULL);
	for (;;) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL)
				accept_all(listener);
			else
				connection_event(events[i].data.ptr, events[i].events);
		}
	}
}
