// What a plain connection speaks, by its first bytes.
#include "driver.h"
#include "http/preface.h"
#include "net/connection_count.h"
#include "support.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static struct {
	unsigned chosen;
	bool is_h2;
	char early[64];
	struct stream *stream;
	struct address peer;
} saw;

static void note_choice(void *argument, struct stream *stream, bool is_h2, struct slice early,
			const struct address *peer, const char *listener)
{
	assert_true(early.length < sizeof saw.early);
	assert_string_equal(listener, "test");
	assert_ptr_equal(argument, &saw);
	saw.chosen++;
	saw.is_h2 = is_h2;
	memcpy(saw.early, early.data, early.length);
	saw.early[early.length] = '\0';
	saw.stream = stream;
	saw.peer = *peer;
}

static struct prefaces *open_one(struct tcp_stream *client)
{
	memset(&saw, 0, sizeof saw);
	struct prefaces *prefaces = prefaces_new(note_choice, &saw);
	assert_non_null(prefaces);
	struct address address;
	int listening = test_listen(8, &address);
	assert_int_equal(tcp_connect(client, &address, test_deadline()), 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	int accepted = accept4(listening, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	close(listening);
	address_from_sockaddr((struct sockaddr *)&name, length, &address);
	struct stream *stream = tcp_new(accepted);
	assert_non_null(stream);
	assert_int_equal(connection_count_add(&address, 0, 0), CONNECTION_COUNTED);
	prefaces_take(prefaces, stream, &address, "test", 100 * SECOND_NS);
	assert_int_equal(prefaces_count(prefaces), 1);
	return prefaces;
}

static void settle(void)
{
	for (int i = 0; i < 20; i++)
		driver_settle();
}

static void close_chosen(void)
{
	connection_count_remove(&saw.peer);
	stream_close(saw.stream);
}

static void choices(void *argument)
{
	static const struct {
		const char *sent;
		bool is_h2;
		const char *early; // NULL: as much as was sent, where it is given away at once
	} rows[] = {
		{PREFACE, true, PREFACE},
		{PREFACE "more", true, PREFACE},
		{"GET / HTTP/1.1\r\n", false, "GET / HTTP/1.1\r\n"},
		{"P", false, NULL},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", false, NULL},
		{"PRI * HTTP/1.1\r\n", false, "PRI * HTTP/1.1\r\n"},
		{"POST /", false, "POST /"},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int slow = 0; slow < 2; slow++) {
			struct tcp_stream client;
			struct prefaces *prefaces = open_one(&client);
			struct driver_drip drip = {&client, slice_from_string(rows[i].sent), false};
			if (slow)
				fiber_join(fiber_spawn_joinable("drip", driver_drip, &drip));
			else
				driver_send(&client, drip.bytes);
			settle();
			assert_int_equal(saw.chosen, rows[i].early != NULL);
			if (saw.chosen) {
				assert_int_equal(saw.is_h2, rows[i].is_h2);
				assert_int_equal(strncmp(saw.early, rows[i].early, strlen(saw.early)), 0);
				assert_true(slow || strcmp(saw.early, rows[i].early) == 0);
				close_chosen();
			}
			prefaces_abort(prefaces);
			assert_int_equal(prefaces_count(prefaces), 0);
			stream_close(&client.stream);
			prefaces_free(prefaces);
			assert_int_equal(connection_count_all(), 0);
		}
}

// One that says nothing, or too little, and one that leaves.
static void endings(void *argument)
{
	for (int way = 0; way < 3; way++) {
		struct tcp_stream client;
		struct prefaces *prefaces = open_one(&client);
		if (way == 1)
			driver_send(&client, SLICE("PRI"));
		if (way == 2)
			stream_close(&client.stream);
		settle();
		if (way != 2) {
			assert_int_equal(prefaces_count(prefaces), 1);
			driver_skip(101 * SECOND_NS);
			settle();
		}
		assert_int_equal(prefaces_count(prefaces), 0);
		assert_int_equal(saw.chosen, 0);
		if (way != 2)
			stream_close(&client.stream);
		prefaces_free(prefaces);
		assert_int_equal(connection_count_all(), 0);
	}
}

static void test_choices(void **state)
{
	driver_run(choices, NULL);
}

static void test_endings(void **state)
{
	driver_run(endings, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_choices), cmocka_unit_test(test_endings)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
