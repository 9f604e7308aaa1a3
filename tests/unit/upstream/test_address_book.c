// Address books: what is written is read whole, by any number of threads.
#include "support.h"
#include "upstream/address_book.h"

#include <pthread.h>

static struct address ip(const char *text)
{
	return test_ip(text, 0);
}

static void expect_address(const struct address_book *book, uint32_t index, const char *text, uint32_t at)
{
	struct address address;
	uint32_t got_index, version;
	assert_true(address_book_read(book, index, 8080, &address, &got_index, &version));
	char buffer[ADDRESS_TEXT_MAX];
	struct slice got = address_format(&address, buffer);
	assert_int_equal(got.length, strlen(text));
	assert_memory_equal(got.data, text, got.length);
	assert_int_equal(got_index, at);
	assert_int_equal(version, address_book_version(book));
}

static void reads_what_was_written(void **state)
{
	struct address_book book = {0};
	struct address address;
	uint32_t index, version;
	assert_int_equal(address_book_count(&book), 0);
	assert_false(address_book_read(&book, 0, 80, &address, &index, &version));

	struct address two[] = {ip("192.0.2.1"), ip("2001:db8::2")};
	assert_true(address_book_write(&book, two, 2));
	assert_int_equal(address_book_count(&book), 2);
	expect_address(&book, 0, "192.0.2.1:8080", 0);
	expect_address(&book, 1, "[2001:db8::2]:8080", 1);
	expect_address(&book, 6, "192.0.2.1:8080", 0);
	expect_address(&book, UINT32_MAX, "[2001:db8::2]:8080", 1);
	assert_true(address_book_has(&book, &two[0]));
	assert_true(address_book_has(&book, &two[1]));
	struct address other = ip("192.0.2.2");
	assert_false(address_book_has(&book, &other));
	struct address with_port = test_ip("192.0.2.1", 99);
	assert_true(address_book_has(&book, &with_port));

	assert_true(address_book_write(&book, NULL, 0));
	assert_int_equal(address_book_count(&book), 0);
	assert_false(address_book_has(&book, &two[0]));
}

static void knows_the_same_again(void **state)
{
	struct address_book book = {0};
	struct address first[] = {ip("192.0.2.1"), ip("192.0.2.2")};
	struct address turned[] = {ip("192.0.2.2"), ip("192.0.2.1"), ip("192.0.2.2")};
	struct address other[] = {ip("192.0.2.1"), ip("192.0.2.3")};
	assert_true(address_book_write(&book, first, 2));
	uint32_t version = address_book_version(&book);
	assert_false(address_book_write(&book, turned, 3));
	assert_int_equal(address_book_version(&book), version);
	assert_true(address_book_write(&book, other, 2));
	assert_int_not_equal(address_book_version(&book), version);
}

static void keeps_link_local_scopes_apart(void **state)
{
	struct address_book book = {0};
	struct address scoped = ip("fe80::1");
	scoped.v6.sin6_scope_id = 3;
	assert_true(address_book_write(&book, &scoped, 1));
	struct address got;
	uint32_t index, version;
	assert_true(address_book_read(&book, 0, 1, &got, &index, &version));
	assert_int_equal(got.v6.sin6_scope_id, 3);
	scoped.v6.sin6_scope_id = 4;
	assert_false(address_book_has(&book, &scoped));
}

static void takes_no_more_than_it_holds(void **state)
{
	struct address_book book = {0};
	struct address many[ADDRESS_BOOK_MAX + 8];
	for (unsigned i = 0; i < COUNT(many); i++) {
		many[i] = ip("192.0.2.0");
		many[i].v4.sin_addr.s_addr += htonl(i);
	}
	assert_true(address_book_write(&book, many, COUNT(many)));
	assert_int_equal(address_book_count(&book), ADDRESS_BOOK_MAX);

	// A UNIX socket's is none.
	struct address path = {.length = sizeof(sa_family_t), .local.sun_family = AF_UNIX};
	assert_true(address_book_write(&book, &path, 1));
	assert_int_equal(address_book_count(&book), 0);
}

// Threads: each written set has addresses of one kind only, so that a mixture shows.

struct race {
	struct address_book book;
	_Atomic bool done;
	_Atomic unsigned reads;
};

static void *read_all_the_time(void *argument)
{
	struct race *race = argument;
	for (uint32_t i = 0; !race->done; i++) {
		struct address address;
		uint32_t index, version;
		if (!address_book_read(&race->book, i, 1, &address, &index, &version))
			continue;
		// Sets of an odd round have IPv6 addresses whose halves are the same.
		bool v6 = version / 2 % 2 == 1;
		check(address.any.sa_family == (v6 ? AF_INET6 : AF_INET));
		if (v6)
			check(memcmp(&address.v6.sin6_addr, (char *)&address.v6.sin6_addr + 8, 8) == 0);
		race->reads++;
	}
	return NULL;
}

static void never_shows_a_mixture(void **state)
{
	static struct race race;
	pthread_t readers[3];
	for (unsigned i = 0; i < COUNT(readers); i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, &race), 0);
	for (unsigned round = 1; round < 2000 || race.reads < 1000; round++) {
		struct address set[8];
		unsigned count = 1 + round % COUNT(set);
		for (unsigned i = 0; i < count; i++) {
			set[i] = ip(round % 2 ? "2001:db8::" : "192.0.2.0");
			if (round % 2) {
				uint32_t words[4] = {round, i, round, i};
				memcpy(&set[i].v6.sin6_addr, words, sizeof(words));
			} else {
				set[i].v4.sin_addr.s_addr = round * 256 + i;
			}
		}
		assert_true(address_book_write(&race.book, set, count));
	}
	race.done = true;
	for (unsigned i = 0; i < COUNT(readers); i++)
		pthread_join(readers[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),	 cmocka_unit_test(knows_the_same_again),
		cmocka_unit_test(keeps_link_local_scopes_apart), cmocka_unit_test(takes_no_more_than_it_holds),
		cmocka_unit_test(never_shows_a_mixture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
