// Streams whose handshake went well: what arrives, how they end, and who is told of what.
#include "base/random.h"
#include "support.h"
#include "tls/local.h"

#include <stdlib.h>

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

// In both versions.
static void in_both(fiber_function *run)
{
	SSL_CTX_set_max_proto_version(world.client.context, TLS1_2_VERSION);
	test_run(run, "TLSv1.2");
	SSL_CTX_set_max_proto_version(world.client.context, TLS1_3_VERSION);
	test_run(run, "TLSv1.3");
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
	assert_string_equal(tls_stream_peer(ends.server)->version, argument);

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
	in_both(talk_both_ways);
}

// The server's tickets come after the client said that it has nothing more to say.
static void shut_down_at_once(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	assert_int_equal(stream_shutdown(tls_stream_stream(ends.client)), 0);
	assert_int_equal(test_tls_read_result(ends.server), 0);
	test_tls_send(ends.server, "answer");
	test_tls_expect(ends.client, "answer");
	assert_int_equal(stream_shutdown(tls_stream_stream(ends.server)), 0);
	assert_int_equal(test_tls_read_result(ends.client), 0);
	test_ends_close(&ends);
}

static void hears_the_answer_after_its_end(void **state)
{
	in_both(shut_down_at_once);
}

// --- Much, through small buffers

enum { TOTAL = 1024 * 1024, PARTS_MAX = 5, PART_MAX = 40 * 1024 };

struct moving {
	struct tls_stream *tls;
	uint64_t seed;
};

static char byte_at(uint64_t seed, size_t position)
{
	return (char)((seed + position) * UINT64_C(0xd1342543de82ef95) >> 56);
}

static void fill(char *to, size_t size, uint64_t seed, size_t position)
{
	for (size_t i = 0; i < size; i++)
		to[i] = byte_at(seed, position + i);
}

static void send_much(void *argument)
{
	struct moving *moving = argument;
	struct random chance;
	random_seed(&chance, moving->seed);
	char *bytes = malloc(PARTS_MAX * PART_MAX);
	assert_non_null(bytes);
	for (size_t sent = 0; sent < TOTAL;) {
		struct iovec parts[PARTS_MAX];
		int count = (int)(1 + random_below(&chance, PARTS_MAX));
		size_t size = 0;
		for (int i = 0; i < count; i++) {
			size_t part = random_below(&chance, random_below(&chance, 2) ? 100 : PART_MAX);
			part = part < TOTAL - sent - size ? part : TOTAL - sent - size;
			parts[i] = (struct iovec){bytes + size, part};
			size += part;
		}
		fill(bytes, size, moving->seed, sent);
		assert_int_equal(stream_write_all(tls_stream_stream(moving->tls), parts, count,
						  random_below(&chance, 2), "test", PATIENCE_NS),
				 0);
		sent += size;
	}
	assert_int_equal(tls_stream_stream(moving->tls)->bytes_written, TOTAL);
	assert_int_equal(stream_shutdown(tls_stream_stream(moving->tls)), 0);
	free(bytes);
}

static void receive_much(void *argument)
{
	struct moving *moving = argument;
	struct random chance;
	random_seed(&chance, moving->seed);
	char *bytes = malloc(64 * 1024), *wanted = malloc(64 * 1024);
	assert_true(bytes && wanted);
	size_t received = 0;
	ssize_t got;
	do {
		size_t size = 1 + random_below(&chance, 64 * 1024);
		got = stream_read(tls_stream_stream(moving->tls), bytes, size, "test", test_deadline());
		assert_true(got >= 0);
		fill(wanted, (size_t)got, moving->seed, received);
		assert_memory_equal(bytes, wanted, (size_t)got);
		received += (size_t)got;
	} while (got > 0);
	assert_int_equal(received, TOTAL);
	free(bytes);
	free(wanted);
}

static void move_much(void *argument)
{
	struct test_ends ends;
	test_ends_open(&ends, 4096);
	test_ends_shake(&ends, &world, NULL, "site.example", SLICE_EMPTY);
	struct moving up = {ends.client, 1}, up_to = {ends.server, 1}, down = {ends.server, 2},
		      down_to = {ends.client, 2};
	struct fiber *fibers[] = {
		fiber_spawn_joinable("send", send_much, &up),
		fiber_spawn_joinable("receive", receive_much, &up_to),
		fiber_spawn_joinable("send", send_much, &down),
		fiber_spawn_joinable("receive", receive_much, &down_to),
	};
	for (int i = 0; i < 4; i++)
		fiber_join(fibers[i]);
	test_ends_close(&ends);
}

static void moves_much_both_ways(void **state)
{
	in_both(move_much);
}

// What was counted as written has left, and nothing waits to be sent; so that whoever parks
// after a write does not keep the other side waiting.
static void write_and_look(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	static char bytes[200 * 1024];
	struct iovec parts[] = {{bytes, 10}, {bytes, 0}, {bytes, sizeof bytes}, {bytes, 300}};
	ssize_t written = stream_write(tls_stream_stream(ends.server), parts, 4, false, "test", test_deadline());
	assert_true(written > 16 * 1024); // many records in one go
	size_t waiting = ends.server->unreported;
	assert_true(waiting == 0 || ends.server->wire.output.size >= waiting);
	test_ends_close(&ends);
}

static void reports_what_has_left(void **state)
{
	in_both(write_and_look);
}

// --- Ends that are none

static void cut_off(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	test_tls_send(ends.client, "half of");
	assert_int_equal(stream_shutdown(&tls_stream_tcp(ends.client)->stream), 0);
	test_tls_expect(ends.server, "half of");
	assert_int_equal(test_tls_read_result(ends.server), -ECONNRESET);
	assert_int_equal(test_tls_read_result(ends.server), -ECONNRESET);
	test_ends_close(&ends);
}

static void tells_a_cut_from_an_end(void **state)
{
	in_both(cut_off);
}

static void close_with_reset(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	test_tls_send(ends.client, "half of");
	test_tls_expect(ends.server, "half of");
	stream_reset_on_close(tls_stream_stream(ends.client));
	stream_close(tls_stream_stream(ends.client));
	assert_int_equal(test_tls_read_result(ends.server), -ECONNRESET);
	stream_close(tls_stream_stream(ends.server));
}

static void resets(void **state)
{
	in_both(close_with_reset);
}

static void write_in_vain(void *argument)
{
	struct test_ends *ends = argument;
	static char bytes[64 * 1024];
	int failed;
	do {
		struct iovec part = {bytes, sizeof bytes};
		failed = stream_write_all(tls_stream_stream(ends->server), &part, 1, false, "test", PATIENCE_NS);
	} while (!failed);
	assert_int_equal(failed, -ECANCELED);
	assert_true(fiber_clear_cancel());
	// What was begun cannot be followed by anything else.
	struct iovec other = {"other", 5};
	assert_int_equal(stream_write_all(tls_stream_stream(ends->server), &other, 1, false, "test", PATIENCE_NS),
			 -ECANCELED);
	stream_say_last(tls_stream_stream(ends->server), SLICE("last"));
	stream_close(tls_stream_stream(ends->server));
}

static void cancel_a_write(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	struct fiber *writer = fiber_spawn_joinable("writer", write_in_vain, &ends);
	fiber_sleep("test", loop_now() + 50 * MILLISECOND_NS);
	fiber_cancel(writer);
	fiber_join(writer);
	// The rest of the last record never comes, and no end either.
	char bytes[4096];
	ssize_t got;
	do {
		got = stream_read(tls_stream_stream(ends.client), bytes, sizeof bytes, "test", test_deadline());
		for (ssize_t i = 0; i < got; i++)
			assert_int_equal(bytes[i], 0);
	} while (got > 0);
	assert_int_equal(got, -ECONNRESET);
	stream_close(tls_stream_stream(ends.client));
}

static void cuts_a_cancelled_write(void **state)
{
	in_both(cancel_a_write);
}

// Who is cancelled before has written nothing, and may write something else.
static void cancel_before_a_write(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	struct iovec part = {"never", 5};
	tls_stream_tcp(ends.client)->io.ready &= ~(unsigned)KERNEL_WRITABLE;
	fiber_cancel(fiber_current());
	assert_int_equal(stream_write_all(tls_stream_stream(ends.client), &part, 1, false, "test", PATIENCE_NS),
			 -ECANCELED);
	assert_true(fiber_clear_cancel());
	tls_stream_tcp(ends.client)->io.ready |= KERNEL_WRITABLE;
	test_tls_send(ends.client, "instead");
	test_tls_expect(ends.server, "instead");
	test_ends_close(&ends);
}

static void writes_nothing_when_cancelled_before(void **state)
{
	in_both(cancel_before_a_write);
}

static void say_last(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	stream_say_last(tls_stream_stream(ends.server), SLICE("good bye"));
	stream_close(tls_stream_stream(ends.server));
	test_tls_expect(ends.client, "good bye");
	assert_int_equal(test_tls_read_result(ends.client), 0);
	stream_close(tls_stream_stream(ends.client));
}

static void says_a_last_word(void **state)
{
	in_both(say_last);
}

static void wait_in_vain(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	char byte;
	assert_int_equal(stream_try_read(tls_stream_stream(ends.server), &byte, 1), -EAGAIN);
	assert_int_equal(stream_read(tls_stream_stream(ends.server), &byte, 1, "test", loop_now()), -ETIMEDOUT);
	assert_int_equal(stream_wait(tls_stream_stream(ends.server), "test", loop_now()), -ETIMEDOUT);
	fiber_cancel(fiber_current());
	assert_int_equal(test_tls_read_result(ends.server), -ECANCELED);
	assert_true(fiber_clear_cancel());
	test_tls_send(ends.client, "at last");
	assert_int_equal(stream_wait(tls_stream_stream(ends.server), "test", test_deadline()), 0);
	test_tls_expect(ends.server, "at last");
	test_ends_close(&ends);
}

static void waits(void **state)
{
	in_both(wait_in_vain);
}

// --- Messages that carry nothing

static void flood(struct tls_stream *tls, int count)
{
	for (int i = 0; i < count; i++) {
		assert_int_equal(SSL_key_update(tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(tls->ssl), 1);
	}
	assert_int_equal(tls_stream_flush(tls, "test", test_deadline()), 0);
}

static void update_keys(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	flood(ends.client, 10);
	test_tls_send(ends.client, "with new keys");
	test_tls_expect(ends.server, "with new keys");
	test_tls_send(ends.server, "on both sides");
	test_tls_expect(ends.client, "on both sides");
	flood(ends.client, 50);
	assert_int_equal(test_tls_read_result(ends.server), -EPROTO);
	assert_int_equal(test_tls_read_result(ends.server), -EPROTO);
	assert_non_null(strstr(tls_stream_reason(ends.server), "messages"));
	test_ends_close(&ends);
}

static void bounds_key_updates(void **state)
{
	test_run(update_keys, NULL);
}

// --- While nobody reads

static unsigned parked_calls;

static void parked(struct stream *stream, void *argument)
{
	assert_ptr_equal(argument, &parked_calls);
	assert_null(fiber_current());
	parked_calls++;
}

static void pass_some_time(void)
{
	fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS);
}

static void park(struct tls_stream *tls)
{
	parked_calls = 0;
	stream_park(tls_stream_stream(tls), parked, &parked_calls);
}

static void park_with_bytes(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	test_tls_send(ends.client, "one record");
	test_tls_send(ends.client, "and another");
	test_tls_expect(ends.server, "one"); // the rest is in here, not in the kernel
	park(ends.server);
	assert_int_equal(parked_calls, 0);
	pass_some_time();
	assert_int_equal(parked_calls, 1);
	test_tls_expect(ends.server, " recordand another");

	park(ends.server);
	pass_some_time();
	assert_int_equal(parked_calls, 0);
	stream_unpark(tls_stream_stream(ends.server));
	test_tls_send(ends.client, "more");
	pass_some_time();
	assert_int_equal(parked_calls, 0);
	park(ends.server);
	pass_some_time();
	assert_int_equal(parked_calls, 1);
	test_tls_expect(ends.server, "more");

	park(ends.server);
	stream_close(tls_stream_stream(ends.client));
	pass_some_time();
	assert_int_equal(parked_calls, 1);
	assert_int_equal(test_tls_read_result(ends.server), 0);
	stream_close(tls_stream_stream(ends.server));
}

static void tells_of_bytes_that_it_has(void **state)
{
	in_both(park_with_bytes);
}

// Tickets leave when the server parks, and disturb no client who is parked.
static void park_both(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	park(ends.client);
	assert_true(stream_is_quiet(tls_stream_stream(ends.client), false));
	stream_park(tls_stream_stream(ends.server), parked, &parked_calls);
	assert_int_equal(ends.server->wire.output.size, 0);
	pass_some_time();
	assert_int_equal(parked_calls, 0);
	stream_unpark(tls_stream_stream(ends.client));
	stream_unpark(tls_stream_stream(ends.server));
	for (int ask = 0; ask < 2; ask++)
		assert_true(stream_is_quiet(tls_stream_stream(ends.client), ask));
	test_tls_send(ends.server, "unasked");
	pass_some_time();
	for (int ask = 0; ask < 2; ask++)
		assert_false(stream_is_quiet(tls_stream_stream(ends.client), ask));
	test_ends_close(&ends);
}

static void keeps_tickets_to_itself(void **state)
{
	in_both(park_both);
}

static void notice_the_end(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	stream_close(tls_stream_stream(ends.server));
	assert_false(stream_is_quiet(tls_stream_stream(ends.client), true));
	pass_some_time();
	assert_false(stream_is_quiet(tls_stream_stream(ends.client), false));
	stream_close(tls_stream_stream(ends.client));
}

static void is_not_quiet_at_the_end(void **state)
{
	in_both(notice_the_end);
}

static void sleep_long(void *argument)
{
	assert_int_equal(fiber_sleep("test", test_deadline()), -ECANCELED);
}

static void lose_the_client(void *argument)
{
	struct test_ends ends;
	test_ends_make(&ends, &world);
	struct fiber *owner = fiber_spawn_joinable("owner", sleep_long, NULL);
	stream_set_owner(tls_stream_stream(ends.server), owner);
	stream_reset_on_close(tls_stream_stream(ends.client));
	stream_close(tls_stream_stream(ends.client));
	fiber_join(owner);
	assert_null(stream_plain_io(tls_stream_stream(ends.server)));
	stream_close(tls_stream_stream(ends.server));
}

static void cancels_the_owner(void **state)
{
	in_both(lose_the_client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talks_both_ways),	   cmocka_unit_test(hears_the_answer_after_its_end),
		cmocka_unit_test(moves_much_both_ways),	   cmocka_unit_test(reports_what_has_left),
		cmocka_unit_test(tells_a_cut_from_an_end), cmocka_unit_test(resets),
		cmocka_unit_test(cuts_a_cancelled_write),  cmocka_unit_test(writes_nothing_when_cancelled_before),
		cmocka_unit_test(says_a_last_word),	   cmocka_unit_test(waits),
		cmocka_unit_test(bounds_key_updates),	   cmocka_unit_test(tells_of_bytes_that_it_has),
		cmocka_unit_test(keeps_tickets_to_itself), cmocka_unit_test(is_not_quiet_at_the_end),
		cmocka_unit_test(cancels_the_owner),
	};
	return cmocka_run_group_tests(tests, world_make, world_free);
}
