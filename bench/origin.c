// The origin of the bench: it answers GET /BYTES with that many bytes.
//
// usage: origin PORT [PROCESSES]. /1k, /1m and /100m stand for the sizes of the bench. Small
// answers go out with one write, large ones from one buffer that all share, so that the
// origin costs as little as it can: in the place of a cache it is the floor, what sending
// alone costs. With several processes, each has its own socket to accept from.
#include "tcp.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/uio.h>

enum { HEAD_SIZE = 256, REQUEST_SIZE = 16 * 1024, EVENTS = 256, CHUNK = 1024 * 1024 };

struct connection {
	int descriptor;
	size_t length;	      // of the request read so far
	char head[HEAD_SIZE]; // of the answer under way
	size_t head_left, head_length;
	int64_t body_left;
	char request[REQUEST_SIZE];
};

static char body[CHUNK];

static int64_t body_size(const char *path)
{
	char *end;
	int64_t size = strtoll(path, &end, 10);
	if (end == path)
		return 1024;
	if (*end == 'k')
		size *= 1024;
	else if (*end == 'm')
		size *= 1024 * 1024;
	return size;
}

static void connection_end(struct connection *connection)
{
	close(connection->descriptor);
	free(connection);
}

// False when the connection must end.
static bool answer_write(struct connection *connection)
{
	while (connection->head_left > 0 || connection->body_left > 0) {
		size_t piece = connection->body_left < CHUNK ? (size_t)connection->body_left : CHUNK;
		struct iovec parts[2] = {
			{connection->head + connection->head_length - connection->head_left, connection->head_left},
			{body, piece},
		};
		ssize_t count = writev(connection->descriptor, parts, 2);
		if (count < 0)
			return errno == EAGAIN;
		size_t of_head = (size_t)count < connection->head_left ? (size_t)count : connection->head_left;
		connection->head_left -= of_head;
		connection->body_left -= count - (ssize_t)of_head;
	}
	return true;
}

static void answer_start(struct connection *connection, const char *path)
{
	connection->body_left = body_size(path);
	int length = snprintf(connection->head, HEAD_SIZE,
			      "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: application/octet-stream\r\n"
			      "Content-Length: %lld\r\n\r\n",
			      (long long)connection->body_left);
	connection->head_length = connection->head_left = (size_t)length;
}

// Reads and answers what is there. False when the connection must end.
static bool connection_serve(struct connection *connection)
{
	for (;;) {
		if (!answer_write(connection))
			return false;
		if (connection->head_left > 0 || connection->body_left > 0)
			return true;
		size_t room = REQUEST_SIZE - connection->length;
		ssize_t count = read(connection->descriptor, connection->request + connection->length, room);
		if (count <= 0)
			return count < 0 && errno == EAGAIN;
		connection->length += (size_t)count;
		if (memmem(connection->request, connection->length, "\r\n\r\n", 4) == NULL)
			continue;
		if (memcmp(connection->request, "GET /", 5) != 0)
			return false;
		answer_start(connection, connection->request + 5);
		connection->length = 0;
		if (!answer_write(connection))
			return false;
		if ((size_t)count < room)
			return true; // with edges, a short read means that there is no more (epoll(7))
	}
}

static void accept_all(int poller, int listener)
{
	for (;;) {
		int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (descriptor < 0)
			return;
		int on = 1;
		setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		struct connection *connection = calloc(1, sizeof(*connection));
		if (connection == NULL)
			die("calloc");
		connection->descriptor = descriptor;
		tcp_watch(poller, descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP, connection);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: origin PORT [PROCESSES]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (long left = argc == 3 ? strtol(argv[2], NULL, 10) : 1; left > 1; left--) {
		pid_t child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			break;
		}
	}
	memset(body, 'u', sizeof(body));
	tcp_prepare();
	int listener = tcp_listen(argv[1]);
	int poller = epoll_create1(EPOLL_CLOEXEC);
	tcp_watch(poller, listener, EPOLLIN, NULL);
	for (;;) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			if (connection == NULL)
				accept_all(poller, listener);
			else if (!connection_serve(connection))
				connection_end(connection);
		}
	}
}
