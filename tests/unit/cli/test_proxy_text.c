// What `usher proxy LISTEN TARGET...` means as a configuration.
#include "cli/proxy_text.h"
#include "cmocka_all.h"

#include <string.h>

static char buffer[4096];

static void expect(const char *listen, const char *first, const char *second, const char *log, const char *expected)
{
	char *targets[] = {(char *)first, (char *)second};
	const char *wrong;
	struct text text;
	text_init(&text, buffer, sizeof buffer - 1);
	assert_true(proxy_text(&text, listen, targets, second ? 2 : 1, log, &wrong));
	buffer[text.length] = '\0';
	assert_string_equal(buffer, expected);
}

static void test_one_target(void **state)
{
	expect(":8080", "127.0.0.1:3000", NULL, NULL,
	       "listen: \":8080\"\naccess_log: off\nproxy: [\"http://127.0.0.1:3000\"]\n");
}

static void test_several_targets(void **state)
{
	expect("[::1]:80", "a.example:1", "unix:/run/app.sock", "stdout",
	       "listen: \"[::1]:80\"\naccess_log: \"stdout\"\nproxy: [\"http://a.example:1\", "
	       "\"unix:/run/app.sock\"]\n");
}

static void test_ports_alone(void **state)
{
	expect("8080", "3000", ":3001", NULL,
	       "listen: \":8080\"\naccess_log: off\nproxy: [\"http://127.0.0.1:3000\", \"http://127.0.0.1:3001\"]\n");
}

static void test_urls_stay(void **state)
{
	expect(":1", "http://a.example", "https://b.example", NULL,
	       "listen: \":1\"\naccess_log: off\nproxy: [\"http://a.example\", \"https://b.example\"]\n");
}

// Nothing in an argument can become another key, or be taken for a variable.
static void test_quotes(void **state)
{
	expect(":1", "a\"]\\b", "${HOME}$x", "a: b #c",
	       "listen: \":1\"\naccess_log: \"a: b #c\"\n"
	       "proxy: [\"http://a\\\"]\\\\b\", \"http://$${HOME}$x\"]\n");
}

static void expect_refused(const char *listen, const char *target, const char *log, size_t room, const char *at_fault)
{
	char *targets[] = {(char *)target};
	const char *wrong = NULL;
	struct text text;
	text_init(&text, buffer, room);
	assert_false(proxy_text(&text, listen, targets, 1, log, &wrong));
	assert_string_equal(wrong, at_fault);
}

static void test_refuses_control_characters(void **state)
{
	expect_refused(":1\n", "a", NULL, sizeof buffer, ":1\n");
	expect_refused(":1", "a\nb", NULL, sizeof buffer, "a\nb");
	expect_refused(":1", "a\x7f", NULL, sizeof buffer, "a\x7f");
	expect_refused(":1", "a", "\t", sizeof buffer, "\t");
}

static void test_refuses_what_does_not_fit(void **state)
{
	expect_refused(":1", "a", NULL, 20, "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_target),
		cmocka_unit_test(test_several_targets),
		cmocka_unit_test(test_ports_alone),
		cmocka_unit_test(test_urls_stay),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_refuses_control_characters),
		cmocka_unit_test(test_refuses_what_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
