#include "net/connection_count.h"
#include "support.h"

#include <pthread.h>

static void counts_in_all(void **state)
{
	struct address a = test_ip("192.0.2.1", 1), b = test_ip("2001:db8::1", 2);
	assert_int_equal(connection_count_add(&a, 2, 0), CONNECTION_COUNTED);
	assert_int_equal(connection_count_add(&b, 2, 0), CONNECTION_COUNTED);
	assert_int_equal(connection_count_add(&a, 2, 0), CONNECTION_TOO_MANY);
	assert_int_equal(connection_count_all(), 2);
	connection_count_remove(&a);
	assert_int_equal(connection_count_add(&b, 2, 0), CONNECTION_COUNTED);
	connection_count_remove(&b);
	connection_count_remove(&b);
	assert_int_equal(connection_count_all(), 0);
}

static void counts_by_client(void **state)
{
	struct address a = test_ip("192.0.2.1", 1000), b = test_ip("192.0.2.2", 1000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(connection_count_add(&a, 0, 3), CONNECTION_COUNTED);
	address_set_port(&a, 2000); // the port makes no difference
	assert_int_equal(connection_count_add(&a, 0, 3), CONNECTION_TOO_MANY_FROM_CLIENT);
	assert_int_equal(connection_count_add(&b, 0, 3), CONNECTION_COUNTED);
	assert_int_equal(connection_count_all(), 4);
	connection_count_remove(&a);
	assert_int_equal(connection_count_add(&a, 0, 3), CONNECTION_COUNTED);
	for (int i = 0; i < 3; i++)
		connection_count_remove(&a);
	connection_count_remove(&b);
	assert_int_equal(connection_count_all(), 0);
}

static void takes_a_v6_network_for_one_client(void **state)
{
	struct address a = test_ip("2001:db8:0:1::1", 1), b = test_ip("2001:db8:0:1:ffff::2", 1),
		       other = test_ip("2001:db8:0:2::1", 1);
	assert_int_equal(connection_count_add(&a, 0, 1), CONNECTION_COUNTED);
	assert_int_equal(connection_count_add(&b, 0, 1), CONNECTION_TOO_MANY_FROM_CLIENT);
	assert_int_equal(connection_count_add(&other, 0, 1), CONNECTION_COUNTED);
	connection_count_remove(&b);
	connection_count_remove(&other);
	assert_int_equal(connection_count_all(), 0);
}

enum { THREADS = 4, ROUNDS = 20000, CLIENTS = 97 };

static void *add_and_remove(void *argument)
{
	struct address client = test_ip("10.0.0.0", 1);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		client.v4.sin_addr.s_addr = htonl(0x0a000000 + i % CLIENTS);
		if (connection_count_add(&client, 0, THREADS) != CONNECTION_COUNTED)
			return "refused";
		connection_count_remove(&client);
	}
	return NULL;
}

static void is_shared_by_threads(void **state)
{
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	assert_int_equal(connection_count_all(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_in_all),
		cmocka_unit_test(counts_by_client),
		cmocka_unit_test(takes_a_v6_network_for_one_client),
		cmocka_unit_test(is_shared_by_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
