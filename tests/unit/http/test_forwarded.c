#include "http/forwarded.h"
#include "support.h"

#include <stdio.h>

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, TEST_ARENA_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	return 0;
}

struct seen {
	char text[1024];
	size_t length;
	unsigned hops, stop_after;
};

// "node proto host|", with "-" for what is empty.
static bool visit(void *argument, const struct forwarded_hop *hop)
{
	struct seen *seen = argument;
	const struct slice parts[] = {hop->node, hop->proto, hop->host};
	for (size_t i = 0; i < COUNT(parts); i++) {
		struct slice part = parts[i].length > 0 ? parts[i] : SLICE("-");
		seen->length += (size_t)snprintf(seen->text + seen->length, sizeof(seen->text) - seen->length, "%.*s%s",
						 SLICE_ARGUMENTS(part), i < 2 ? " " : "|");
	}
	return ++seen->hops != seen->stop_after;
}

// Fields from "Name: value\nName: value".
static bool read_fields(const char *text, unsigned stop_after, struct seen *ret_seen)
{
	struct fields fields = {0};
	struct slice rest = slice_from_string(text), line, name, value;
	while (rest.length > 0) {
		if (!slice_cut(rest, '\n', &line, &rest))
			rest = SLICE("");
		assert_true(slice_cut(line, ':', &name, &value));
		struct slice copy = arena_copy(&arena, slice_trim(value));
		assert_true(fields_add_name(&fields, &arena, name, copy));
	}
	*ret_seen = (struct seen){.stop_after = stop_after};
	return forwarded_read(&fields, visit, ret_seen);
}

#define F "Forwarded: "
#define X "X-Forwarded-For: "

static const struct {
	const char *fields;
	bool good;
	const char *hops;
} rows[] = {
	{"Host: a", true, ""},
	// Forwarded.
	{F "for=192.0.2.1", true, "192.0.2.1 - -|"},
	{F "FOR=192.0.2.1;PROTO=https;Host=a.b", true, "192.0.2.1 https a.b|"},
	{F "for=\"192.0.2.1:80\"", true, "192.0.2.1 - -|"},
	{F "for=\"192.0.2.1:_p\"", true, "192.0.2.1 - -|"},
	{F "for=\"[2001:db8::1]\"", true, "[2001:db8::1] - -|"},
	{F "for=\"[2001:db8::1]:4711\"", true, "[2001:db8::1] - -|"},
	{F "for=unknown", true, "unknown - -|"},
	{F "for=_hidden, for=_SEVKISEK", true, "_SEVKISEK - -|_hidden - -|"},
	{F "for=192.0.2.1, for=192.0.2.2;proto=http", true, "192.0.2.2 http -|192.0.2.1 - -|"},
	{F "for=192.0.2.1\n" F "for=192.0.2.2,for=192.0.2.3", true, "192.0.2.3 - -|192.0.2.2 - -|192.0.2.1 - -|"},
	{F "for=192.0.2.1; proto=https ;host=a", true, "192.0.2.1 https a|"},
	{F ";for=192.0.2.1;;proto=https;", true, "192.0.2.1 https -|"},
	{F ", ,for=192.0.2.1,,", true, "192.0.2.1 - -|"},
	{F "proto=https", true, "- https -|"},
	{F "by=10.0.0.1;for=192.0.2.1;x=\"a,b;c\"", true, "192.0.2.1 - -|"},
	{F "for=192.0.2.1;host=\"a:8080\"", true, "192.0.2.1 - a:8080|"},
	{F "", true, ""},
	// What a proxy may have passed on unseen counts as missing.
	{F "for=192.0.2.1;host=\"a b\";proto=1x", true, "192.0.2.1 - -|"},
	{F "for=\"192.0.2.1:65535\"", true, "192.0.2.1 - -|"},
	{F "for=\"192.0.2.1:89\";proto=a", true, "192.0.2.1 a -|"},
	{F "for=192.0.2.1;proto=zz", true, "192.0.2.1 zz -|"},
	{F "for=192.0.2.1;proto=A+-.9", true, "192.0.2.1 A+-.9 -|"},
	// Malformed.
	{F "for", false, ""},
	{F "for=", false, ""},
	{F "for=\"\"", false, ""},
	{F "=192.0.2.1", false, ""},
	{F "for =192.0.2.1", false, ""},
	{F "for= 192.0.2.1", false, ""},
	{F "for=192.0.2.1 proto=http", false, ""},
	{F "for=192.0.2.1:80", false, ""},
	{F "for=[::1]", false, ""},
	{F "for=\"::1\"", false, ""},
	{F "for=\"[::1\"", false, ""},
	{F "for=\"[::1]x\"", false, ""},
	{F "for=\"192.0.2.1:\"", false, ""},
	{F "for=\"192.0.2.1:123456\"", false, ""},
	{F "for=\"192.0.2.1:8x\"", false, ""},
	{F "for=\"192.0.2.1:/\"", false, ""},
	{F "for=\"192.0.2.1:_\"", false, ""},
	{F "for=192.0.2.256", false, ""},
	{F "for=1000000000000000000000000000000000000000000000000000000000000000", false, ""},
	{F "for=\"[00000000000000000000000000000000000000000000000000000000000000::1]\"", false, ""},
	{F "for=1111111111111111111111111111111111111111111111", false, ""},
	{F "for=192.0.2.1;proto=x,for=\"[\"", false, ""},
	{F "for=192.0.2.1;x=\"a,b\\\"c\"", false, ""},
	{F "for=192.0.2.1;x=\"a,for=10.0.0.1;y=\\\"b\"", false, ""},
	{F "for=192.0.2", false, ""},
	{F "for=name.example", false, ""},
	{F "for=_", false, ""},
	{F "for=_a~", false, ""},
	{F "for=192.0.2.1;for=192.0.2.1", false, ""},
	{F "for=192.0.2.1;proto=http;proto=https", false, ""},
	{F "for=\"192.0.2.1", false, ""},
	{F "for=\"192.0\\.2.1\"", false, ""},
	// What stands to the left cannot change how the nearest hop is read.
	{F "x, for=192.0.2.1", false, "192.0.2.1 - -|"},
	{F "for=\"x, for=192.0.2.1", false, "192.0.2.1 - -|"},
	{F "for=\"x\\, for=\"[::1]\"", false, "[::1] - -|"},
	{F "\", for=\"[::1]\", for=192.0.2.1", false, "192.0.2.1 - -|[::1] - -|"},
	{F "for=192.0.2.1, x, for=192.0.2.2", false, "192.0.2.2 - -|"},
	{F "x\n" F "for=192.0.2.2", false, "192.0.2.2 - -|"},
	// X-Forwarded-For.
	{X "192.0.2.1", true, "192.0.2.1 - -|"},
	{X "192.0.2.1, 192.0.2.2", true, "192.0.2.2 - -|192.0.2.1 - -|"},
	{X "192.0.2.1\n" X "192.0.2.2", true, "192.0.2.2 - -|192.0.2.1 - -|"},
	{X "2001:db8::1", true, "2001:db8::1 - -|"},
	{X "[2001:db8::1]", true, "[2001:db8::1] - -|"},
	{X "[2001:db8::1]:80", true, "[2001:db8::1] - -|"},
	{X "192.0.2.1:80", true, "192.0.2.1 - -|"},
	{X "::ffff:192.0.2.1", true, "::ffff:192.0.2.1 - -|"},
	{X "unknown", true, "unknown - -|"},
	{X ",, 192.0.2.1 ,\t", true, "192.0.2.1 - -|"},
	{X "", true, ""},
	{X "x", false, ""},
	{X "x, 192.0.2.1", false, "192.0.2.1 - -|"},
	{X "\"x, 192.0.2.1", false, "192.0.2.1 - -|"},
	{X "192.0.2.1 192.0.2.2", false, ""},
	{X "for=192.0.2.1", false, ""},
	{X "192.0.2.1, 192.0.2.2\nX-Forwarded-Proto: https\nX-Forwarded-Host: a:8", true,
	 "192.0.2.2 https a:8|192.0.2.1 - -|"},
	{X "192.0.2.1\nX-Forwarded-Proto: http, https", true, "192.0.2.1 https -|"},
	{X "192.0.2.1\nX-Forwarded-Proto: a b\nX-Forwarded-Host: a b", true, "192.0.2.1 - -|"},
	{"X-Forwarded-Proto: https", true, "- https -|"},
	{"X-Forwarded-Host: a", true, "- - a|"},
	// Both: where they say something they must say the same.
	{F "for=192.0.2.1\n" X "192.0.2.1", true, "192.0.2.1 - -|"},
	{F "for=\"[2001:DB8::1]\"\n" X "2001:db8::1", true, "[2001:DB8::1] - -|"},
	{F "for=\"[::1]\"\n" X "[::1]:80", true, "[::1] - -|"},
	{F "for=\"[::1]\"\n" X "[::2]:80", false, ""},
	{F "for=192.0.2.1;proto=http\n" X "192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: a", true,
	 "192.0.2.1 http a|"},
	{F "for=10.0.0.1\n" X "192.0.2.1", false, ""},
	{F "for=10.0.0.1, for=192.0.2.1\n" X "10.0.0.2, 192.0.2.1", false, "192.0.2.1 - -|"},
	{F "for=192.0.2.2\n" X "192.0.2.1, 192.0.2.2", true, "192.0.2.2 - -|192.0.2.1 - -|"},
	{F "for=192.0.2.1\n" X "x", false, ""},
	{F "x\n" X "192.0.2.1", false, ""},
	{F "proto=https\n" X "192.0.2.1", true, "192.0.2.1 https -|"},
};

static void test_read(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct seen seen;
		bool good = read_fields(rows[i].fields, 0, &seen);
		if (good != rows[i].good || strcmp(seen.text, rows[i].hops) != 0)
			print_error("row %zu: %s\n%d %s\n", i, rows[i].fields, good, seen.text);
		assert_int_equal(good, rows[i].good);
		assert_string_equal(seen.text, rows[i].hops);
	}
}

static void test_stop(void **state)
{
	struct seen seen;
	assert_true(read_fields(F "x, for=192.0.2.2, for=192.0.2.1", 1, &seen));
	assert_string_equal(seen.text, "192.0.2.1 - -|");
	assert_true(read_fields(X "x, 192.0.2.2, 192.0.2.1", 2, &seen));
	assert_string_equal(seen.text, "192.0.2.1 - -|192.0.2.2 - -|");
}

static void test_format(void **state)
{
	static const struct {
		const char *node, *proto, *host, *text, *hop;
	} formats[] = {
		{"192.0.2.1", "https", "a.b", "for=192.0.2.1;proto=https;host=a.b", "192.0.2.1 https a.b|"},
		{"192.0.2.1", "http", "a:8", "for=192.0.2.1;proto=http;host=\"a:8\"", "192.0.2.1 http a:8|"},
		{"2001:db8::1", "", "", "for=\"[2001:db8::1]\"", "[2001:db8::1] - -|"},
		{"[2001:db8::1]", "", "", "for=\"[2001:db8::1]\"", "[2001:db8::1] - -|"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "", "",
		 "for=\"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]\"",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255] - -|"},
		{"unknown", "", "", "for=unknown", "unknown - -|"},
		{"_x", "http", "[::1]:8", "for=_x;proto=http;host=\"[::1]:8\"", "_x http [::1]:8|"},
		{"", "https", "", "proto=https", "- https -|"},
		{"", "", "a\"b\\c", "host=\"a\\\"b\\\\c\"", NULL},
		{"", "", "", "", ""},
	};
	for (size_t i = 0; i < COUNT(formats); i++) {
		struct slice text =
			forwarded_format(&arena, slice_from_string(formats[i].node),
					 slice_from_string(formats[i].proto), slice_from_string(formats[i].host));
		assert_slice(text, formats[i].text);
		if (formats[i].hop == NULL)
			continue;
		char field[256];
		struct seen seen;
		snprintf(field, sizeof(field), F "%.*s", SLICE_ARGUMENTS(text));
		assert_true(read_fields(field, 0, &seen));
		assert_string_equal(seen.text, formats[i].hop);
	}
}

static void test_format_without_memory(void **state)
{
	struct arena none;
	arena_init(&none, 1);
	assert_null(forwarded_format(&none, SLICE("192.0.2.1"), SLICE("http"), SLICE("a")).data);
	arena_fini(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_format, set_up, tear_down),
		cmocka_unit_test(test_format_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
