// Hosts to sites: exact, then the longest wildcard, then the default.
#include "exchange/site_index.h"
#include "support.h"

static const struct site sites[8];

static struct site_index *make(struct arena *arena, const char *const *hosts, size_t count)
{
	struct site_index *index = site_index_new(arena, count);
	assert_non_null(index);
	for (size_t i = 0; i < count; i++) {
		struct site_host host = {.host = slice_from_string(hosts[i]), .site = &sites[i]};
		host.wildcard = slice_starts_with(host.host, SLICE("*."));
		if (host.wildcard)
			host.host = slice_after(host.host, 2);
		assert_null(site_index_add(index, &host));
	}
	return index;
}

static const char *const some_hosts[] = {"example.com",	  "www.example.com", "*.example.com", "*.eu.example.com",
					 "*.com.example", "[2001:db8::1]",   "*.net"};

static void test_lookups(void **state)
{
	static const struct {
		const char *host;
		int site;
	} rows[] = {
		{"example.com", 0},
		{"www.example.com", 1},
		{"a.example.com", 2},
		{"a.b.c.example.com", 2},
		{"eu.example.com", 2},
		{"a.eu.example.com", 3},
		{"a.b.eu.example.com", 3},
		{"com.example", -1},
		{"a.com.example", 4},
		{"[2001:db8::1]", 5},
		{"[2001:db8::2]", -1},
		{"net", -1},
		{"a.net", 6},
		{".net", 6},
		{"", -1},
		{".", -1},
		{"com", -1},
		{"wwwexample.com", -1},
		{"example.com.org", -1},
	};
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct site_index *index = make(&arena, some_hosts, COUNT(some_hosts));
	for (int with_default = 0; with_default < 2; with_default++) {
		for (size_t i = 0; i < COUNT(rows); i++) {
			const struct site *expected = rows[i].site >= 0 ? &sites[rows[i].site] : NULL;
			if (!expected && with_default)
				expected = &sites[7];
			if (site_index_find(index, slice_from_string(rows[i].host)) != expected)
				fail_msg("%s", rows[i].host);
		}
		site_index_set_default(index, &sites[7]);
	}
	arena_fini(&arena);
}

static void test_duplicates(void **state)
{
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct site_index *index = make(&arena, some_hosts, COUNT(some_hosts));
	struct site_host again = {.host = SLICE("example.com"), .site = &sites[7]};
	assert_ptr_equal(site_index_add(index, &again)->site, &sites[0]);
	again.wildcard = true;
	assert_ptr_equal(site_index_add(index, &again)->site, &sites[2]);
	size_t count;
	const struct site_host *hosts = site_index_hosts(index, &count);
	assert_int_equal(count, COUNT(some_hosts));
	assert_slice(hosts[3].host, "eu.example.com");
	arena_fini(&arena);
}

static void test_empty(void **state)
{
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct site_index *index = site_index_new(&arena, 0);
	assert_null(site_index_find(index, SLICE("a")));
	site_index_set_default(index, &sites[0]);
	assert_ptr_equal(site_index_find(index, SLICE("a")), &sites[0]);
	assert_ptr_equal(site_index_find(index, SLICE_EMPTY), &sites[0]);
	arena_fini(&arena);
}

// More labels than wildcards are counted apart for.
static void test_many_labels(void **state)
{
	struct arena arena;
	char host[2 + 2 * 70 + 1] = "*.";
	for (size_t i = 2; i < sizeof host - 1; i++)
		host[i] = i % 2 ? '.' : 'a';
	host[sizeof host - 2] = 'b';
	const char *hosts[] = {host};
	arena_init(&arena, 1 << 20);
	struct site_index *index = make(&arena, hosts, 1);
	char asked[256];
	snprintf(asked, sizeof asked, "x.%s", host + 2);
	assert_ptr_equal(site_index_find(index, slice_from_string(asked)), &sites[0]);
	snprintf(asked, sizeof asked, "a.%s", host + 2);
	assert_ptr_equal(site_index_find(index, slice_from_string(asked)), &sites[0]);
	assert_null(site_index_find(index, slice_from_string(host + 2)));
	arena_fini(&arena);
}

static void test_many_sites(void **state)
{
	enum { MANY = 20000 };
	struct arena arena;
	arena_init(&arena, 64 << 20);
	struct site_index *index = site_index_new(&arena, MANY);
	for (size_t i = 0; i < MANY; i++) {
		struct site_host host = {.host = arena_printf(&arena, "site%zu.example", i), .site = &sites[i % 8]};
		assert_null(site_index_add(index, &host));
	}
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(site_index_find(index, arena_printf(&arena, "site%zu.example", i)), &sites[i % 8]);
	assert_null(site_index_find(index, SLICE("site20000.example")));
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),	    cmocka_unit_test(test_duplicates), cmocka_unit_test(test_empty),
		cmocka_unit_test(test_many_labels), cmocka_unit_test(test_many_sites),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
