// What moving a body costs the thread that forwards it: by splice, and by reading and
// writing.
//
//   bench_splice splice|copy BYTES [CONNECTIONS [TOTAL_BYTES]]
//
// One transfer of BYTES at a time on each connection; senders and receivers are processes of
// their own on another core. Prints the CPU of the forwarding thread for a GB and for a
// transfer. Loopback; run several times, interleaved, and take medians.
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "net/listener.h"
#include "net/tcp.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, BUFFER_SIZE = 64 * 1024, PEER_BUFFER_SIZE = 256 * 1024 };

struct connection {
	int sender, receiver; // the outer ends
	int from, to;	      // usher's ends
	int received[2];      // a pipe: a byte for each transfer that arrived
	struct tcp_stream input, output;
};

static struct connection connections[CONNECTIONS_MAX];
static unsigned connection_count = 8, transfer_count, ended;
static uint64_t transfer_bytes;
static bool by_splice;
static struct fiber *main_fiber;

static void pin(unsigned core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

// --- The outer ends

static void send_all(const struct connection *connection)
{
	static char bytes[PEER_BUFFER_SIZE];
	for (unsigned i = 0; i < transfer_count; i++) {
		for (uint64_t left = transfer_bytes; left > 0;) {
			ssize_t sent = write(connection->sender, bytes, left < sizeof(bytes) ? left : sizeof(bytes));
			check(sent > 0);
			left -= (uint64_t)sent;
		}
		char arrived;
		check(read(connection->received[0], &arrived, 1) == 1);
	}
}

static void receive_all(const struct connection *connection)
{
	static char bytes[PEER_BUFFER_SIZE];
	for (unsigned i = 0; i < transfer_count; i++) {
		for (uint64_t left = transfer_bytes; left > 0;) {
			size_t room = left < sizeof(bytes) ? left : sizeof(bytes);
			ssize_t got = recv(connection->receiver, bytes, room, MSG_TRUNC);
			check(got > 0);
			left -= (uint64_t)got;
		}
		check(write(connection->received[1], "", 1) == 1);
	}
}

static void start_process(void (*run)(const struct connection *connection), const struct connection *connection)
{
	pid_t child = fork();
	check(child >= 0);
	if (child > 0)
		return;
	pin(1);
	run(connection);
	_exit(0);
}

// --- The forwarder

static void copy(struct connection *connection, char *buffer)
{
	for (uint64_t left = transfer_bytes; left > 0;) {
		size_t room = left < BUFFER_SIZE ? left : BUFFER_SIZE;
		ssize_t got = stream_read(&connection->input.stream, buffer, room, "bench", FIBER_NEVER);
		check(got > 0);
		struct iovec part = {buffer, (size_t)got};
		check(stream_write_all(&connection->output.stream, &part, 1, false, "bench", 0) == 0);
		left -= (uint64_t)got;
	}
}

static void forward(void *argument)
{
	struct connection *connection = argument;
	char *buffer = malloc(BUFFER_SIZE);
	check(buffer);
	for (unsigned i = 0; i < transfer_count; i++) {
		uint64_t moved;
		bool read_failed;
		if (by_splice)
			check(stream_splice(&connection->input.stream, &connection->output.stream, transfer_bytes, 0,
					    &moved, &read_failed) == 0);
		else
			copy(connection, buffer);
	}
	free(buffer);
	stream_close(&connection->input.stream);
	stream_close(&connection->output.stream);
	ended++;
	fiber_wake(main_fiber);
}

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void forward_all(void *argument)
{
	main_fiber = fiber_current();
	for (unsigned i = 0; i < connection_count; i++) {
		check(tcp_open(&connections[i].input, connections[i].from) == 0);
		check(tcp_open(&connections[i].output, connections[i].to) == 0);
	}
	double before = cpu_seconds();
	for (unsigned i = 0; i < connection_count; i++)
		check(fiber_spawn("forward", forward, &connections[i]));
	while (ended < connection_count)
		fiber_wait("bench", FIBER_NEVER);
	double seconds = cpu_seconds() - before, transfers = (double)transfer_count * connection_count;
	printf("%s %llu bytes: %.0f ms/GB, %.1f us a transfer\n", by_splice ? "splice" : "copy",
	       (unsigned long long)transfer_bytes, seconds * 1e3 / (transfers * (double)transfer_bytes / 1e9),
	       seconds * 1e6 / transfers);
}

// --- Setting up

static void make_pair(int listening, const struct sockaddr *address, socklen_t length, int *ret_outer, int *ret_inner)
{
	*ret_outer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(connect(*ret_outer, address, length) == 0);
	struct pollfd incoming = {.fd = listening, .events = POLLIN};
	check(poll(&incoming, 1, -1) == 1);
	*ret_inner = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	check(*ret_inner >= 0);
}

static void set_up(void)
{
	struct address any;
	struct sockaddr_in name;
	socklen_t length = sizeof(name);
	check(address_parse_ip(SLICE("127.0.0.1"), 0, &any));
	int listening = listener_bind(&any, CONNECTIONS_MAX, false);
	check(listening >= 0 && getsockname(listening, (struct sockaddr *)&name, &length) == 0);
	for (unsigned i = 0; i < connection_count; i++) {
		struct connection *connection = &connections[i];
		make_pair(listening, (struct sockaddr *)&name, length, &connection->sender, &connection->from);
		make_pair(listening, (struct sockaddr *)&name, length, &connection->receiver, &connection->to);
		check(pipe(connection->received) == 0);
	}
	for (unsigned i = 0; i < connection_count; i++) {
		start_process(send_all, &connections[i]);
		start_process(receive_all, &connections[i]);
	}
}

int main(int count, char **arguments)
{
	if (count < 3) {
		fprintf(stderr, "usage: bench_splice splice|copy BYTES [CONNECTIONS [TOTAL_BYTES]]\n");
		return 2;
	}
	by_splice = strcmp(arguments[1], "splice") == 0;
	transfer_bytes = strtoull(arguments[2], NULL, 10);
	if (count > 3)
		connection_count = (unsigned)strtoul(arguments[3], NULL, 10);
	uint64_t total = count > 4 ? strtoull(arguments[4], NULL, 10) : UINT64_C(1500000000);
	check(transfer_bytes > 0 && connection_count > 0 && connection_count <= CONNECTIONS_MAX);
	transfer_count = (unsigned)(total / transfer_bytes / connection_count);
	transfer_count += transfer_count == 0;
	set_up();
	pin(0);
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	check(fiber_spawn("bench", forward_all, NULL));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	while (wait(NULL) > 0)
		;
	return 0;
}
