// Authorities. Targets are tested with the requests that they stand in: test_request.c.
#include "http/uri.h"
#include "support.h"

#include <stdio.h>

static void test_good_authorities(void **state)
{
	static const struct {
		const char *authority, *host;
		uint16_t port;
	} rows[] = {
		{"a", "a", 0},
		{"a:80", "a", 80},
		{"a:", "a", 0},
		{"a:1", "a", 1},
		{"a:65535", "a", 65535},
		{"a:9", "a", 9},
		{"a:00080", "a", 80},
		{"a.", "a.", 0},
		{"a.b.c.:8", "a.b.c.", 8},
		{"A-b_c~d.9", "A-b_c~d.9", 0},
		{"192.0.2.1", "192.0.2.1", 0},
		{"192.0.2.1:8080", "192.0.2.1", 8080},
		{"[::]", "[::]", 0},
		{"[::1]:443", "[::1]", 443},
		{"[2001:DB8:0:0:0:0:0:1]", "[2001:DB8:0:0:0:0:0:1]", 0},
		{"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.1]", 1},
		{"[::1]:", "[::1]", 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice text = slice_from_string(rows[i].authority), host;
		uint16_t port = 9999;
		char *copy = test_alone(text);
		assert_true(uri_parse_authority(slice_from(copy, text.length), &host, &port));
		assert_slice(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
		free(copy);
	}
}

static const struct slice bad[] = {
	BYTES(""),
	BYTES(":"),
	BYTES(":80"),
	BYTES("."),
	BYTES(".a"),
	BYTES("a..b"),
	BYTES("a.."),
	BYTES("a b"),
	BYTES(" a"),
	BYTES("a "),
	BYTES("a\t"),
	BYTES("a\0"),
	BYTES("a\0b"),
	BYTES("\x80"),
	BYTES("a\x7f"),
	BYTES("a/"),
	BYTES("a?"),
	BYTES("a#"),
	BYTES("u@a"),
	BYTES("u:p@a"),
	BYTES("a%41"),
	BYTES("a!b"),
	BYTES("a$"),
	BYTES("a&b"),
	BYTES("a'"),
	BYTES("(a)"),
	BYTES("*"),
	BYTES("a+b"),
	BYTES("a,b"),
	BYTES("a;b"),
	BYTES("a=b"),
	BYTES("\"a\""),
	BYTES("<a>"),
	BYTES("a\\b"),
	BYTES("a^"),
	BYTES("a|b"),
	BYTES("a{"),
	BYTES("a:b"),
	BYTES("a: 80"),
	BYTES("a:80 "),
	BYTES("a:8a"),
	BYTES("a:-1"),
	BYTES("a:+1"),
	BYTES("a:0"),
	BYTES("a:00000"),
	BYTES("a:65536"),
	BYTES("a:99999"),
	BYTES("a:000080"),
	BYTES("a:80:80"),
	BYTES("a::80"),
	BYTES("a:\0"),
	BYTES("::1"),
	BYTES("1:2"
	      ":3"),
	BYTES("["),
	BYTES("]"),
	BYTES("[]"),
	BYTES("[]:80"),
	BYTES("[:]"),
	BYTES("[::1"),
	BYTES("::1]"),
	BYTES("[::1]]"),
	BYTES("[[::1]]"),
	BYTES("[::1]80"),
	BYTES("[::1]a:80"),
	BYTES("a[::1]"),
	BYTES("[::1%1]"),
	BYTES("[::1%25lo]"),
	BYTES("[::12345]"),
	BYTES("[1:2:3:4:5:6:7:8:9]"),
	BYTES("[1::2::3]"),
	BYTES("[192.0.2.1]"),
	BYTES("[v1.a]"),
	BYTES("[vF.::]"),
	BYTES("[a]"),
	BYTES("[::1\0]"),
	BYTES("[ ::1]"),
	BYTES("[::1]:x"),
	BYTES("[::1]:0"),
	BYTES("[::1]:65536"),
};

static void test_bad_authorities(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct slice host;
		uint16_t port;
		char *copy = test_alone(bad[i]);
		if (uri_parse_authority(slice_from(copy, bad[i].length), &host, &port))
			fail_msg("\"%.*s\" was taken for an authority", SLICE_ARGUMENTS(bad[i]));
		free(copy);
	}
}

// A host has at most 255 bytes (RFC 1035 section 2.3.4), an address at most 45.
static void test_long_hosts(void **state)
{
	char text[400];
	struct slice host;
	uint16_t port;
	memset(text, 'a', sizeof(text));
	assert_true(uri_parse_authority(slice_from(text, 255), &host, &port));
	assert_int_equal(host.length, 255);
	assert_false(uri_parse_authority(slice_from(text, 256), &host, &port));
	assert_false(uri_parse_authority(SLICE("[0000:0000:0000:0000:0000:ffff:192.000.002.001]"), &host, &port));
	assert_true(uri_parse_authority(SLICE("[0000:0000:0000:0000:0000:ffff:192.100.102.101]"), &host, &port));
	text[0] = '[';
	memset(text + 1, '0', 300);
	text[301] = ']';
	assert_false(uri_parse_authority(slice_from(text, 302), &host, &port));
}

// Every byte alone and inside: only unreserved ones make a host.
static void test_every_byte(void **state)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[3] = {'a', (char)byte, 'b'};
		struct slice host;
		uint16_t port;
		bool good = byte != 0 && strchr(unreserved, (int)byte) != NULL;
		assert_int_equal(uri_parse_authority(slice_from(text, 3), &host, &port), good);
	}
}

static struct request target_of(enum method method, const char *target)
{
	struct request request = {.method = method, .target = slice_from_string(target)};
	const char *detail = NULL;
	assert_true(uri_parse_target(&request, &detail));
	return request;
}

static void test_target_parts(void **state)
{
	struct request request = target_of(METHOD_GET, "/a%20b/c;d?e=/f?g");
	assert_int_equal(request.target_form, TARGET_ORIGIN);
	assert_slice(request.path, "/a%20b/c;d");
	assert_slice(request.query, "e=/f?g");
	assert_true(request.has_query);
	assert_int_equal(request.host.length, 0);
	assert_int_equal(request.scheme.length, 0);

	request = target_of(METHOD_POST, "hTTpS://Ex.am:8443?x");
	assert_int_equal(request.target_form, TARGET_ABSOLUTE);
	assert_slice(request.scheme, "https");
	assert_slice(request.authority, "Ex.am:8443");
	assert_slice(request.host, "Ex.am");
	assert_int_equal(request.port, 8443);
	assert_slice(request.path, "/");
	assert_slice(request.query, "x");

	request = target_of(METHOD_CONNECT, "[::1]:443");
	assert_int_equal(request.target_form, TARGET_AUTHORITY);
	assert_slice(request.host, "[::1]");
	assert_slice(request.authority, "[::1]:443");
	assert_int_equal(request.port, 443);
	assert_false(request.has_query);

	request = target_of(METHOD_OPTIONS, "*");
	assert_int_equal(request.target_form, TARGET_ASTERISK);
	assert_slice(request.path, "*");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_authorities), cmocka_unit_test(test_bad_authorities),
		cmocka_unit_test(test_long_hosts),	 cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_target_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
