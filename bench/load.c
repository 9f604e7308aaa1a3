// The loads that wrk does not make: large downloads, very many small ones, and thousands of idle connections.
//
// usage: load get PORT PATH CONNECTIONS SECONDS
//            downloads over and over; at the end prints "REQUESTS BYTES SECONDS"
//        load many PORT PATH CONNECTIONS SECONDS COUNT
//            the same for PATH/0 to PATH/COUNT-1, any of them with the same probability; where
//            SECONDS is 0, each once. Prints as well how many answers came from a cache, by their Age
//        load idle PORT PATH CONNECTIONS
//            one request on each connection, then prints "ready" and keeps them all open
//            until its standard input ends
// Bodies are dropped in the kernel (MSG_TRUNC, tcp(7)), so that the client costs as
// little as it can and the proxy is what is measured.
#include "measure.h"
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

static const char *path;
static int64_t path_count; // with a number behind it each; 0: only the one
static bool in_order;
static char request[512];
static size_t request_length;
static int64_t requests_asked, requests_done, bytes_done, answers_stored;

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void request_write(int64_t number)
{
	char suffix[24] = "";
	if (path_count)
		snprintf(suffix, sizeof(suffix), "/%lld", (long long)number);
	int length =
		snprintf(request, sizeof(request), "GET %s%s HTTP/1.1\r\nHost: bench.example\r\n\r\n", path, suffix);
	request_length = (size_t)length;
}

static void connection_ask(struct connection *connection)
{
	static uint64_t random = 1;
	if (path_count)
		request_write(in_order ? requests_asked : (int64_t)(next_random(&random) % (uint64_t)path_count));
	requests_asked++;
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
	answers_stored += strcasestr(connection->head, "\r\nage:") != NULL;
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
	printf("%lld %lld %.6f %lld\n", (long long)requests_done, (long long)bytes_done, now - start,
	       (long long)answers_stored);
}

static void load_each(int poller, struct connection *connections, long count)
{
	double start = seconds_now();
	for (long i = 0; i < count && requests_asked < path_count; i++)
		connection_ask(&connections[i]);
	while (requests_done < path_count) {
		struct epoll_event events[EVENTS];
		int ready = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < ready; i++)
			if (connection_read(events[i].data.ptr) && requests_asked < path_count)
				connection_ask(events[i].data.ptr);
	}
	printf("%lld %lld %.6f %lld\n", (long long)requests_done, (long long)bytes_done, seconds_now() - start,
	       (long long)answers_stored);
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
	bool many = argc == 7 && strcmp(argv[1], "many") == 0;
	if (!get && !many && !(argc == 5 && strcmp(argv[1], "idle") == 0)) {
		fprintf(stderr, "usage: load get PORT PATH CONNECTIONS SECONDS | load many PORT PATH CONNECTIONS "
				"SECONDS COUNT | "
				"load idle PORT PATH CONNECTIONS\n");
		return 2;
	}
	tcp_prepare();
	path = argv[3];
	path_count = many ? strtoll(argv[6], NULL, 10) : 0;
	request_write(0);
	int poller = epoll_create1(EPOLL_CLOEXEC);
	long count = strtol(argv[4], NULL, 10);
	double seconds = get || many ? strtod(argv[5], NULL) : 0;
	in_order = many && seconds == 0;
	struct connection *connections = connections_open(poller, argv[2], count);
	if (in_order)
		load_each(poller, connections, count);
	else if (get || many)
		load_get(poller, connections, count, seconds);
	else
		load_idle(poller, connections, count);
	return 0;
}
