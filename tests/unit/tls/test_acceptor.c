#include "net/connection_count.h"
#include "observe/metrics.h"
#include "support.h"
#include "tls/acceptor.h"

#include <stdio.h>

enum { ENDS_MAX = 16 };

static struct test_world world;

// What the acceptor gave, and what was lent to it.
static struct {
	struct tls_acceptor *acceptor;
	struct tls_server_source source;
	struct tls_stream *accepted[ENDS_MAX];
	unsigned count;
	int borrowed;
	int listening;
	struct address address;
} all;

static const struct tls_acceptor_settings standard = {.timeout_ns = 20 * SECOND_NS, .client_burst = 1};

static const struct tls_server *borrow(struct tls_server_source *source, void **ret_hold)
{
	all.borrowed++;
	*ret_hold = &all;
	return &world.server;
}

static void give_back(struct tls_server_source *source, void *hold)
{
	assert_ptr_equal(hold, &all);
	all.borrowed--;
}

static void accepted(void *argument, struct tls_stream *tls, const struct address *peer, const char *listener)
{
	assert_ptr_equal(argument, &all);
	assert_string_equal(listener, "the port");
	assert_true(peer->any.sa_family == AF_INET && fiber_current());
	assert_true(all.count < ENDS_MAX);
	all.accepted[all.count++] = tls;
}

static void begin(const struct tls_acceptor_settings *settings)
{
	all.count = 0;
	all.source = (struct tls_server_source){borrow, give_back};
	all.acceptor = tls_acceptor_new(settings, accepted, &all);
	assert_non_null(all.acceptor);
	all.listening = test_listen(32, &all.address);
}

static void wait_until_done(void)
{
	while (tls_acceptor_connections(all.acceptor) > 0)
		fiber_sleep("test", loop_now() + MILLISECOND_NS);
}

static void end(void)
{
	wait_until_done();
	for (unsigned i = 0; i < all.count; i++) {
		connection_count_remove(&all.address); // any of its address
		stream_close(tls_stream_stream(all.accepted[i]));
	}
	assert_int_equal(connection_count_all(), 0);
	assert_int_equal(all.borrowed, 0);
	tls_acceptor_free(all.acceptor);
	close(all.listening);
}

// A connection whose server's side the acceptor has.
static void connect_to(struct tcp_stream *client)
{
	assert_int_equal(tcp_connect(client, &all.address, test_deadline()), 0);
	struct kernel *kernel = loop_kernel();
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	int descriptor = kernel->accept(kernel, all.listening, &name, &length);
	assert_true(descriptor >= 0);
	struct address peer;
	address_from_sockaddr((struct sockaddr *)&name, length, &peer);
	tls_acceptor_accept(all.acceptor, &all.source, descriptor, &peer, "the port");
}

static struct tls_stream *connected(void)
{
	struct tls_stream *client = tls_stream_new();
	assert_non_null(client);
	connect_to(tls_stream_tcp(client));
	return client;
}

static enum tls_result shake(struct tls_stream *client)
{
	return tls_stream_connect(client, &world.client, NULL, SLICE("site.example"), SLICE_EMPTY, test_deadline());
}

static int64_t handshakes(const char *result)
{
	char label[64];
	(void)snprintf(label, sizeof label, "result=\"%s\"", result);
	return metric_read(metric_register(METRIC_COUNTER, "usher_tls_handshakes_total", label, ""));
}

static int64_t refused(const char *reason)
{
	char label[64];
	(void)snprintf(label, sizeof label, "reason=\"%s\"", reason);
	return metric_read(metric_register(METRIC_COUNTER, "usher_tls_refused_total", label, ""));
}

// --- One after the other, and many at once

static void accept_some(void *argument)
{
	begin(&standard);
	int64_t before = handshakes("full");
	struct tls_stream *clients[8];
	for (int i = 0; i < 8; i++)
		clients[i] = connected();
	assert_int_equal(tls_acceptor_connections(all.acceptor), 8);
	assert_int_equal(all.borrowed, 0); // parked
	for (int i = 0; i < 8; i++)
		assert_int_equal(shake(clients[i]), TLS_DONE);
	wait_until_done();
	assert_int_equal(all.count, 8);
	assert_int_equal(handshakes("full") - before, 8);
	assert_int_equal(connection_count_all(), 8);
	test_tls_send(clients[3], "which one");
	test_tls_expect(all.accepted[3], "which one");
	for (int i = 0; i < 8; i++)
		stream_close(tls_stream_stream(clients[i]));
	end();
}

static void accepts(void **state)
{
	test_run(accept_some, NULL);
}

struct shaking {
	struct tls_stream *client;
	enum tls_result result;
};

static void shake_one(void *argument)
{
	struct shaking *shaking = argument;
	shaking->result = shake(shaking->client);
}

// Two at a time: the others are served, too.
static void accept_with_few_at_once(void *argument)
{
	struct tls_acceptor_settings settings = standard;
	settings.handshakes = 2;
	begin(&settings);
	struct shaking shaking[10];
	struct fiber *fibers[10];
	for (int i = 0; i < 10; i++) {
		shaking[i] = (struct shaking){connected(), TLS_GONE};
		fibers[i] = fiber_spawn_joinable("client", shake_one, &shaking[i]);
		assert_non_null(fibers[i]);
	}
	int most = 0;
	while (tls_acceptor_connections(all.acceptor) > 0) {
		most = all.borrowed > most ? all.borrowed : most;
		fiber_yield();
	}
	assert_int_equal(most, 2);
	for (int i = 0; i < 10; i++) {
		fiber_join(fibers[i]);
		assert_int_equal(shaking[i].result, TLS_DONE);
		stream_close(tls_stream_stream(shaking[i].client));
	}
	assert_int_equal(all.count, 10);
	end();
}

static void bounds_those_under_way(void **state)
{
	test_run(accept_with_few_at_once, NULL);
}

// --- What is no handshake

static void speak_plain(void *argument)
{
	begin(&standard);
	int64_t before = handshakes("not_tls");
	struct tcp_stream client;
	connect_to(&client);
	test_send(&client, "GET / HTTP/1.1\r\nHost: site.example\r\n\r\n");
	char answer[1024];
	size_t length = 0;
	ssize_t got;
	while ((got = stream_read(&client.stream, answer + length, sizeof answer - 1 - length, "test",
				  test_deadline())) > 0)
		length += (size_t)got;
	assert_int_equal(got, 0);
	answer[length] = '\0';
	assert_ptr_equal(strstr(answer, "HTTP/1.1 400 Bad Request\r\n"), answer);
	const char *body = strstr(answer, "\r\n\r\n") + 4, *announced = strstr(answer, "Content-Length: ");
	assert_int_equal(strtol(announced + strlen("Content-Length: "), NULL, 10), strlen(body));
	assert_non_null(strstr(body, "https://"));
	assert_int_equal(handshakes("not_tls") - before, 1);
	stream_close(&client.stream);
	end();
	assert_int_equal(all.count, 0);
}

static void answers_plain_http(void **state)
{
	test_run(speak_plain, NULL);
}

// One says nothing, one says half a hello, one leaves.
static void take_long(void *argument)
{
	struct tls_acceptor_settings settings = standard;
	settings.timeout_ns = 50 * MILLISECOND_NS;
	begin(&settings);
	int64_t timeouts = handshakes("timeout"), gone = handshakes("gone");
	struct tcp_stream silent, slow, leaving;
	connect_to(&silent);
	connect_to(&slow);
	connect_to(&leaving);
	struct iovec half = {(void *)"\x16\x03\x01\x02\x00\x01", 6};
	assert_int_equal(stream_write_all(&slow.stream, &half, 1, false, "test", PATIENCE_NS), 0);
	stream_close(&leaving.stream);
	wait_until_done();
	test_expect_end(&silent);
	test_expect_end(&slow);
	assert_int_equal(handshakes("timeout") - timeouts, 2);
	assert_int_equal(handshakes("gone") - gone, 1);
	stream_close(&silent.stream);
	stream_close(&slow.stream);
	end();
}

static void closes_those_who_take_long(void **state)
{
	test_run(take_long, NULL);
}

// --- Bounds by client

static void connect_too_often(void *argument)
{
	struct tls_acceptor_settings settings = standard;
	settings.client_rate = 1;
	settings.client_burst = 3;
	begin(&settings);
	int64_t before = refused("rate");
	int good = 0;
	int64_t begun_ns = loop_now();
	for (int i = 0; i < 6; i++) {
		struct tls_stream *client = connected();
		good += shake(client) == TLS_DONE;
		stream_close(tls_stream_stream(client));
	}
	wait_until_done();
	// As many as the clock allowed meanwhile.
	int64_t more = (loop_now() - begun_ns) / SECOND_NS + 1;
	assert_true(good >= 3 && good <= 3 + more);
	assert_int_equal(refused("rate") - before, 6 - good);
	end();
}

static void bounds_the_rate_of_a_client(void **state)
{
	test_run(connect_too_often, NULL);
}

static void connect_too_many(void *argument)
{
	struct tls_acceptor_settings settings = standard;
	settings.connections_per_client = 2;
	begin(&settings);
	int64_t before = refused("connections");
	struct tcp_stream clients[3];
	for (int i = 0; i < 3; i++)
		connect_to(&clients[i]);
	test_expect_end(&clients[2]);
	assert_int_equal(tls_acceptor_connections(all.acceptor), 2);
	assert_int_equal(refused("connections") - before, 1);
	tls_acceptor_drain(all.acceptor);
	for (int i = 0; i < 3; i++)
		stream_close(&clients[i].stream);
	end();
}

static void bounds_the_connections_of_a_client(void **state)
{
	test_run(connect_too_many, NULL);
}

// --- The end

static void abort_all(void *argument)
{
	struct tls_acceptor_settings settings = standard;
	settings.handshakes = 1;
	begin(&settings);
	struct tcp_stream clients[3]; // one shakes hands, one waits for its turn, one is parked
	for (int i = 0; i < 3; i++)
		connect_to(&clients[i]);
	for (int i = 0; i < 2; i++) {
		test_send(&clients[i], "\x16\x03\x01");
		fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS);
	}
	tls_acceptor_drain(all.acceptor);
	assert_int_equal(tls_acceptor_connections(all.acceptor), 2);
	test_expect_end(&clients[2]);
	tls_acceptor_abort(all.acceptor);
	wait_until_done();
	for (int i = 0; i < 3; i++)
		stream_close(&clients[i].stream);
	assert_int_equal(all.count, 0);
	end();
}

static void aborts(void **state)
{
	test_run(abort_all, NULL);
}

static int world_make(void **state)
{
	test_world_make(&world);
	return 0;
}

static int world_free(void **state)
{
	test_world_free(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(bounds_those_under_way),
		cmocka_unit_test(answers_plain_http),
		cmocka_unit_test(closes_those_who_take_long),
		cmocka_unit_test(bounds_the_rate_of_a_client),
		cmocka_unit_test(bounds_the_connections_of_a_client),
		cmocka_unit_test(aborts),
	};
	return cmocka_run_group_tests(tests, world_make, world_free);
}
