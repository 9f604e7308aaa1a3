// The keys of session tickets: made anew in time, accepted for long enough, then forgotten; from
// many threads.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "tls/tickets.h"

#include <stdatomic.h>
#include <string.h>

enum { START_S = 1000, HOUR_S = 3600 };

static bool same(const struct ticket_key *one, const struct ticket_key *other)
{
	return memcmp(one, other, sizeof(*one)) == 0;
}

static void keeps_a_key_for_eight_hours(void **state)
{
	struct ticket_keys keys = TICKET_KEYS_INITIALIZER;
	struct ticket_key first, later, next;
	ticket_keys_newest(&keys, START_S, &first);
	ticket_keys_newest(&keys, START_S + 8 * HOUR_S - 1, &later);
	assert_true(same(&first, &later));
	ticket_keys_newest(&keys, START_S + 8 * HOUR_S, &next);
	assert_false(same(&first, &next));
	assert_memory_not_equal(first.name, next.name, sizeof(first.name));
	assert_memory_not_equal(first.encryption, next.encryption, sizeof(first.encryption));
	assert_memory_not_equal(first.authentication, next.authentication, sizeof(first.authentication));
}

static void accepts_a_key_for_a_day(void **state)
{
	struct ticket_keys keys = TICKET_KEYS_INITIALIZER;
	struct ticket_key first, next, found;
	bool newest;
	ticket_keys_newest(&keys, START_S, &first);
	assert_true(ticket_keys_find(&keys, first.name, START_S + 1, &found, &newest));
	assert_true(same(&first, &found));
	assert_true(newest);
	ticket_keys_newest(&keys, START_S + 9 * HOUR_S, &next);
	assert_true(ticket_keys_find(&keys, first.name, START_S + 9 * HOUR_S, &found, &newest));
	assert_false(newest); // a new ticket is to be given
	assert_true(ticket_keys_find(&keys, first.name, START_S + 24 * HOUR_S - 1, &found, &newest));
	assert_false(ticket_keys_find(&keys, first.name, START_S + 24 * HOUR_S, &found, &newest));
	assert_true(ticket_keys_find(&keys, next.name, START_S + 24 * HOUR_S, &found, &newest));
	assert_false(newest); // it is old, although no newer one was needed yet
	first.name[3] ^= 1;
	assert_false(ticket_keys_find(&keys, first.name, START_S, &found, &newest));
}

// A session of a ticket's last moment must be unsealed until it ends itself.
static void outlives_sessions(void **state)
{
	struct ticket_keys keys = TICKET_KEYS_INITIALIZER;
	struct ticket_key key, found;
	bool newest;
	int64_t sealed_s = START_S + TICKETS_NEW_KEY_SECONDS - 1;
	ticket_keys_newest(&keys, START_S, &key);
	ticket_keys_newest(&keys, sealed_s, &key);
	for (int64_t now_s = sealed_s; now_s <= sealed_s + TICKETS_SESSION_SECONDS; now_s += 600) {
		struct ticket_key other;
		ticket_keys_newest(&keys, now_s, &other);
		assert_true(ticket_keys_find(&keys, key.name, now_s, &found, &newest));
	}
}

static void forgets_old_keys(void **state)
{
	struct ticket_keys keys = TICKET_KEYS_INITIALIZER;
	struct ticket_key key;
	for (int i = 0; i < 20; i++) {
		ticket_keys_newest(&keys, START_S + (int64_t)i * 8 * HOUR_S, &key);
		assert_true(keys.count >= 1 && keys.count <= TICKET_KEYS_MAX);
		for (unsigned j = 0; j < keys.count; j++)
			assert_true(START_S + (int64_t)i * 8 * HOUR_S - keys.keys[j].made_s < TICKETS_KEY_SECONDS);
	}
	assert_int_equal(keys.count, 3);
	static const struct ticket_key nothing;
	assert_true(same(&keys.keys[3], &nothing)); // wiped
	ticket_keys_newest(&keys, START_S + 1000 * HOUR_S, &key);
	assert_int_equal(keys.count, 1);
	assert_true(same(&keys.keys[1], &nothing));
}

// --- Threads

static struct ticket_keys shared = TICKET_KEYS_INITIALIZER;
// 22 hours in all, so that no key that a slow thread has just got is forgotten.
static atomic_llong now_s = START_S;

static void *use_keys(void *argument)
{
	for (int i = 0; i < 20000; i++) {
		struct ticket_key key, found;
		bool newest;
		int64_t then_s = atomic_fetch_add(&now_s, 1);
		ticket_keys_newest(&shared, then_s, &key);
		if (!ticket_keys_find(&shared, key.name, then_s, &found, &newest) || !same(&key, &found))
			return "a key that was just given is not there";
	}
	return NULL;
}

static void is_shared_by_threads(void **state)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_keys, NULL), 0);
	for (int i = 0; i < 4; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_a_key_for_eight_hours), cmocka_unit_test(accepts_a_key_for_a_day),
		cmocka_unit_test(outlives_sessions),	       cmocka_unit_test(forgets_old_keys),
		cmocka_unit_test(is_shared_by_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
