#include "support.h"

static struct test_world world;

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

static void speak(int version)
{
	SSL_CTX_set_max_proto_version(world.client.context, version);
}

// --- Both ways

static void talk_both_ways(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	test_tls_send(ends.client, "hello");
	test_tls_expect(ends.server, "hello");
	test_tls_send(ends.server, "and back");
	test_tls_expect(ends.client, "and back");
	assert_int_equal(tls_stream_stream(ends.client)->bytes_written, 5);
	assert_int_equal(tls_stream_stream(ends.client)->bytes_read, 8);
	assert_int_equal(tls_stream_stream(ends.server)->bytes_written, 8);
	assert_int_equal(tls_stream_stream(ends.server)->bytes_read, 5);

	const struct tls_peer *peer = tls_stream_peer(ends.server);
	assert_true(slice_equal(peer->server_name, SLICE("site.example")));
	assert_string_equal(peer->version, argument);
	assert_non_null(peer->cipher);
	assert_false(peer->resumed);
	assert_null(peer->certificate);

	// A half-closed connection still carries the other way.
	assert_int_equal(stream_shutdown(tls_stream_stream(ends.client)), 0);
	assert_int_equal(test_tls_read_result(ends.server), 0);
	assert_int_equal(test_tls_read_result(ends.server), 0);
	test_tls_send(ends.server, "late");
	test_tls_expect(ends.client, "late");
	stream_close(tls_stream_stream(ends.server));
	assert_int_equal(test_tls_read_result(ends.client), 0);
	stream_close(tls_stream_stream(ends.client));
}

static void talks_both_ways(void **state)
{
	speak(TLS1_2_VERSION);
	test_run(talk_both_ways, "TLSv1.2");
	speak(TLS1_3_VERSION);
	test_run(talk_both_ways, "TLSv1.3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talks_both_ways),
	};
	return cmocka_run_group_tests(tests, world_make, world_free);
}
