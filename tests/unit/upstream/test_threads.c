// All of it at once: threads that send requests over real sockets, a server that closes when
// it likes, names whose addresses change, and reloads under way. Under ThreadSanitizer it
// shows that what threads share is shared properly.
#include "base/random.h"
#include "support.h"
#include "upstream/pool_change.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3, FIBERS = 4, REQUESTS = 150, RELOADS = 60 };

// --- A configuration as exchanges hold it: counted.

struct snapshot_like {
	struct test_pools pools;
	struct pool *pool;
	_Atomic unsigned references;
};

static struct {
	pthread_mutex_t lock;
	struct snapshot_like *current;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct snapshot_like *take_current(void)
{
	pthread_mutex_lock(&shared.lock);
	struct snapshot_like *current = shared.current;
	current->references++;
	pthread_mutex_unlock(&shared.lock);
	return current;
}

static void let_go(struct snapshot_like *snapshot)
{
	if (--snapshot->references > 0)
		return;
	test_pools_free(&snapshot->pools);
	free(snapshot);
}

static void reload(const char *servers, const struct balancer_type *balancer, unsigned idle_connections)
{
	struct snapshot_like *new = calloc(1, sizeof(*new));
	check(new);
	struct pool_config *config = test_pool_add(&new->pools, "p", balancer, servers);
	config->idle.connections = idle_connections;
	config->rest.for_ns = 10 * MILLISECOND_NS;
	config->dns.refresh_ns = 3 * MILLISECOND_NS;
	check(pools_activate(&new->pools.set) == 0);
	new->pool = config->pool;
	new->references = 1;
	pthread_mutex_lock(&shared.lock);
	struct snapshot_like *old = shared.current;
	shared.current = new;
	pthread_mutex_unlock(&shared.lock);
	if (old) {
		pools_retire(&old->pools.set);
		let_go(old);
	}
}

// --- The server: answers each byte with one, and hangs up now and then.

static struct {
	int listening;
	uint16_t port;
	_Atomic bool done;
} origin;

static void serve(void *argument)
{
	struct tcp_stream *tcp = argument;
	char byte;
	while (stream_read(&tcp->stream, &byte, 1, "test", FIBER_NEVER) == 1) {
		if (random_number_below(20) == 0)
			break;
		struct iovec part = {&byte, 1};
		if (stream_write_all(&tcp->stream, &part, 1, false, "test", PATIENCE_NS) != 0 ||
		    random_number_below(20) == 0)
			break;
	}
	stream_close(&tcp->stream);
	fiber_yield();
	fiber_sleep("test", loop_now() + MILLISECOND_NS); // the struct must outlive the turn
	free(tcp);
}

static void accepted(struct listener *listener, int descriptor, const struct address *peer)
{
	struct tcp_stream *tcp = calloc(1, sizeof(*tcp));
	check(tcp);
	check(tcp_open(tcp, descriptor) == 0);
	check(fiber_spawn("serve", serve, tcp));
}

static void stop_when_done(void *argument)
{
	while (!origin.done)
		fiber_sleep("test", loop_now() + 5 * MILLISECOND_NS);
	listener_stop(argument, false);
}

static void *run_origin(void *argument)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	struct listener listener = {.accepted = accepted};
	check(listener_start(&listener, origin.listening) == 0);
	check(fiber_spawn("stop", stop_when_done, &listener));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	block_trim();
	return NULL;
}

// --- Workers

static int look_up(void *argument, const char *name, int64_t deadline_ns, struct resolution *ret_found)
{
	if (random_number_below(5) == 0)
		return -EIO;
	*ret_found = (struct resolution){.ttl_ns = SECOND_NS, .count = 1};
	ret_found->addresses[0] = test_ip("127.0.0.1", 0);
	if (random_number_below(2))
		ret_found->addresses[ret_found->count++] = test_ip("127.0.0.2", 0);
	return 0;
}

struct worker {
	unsigned index;
	unsigned left; // fibers
	unsigned answers, failures;
};

// One byte there and back: 0, or the outcome's fault.
static enum fault_kind talk(struct upstream_connection *connection)
{
	char byte = 'x';
	struct iovec part = {&byte, 1};
	if (stream_write_all(connection->stream, &part, 1, false, "test", PATIENCE_NS) != 0)
		return FAULT_SEND_FAILED;
	return stream_read(connection->stream, &byte, 1, "test", loop_now() + PATIENCE_NS) == 1 ? FAULT_NONE
												: FAULT_SERVER_CLOSED;
}

static void request(struct worker *worker)
{
	struct snapshot_like *snapshot = take_current();
	struct pick pick;
	pick_init(&pick);
	struct server *server;
	bool done = false;
	while (!done && (server = pool_pick(snapshot->pool, &pick))) {
		struct fault fault = {0};
		struct upstream_connection *connection;
		if (server_connect(server, PATIENCE_NS, false, &fault, &connection) == 0) {
			fault.kind = talk(connection);
			done = fault.kind == FAULT_NONE;
			if (done) {
				server_answered(server, 200, 1);
				upstream_connection_keep(connection);
			} else {
				upstream_connection_close(connection);
			}
		}
		server_end(server, server_outcome_of(&fault), fault.kind);
	}
	*(done ? &worker->answers : &worker->failures) += 1;
	let_go(snapshot);
}

static void send_requests(void *argument)
{
	struct worker *worker = argument;
	for (unsigned i = 0; i < REQUESTS; i++) {
		request(worker);
		fiber_sleep("test", loop_now() + (int64_t)random_number_below(3) * MILLISECOND_NS);
	}
	if (--worker->left > 0)
		return;
	if (worker->index == 0)
		discovery_stop();
	upstream_thread_stop();
}

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	check(upstream_thread_start() == 0);
	if (worker->index == 0)
		discovery_start(look_up, NULL);
	worker->left = FIBERS;
	for (unsigned i = 0; i < FIBERS; i++)
		check(fiber_spawn("requests", send_requests, worker));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	block_trim();
	return NULL;
}

// What the operator does meanwhile; a server of an earlier change may be there no more.
static void change(unsigned i)
{
	char address[64];
	struct slice pool = pool_name(shared.current->pool);
	snprintf(address, sizeof(address), "127.0.0.4:%u", origin.port);
	struct slice added = slice_from_string(address);
	struct server_addition addition = {added, .weight = 1 + i % 3};
	check(pool_add_server(pool, &addition) == 0 || i % 3 != 0);
	(void)pool_set_weight(pool, added, 2);
	(void)pool_set_state(pool, added, (enum server_state)(i % 3));
	if (i % 3 == 2)
		check(pool_remove_server(pool, added) == 0);
}

static void reload_often(void)
{
	for (unsigned i = 0; i < RELOADS; i++) {
		char servers[128];
		snprintf(servers, sizeof(servers),
			 i % 3 ? "127.0.0.1:%u app.internal:%u*2 127.0.0.3:%u" : "app.internal:%u 127.0.0.3:%u*%u",
			 origin.port, origin.port, i % 3 ? origin.port : 3);
		reload(servers, balancer_types[i % 2], i % 4 * 4);
		usleep(2500);
		change(i);
		usleep(2500);
	}
}

static void holds_together(void **state)
{
	struct address wanted, got;
	assert_true(address_parse_ip(SLICE("0.0.0.0"), 0, &wanted));
	origin.listening = listener_bind(&wanted, 64, false);
	assert_true(origin.listening >= 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	assert_int_equal(getsockname(origin.listening, (struct sockaddr *)&name, &length), 0);
	address_from_sockaddr((struct sockaddr *)&name, length, &got);
	origin.port = address_port(&got);

	char servers[64];
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", origin.port);
	reload(servers, &balance_round_robin, 8);
	pthread_t origin_thread, threads[WORKERS];
	struct worker workers[WORKERS];
	assert_int_equal(pthread_create(&origin_thread, NULL, run_origin, NULL), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.index = i};
		assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
	}
	reload_often();
	unsigned answers = 0, failures = 0;
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		answers += workers[i].answers;
		failures += workers[i].failures;
	}
	origin.done = true;
	pthread_join(origin_thread, NULL);
	close(origin.listening);
	assert_int_equal(answers + failures, WORKERS * FIBERS * REQUESTS);
	assert_true(answers > failures);

	// Whatever is left of the last configuration has nothing in flight.
	for (size_t i = 0; i < pool_server_count(shared.current->pool); i++) {
		struct server_status status = test_status(pool_server(shared.current->pool, i));
		assert_int_equal(status.in_flight, 0);
		assert_int_equal(status.idle, 0);
	}
	let_go(shared.current);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(holds_together)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
