// The simulated kernel itself: its edges, ends and failures, one by one.
#include "base/hash.h"
#include "cmocka_all.h"
#include "fiber/loop.h"
#include "kernel_sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct kernel *kernel;
static struct sockaddr_in address;
static int listening;

// What a descriptor is watched as; the simulation only hands it back.
static struct io *const IO_LISTENER = (struct io *)&listening;
static struct io *const IO_CLIENT = (struct io *)&kernel;
static struct io *const IO_SERVER = (struct io *)&address;

static int set_up(void **state)
{
	struct sim_options options = sim_options_calm();
	kernel = kernel_sim_new(1, &options);
	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	listening = kernel_sim_listen(kernel, (struct sockaddr *)&address, sizeof address, 2);
	return listening >= 0 && address.sin_port != 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	kernel_sim_free(kernel);
	return 0;
}

// What one socket is reported as within a second, all else dropped; 0: not at all.
static unsigned ready_of(struct io *io)
{
	unsigned ready = 0;
	int64_t until = kernel->now(kernel) + SECOND_NS;
	while (kernel->now(kernel) < until) {
		struct kernel_event events[8];
		int count = kernel->wait(kernel, events, 8, until - kernel->now(kernel));
		assert_in_range(count, 0, 8);
		for (int i = 0; i < count; i++) {
			if (events[i].io == io)
				ready |= events[i].ready;
		}
	}
	return ready;
}

static ssize_t write_text(int descriptor, const char *text)
{
	struct iovec part = {(void *)text, strlen(text)};
	return kernel->write(kernel, descriptor, &part, 1, 0);
}

static void assert_reads(int descriptor, const char *expected)
{
	char got[100];
	assert_int_equal(kernel->read(kernel, descriptor, got, sizeof got), strlen(expected));
	assert_memory_equal(got, expected, strlen(expected));
}

static void connect_pair(int *ret_client, int *ret_server)
{
	struct sockaddr_storage peer;
	socklen_t length;
	*ret_client = kernel->connect(kernel, (struct sockaddr *)&address, sizeof address);
	assert_true(*ret_client >= 0);
	assert_int_equal(kernel->watch(kernel, *ret_client, IO_CLIENT), 0);
	assert_int_equal(kernel->accept(kernel, listening, &peer, &length), -EAGAIN);
	assert_int_equal(ready_of(IO_CLIENT), KERNEL_WRITABLE);
	assert_int_equal(kernel->connect_result(kernel, *ret_client), 0);
	*ret_server = kernel->accept(kernel, listening, &peer, &length);
	assert_true(*ret_server >= 0);
	assert_int_equal(peer.ss_family, AF_INET);
	assert_int_equal(length, sizeof(struct sockaddr_in));
	assert_int_equal(kernel->watch(kernel, *ret_server, IO_SERVER), 0);
	assert_int_equal(ready_of(IO_SERVER), KERNEL_WRITABLE);
}

static void edges_come_once(void **state)
{
	int client, server;
	connect_pair(&client, &server);
	char byte;
	assert_int_equal(kernel->read(kernel, server, &byte, 1), -EAGAIN);
	assert_int_equal(write_text(client, "abc"), 3);
	assert_int_equal(kernel->read(kernel, server, &byte, 1), -EAGAIN); // on its way
	assert_int_equal(ready_of(IO_SERVER), KERNEL_READABLE | KERNEL_WRITABLE);
	assert_int_equal(ready_of(IO_SERVER), 0); // unread, but no edge
	assert_int_equal(kernel->read(kernel, server, &byte, 1), 1);
	assert_int_equal(ready_of(IO_SERVER), 0);
	assert_int_equal(write_text(client, "d"), 1);
	assert_true(ready_of(IO_SERVER) & KERNEL_READABLE);
	assert_reads(server, "bcd");
	// An edge whose cause is gone when the wait comes is not reported... as readable.
	assert_int_equal(write_text(client, "e"), 1);
	assert_int_equal(kernel_sim_open_count(kernel), 3);
}

static void a_listener_has_edges(void **state)
{
	assert_int_equal(kernel->watch(kernel, listening, IO_LISTENER), 0);
	assert_int_equal(ready_of(IO_LISTENER), 0);
	for (int i = 0; i < 3; i++) // one more than the backlog holds
		assert_true(kernel->connect(kernel, (struct sockaddr *)&address, sizeof address) >= 0);
	assert_int_equal(ready_of(IO_LISTENER), KERNEL_READABLE);
	assert_int_equal(ready_of(IO_LISTENER), 0);
	struct sockaddr_storage peer;
	socklen_t length;
	for (int i = 0; i < 2; i++)
		assert_true(kernel->accept(kernel, listening, &peer, &length) >= 0);
	assert_int_equal(kernel->accept(kernel, listening, &peer, &length), -EAGAIN);
	assert_int_equal(ready_of(IO_LISTENER) | ready_of(IO_LISTENER), KERNEL_READABLE); // asked again
	assert_true(kernel->accept(kernel, listening, &peer, &length) >= 0);
	// Through a duplicate, after the first is closed.
	int duplicate = kernel->duplicate(kernel, listening);
	kernel->close(kernel, listening);
	assert_int_equal(kernel->watch(kernel, duplicate, IO_SERVER), 0);
	assert_true(kernel->connect(kernel, (struct sockaddr *)&address, sizeof address) >= 0);
	assert_int_equal(ready_of(IO_LISTENER), 0);
	assert_true(kernel->accept(kernel, duplicate, &peer, &length) >= 0);
	kernel->close(kernel, duplicate);
	// Nobody listens any more.
	int client = kernel->connect(kernel, (struct sockaddr *)&address, sizeof address);
	if (client >= 0) {
		assert_int_equal(kernel->watch(kernel, client, IO_CLIENT), 0);
		assert_true(ready_of(IO_CLIENT) & KERNEL_HANGUP);
		assert_int_equal(kernel->connect_result(kernel, client), -ECONNREFUSED);
	} else {
		assert_int_equal(client, -ECONNREFUSED);
	}
}

static void a_full_buffer_and_its_edge(void **state)
{
	struct sim_options options = sim_options_calm();
	options.buffer_size = 1;
	kernel_sim_set_options(kernel, &options);
	int client, server;
	connect_pair(&client, &server);
	assert_int_equal(write_text(client, "ab"), 1);
	assert_int_equal(write_text(client, "b"), -EAGAIN);
	assert_int_equal(ready_of(IO_CLIENT), 0);
	assert_reads(server, "a");
	assert_int_equal(ready_of(IO_CLIENT), KERNEL_WRITABLE);
	assert_int_equal(ready_of(IO_CLIENT), 0);
	assert_int_equal(write_text(client, "b"), 1);
}

static void ends(void **state)
{
	int client, server;
	char byte;
	connect_pair(&client, &server);
	assert_int_equal(write_text(client, "last"), 4);
	assert_int_equal(kernel->shutdown(kernel, client, SHUT_WR), 0);
	assert_int_equal(write_text(client, "x"), -EPIPE);
	unsigned ready = ready_of(IO_SERVER);
	assert_true((ready & KERNEL_END) && (ready & KERNEL_READABLE) && !(ready & KERNEL_HANGUP));
	assert_reads(server, "last");
	assert_int_equal(kernel->read(kernel, server, &byte, 1), 0);
	assert_int_equal(write_text(server, "answer"), 6);
	assert_true(ready_of(IO_CLIENT) & KERNEL_READABLE);
	assert_reads(client, "answer");
	kernel->close(kernel, server);
	assert_true(ready_of(IO_CLIENT) & KERNEL_HANGUP); // ended both ways
	assert_int_equal(kernel->read(kernel, client, &byte, 1), 0);
}

static void resets(void **state)
{
	int client, server;
	char byte;
	connect_pair(&client, &server);
	kernel->reset_on_close(kernel, server);
	assert_int_equal(write_text(client, "unread"), 6);
	kernel->close(kernel, server);
	unsigned ready = ready_of(IO_CLIENT);
	assert_true((ready & KERNEL_END) && (ready & KERNEL_HANGUP));
	assert_int_equal(kernel->read(kernel, client, &byte, 1), -ECONNRESET);
	assert_int_equal(kernel->read(kernel, client, &byte, 1), 0); // told once, as Linux does
	assert_int_equal(write_text(client, "x"), -EPIPE);
	kernel->close(kernel, client);

	// Data that nobody will read makes a reset of a close.
	connect_pair(&client, &server);
	assert_int_equal(write_text(client, "unread"), 6);
	assert_true(ready_of(IO_SERVER) & KERNEL_READABLE);
	kernel->close(kernel, server);
	assert_true(ready_of(IO_CLIENT) & KERNEL_HANGUP);
	assert_int_equal(write_text(client, "x"), -ECONNRESET);
	assert_int_equal(write_text(client, "x"), -EPIPE);
	kernel->close(kernel, client);
	assert_int_equal(kernel_sim_open_count(kernel), 1);
}

static void failures_by_chance(void **state)
{
	struct sim_options options = sim_options_calm();
	options.no_descriptors = 1000;
	kernel_sim_set_options(kernel, &options);
	assert_int_equal(kernel->connect(kernel, (struct sockaddr *)&address, sizeof address), -EMFILE);
	assert_int_equal(kernel->duplicate(kernel, listening), -EMFILE);
	options.no_descriptors = 0;
	options.blackhole = 1000;
	options.no_memory = 1000;
	kernel_sim_set_options(kernel, &options);
	int client = kernel->connect(kernel, (struct sockaddr *)&address, sizeof address);
	assert_int_equal(kernel->watch(kernel, client, IO_CLIENT), -ENOMEM);
	options.no_memory = 0;
	kernel_sim_set_options(kernel, &options);
	assert_int_equal(kernel->watch(kernel, client, IO_CLIENT), 0);
	for (int i = 0; i < 120; i++)
		assert_int_equal(ready_of(IO_CLIENT), 0);
	unsigned ready = 0;
	for (int i = 0; i < 10; i++)
		ready |= ready_of(IO_CLIENT);
	assert_true(ready & KERNEL_HANGUP);
	assert_int_equal(kernel->connect_result(kernel, client), -ETIMEDOUT);
	assert_int_equal(kernel_sim_listen(kernel, (struct sockaddr *)&address, sizeof address, 1), -EADDRINUSE);
}

static void time_and_secrets_are_played(void **state)
{
	struct hash_key keys[2];
	uint64_t numbers[2];
	for (int i = 0; i < 2; i++) {
		struct sim_options options = sim_options_calm();
		kernel_sim_free(kernel);
		kernel = kernel_sim_new(7, &options);
		hash_key_make(&keys[i]);
		numbers[i] = random_number();
	}
	assert_memory_equal(&keys[0], &keys[1], sizeof keys[0]);
	assert_true(numbers[0] == numbers[1]);
	struct kernel_event events[1];
	int64_t before = kernel->now(kernel);
	assert_int_equal(kernel->wait(kernel, events, 1, 3600 * SECOND_NS), 0);
	int64_t passed = kernel->now(kernel) - before;
	assert_true(passed >= 3600 * SECOND_NS && passed < 3601 * SECOND_NS);
	kernel->interrupt(kernel);
	assert_int_equal(kernel->wait(kernel, events, 1, -1), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(edges_come_once), TEST(a_listener_has_edges), TEST(a_full_buffer_and_its_edge),  TEST(ends),
		TEST(resets),	       TEST(failures_by_chance),   TEST(time_and_secrets_are_played),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
