#include "kernel_sim.h"

#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "sim_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

// --- Chances, memory.

bool sim_chance(struct sim *sim, unsigned chance)
{
	return chance > 0 && random_below(&sim->random, 1000) < chance;
}

int64_t sim_delay(struct sim *sim)
{
	// Mostly short, so that few things come at the same time, and few after all others.
	uint64_t most = (uint64_t)sim->options.delay_ns >> random_below(&sim->random, 8);
	return (int64_t)random_below(&sim->random, most + 1);
}

void *sim_alloc(size_t size)
{
	void *memory = sim_realloc(NULL, size);
	memset(memory, 0, size);
	return memory;
}

void *sim_realloc(void *old, size_t size)
{
	for (int tries = 0; tries < 100; tries++) {
		void *memory = realloc(old, size);
		if (memory != NULL)
			return memory;
	}
	check_failed("the simulation has memory", __FILE__, __LINE__);
}

// --- Happenings: a binary heap.

static bool is_before(const struct sim_happening *a, const struct sim_happening *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->number < b->number;
}

void sim_later(struct sim *sim, int64_t time_ns, enum sim_kind kind, struct sim_socket *socket, uint64_t position)
{
	if (sim->happening_count == sim->happening_capacity) {
		sim->happening_capacity = sim->happening_capacity * 2 + 64;
		sim->happenings = sim_realloc(sim->happenings, sim->happening_capacity * sizeof *sim->happenings);
	}
	struct sim_happening happening = {time_ns, sim->next_number++, kind, socket, position};
	size_t at = sim->happening_count++;
	while (at > 0 && is_before(&happening, &sim->happenings[(at - 1) / 2])) {
		sim->happenings[at] = sim->happenings[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	sim->happenings[at] = happening;
}

static struct sim_happening pop_happening(struct sim *sim)
{
	check(sim->happening_count > 0);
	struct sim_happening first = sim->happenings[0];
	struct sim_happening last = sim->happenings[--sim->happening_count];
	size_t at = 0;
	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= sim->happening_count)
			break;
		if (child + 1 < sim->happening_count && is_before(&sim->happenings[child + 1], &sim->happenings[child]))
			child++;
		if (is_before(&last, &sim->happenings[child]))
			break;
		sim->happenings[at] = sim->happenings[child];
		at = child;
	}
	sim->happenings[at] = last;
	return first;
}

static void let_happen(struct sim *sim)
{
	while (sim->happening_count > 0 && sim->happenings[0].time_ns <= sim->now_ns) {
		struct sim_happening happening = pop_happening(sim);
		sim_happen(&happening);
	}
}

// --- Waiting.

static int64_t sim_now(struct kernel *kernel)
{
	return sim_of(kernel)->now_ns;
}

static int64_t sim_wall_clock(struct kernel *kernel)
{
	return INT64_C(1700000000) * SECOND_NS + sim_of(kernel)->now_ns;
}

static void print_fiber(void *argument, const char *name, const char *wait, int64_t since_ns)
{
	fprintf(argument, "  fiber %s: %s for %ld ms\n", name, wait != NULL ? wait : "ready",
		(long)((loop_now() - since_ns) / MILLISECOND_NS));
}

static _Noreturn void report_stuck(struct sim *sim)
{
	fprintf(stderr, "simulation: nothing can happen any more, %ld ms after the start\n",
		(long)(sim->now_ns / MILLISECOND_NS));
	fiber_visit(print_fiber, stderr);
	kernel_sim_list_open(&sim->kernel, stderr);
	check_failed("something can happen", __FILE__, __LINE__);
}

void sim_edge(struct sim_socket *socket)
{
	if (socket->io != NULL && socket->pending.next == &socket->pending)
		list_push_back(&socket->sim->pending, &socket->pending);
}

static struct sim_socket *random_socket(struct sim *sim)
{
	if (sim->descriptor_count == 0)
		return NULL;
	// The newest have the most to tell.
	size_t newest = sim->descriptor_count < 64 ? sim->descriptor_count : 64;
	return sim->by_descriptor[sim->descriptor_count - 1 - random_below(&sim->random, newest)];
}

// An event for a socket that did not change, maybe even with bits that are not true. Never for
// one that connects: there the writable bit means an end, and the real kernel is reliable.
static int add_spurious(struct sim *sim, struct kernel_event *events)
{
	struct sim_socket *socket = random_socket(sim);
	if (socket == NULL || socket->io == NULL || socket->connecting || socket->pending.next != &socket->pending)
		return 0;
	unsigned ready = sim_ready(socket);
	if (sim_chance(sim, sim->options.false_edge))
		ready |= KERNEL_READABLE | (socket->listener == NULL ? KERNEL_WRITABLE : 0);
	if (ready == 0)
		return 0;
	sim->counts.spurious_events++;
	*events = (struct kernel_event){socket->io, ready};
	return 1;
}

// Reports pending edges; some stay for the next wait, and those that are true no more are
// dropped, as epoll drops them.
static int take_events(struct sim *sim, struct kernel_event *events, int capacity)
{
	int count = 0;
	struct list_link batch;
	list_init(&batch);
	list_move_all(&sim->pending, &batch);
	struct list_link *link;
	while ((link = list_pop_front(&batch)) != NULL) {
		struct sim_socket *socket = LIST_ENTRY(link, struct sim_socket, pending);
		if (count == capacity || sim_chance(sim, sim->options.late_edge)) {
			list_push_back(&sim->pending, link);
			continue;
		}
		unsigned ready = sim_ready(socket);
		if (ready == 0)
			continue;
		size_t place = random_below(&sim->random, (uint64_t)count + 1);
		events[count] = events[place];
		events[place] = (struct kernel_event){socket->io, ready};
		count++;
	}
	if (count < capacity && sim_chance(sim, sim->options.spurious))
		count += add_spurious(sim, &events[count]);
	sim->counts.events += (uint64_t)count;
	return count;
}

static int sim_wait(struct kernel *kernel, struct kernel_event *events, int capacity, int64_t timeout_ns)
{
	struct sim *sim = sim_of(kernel);
	sim->counts.waits++;
	// Work takes time too, so that loops that only look again get on.
	sim->now_ns += 1 + (int64_t)random_below(&sim->random, 2000);
	if (sim_chance(sim, sim->options.interrupted))
		return -EINTR;
	int64_t until = timeout_ns < 0 || timeout_ns > INT64_MAX - sim->now_ns ? INT64_MAX : sim->now_ns + timeout_ns;
	for (;;) {
		let_happen(sim);
		int count = take_events(sim, events, capacity);
		if (count > 0 || atomic_exchange(&sim->interrupted, false) || sim->now_ns >= until)
			return count;
		if (!list_is_empty(&sim->pending))
			continue;
		int64_t next = sim->happening_count > 0 ? sim->happenings[0].time_ns : INT64_MAX;
		if (next == INT64_MAX && until == INT64_MAX)
			report_stuck(sim);
		sim->now_ns = next < until ? next : until;
	}
}

static void sim_interrupt(struct kernel *kernel)
{
	atomic_store(&sim_of(kernel)->interrupted, true);
}

// --- Options and counts.

struct sim_options sim_options_calm(void)
{
	return (struct sim_options){.delay_ns = 100000, .buffer_size = 64 * 1024};
}

static unsigned draw_chance(struct random *random, unsigned most)
{
	return random_below(random, 3) == 0 ? 0 : (unsigned)random_below(random, most + 1);
}

struct sim_options sim_options_weather(uint64_t seed)
{
	struct random random;
	random_seed(&random, seed ^ UINT64_C(0x77656174686572));
	return (struct sim_options){
		.short_read = draw_chance(&random, 300),
		.short_write = draw_chance(&random, 300),
		.interrupted = draw_chance(&random, 50),
		.spurious = draw_chance(&random, 200),
		.false_edge = draw_chance(&random, 500),
		.late_edge = draw_chance(&random, 300),
		.reset = draw_chance(&random, 5),
		.refuse = draw_chance(&random, 50),
		.blackhole = draw_chance(&random, 20),
		.no_descriptors = draw_chance(&random, 20),
		.no_memory = draw_chance(&random, 10),
		.aborted = draw_chance(&random, 20),
		.delay_ns = (int64_t)random_below(&random, UINT64_C(1) << random_below(&random, 28)) + 1,
		.buffer_size = (size_t)1 << random_below(&random, 18),
	};
}

void kernel_sim_set_options(struct kernel *kernel, const struct sim_options *options)
{
	sim_of(kernel)->options = *options;
}

struct random *kernel_sim_random(struct kernel *kernel)
{
	return &sim_of(kernel)->random;
}

const struct sim_counts *kernel_sim_counts(struct kernel *kernel)
{
	return &sim_of(kernel)->counts;
}

size_t kernel_sim_open_count(struct kernel *kernel)
{
	return sim_of(kernel)->open_count;
}

static const char *address_text(const struct sockaddr_storage *address, char *text, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	char host[INET6_ADDRSTRLEN] = "?";
	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
	else if (address->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
	snprintf(text, size, "%s port %u", host, ntohs(address->ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port));
	return text;
}

void kernel_sim_list_open(struct kernel *kernel, FILE *to)
{
	struct sim *sim = sim_of(kernel);
	for (size_t i = 0; i < sim->descriptor_count; i++) {
		struct sim_socket *socket = sim->by_descriptor[i];
		if (socket == NULL)
			continue;
		char text[100];
		fprintf(to, "  descriptor %zu: %s%s%s%s%s%s%s, unread %lu, on the way %lu, room wanted %d\n", i,
			socket->listener != NULL ? "listens on " : "to ",
			address_text(&socket->address, text, sizeof text), socket->connecting ? ", connecting" : "",
			socket->fin_received ? ", ended" : "", socket->write_shut ? ", shut" : "",
			socket->reset ? ", reset" : "", socket->io == NULL ? ", not watched" : "",
			(unsigned long)(socket->in.arrived - socket->in.read),
			(unsigned long)(socket->in.written - socket->in.arrived), socket->wants_room);
	}
}

// --- A kernel's beginning and end.

struct kernel *kernel_sim_new(uint64_t seed, const struct sim_options *options)
{
	struct sim *sim = sim_alloc(sizeof *sim);
	sim->kernel = (struct kernel){
		.now = sim_now,
		.wall_clock = sim_wall_clock,
		.wait = sim_wait,
		.interrupt = sim_interrupt,
		.watch = sim_watch,
		.unwatch = sim_unwatch,
		.read = sim_read,
		.write = sim_write,
		.connect = sim_connect,
		.connect_result = sim_connect_result,
		.accept = sim_accept,
		.shutdown = sim_shutdown,
		.close = sim_close,
		.duplicate = sim_duplicate,
		.reset_on_close = sim_reset_on_close,
	};
	sim->options = *options;
	sim->next_port = 32768;
	sim->now_ns = SECOND_NS;
	random_seed(&sim->random, seed);
	list_init(&sim->sockets);
	list_init(&sim->listeners);
	list_init(&sim->pending);
	sim_random_begin(seed);
	return &sim->kernel;
}

void kernel_sim_free(struct kernel *kernel)
{
	struct sim *sim = sim_of(kernel);
	while (!list_is_empty(&sim->sockets))
		sim_socket_free(LIST_ENTRY(sim->sockets.next, struct sim_socket, link));
	while (!list_is_empty(&sim->listeners))
		free(LIST_ENTRY(list_pop_front(&sim->listeners), struct sim_listener, link));
	sim_random_end();
	free(sim->happenings);
	free(sim->by_descriptor);
	free(sim);
}
