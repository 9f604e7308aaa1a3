// hsts: what browsers are told, and where.
#include "support.h"

static const struct tls_peer tls = {.version = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256"};

static const struct {
	const char *hsts, *field;
} rows[] = {
	{"{}", "max-age=31536000"},
	{"30d", "max-age=2592000"},
	{"off", "max-age=0"},
	{"{max_age: 90s, subdomains: true}", "max-age=90; includeSubDomains"},
	{"{max_age: 365d, subdomains: true, preload: true}", "max-age=31536000; includeSubDomains; preload"},
};

static struct slice always(const struct exchange *exchange)
{
	const struct field *field = fields_find_name(&exchange->always, SLICE("Strict-Transport-Security"));
	return field ? field->value : SLICE("(none)");
}

static void test_fields(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];
		struct exchange exchange;
		snprintf(text, sizeof text, "server: true\nhsts: %s\n", rows[i].hsts);
		struct snapshot *snapshot = test_load_good(text, &test_registry);
		test_serve(&exchange, snapshot, &(struct test_request){.tls = &tls});
		assert_int_equal(test_server.calls, 1);
		assert_slice(always(&exchange), rows[i].field);
		test_exchange_end(&exchange);
		snapshot_unref(snapshot);
	}
}

// Who could have written into the answer could have written the field, too.
static void test_only_over_https(void **state)
{
	struct snapshot *snapshot = test_load_good("server: true\nhsts: 1d\n", &test_registry);
	struct exchange exchange;
	test_serve(&exchange, snapshot, &(struct test_request){0});
	assert_int_equal(test_server.calls, 1);
	assert_slice(always(&exchange), "(none)");
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_errors(void **state)
{
	static const char *const wrong[][2] = {
		{"{preload: true}", "usher.yaml:2:8: browsers' lists take only sites"},
		{"{preload: true, subdomains: true, max_age: 364d}", "browsers' lists take only sites"},
		{"{preload: true, max_age: 365d}", "browsers' lists take only sites"},
		{"100ms", "hsts.max_age is in whole seconds"},
		{"{max_age: forever}", "expected a duration"},
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[256];
		snprintf(text, sizeof text, "server: true\nhsts: %s\n", wrong[i][0]);
		assert_refused(text, wrong[i][1], &test_registry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_only_over_https),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
