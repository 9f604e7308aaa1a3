// Echo servers and their clients, as fibers over io, in every weather.
//
// Each client sends bytes that only it sends, and expects exactly those back: what is lost,
// doubled, or given to another shows. Connections may fail; then what came before must have
// been right, and a failure must never look like an end.
#include "base/check.h"
#include "cmocka_all.h"
#include "fail_alloc.h"
#include "fiber/fiber.h"
#include "fiber/io.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "kernel_sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 16, CONNECTIONS_PER_CLIENT = 3, BUFFER_SIZE = 4096 };

static struct kernel *kernel;
static struct random *chance;
static struct sim_options weather;
static struct sockaddr_in address;
static size_t bytes_max;
static int64_t patience_ns;

// Over all seeds, to be sure that there was something to see.
static unsigned long completed, failed, echoed_bytes, parked_connections, refused_fibers, cancelled;

static uint64_t draw(uint64_t bound)
{
	return random_below(chance, bound);
}

static int64_t deadline(void)
{
	return patience_ns == 0 ? FIBER_NEVER : loop_now() + patience_ns;
}

static unsigned char byte_of(uint64_t conversation, uint64_t position)
{
	return (unsigned char)((conversation * UINT64_C(0x9e3779b97f4a7c15) + position) *
				       UINT64_C(0xd1342543de82ef95) >>
			       56);
}

static void rest_sometimes(void)
{
	switch (draw(16)) {
	case 0:
		fiber_yield();
		break;
	case 1:
		fiber_sleep("rest", loop_now() + (int64_t)draw((uint64_t)weather.delay_ns * 2 + 1));
		break;
	default:
		break;
	}
}

// --- The server: an idle connection is parked, and has no fiber.

struct served {
	struct io io;
	struct deferred deferred;
};

static size_t served_count;
static unsigned long unserved, unserved_seen; // closed at once, as they could not be watched
static struct io listener;
static struct timer accept_again;

static void free_served(struct deferred *deferred)
{
	free(LIST_ENTRY(deferred, struct served, deferred));
}

// One that gives up makes it a reset, so that the client cannot take it for the end.
static void close_served(struct served *served, bool in_order)
{
	check(served_count > 0);
	served_count--;
	if (!in_order || draw(8) == 0)
		kernel->reset_on_close(kernel, served->io.descriptor);
	io_close(&served->io);
	loop_defer(&served->deferred, free_served);
}

static void served_readable(struct io *io);

static ssize_t write_all(struct io *io, const char *bytes, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		size_t half = draw(size - sent + 1);
		struct iovec parts[2] = {{(void *)(bytes + sent), half},
					 {(void *)(bytes + sent + half), size - sent - half}};
		ssize_t written = io_write(io, parts, 2, draw(8) == 0 ? MSG_MORE : 0, "write", deadline());
		if (written < 0)
			return written;
		assert_in_range(written, 1, size - sent);
		sent += (size_t)written;
	}
	return 0;
}

// Echoes until there is nothing to read for the moment (then it parks), or no more (then it
// closes, in an orderly way unless the dice want otherwise).
static void serve(void *argument)
{
	struct served *served = argument;
	char buffer[BUFFER_SIZE];
	bool ended = false;
	served->io.owner = fiber_current();
	while (!ended) {
		ssize_t count;
		size_t size = 1 + draw(sizeof buffer);
		if (draw(2) == 0) {
			count = io_try_read(&served->io, buffer, size);
			if (count == -EAGAIN) {
				served->io.owner = NULL;
				parked_connections++;
				io_park(&served->io, served_readable);
				return;
			}
		} else {
			count = io_read(&served->io, buffer, size, "read", deadline());
		}
		ended = count == 0;
		if (count > 0) {
			rest_sometimes();
			count = write_all(&served->io, buffer, (size_t)count);
		}
		if (count < 0) {
			cancelled += count == -ECANCELED;
			break;
		}
	}
	if (ended && draw(2) == 0) {
		kernel->shutdown(kernel, served->io.descriptor, SHUT_WR);
		rest_sometimes();
	}
	close_served(served, ended);
}

static void served_readable(struct io *io)
{
	struct served *served = LIST_ENTRY(io, struct served, io);
	if (fiber_spawn("serve", serve, served) == NULL) {
		refused_fibers++;
		close_served(served, false);
	}
}

static void accept_all(struct io *io)
{
	for (;;) {
		struct sockaddr_storage peer;
		socklen_t length;
		int descriptor = kernel->accept(kernel, io->descriptor, &peer, &length);
		if (descriptor == -EINTR || descriptor == -ECONNABORTED)
			continue;
		if (descriptor == -EAGAIN)
			break;
		if (descriptor < 0) {
			// There is no edge for what waits already.
			timer_start(&accept_again, loop_now() + MILLISECOND_NS);
			return;
		}
		struct served *served = malloc(sizeof *served);
		if (served == NULL) {
			kernel->reset_on_close(kernel, descriptor);
			kernel->close(kernel, descriptor);
			continue;
		}
		if (io_open(&served->io, descriptor) != 0) {
			unserved++;
			free(served);
			continue;
		}
		served_count++;
		served_readable(&served->io);
	}
	io_used_up_reading(io);
	io_park(io, accept_all);
}

static void accept_timer(struct timer *timer)
{
	accept_all(&listener);
}

// --- The client: one fiber sends, another receives.

struct conversation {
	uint64_t number;
	struct io *io;
	uint64_t total;
	uint64_t sent, received;
	int send_outcome;
	ssize_t receive_outcome; // 0: a clean end
};

static void send_all(void *argument)
{
	struct conversation *conversation = argument;
	char buffer[BUFFER_SIZE];
	while (conversation->sent < conversation->total) {
		size_t size = 1 + draw(sizeof buffer);
		if (size > conversation->total - conversation->sent)
			size = (size_t)(conversation->total - conversation->sent);
		for (size_t i = 0; i < size; i++)
			buffer[i] = (char)byte_of(conversation->number, conversation->sent + i);
		ssize_t outcome = write_all(conversation->io, buffer, size);
		if (outcome < 0) {
			conversation->send_outcome = (int)outcome;
			return;
		}
		conversation->sent += size;
		rest_sometimes();
	}
	// The receiver may have walked away.
	int descriptor = conversation->io->descriptor;
	conversation->send_outcome = descriptor >= 0 ? kernel->shutdown(kernel, descriptor, SHUT_WR) : -ECANCELED;
}

static void receive_all(struct conversation *conversation)
{
	char buffer[BUFFER_SIZE];
	ssize_t count;
	while ((count = io_read(conversation->io, buffer, 1 + draw(sizeof buffer), "receive", deadline())) > 0) {
		for (ssize_t i = 0; i < count; i++) {
			unsigned char expected = byte_of(conversation->number, conversation->received++);
			check((unsigned char)buffer[i] == expected);
		}
		check(conversation->received <= conversation->total);
		echoed_bytes += (size_t)count;
		rest_sometimes();
		if (draw(1000) == 0) {
			count = -ECANCELED; // walks away
			break;
		}
	}
	conversation->receive_outcome = count;
}

static int connect_to_server(struct io *io)
{
	int descriptor = kernel->connect(kernel, (struct sockaddr *)&address, sizeof address);
	if (descriptor < 0)
		return descriptor;
	int outcome = io_open(io, descriptor);
	if (outcome != 0)
		return outcome;
	outcome = io_wait_writable(io, "connect", deadline());
	if (outcome == 0)
		outcome = kernel->connect_result(kernel, descriptor);
	if (outcome != 0)
		io_close(io);
	return outcome;
}

struct line {
	struct io io;
	struct deferred deferred;
};

static void free_line(struct deferred *deferred)
{
	free(LIST_ENTRY(deferred, struct line, deferred));
}

static bool converse_over(struct io *io, uint64_t number)
{
	if (connect_to_server(io) != 0)
		return false;
	struct conversation conversation = {
		.number = number, .io = io, .total = draw(bytes_max), .receive_outcome = -EIO};
	struct fiber *sender = fiber_spawn_joinable("send", send_all, &conversation);
	if (sender != NULL) {
		receive_all(&conversation);
		if (conversation.receive_outcome != 0 && draw(2) == 0)
			fiber_cancel(sender);
		else if (conversation.receive_outcome != 0)
			io_close(io);
		fiber_join(sender);
	} else {
		refused_fibers++;
	}
	if (io->descriptor >= 0)
		io_close(io);
	// The server ends only after our end, and the connection's loss is not an end: so an
	// end means that all has come back.
	if (conversation.receive_outcome != 0)
		return false;
	if (conversation.received == 0 && conversation.total > 0) {
		check(++unserved_seen <= unserved);
		return false;
	}
	check(conversation.send_outcome == 0 && conversation.received == conversation.total);
	return true;
}

// Events of this turn that are still to be handed out may name an io that was closed.
static bool converse(uint64_t number)
{
	struct line *line = malloc(sizeof *line);
	if (line == NULL)
		return false;
	bool whole = converse_over(&line->io, number);
	loop_defer(&line->deferred, free_line);
	return whole;
}

static void be_client(void *argument)
{
	uint64_t client = (uintptr_t)argument;
	for (uint64_t i = 0; i < CONNECTIONS_PER_CLIENT; i++) {
		rest_sometimes();
		if (converse(client * CONNECTIONS_PER_CLIENT + i))
			completed++;
		else
			failed++;
	}
}

// --- A seed.

static uint64_t first_seed = 1, seeds = 200, playing;

static void print_fiber(void *argument, const char *name, const char *wait, int64_t since_ns)
{
	fprintf(stderr, "  fiber %s: %s\n", name, wait != NULL ? wait : "runs or is ready");
}

static void report_seed(void)
{
	fprintf(stderr, "seed %lu, after %ld ms\n", (unsigned long)playing, (long)(loop_now() / MILLISECOND_NS));
	fiber_visit(print_fiber, NULL);
}

static void run_clients(void *argument)
{
	struct fiber *clients[CLIENTS_MAX];
	size_t count = 1 + draw(CLIENTS_MAX);
	for (size_t i = 0; i < count; i++) {
		clients[i] = fiber_spawn_joinable("client", be_client, (void *)(uintptr_t)i);
		refused_fibers += clients[i] == NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (clients[i] != NULL)
			fiber_join(clients[i]);
	}
	// Some may still be on their way to the server; they end as well.
	while (served_count > 0 || timer_is_running(&accept_again))
		fiber_sleep("server's end", loop_now() + SECOND_NS);
	io_close(&listener);
}

static void play(uint64_t seed)
{
	struct sim_options calm = sim_options_calm();
	kernel = kernel_sim_new(seed, &calm);
	chance = kernel_sim_random(kernel);
	weather = sim_options_weather(seed);
	// Bounded work: the smallest buffers move a byte at a time.
	bytes_max = 1 + (weather.buffer_size < 100 ? weather.buffer_size * 200 : 20000);
	patience_ns = draw(3) == 0 ? (int64_t)draw(1000 * SECOND_NS) : 0;
	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct loop *loop = loop_new(kernel);
	check_set_reporter(report_seed);
	if (draw(4) == 0)
		fiber_set_limit(5 + draw(20));
	timer_init(&accept_again, accept_timer);
	assert_int_equal(io_open(&listener, kernel_sim_listen(kernel, (struct sockaddr *)&address, sizeof address, 8)),
			 0);
	io_park(&listener, accept_all);
	assert_non_null(fiber_spawn("clients", run_clients, NULL));
	kernel_sim_set_options(kernel, &weather);
	fail_alloc_by_chance(seed, draw(4) == 0 ? 20 : 0);
	loop_run(loop);
	fail_alloc_stop();

	assert_int_equal(fiber_count(), 0);
	assert_int_equal(served_count, 0);
	if (kernel_sim_open_count(kernel) > 0)
		kernel_sim_list_open(kernel, stderr);
	assert_int_equal(kernel_sim_open_count(kernel), 0);
	loop_free(loop);
	kernel_sim_free(kernel);
}

static void no_byte_is_lost_doubled_or_crossed(void **state)
{
	for (playing = first_seed; playing < first_seed + seeds; playing++)
		play(playing);
	print_message("%lu conversations completed, %lu failed; %lu bytes, %lu parked, %lu fibers refused, "
		      "%lu cancelled\n",
		      completed, failed, echoed_bytes, parked_connections, refused_fibers, cancelled);
	if (seeds < 100)
		return;
	assert_true(completed > seeds && failed > seeds / 10);
	assert_true(parked_connections > seeds && refused_fibers > 0 && cancelled > 0);
}

int main(int count, char **arguments)
{
	if (count > 1)
		first_seed = strtoull(arguments[1], NULL, 10);
	if (count > 2)
		seeds = strtoull(arguments[2], NULL, 10);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_byte_is_lost_doubled_or_crossed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
