#include "support.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void talk_both_ways(void *argument)
{
	struct tcp_stream a, b;
	test_pair(&a, &b);
	test_send(&a, "hello");
	test_expect(&b, "hello");
	test_send(&b, "and back");
	test_expect(&a, "and back");
	assert_int_equal(a.stream.bytes_written, 5);
	assert_int_equal(a.stream.bytes_read, 8);
	assert_int_equal(b.stream.bytes_written, 8);
	assert_int_equal(b.stream.bytes_read, 5);
	for (int i = 0; i < 2; i++) {
		int no_delay = 0;
		socklen_t length = sizeof(no_delay);
		int descriptor = i ? a.io.descriptor : b.io.descriptor;
		assert_int_equal(getsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
		assert_int_equal(no_delay, 1);
	}

	// A half-closed connection still carries the other way.
	assert_int_equal(stream_shutdown(&a.stream), 0);
	test_expect_end(&b);
	test_expect_end(&b);
	test_send(&b, "late");
	test_expect(&a, "late");
	stream_close(&b.stream);
	test_expect_end(&a);
	stream_close(&a.stream);
	stream_close(&a.stream); // once more does no harm
}

static void talks_both_ways(void **state)
{
	test_run(talk_both_ways, NULL);
}

static void meet_refusal(void *argument)
{
	struct address address;
	close(test_listen(1, &address)); // a port where nobody listens
	struct tcp_stream tcp;
	assert_int_equal(tcp_connect(&tcp, &address, test_deadline()), -ECONNREFUSED);
	stream_close(&tcp.stream);
	assert_int_equal(tcp.io.descriptor, -1);

	struct address unix_address = {0};
	struct endpoint endpoint;
	assert_true(endpoint_parse(SLICE("unix:/nonexistent/socket"), 0, &endpoint));
	assert_true(endpoint_to_address(&endpoint, &unix_address));
	assert_int_equal(tcp_connect(&tcp, &unix_address, test_deadline()), -ENOENT);
}

static void reports_refusal(void **state)
{
	test_run(meet_refusal, NULL);
}

// A backlog that is full makes the next connect wait.
static void fill_backlog(const struct address *address, int *ret_descriptors, int count)
{
	for (int i = 0; i < count; i++) {
		ret_descriptors[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(ret_descriptors[i] >= 0);
		(void)connect(ret_descriptors[i], &address->any, address->length);
	}
}

static void cancel_after_a_while(void *argument)
{
	fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS);
	fiber_cancel(argument);
}

static void wait_in_vain(void *argument)
{
	struct address address;
	int listening = test_listen(1, &address);
	int filling[16];
	fill_backlog(&address, filling, 16);
	struct tcp_stream tcp;
	int64_t begun = loop_now();
	assert_int_equal(tcp_connect(&tcp, &address, begun + 50 * MILLISECOND_NS), -ETIMEDOUT);
	assert_true(loop_now() - begun >= 50 * MILLISECOND_NS);
	assert_int_equal(tcp.io.descriptor, -1);

	assert_non_null(fiber_spawn("canceller", cancel_after_a_while, fiber_current()));
	assert_int_equal(tcp_connect(&tcp, &address, test_deadline()), -ECANCELED);
	assert_true(fiber_clear_cancel());
	for (int i = 0; i < 16; i++)
		close(filling[i]);
	close(listening);
}

static void connecting_ends_by_deadline_and_cancellation(void **state)
{
	test_run(wait_in_vain, NULL);
}

enum { BIG = 3 * 1024 * 1024 };

static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 31 + (at >> 11));
}

static void read_slowly(void *argument)
{
	struct tcp_stream *from = argument;
	unsigned char piece[60000];
	size_t count = 0;
	ssize_t more;
	while ((more = stream_read(&from->stream, piece, 1 + (count * 7919) % sizeof(piece), "test", test_deadline())) >
	       0) {
		for (ssize_t i = 0; i < more; i++)
			assert_int_equal(piece[i], pattern(count + (size_t)i));
		count += (size_t)more;
		if (count % 3 == 0)
			fiber_yield();
	}
	assert_int_equal(more, 0);
	assert_int_equal(count, BIG);
	stream_close(&from->stream);
}

static void write_much(void *argument)
{
	struct tcp_stream a, b;
	test_pair(&a, &b);
	assert_non_null(fiber_spawn("reader", read_slowly, &b));
	unsigned char *bytes = malloc(BIG);
	assert_non_null(bytes);
	for (size_t i = 0; i < BIG; i++)
		bytes[i] = pattern(i);
	// Parts of all sizes, empty ones among them.
	struct iovec parts[40];
	size_t at = 0;
	for (int i = 0; i < 40; i++) {
		size_t size = i == 39 ? BIG - at : i % 5 == 0 ? 0 : (size_t)i * 3001;
		parts[i] = (struct iovec){bytes + at, size};
		at += size;
	}
	assert_int_equal(stream_write_all(&a.stream, parts, 40, false, "test", PATIENCE_NS), 0);
	assert_int_equal(a.stream.bytes_written, BIG);
	struct iovec empty = {bytes, 0};
	assert_int_equal(stream_write_all(&a.stream, &empty, 1, false, "test", PATIENCE_NS), 0);
	assert_int_equal(stream_write_all(&a.stream, NULL, 0, false, "test", PATIENCE_NS), 0);
	stream_close(&a.stream);
	free(bytes);
	while (fiber_count() > 1)
		fiber_sleep("test", loop_now() + MILLISECOND_NS);
}

static void writes_all_parts(void **state)
{
	test_run(write_much, NULL);
}

static void write_to_nobody(void *argument)
{
	struct tcp_stream a, b;
	test_pair(&a, &b);
	static char bytes[1024 * 1024];
	int failed = 0;
	for (int i = 0; i < 64 && !failed; i++) {
		struct iovec part = {bytes, sizeof(bytes)};
		failed = stream_write_all(&a.stream, &part, 1, true, "test", 30 * MILLISECOND_NS);
	}
	assert_int_equal(failed, -ETIMEDOUT);
	stream_close(&b.stream);
	stream_close(&a.stream);
}

static void writing_times_out_without_progress(void **state)
{
	test_run(write_to_nobody, NULL);
}

static void wait_for_the_owner(void *argument)
{
	struct tcp_stream a, b;
	test_pair(&a, &b);
	stream_set_owner(&b.stream, fiber_current());
	// The end of what the client sends does not cancel.
	assert_int_equal(stream_shutdown(&a.stream), 0);
	test_expect_end(&b);
	assert_int_equal(fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS), 0);
	// Its reset does.
	stream_reset_on_close(&a.stream);
	stream_close(&a.stream);
	assert_int_equal(fiber_sleep("test", test_deadline()), -ECANCELED);
	assert_true(fiber_clear_cancel());
	// Who owns it only later is told as well.
	stream_set_owner(&b.stream, NULL);
	stream_set_owner(&b.stream, fiber_current());
	assert_true(fiber_clear_cancel());
	stream_close(&b.stream);
}

static void a_reset_cancels_the_owner(void **state)
{
	test_run(wait_for_the_owner, NULL);
}

static void read_after_reset(void *argument)
{
	struct tcp_stream a, b;
	test_pair(&a, &b);
	test_send(&a, "half of");
	test_expect(&b, "half");
	stream_reset_on_close(&a.stream);
	stream_close(&a.stream);
	char got[64];
	ssize_t count;
	do {
		count = stream_read(&b.stream, got, sizeof(got), "test", test_deadline());
	} while (count > 0);
	assert_int_equal(count, -ECONNRESET);
	stream_close(&b.stream);
	stream_reset_on_close(&b.stream); // of what is closed: nothing
	assert_int_equal(stream_shutdown(&b.stream), -EBADF);
}

static void a_reset_is_no_end(void **state)
{
	test_run(read_after_reset, NULL);
}

static void settle(void)
{
	fiber_sleep("test", loop_now() + 10 * MILLISECOND_NS);
}

static void look_for_quiet(void *argument)
{
	struct tcp_stream a, b;
	test_pair(&a, &b);
	assert_true(stream_is_quiet(&b.stream, false));
	// A read that takes exactly what there was leaves open whether there is more.
	test_send(&a, "exact");
	test_expect(&b, "exact");
	assert_true(stream_is_quiet(&b.stream, false));
	assert_true(stream_is_quiet(&b.stream, false));
	test_send(&a, "unasked");
	settle();
	assert_false(stream_is_quiet(&b.stream, false));
	stream_close(&b.stream);
	assert_false(stream_is_quiet(&b.stream, false));
	stream_close(&a.stream);

	test_pair(&a, &b);
	stream_close(&a.stream);
	settle();
	assert_false(stream_is_quiet(&b.stream, false));
	stream_close(&b.stream);
}

static void knows_quiet_connections(void **state)
{
	test_run(look_for_quiet, NULL);
}

struct park_record {
	struct tcp_stream *tcp;
	int calls;
	struct fiber *fiber;
};

static void note_parked(struct stream *stream, void *argument)
{
	struct park_record *record = argument;
	assert_ptr_equal(stream, &record->tcp->stream);
	record->calls++;
	fiber_wake(record->fiber);
}

static void wait_for_calls(struct park_record *record, int calls)
{
	while (record->calls < calls)
		assert_int_equal(fiber_wait("test", test_deadline()), 0);
	assert_int_equal(record->calls, calls);
}

static void park(void *argument)
{
	struct tcp_stream a, b;
	test_pair(&a, &b);
	struct park_record record = {.tcp = &b, .fiber = fiber_current()};
	stream_park(&b.stream, note_parked, &record);
	settle();
	assert_int_equal(record.calls, 0);
	test_send(&a, "x");
	wait_for_calls(&record, 1);
	// Once: not again before it is parked again, and then for what is still there.
	test_send(&a, "y");
	settle();
	assert_int_equal(record.calls, 1);
	stream_park(&b.stream, note_parked, &record);
	wait_for_calls(&record, 2);
	test_expect(&b, "xy");
	// Taken back, it tells nothing.
	stream_park(&b.stream, note_parked, &record);
	stream_unpark(&b.stream);
	test_send(&a, "z");
	settle();
	assert_int_equal(record.calls, 2);
	test_expect(&b, "z");
	char byte;
	assert_int_equal(stream_try_read(&b.stream, &byte, 1), -EAGAIN);
	// The end counts as something.
	stream_park(&b.stream, note_parked, &record);
	stream_close(&a.stream);
	wait_for_calls(&record, 3);
	assert_int_equal(stream_try_read(&b.stream, &byte, 1), 0);
	stream_close(&b.stream);
}

static void parks(void **state)
{
	test_run(park, NULL);
}

static void talk_over_unix_socket(void *argument)
{
	char folder[] = "/tmp/usher-test-XXXXXX";
	assert_non_null(mkdtemp(folder));
	char text[64];
	int length = snprintf(text, sizeof(text), "unix:%s/socket", folder);
	struct endpoint endpoint;
	struct address address;
	assert_true(endpoint_parse(slice_from(text, (size_t)length), 0, &endpoint));
	assert_true(endpoint_to_address(&endpoint, &address));
	int listening = listener_bind(&address, 8, false);
	assert_true(listening >= 0);
	// Somebody listens: the path is taken.
	assert_int_equal(listener_bind(&address, 8, false), -EADDRINUSE);
	close(accept4(listening, NULL, NULL, SOCK_CLOEXEC)); // it asked by a connection

	struct tcp_stream a, b;
	assert_int_equal(tcp_connect(&a, &address, test_deadline()), 0);
	assert_int_equal(tcp_open(&b, accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)), 0);
	test_send(&a, "local");
	test_expect(&b, "local");
	stream_close(&a.stream);
	stream_close(&b.stream);

	// Nobody listens any more, but the file is there.
	close(listening);
	assert_int_equal(tcp_connect(&a, &address, test_deadline()), -ECONNREFUSED);
	listening = listener_bind(&address, 8, false);
	assert_true(listening >= 0);
	close(listening);
	unlink(address.local.sun_path);
	// What is no socket is not replaced.
	FILE *file = fopen(address.local.sun_path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(listener_bind(&address, 8, false), -EADDRINUSE);
	struct stat status;
	assert_int_equal(stat(address.local.sun_path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	unlink(address.local.sun_path);
	rmdir(folder);
}

static void talks_over_unix_sockets(void **state)
{
	test_run(talk_over_unix_socket, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talks_both_ways),
		cmocka_unit_test(reports_refusal),
		cmocka_unit_test(connecting_ends_by_deadline_and_cancellation),
		cmocka_unit_test(writes_all_parts),
		cmocka_unit_test(writing_times_out_without_progress),
		cmocka_unit_test(a_reset_cancels_the_owner),
		cmocka_unit_test(a_reset_is_no_end),
		cmocka_unit_test(knows_quiet_connections),
		cmocka_unit_test(parks),
		cmocka_unit_test(talks_over_unix_sockets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
