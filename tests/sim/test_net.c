// Listeners and TCP streams in every weather: echo servers whose connections park between
// requests, and clients who pause, give up, reset, and ask again on the same connection.
//
// Each client expects exactly its own bytes back. What fails must fail as an error, never as
// an end or as bytes that are missing.
#include "base/check.h"
#include "base/log.h"
#include "cmocka_all.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "kernel_sim.h"
#include "net/listener.h"
#include "net/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 12, REQUESTS_MAX = 4, REQUEST_MAX = 6000, BUFFER_SIZE = 2048 };

struct served {
	struct tcp_stream tcp;
	struct deferred end;
};

static uint64_t first_seed = 1, seeds = 200, playing;
static struct kernel *kernel;
static struct random *chance;
static struct listener listener;
static struct address address;
static int listening;
static unsigned served_count, served_limit, clients_left;

// Over all seeds, to be sure that there was something to see.
static unsigned long answered, failures, parked, paused, rests, quiet, unquiet, timeouts;

static uint64_t draw(uint64_t bound)
{
	return random_below(chance, bound);
}

static int64_t patience(void)
{
	return (int64_t)(1 + draw(100)) * SECOND_NS;
}

static char byte_of(uint64_t client, uint64_t position)
{
	return (char)((client * UINT64_C(0x9e3779b97f4a7c15) + position) * UINT64_C(0xd1342543de82ef95) >> 56);
}

// --- Servers

static void served_free(struct deferred *deferred)
{
	free(LIST_ENTRY(deferred, struct served, end));
}

static void served_end(struct served *served)
{
	if (draw(4) == 0)
		stream_reset_on_close(&served->tcp.stream);
	stream_close(&served->tcp.stream);
	loop_defer(&served->end, served_free);
	served_count--;
	listener_resume(&listener);
}

static void served_readable(struct stream *stream, void *argument);

// Sends back what comes, until nothing more is there.
static void serve(void *argument)
{
	struct served *served = argument;
	char buffer[BUFFER_SIZE];
	stream_set_owner(&served->tcp.stream, fiber_current());
	for (;;) {
		ssize_t count = draw(2) ? stream_try_read(&served->tcp.stream, buffer, sizeof(buffer))
					: stream_read(&served->tcp.stream, buffer, sizeof(buffer), "request",
						      loop_now() + patience());
		if (count == -EAGAIN) {
			stream_set_owner(&served->tcp.stream, NULL);
			parked++;
			stream_park(&served->tcp.stream, served_readable, served);
			return;
		}
		// In two parts, one of them perhaps empty.
		size_t first = count > 0 ? (size_t)draw((uint64_t)count + 1) : 0;
		struct iovec parts[2] = {{buffer, first}, {buffer + first, count > 0 ? (size_t)count - first : 0}};
		if (count <= 0 ||
		    stream_write_all(&served->tcp.stream, parts, 2, draw(2) == 0, "answer", patience()) != 0)
			break;
	}
	served_end(served);
}

static void served_readable(struct stream *stream, void *argument)
{
	struct served *served = argument;
	assert_ptr_equal(stream, &served->tcp.stream);
	if (fiber_spawn("serve", serve, served) == NULL)
		served_end(served);
}

static void accepted(struct listener *from, int descriptor, const struct address *peer)
{
	struct served *served = calloc(1, sizeof(*served));
	assert_non_null(served);
	assert_int_equal(peer->any.sa_family, AF_INET);
	if (tcp_open(&served->tcp, descriptor) != 0) {
		loop_defer(&served->end, served_free);
		return;
	}
	served_count++;
	assert_true(served_count <= served_limit);
	stream_park(&served->tcp.stream, served_readable, served);
}

static bool may_accept(struct listener *from)
{
	bool may = served_count < served_limit;
	paused += !may;
	return may;
}

// --- Clients

struct talk {
	struct tcp_stream *tcp;
	uint64_t client, size, sent;
	int failed;
	bool sender_ended;
};

static void send_request(void *argument)
{
	struct talk *talk = argument;
	while (talk->sent < talk->size && !talk->failed) {
		char buffer[BUFFER_SIZE];
		size_t size = 1 + (size_t)draw(sizeof(buffer));
		size = size < talk->size - talk->sent ? size : (size_t)(talk->size - talk->sent);
		for (size_t i = 0; i < size; i++)
			buffer[i] = byte_of(talk->client, talk->sent + i);
		struct iovec part = {buffer, size};
		int failed = stream_write_all(&talk->tcp->stream, &part, 1, false, "send", patience());
		if (failed && !talk->failed)
			talk->failed = failed;
		talk->sent += failed ? 0 : size;
		if (draw(8) == 0)
			fiber_yield();
	}
	talk->sender_ended = true;
}

// Asks once, and expects the same bytes back: 0 or what failed.
static int ask(struct tcp_stream *tcp, uint64_t client)
{
	struct talk talk = {.tcp = tcp, .client = client, .size = 1 + draw(REQUEST_MAX)};
	struct fiber *sender = fiber_spawn_joinable("send", send_request, &talk);
	assert_non_null(sender);
	uint64_t got = 0;
	while (got < talk.size && !talk.failed) {
		char buffer[BUFFER_SIZE];
		size_t room = 1 + (size_t)draw(sizeof(buffer));
		room = room < talk.size - got ? room : (size_t)(talk.size - got);
		ssize_t count = stream_read(&tcp->stream, buffer, room, "receive", loop_now() + patience());
		for (ssize_t i = 0; i < count; i++)
			assert_int_equal(buffer[i], byte_of(client, got + (uint64_t)i));
		got += count > 0 ? (uint64_t)count : 0;
		if (count <= 0 && !talk.failed)
			talk.failed = count < 0 ? (int)count : -EPIPE;
	}
	if (talk.failed)
		fiber_cancel(sender);
	fiber_join(sender);
	assert_true(talk.failed || talk.sent == talk.size);
	return talk.failed;
}

static void client_run(void *argument)
{
	uint64_t client = (uint64_t)(uintptr_t)argument;
	struct tcp_stream tcp;
	fiber_sleep("rest", loop_now() + (int64_t)draw(SECOND_NS));
	int failed = tcp_connect(&tcp, &address, loop_now() + patience());
	timeouts += failed == -ETIMEDOUT;
	uint64_t requests = 1 + draw(REQUESTS_MAX);
	for (uint64_t i = 0; i < requests && !failed; i++) {
		failed = ask(&tcp, client);
		answered += !failed;
		// What comes unasked, or an end, is found before the connection is used again.
		if (!failed && i + 1 < requests) {
			fiber_sleep("rest", loop_now() + (int64_t)draw(2 * SECOND_NS));
			bool is_quiet = stream_is_quiet(&tcp.stream, false);
			quiet += is_quiet;
			unquiet += !is_quiet;
			failed = is_quiet ? 0 : -ECONNRESET;
		}
	}
	failures += failed != 0;
	if (draw(3) == 0)
		stream_reset_on_close(&tcp.stream);
	stream_close(&tcp.stream);
	fiber_sleep("end", loop_now() + 1); // its memory stays until the turn's end
	clients_left--;
}

// --- A seed

static void run_all(void *argument)
{
	for (uintptr_t i = 0; i < CLIENTS; i++)
		assert_non_null(fiber_spawn("client", client_run, (void *)i));
	while (clients_left > 0)
		fiber_sleep("clients", loop_now() + SECOND_NS);
	rests += listener.rests;
	listener_stop(&listener, draw(2) == 0);
	struct kernel *own = loop_kernel();
	own->close(own, listening);
	while (served_count > 0)
		fiber_sleep("servers", loop_now() + SECOND_NS);
}

static void play(uint64_t seed)
{
	struct sim_options calm = sim_options_calm(), weather = sim_options_weather(seed);
	kernel = kernel_sim_new(seed, &calm);
	chance = kernel_sim_random(kernel);
	struct loop *loop = loop_new(kernel);
	assert_true(address_parse_ip(SLICE("127.0.0.1"), 80, &address));
	listening = kernel_sim_listen(kernel, &address.any, address.length, 8);
	assert_true(listening >= 0);
	served_count = 0;
	served_limit = 1 + (unsigned)draw(CLIENTS);
	clients_left = CLIENTS;
	listener = (struct listener){.accepted = accepted, .may_accept = may_accept, .address = address};
	assert_int_equal(listener_start(&listener, listening), 0);
	assert_non_null(fiber_spawn("all", run_all, NULL));
	kernel_sim_set_options(kernel, &weather);
	loop_run(loop);

	assert_int_equal(fiber_count(), 0);
	assert_int_equal(served_count, 0);
	if (kernel_sim_open_count(kernel) > 0)
		kernel_sim_list_open(kernel, stderr);
	assert_int_equal(kernel_sim_open_count(kernel), 0);
	loop_free(loop);
	kernel_sim_free(kernel);
}

static void report_seed(void)
{
	fprintf(stderr, "seed %llu\n", (unsigned long long)playing);
}

static void streams_lose_nothing_in_any_weather(void **state)
{
	for (playing = first_seed; playing < first_seed + seeds; playing++) {
		check_set_reporter(report_seed);
		play(playing);
	}
	print_message(
		"%lu answered, %lu failed, %lu parked, %lu paused, %lu rests, %lu quiet, %lu not, %lu timed out\n",
		answered, failures, parked, paused, rests, quiet, unquiet, timeouts);
	if (seeds < 100)
		return;
	assert_true(answered > seeds && failures > seeds && parked > seeds && quiet > seeds);
	assert_true(paused > 0 && rests > 0 && unquiet > 0 && timeouts > 0);
}

int main(int count, char **arguments)
{
	if (count > 1)
		first_seed = strtoull(arguments[1], NULL, 10);
	if (count > 2)
		seeds = strtoull(arguments[2], NULL, 10);
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_lose_nothing_in_any_weather),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
