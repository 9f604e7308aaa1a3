#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static struct address parsed(const char *text)
{
	struct address address;
	assert_true(address_parse_ip(slice_from_string(text), 80, &address));
	return address;
}

static struct network network(const char *text)
{
	struct network network;
	if (!network_parse(slice_from_string(text), &network))
		fail_msg("refused: %s", text);
	return network;
}

static void parses_networks(void **state)
{
	static const struct {
		const char *text;
		int prefix; // -1: refused
	} cases[] = {
		{"10.0.0.0/8", 104},
		{"192.0.2.1", 128},
		{"192.0.2.1/32", 128},
		{"0.0.0.0/0", 96},
		{"2001:db8::/32", 32},
		{"2001:db8::1", 128},
		{"::/0", 0},
		{"::1/128", 128},
		{"10.0.0.1/8", -1},
		{"10.0.0.0/33", -1},
		{"10.0.0.0/", -1},
		{"10.0.0.0/-1", -1},
		{"10.0.0.0/8/8", -1},
		{"10.0.0/8", -1},
		{"2001:db8::/129", -1},
		{"2001:db8::1/32", -1},
		{"10.0.0.0/0008", -1},
		{"10.0.0.0/ 8", -1},
		{"", -1},
		{"/8", -1},
		{"name/8", -1},
		{"128.0.0.0/0", -1},
		{"10.0.0.0/8 ", -1},
		{"[::1]/128", -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct network found;
		bool taken = network_parse(slice_from_string(cases[i].text), &found);
		if (taken != (cases[i].prefix >= 0))
			fail_msg("%s: %s", cases[i].text, taken ? "taken" : "refused");
		if (taken)
			assert_int_equal(found.prefix, cases[i].prefix);
	}
}

static void contains_what_is_inside(void **state)
{
	static const struct {
		const char *network, *address;
		bool inside;
	} cases[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "9.255.255.255", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "a00::1", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::1", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.0/25", "192.0.2.127", true},
		{"192.0.2.0/25", "192.0.2.128", false},
		{"2001:db8::/32", "2001:db8:ffff::1", true},
		{"2001:db8::/32", "2001:db9::", false},
		{"2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"2001:db8::/64", "2001:db8:0:1::", false},
		{"2001:db8::/65", "2001:db8::7fff:ffff:ffff:ffff", true},
		{"2001:db8::/65", "2001:db8::8000:0:0:0", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.0.0.1", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct network found = network(cases[i].network);
		struct address address = parsed(cases[i].address);
		struct network_set set = {.networks = &found, .count = 1};
		network_set_freeze(&set);
		if (network_contains(&found, &address) != cases[i].inside ||
		    network_set_contains(&set, &address) != cases[i].inside)
			fail_msg("%s in %s", cases[i].address, cases[i].network);
	}
}

static void drops_what_others_contain(void **state)
{
	struct network networks[] = {
		network("10.1.2.3"),	 network("10.0.0.0/8"),	 network("192.0.2.0/24"),  network("10.0.0.0/16"),
		network("192.0.2.0/24"), network("2001:db8::1"), network("2001:db8::/32"), network("10.0.0.0/8"),
	};
	struct network_set set = {.networks = networks, .count = sizeof(networks) / sizeof(networks[0])};
	network_set_freeze(&set);
	assert_int_equal(set.count, 3);
	struct address inside = parsed("10.1.2.3"), outside = parsed("11.1.2.3");
	assert_true(network_set_contains(&set, &inside));
	assert_false(network_set_contains(&set, &outside));
}

static void knows_local_peers_and_nobody(void **state)
{
	struct address local = {.length = sizeof(sa_family_t), .any.sa_family = AF_UNIX}, none = {0};
	struct network everyone = network("::/0");
	struct network_set empty = {0}, all = {.networks = &everyone, .count = 1}, only_local = {.local = true};
	struct address v4 = parsed("10.0.0.1");
	network_set_freeze(&empty);
	assert_false(network_set_contains(&empty, &v4));
	assert_false(network_set_contains(&all, &local));
	assert_false(network_set_contains(&all, &none));
	assert_true(network_set_contains(&only_local, &local));
	assert_false(network_set_contains(&only_local, &v4));
}

// Random networks of all widths against a search one by one.
static void finds_the_same_as_a_linear_search(void **state)
{
	unsigned seed = 7;
	for (int round = 0; round < 200; round++) {
		struct network all[64], copy[64];
		size_t count = (size_t)rand_r(&seed) % 64;
		for (size_t i = 0; i < count; i++) {
			char text[64];
			// Few values for the upper bytes, so that networks nest.
			unsigned bits = (unsigned)rand_r(&seed) % 33;
			uint32_t mask = bits ? ~UINT32_C(0) << (32 - bits) : 0;
			uint32_t ip = ((uint32_t)(rand_r(&seed) % 4) << 24 | (uint32_t)(rand_r(&seed) % 4) << 16 |
				       (uint32_t)rand_r(&seed) % 65536) &
				      mask;
			snprintf(text, sizeof(text), "%u.%u.%u.%u/%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
				 ip & 255, bits);
			all[i] = copy[i] = network(text);
		}
		struct network_set set = {.networks = copy, .count = count};
		network_set_freeze(&set);
		for (int i = 0; i < 200; i++) {
			char text[64];
			snprintf(text, sizeof(text), "%d.%d.%d.%d", rand_r(&seed) % 5, rand_r(&seed) % 5,
				 rand_r(&seed) % 256, rand_r(&seed) % 256);
			struct address address = parsed(text);
			bool expected = false;
			for (size_t j = 0; j < count; j++)
				expected = expected || network_contains(&all[j], &address);
			assert_int_equal(network_set_contains(&set, &address), expected);
		}
	}
}

// A hundred thousand networks: every one of them found, and their gaps not.
static void finds_among_a_hundred_thousand(void **state)
{
	enum { COUNT = 100000 };
	struct network *networks = test_malloc(COUNT * sizeof(*networks));
	for (uint32_t i = 0; i < COUNT; i++) {
		networks[i] = network("1.0.0.0/24");
		uint32_t ip = htonl(0x01000000 + i * 2 * 256);
		memcpy(networks[i].bytes + 12, &ip, 4);
	}
	struct network_set set = {.networks = networks, .count = COUNT};
	network_set_freeze(&set);
	assert_int_equal(set.count, COUNT);
	struct address address = parsed("1.0.0.0");
	for (uint32_t i = 0; i < COUNT; i++) {
		address.v4.sin_addr.s_addr = htonl(0x01000000 + i * 2 * 256 + 17);
		assert_true(network_set_contains(&set, &address));
		address.v4.sin_addr.s_addr = htonl(0x01000000 + (i * 2 + 1) * 256 + 17);
		assert_false(network_set_contains(&set, &address));
	}
	test_free(networks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_networks),
		cmocka_unit_test(contains_what_is_inside),
		cmocka_unit_test(drops_what_others_contain),
		cmocka_unit_test(knows_local_peers_and_nobody),
		cmocka_unit_test(finds_the_same_as_a_linear_search),
		cmocka_unit_test(finds_among_a_hundred_thousand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
