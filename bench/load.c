// The loads that wrk does not make: large downloads, and thousands of idle connections.
//
// usage: load get PORT PATH CONNECTIONS SECONDS
//            downloads over and over; at the end prints "REQUESTS BYTES SECONDS"
//        load idle PORT PATH CONNECTIONS
//            one request on each connection, then prints "ready" and keeps them all open
//            until its standard input ends
// Bodies are dropped in the kernel (MSG_TRUNC, tcp(7)), so that the client costs as
// little as it can and the proxy is what is measured.
#include "tcp.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { HEAD_SIZE = 8 * 1024, EVENTS = 256 };

struct connection {
	int descriptor;
	size_t length;	   // of the head read so far
	int64_t body_left; // -1 while the head is not complete
	char head[HEAD_SIZE];
};

static char request[512];
static size_t request_length;
static int64_t requests_done, bytes_done;

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void connection_ask(struct connection *connection)
{
	connection->length = 0;
	connection->body_left = -1;
	if (write(connection->descriptor, request, request_length) != (ssize_t)request_length)
		die("write");
}

static void response_head(struct connection *connection)
{
	const char *end = memmem(connection->head, connection->length, "\r\n\r\n", 4);
	if (end == NULL) {
		if (connection->length == HEAD_SIZE)
			die("the head of the response is too long");
		return;
	}
	size_t head = (size_t)(end - connection->head) + 4;
	if (memcmp(connection->head, "HTTP/1.1 200 ", 13) != 0)
		die("an answer that is not 200");
	// nginx and HAProxy may write the name as they got it or in lower case.
	connection->head[head - 1] = '\0';
	const char *field = strcasestr(connection->head, "\r\ncontent-length:");
	if (field == NULL)
		die("a response without Content-Length");
	connection->body_left = strtoll(field + 17, NULL, 10) - (int64_t)(connection->length - head);
	bytes_done += (int64_t)(connection->length - head);
}

// Reads what is there. True when a response has become complete.
static bool connection_read(struct connection *connection)
{
	for (;;) {
		ssize_t count;
		if (connection->body_left < 0) {
			count = read(connection->descriptor, connection->head + connection->length,
				     HEAD_SIZE - connection->length);
		} else {
			count = recv(connection->descriptor, NULL, (size_t)connection->body_left, MSG_TRUNC);
		}
		if (count < 0 && errno == EAGAIN)
			return false;
		if (count <= 0)
			die("the connection ended too early");
		if (connection->body_left < 0) {
			connection->length += (size_t)count;
			response_head(connection);
		} else {
			connection->body_left -= count;
			bytes_done += count;
		}
		if (connection->body_left == 0) {
			requests_done++;
			return true;
		}
	}
}

static struct connection *connections_open(int poller, const char *port, long count)
{
	struct sockaddr_in address = tcp_loopback(port);
	struct connection *connections = calloc((size_t)count, sizeof(*connections));
	if (connections == NULL)
		die("calloc");
	for (long i = 0; i < count; i++) {
		connections[i].descriptor = tcp_connect(&address);
		fcntl(connections[i].descriptor, F_SETFL, O_NONBLOCK);
		tcp_watch(poller, connections[i].descriptor, EPOLLIN | EPOLLRDHUP, &connections[i]);
	}
	return connections;
}

static void load_get(int poller, struct connection *connections, long count, double seconds)
{
	double start = seconds_now();
	for (long i = 0; i < count; i++)
		connection_ask(&connections[i]);
	double now = start;
	while (now < start + seconds) {
		struct epoll_event events[EVENTS];
		int ready = epoll_wait(poller, events, EVENTS, 1000);
		for (int i = 0; i < ready; i++)
			if (connection_read(events[i].data.ptr))
				connection_ask(events[i].data.ptr);
		now = seconds_now();
	}
	printf("%lld %lld %.6f\n", (long long)requests_done, (long long)bytes_done, now - start);
}

// One connection after the other: the point is what they cost when they rest.
static void load_idle(int poller, struct connection *connections, long count)
{
	for (long i = 0; i < count; i++) {
		connection_ask(&connections[i]);
		bool done = false;
		while (!done) {
			struct epoll_event events[EVENTS];
			int ready = epoll_wait(poller, events, EVENTS, -1);
			for (int j = 0; j < ready; j++)
				done |= connection_read(events[j].data.ptr);
		}
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF) {
	}
}

int main(int argc, char **argv)
{
	bool get = argc == 6 && strcmp(argv[1], "get") == 0;
	if (!get && !(argc == 5 && strcmp(argv[1], "idle") == 0)) {
		fprintf(stderr, "usage: load get PORT PATH CONNECTIONS SECONDS | load idle PORT PATH CONNECTIONS\n");
		return 2;
	}
	tcp_prepare();
	int length = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: bench.example\r\n\r\n", argv[3]);
	request_length = (size_t)length;
	int poller = epoll_create1(EPOLL_CLOEXEC);
	long count = strtol(argv[4], NULL, 10);
	struct connection *connections = connections_open(poller, argv[2], count);
	if (get)
		load_get(poller, connections, count, strtod(argv[5], NULL));
	else
		load_idle(poller, connections, count);
	return 0;
}
