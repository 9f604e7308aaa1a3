#include "support.h"

#include <stdio.h>

static struct address parsed(const char *text, uint16_t port)
{
	struct address address;
	assert_true(address_parse_ip(slice_from_string(text), port, &address));
	return address;
}

static void assert_text(struct slice text, const char *expected)
{
	assert_int_equal(text.length, strlen(expected));
	assert_memory_equal(text.data, expected, text.length);
}

static void parses_and_formats_addresses(void **state)
{
	static const struct {
		const char *text, *ip, *whole;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", "192.0.2.1:80"},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0:80"},
		{"255.255.255.255", "255.255.255.255", "255.255.255.255:80"},
		{"2001:db8::1", "2001:db8::1", "[2001:db8::1]:80"},
		{"[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:80"},
		{"2001:0DB8:0:0:0:0:0:1", "2001:db8::1", "[2001:db8::1]:80"},
		{"::", "::", "[::]:80"},
		{"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:80"},
		{"[::ffff:192.0.2.1]", "192.0.2.1", "192.0.2.1:80"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = parsed(cases[i].text, 80);
		char buffer[ADDRESS_TEXT_MAX];
		assert_text(address_format_ip(&address, buffer), cases[i].ip);
		assert_text(address_format(&address, buffer), cases[i].whole);
		assert_int_equal(address_port(&address), 80);
		address_set_port(&address, 65535);
		assert_int_equal(address_port(&address), 65535);
	}
}

static void refuses_what_is_no_address(void **state)
{
	static const char *const cases[] = {
		"",	      "1",	  "1.2.3",     "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4",
		"1.2.3.4:80", "01.2.3.4", "0x1.2.3.4", "[1.2.3.4]", "[]",	 "[",	     "]",
		"[::1",	      "::1]",	  "[::1]:80",  ":::",	    "1::2::3",	 "::g",	     "localhost",
		"1.2.3.4/8",  "::1%lo",	  "12345::",   "[[::1]]",
	};
	struct address address;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (address_parse_ip(slice_from_string(cases[i]), 0, &address))
			fail_msg("taken for an address: %s", cases[i]);
	}
	assert_false(address_parse_ip(slice_from("1.2.3.4\0", 8), 0, &address));
	assert_false(address_parse_ip(slice_from("1.2\0.3.4", 8), 0, &address));
}

static void compares(void **state)
{
	struct address a = parsed("192.0.2.1", 80), b = parsed("::ffff:192.0.2.1", 80), c = parsed("192.0.2.1", 81);
	struct address d = parsed("::1", 80), none = {0};
	assert_true(address_equal(&a, &b));
	assert_false(address_equal(&a, &c));
	assert_true(address_equal_ip(&a, &c));
	assert_false(address_equal_ip(&a, &d));
	assert_false(address_equal_ip(&a, &none));
	assert_true(address_equal(&none, &none));
}

static void takes_mapped_addresses_for_ipv4(void **state)
{
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
	static const uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff, 10, 1, 2, 3};
	memcpy(&mapped.sin6_addr, bytes, 16);
	struct address address;
	address_from_sockaddr((struct sockaddr *)&mapped, sizeof(mapped), &address);
	char buffer[ADDRESS_TEXT_MAX];
	assert_int_equal(address.any.sa_family, AF_INET);
	assert_int_equal(address.length, sizeof(struct sockaddr_in));
	assert_text(address_format(&address, buffer), "10.1.2.3:443");
	// Too short to be what its family says.
	address_from_sockaddr((struct sockaddr *)&mapped, 8, &address);
	assert_int_equal(address.length, 0);
	assert_text(address_format(&address, buffer), "");
	assert_text(address_format_ip(&address, buffer), "");
}

static void knows_unix_sockets(void **state)
{
	struct endpoint endpoint;
	struct address address, again;
	char buffer[ADDRESS_TEXT_MAX];
	assert_true(endpoint_parse(SLICE("unix:/run/app.sock"), 0, &endpoint));
	assert_true(endpoint_to_address(&endpoint, &address));
	assert_text(address_format(&address, buffer), "unix:/run/app.sock");
	assert_text(address_format_ip(&address, buffer), "unix:");
	address_from_sockaddr(&address.any, address.length, &again);
	assert_true(address_equal(&address, &again));
	// The peer of a UNIX socket has no name: only a family.
	address_from_sockaddr(&address.any, sizeof(sa_family_t), &again);
	assert_text(address_format(&again, buffer), "unix:");
	assert_false(address_equal(&address, &again));

	char longest[5 + 107 + 2] = "unix:";
	memset(longest + 5, 'a', 107);
	assert_true(endpoint_parse(slice_from(longest, 5 + 107), 0, &endpoint));
	assert_true(endpoint_to_address(&endpoint, &address));
	assert_int_equal(address_format(&address, buffer).length, 5 + 107);
	longest[5 + 107] = 'a';
	assert_false(endpoint_parse(slice_from(longest, 5 + 108), 0, &endpoint));
	assert_false(endpoint_parse(SLICE("unix:"), 0, &endpoint));
	assert_false(endpoint_parse(slice_from("unix:/a\0b", 9), 0, &endpoint));
}

static void parses_endpoints(void **state)
{
	static const struct {
		const char *text;
		uint16_t default_port;
		const char *host; // NULL: refused
		uint16_t port;
		const char *address; // NULL: has to be resolved
	} cases[] = {
		{"shop.example.com:8080", 0, "shop.example.com", 8080, NULL},
		{"shop.example.com", 80, "shop.example.com", 80, NULL},
		{"shop.example.com", 0, NULL, 0, NULL},
		{"app_1:80", 0, "app_1", 80, NULL},
		{"example.com.:80", 0, "example.com.", 80, NULL},
		{":8080", 0, "", 8080, "[::]:8080"},
		{":0", 0, "", 0, "[::]:0"},
		{"10.0.0.1:80", 0, "10.0.0.1", 80, "10.0.0.1:80"},
		{"10.0.0.1", 81, "10.0.0.1", 81, "10.0.0.1:81"},
		{"[::1]:80", 0, "::1", 80, "[::1]:80"},
		{"[::1]", 82, "::1", 82, "[::1]:82"},
		{"::1", 83, "::1", 83, "[::1]:83"},
		{"::1", 0, NULL, 0, NULL},
		{"[::1]80", 0, NULL, 0, NULL},
		{"[::1", 80, NULL, 0, NULL},
		{"[::1]:", 80, NULL, 0, NULL},
		{"[10.0.0.1]:80", 0, NULL, 0, NULL},
		{"[name]:80", 0, NULL, 0, NULL},
		{"", 80, NULL, 0, NULL},
		{":", 80, NULL, 0, NULL},
		{"host:", 80, NULL, 0, NULL},
		{"host:65536", 0, NULL, 0, NULL},
		{"host:000080", 0, NULL, 0, NULL},
		{"host:8a", 0, NULL, 0, NULL},
		{"host:-1", 0, NULL, 0, NULL},
		{"a b:80", 0, NULL, 0, NULL},
		{"a..b:80", 0, NULL, 0, NULL},
		{".a:80", 0, NULL, 0, NULL},
		{"-a:80", 0, NULL, 0, NULL},
		{"http://a:80", 0, NULL, 0, NULL},
		{"a/b:80", 0, NULL, 0, NULL},
		{"1.2.3:80", 0, NULL, 0, NULL},
		{"256.0.0.1:80", 0, NULL, 0, NULL},
		{"1.2.3.4.5:80", 0, NULL, 0, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct endpoint endpoint;
		bool taken = endpoint_parse(slice_from_string(cases[i].text), cases[i].default_port, &endpoint);
		if (taken != (cases[i].host != NULL))
			fail_msg("%s: %s", cases[i].text, taken ? "taken" : "refused");
		if (!taken)
			continue;
		assert_text(endpoint.host, cases[i].host);
		assert_int_equal(endpoint.port, cases[i].port);
		assert_int_equal(endpoint.path.length, 0);
		struct address address;
		assert_int_equal(endpoint_to_address(&endpoint, &address), cases[i].address != NULL);
		char buffer[ADDRESS_TEXT_MAX];
		if (cases[i].address)
			assert_text(address_format(&address, buffer), cases[i].address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_formats_addresses),
		cmocka_unit_test(refuses_what_is_no_address),
		cmocka_unit_test(compares),
		cmocka_unit_test(takes_mapped_addresses_for_ipv4),
		cmocka_unit_test(knows_unix_sockets),
		cmocka_unit_test(parses_endpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
