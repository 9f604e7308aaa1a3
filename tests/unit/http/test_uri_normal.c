#include "http/uri.h"
#include "support.h"

#include <stdio.h>

static const struct uri_normal_options plain = {false}, merging = {true};

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, 64 * TEST_ARENA_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	return 0;
}

// What is normal stays as it is, without a copy.
static struct slice normal(struct slice path, const struct uri_normal_options *options)
{
	struct slice once = uri_normal_path(path, options, &arena);
	assert_non_null(once.data);
	struct slice twice = uri_normal_path(once, options, &arena);
	if (!slice_equal(once, twice))
		print_error("\"%.*s\": \"%.*s\", then \"%.*s\"\n", SLICE_ARGUMENTS(path), SLICE_ARGUMENTS(once),
			    SLICE_ARGUMENTS(twice));
	assert_ptr_equal(once.data, twice.data);
	assert_int_equal(once.length, twice.length);
	if (slice_equal(path, once))
		assert_ptr_equal(path.data, once.data);
	return once;
}

static const struct {
	const char *path, *plain, *merging; // NULL: as `plain`
} rows[] = {
	{"/", "/", NULL},
	{"", "", NULL},
	{"*", "*", NULL},
	{"a/../b", "a/../b", NULL},
	{"%61", "%61", NULL},
	{"*//", "*//", NULL},
	{"/a", "/a", NULL},
	{"/a/b/", "/a/b/", NULL},
	{"/a.b/..c/.d/e../f.", "/a.b/..c/.d/e../f.", NULL},
	{"/.../....", "/.../....", NULL},
	{"/-._~", "/-._~", NULL},
	{"/a;b=c,d:e@f", "/a;b=c,d:e@f", NULL},
	// Percent-encodings.
	{"/%61", "/a", NULL},
	{"/%41%5a%7A%30%39", "/AZz09", NULL},
	{"/%2d%2e%5f%7e", "/-._~", NULL},
	{"/%2f", "/%2F", NULL},
	{"/%2F", "/%2F", NULL},
	{"/%5c..%5c", "/%5C..%5C", NULL},
	{"/\\..\\", "/\\..\\", NULL},
	{"/%25", "/%25", NULL},
	{"/%2541", "/%2541", NULL},
	{"/%252e%252e/", "/%252e%252e/", NULL},
	{"/%25%32%65", "/%252e", NULL},
	{"/%c3%a4", "/%C3%A4", NULL},
	{"/%3a%3b%40", "/%3A%3B%40", NULL},
	{"/%00", "/%00", NULL},
	{"/%20+", "/%20+", NULL},
	// No encodings at all: kept apart from the real ones.
	{"/%", "/%25", NULL},
	{"/%4", "/%254", NULL},
	{"/%zz", "/%25zz", NULL},
	{"/%%341", "/%2541", NULL},
	{"/%2%65", "/%252e", NULL},
	// Dot segments: RFC 3986 section 5.2.4 and 5.4.
	{"/.", "/", NULL},
	{"/..", "/", NULL},
	{"/./", "/", NULL},
	{"/../", "/", NULL},
	{"/../..", "/", NULL},
	{"/../../a", "/a", NULL},
	{"/a/.", "/a/", NULL},
	{"/a/..", "/", NULL},
	{"/a/../", "/", NULL},
	{"/a/b/..", "/a/", NULL},
	{"/a/b/../", "/a/", NULL},
	{"/a/./b", "/a/b", NULL},
	{"/a/../b", "/b", NULL},
	{"/a/b/c/./../../g", "/a/g", NULL},
	{"/b/c/../../../g", "/g", NULL},
	{"/b/c/g;x=1/../y", "/b/c/y", NULL},
	{"/a/...", "/a/...", NULL},
	{"/a/.b", "/a/.b", NULL},
	// Encoded ones are the same.
	{"/%2e", "/", NULL},
	{"/%2E%2e/a", "/a", NULL},
	{"/a/.%2e/b", "/b", NULL},
	{"/a/%2e./b", "/b", NULL},
	{"/a/%2E%2E", "/", NULL},
	{"/a/%2e%2e%2fb", "/a/..%2Fb", NULL},
	{"/admin/%2e/x", "/admin/x", NULL},
	{"/public/%2e%2e/%61dmin", "/admin", NULL},
	// Slashes.
	{"//", "//", "/"},
	{"///", "///", "/"},
	{"//a", "//a", "/a"},
	{"/a//b", "/a//b", "/a/b"},
	{"/a///b//", "/a///b//", "/a/b/"},
	{"/a//..", "/a/", "/"},
	{"/a//../b", "/a/b", "/b"},
	{"/a/..//b", "//b", "/b"},
	{"/.//a", "//a", "/a"},
	{"/..//..//a", "//a", "/a"},
	{"//../a", "/a", NULL},
	{"/a/%2f/b", "/a/%2F/b", NULL},
	{"/a/./%2e//b", "/a//b", "/a/b"},
};

static void test_paths(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice path = slice_from_string(rows[i].path);
		assert_slice(normal(path, &plain), rows[i].plain);
		assert_slice(normal(path, &merging), rows[i].merging != NULL ? rows[i].merging : rows[i].plain);
	}
}

// RFC 3986 section 5.2.4 word by word, with its two buffers.
static size_t remove_dot_segments(const char *input, char *out)
{
	char in[64];
	size_t length = 0;
	snprintf(in, sizeof(in), "%s", input);
	for (char *at = in; *at != '\0';) {
		if (strncmp(at, "/./", 3) == 0) {
			at += 2;
		} else if (strcmp(at, "/.") == 0) {
			at[1] = '\0';
		} else if (strncmp(at, "/../", 4) == 0 || strcmp(at, "/..") == 0) {
			if (at[3] == '\0')
				at[1] = '\0';
			else
				at += 3;
			while (length > 0 && out[--length] != '/')
				;
		} else {
			do
				out[length++] = *at++;
			while (*at != '\0' && *at != '/');
		}
	}
	return length;
}

// Every path of up to seven of the bytes that matter, against the reference.
static void test_all_short_paths(void **state)
{
	static const char bytes[] = "/.a";
	size_t tried = 0;
	for (size_t length = 1; length <= 8; length++) {
		size_t combinations = 1;
		for (size_t i = 1; i < length; i++)
			combinations *= 3;
		for (size_t number = 0; number < combinations; number++, tried++) {
			char path[16] = "/", expected[16];
			for (size_t i = 1, rest = number; i < length; i++, rest /= 3)
				path[i] = bytes[rest % 3];
			struct slice found = normal(slice_from(path, length), &plain);
			size_t expected_length = remove_dot_segments(path, expected);
			assert_true(slice_equal(found, slice_from(expected, expected_length)));
			found = normal(slice_from(path, length), &merging);
			for (size_t i = 0; i + 1 < found.length; i++)
				assert_false(found.data[i] == '/' && found.data[i + 1] == '/');
		}
	}
	assert_int_equal(tried, 3280);
}

// Every path of a few encodings and their parts: normal once is normal for ever.
static void test_all_encodings(void **state)
{
	static const char *const parts[] = {"%", "2", "e", "E", "F", "5", "/", ".", "%2e", "%25", "%2f"};
	for (size_t number = 0; number < COUNT(parts) * COUNT(parts) * COUNT(parts) * COUNT(parts); number++) {
		char path[32];
		size_t rest = number, n = COUNT(parts);
		int length = snprintf(path, sizeof(path), "/%s%s%s%s", parts[rest % n], parts[rest / n % n],
				      parts[rest / n / n % n], parts[rest / n / n / n]);
		normal(slice_from(path, (size_t)length), &plain);
		normal(slice_from(path, (size_t)length), &merging);
	}
}

// Each byte, encoded in both cases: unreserved ones are decoded, no others.
static void test_every_encoded_byte(void **state)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char lower[8], upper[8], expected[8] = "/x";
		snprintf(lower, sizeof(lower), "/x%%%02x", byte);
		snprintf(upper, sizeof(upper), "/x%%%02X", byte);
		bool unreserved =
			byte != 0 &&
			strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", (int)byte) != NULL;
		snprintf(expected + 2, sizeof(expected) - 2, unreserved ? "%c" : "%%%02X", byte);
		assert_slice(normal(slice_from_string(lower), &plain), expected);
		assert_slice(normal(slice_from_string(upper), &plain), expected);
	}
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host, *normal;
	} hosts[] = {
		{"", ""},
		{"a", "a"},
		{"A", "a"},
		{"a.", "a"},
		{"Shop.Example.COM.", "shop.example.com"},
		{"[2001:DB8::1]", "[2001:db8::1]"},
		{"192.0.2.1", "192.0.2.1"},
		{".", "."},
	};
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct slice host = slice_from_string(hosts[i].host);
		struct slice once = uri_normal_host(host, &arena);
		assert_slice(once, hosts[i].normal);
		assert_ptr_equal(uri_normal_host(once, &arena).data, once.data);
	}
	struct slice host = SLICE("example.com.");
	assert_ptr_equal(uri_normal_host(host, &arena).data, host.data);
}

static void test_without_memory(void **state)
{
	struct arena none;
	arena_init(&none, 1);
	assert_null(uri_normal_host(SLICE("ABC"), &none).data);
	assert_null(uri_normal_path(SLICE("/a/../b"), &plain, &none).data);
	assert_slice(uri_normal_host(SLICE("abc"), &none), "abc");
	assert_slice(uri_normal_path(SLICE("/a"), &plain, &none), "/a");
	arena_fini(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_paths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_short_paths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_encodings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_encoded_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hosts, set_up, tear_down),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
