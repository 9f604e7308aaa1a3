// What becomes of a plan when watched files are replaced: certificates, keys, and their folders.
#include "../tls/pki.h"
#include "base/sanitizer.h"
#include "cmocka_all.h"
#include "control/bundle.h"
#include "control/plan.h"
#include "control/registry.h"
#include "fail_alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { DAY_SECONDS = 86400 };

static const char files[] = "listen: [{address: \"127.0.0.1:8443\", tls: true}]\n"
			    "sites:\n"
			    "  - {host: a.example, respond: 204, tls: {certificate: a.pem, key: a.key}}\n";
static const char folder[] = "listen: [{address: \"127.0.0.1:8443\", tls: true}]\n"
			     "sites:\n"
			     "  - {host: a.example, respond: 204, tls: {folder: .}}\n";

static const struct pki_wishes usual = {.subject = "a.example", .names = "DNS:a.example"};

static void put(const char *path, const char *text)
{
	pki_file(path, slice_from_string(text));
}

static void put_pair(const struct pki *certificate, const struct pki *key)
{
	pki_file_certificates("a.pem", certificate, NULL);
	pki_file_key("a.key", key);
}

// Loads, or with a former plan renews; the messages are to be freed.
static bool load(const struct plan *former, struct plan *ret_plan, char **ret_messages)
{
	size_t length;
	FILE *messages = open_memstream(ret_messages, &length);
	bool well = former ? plan_renew(former, pki_source(), messages, ret_plan)
			   : plan_load(pki_source(), "usher.yaml", messages, false, ret_plan);
	fclose(messages);
	return well;
}

static void load_well(const struct plan *former, struct plan *ret_plan)
{
	char *messages;
	if (!load(former, ret_plan, &messages))
		fail_msg("%s", messages);
	assert_string_equal(messages, "");
	free(messages);
}

static void renew_and_expect(const struct plan *former, const char *expected)
{
	struct plan plan;
	char *messages;
	assert_false(load(former, &plan, &messages));
	if (!strstr(messages, expected))
		fail_msg("%s", messages);
	assert_int_equal(plan.bundle, -1);
	assert_true(plan.watched.count >= 1); // to be noticed when it is replaced once more
	free(messages);
	plan_free(&plan);
}

// The first plan, by these words and a certificate.
static void begin(const char *configuration, struct plan *ret_plan)
{
	struct pki first = pki_issue(NULL, &usual);
	put("usher.yaml", configuration);
	put_pair(&first, &first);
	load_well(NULL, ret_plan);
}

static int end(void **state)
{
	pki_free_all();
	return 0;
}

static bool watches(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->watched.count; i++)
		if (strcmp(plan->watched.items[i].name, name) == 0)
			return true;
	return false;
}

static void test_what_is_watched(void **state)
{
	struct plan plan;
	begin(files, &plan);
	assert_true(watches(&plan, "a.pem"));
	assert_true(watches(&plan, "a.key"));
	assert_false(watches(&plan, "usher.yaml"));
	plan_free(&plan);
	begin(folder, &plan);
	assert_true(watches(&plan, "a.pem"));
	assert_true(watches(&plan, "*.pem") || watches(&plan, "./*.pem"));
	plan_free(&plan);
}

// A half-edited configuration is not taken for a new certificate's sake.
static void test_replaced_pair(void **state)
{
	struct plan plan, renewed, again;
	struct pki second = pki_issue(NULL, &usual);
	begin(files, &plan);
	put("usher.yaml", "sites: [{host: half");
	put_pair(&second, &second);
	load_well(&plan, &renewed);
	assert_false(bundle_equal(plan.bundle, renewed.bundle));
	assert_int_equal(renewed.sites, 1);
	assert_int_equal(renewed.listen_count, 1);
	assert_int_equal(renewed.watched.count, plan.watched.count);
	// From the renewed one, too.
	load_well(&renewed, &again);
	assert_true(bundle_equal(renewed.bundle, again.bundle));
	plan_free(&plan);
	plan_free(&renewed);
	plan_free(&again);
}

static void test_replaced_one_after_the_other(void **state)
{
	struct plan plan, renewed;
	begin(files, &plan);
	struct pki second = pki_issue(NULL, &usual);
	pki_file_certificates("a.pem", &second, NULL);
	renew_and_expect(&plan, "usher.yaml:3:");
	pki_file_key("a.key", &second);
	load_well(&plan, &renewed);
	plan_free(&plan);
	plan_free(&renewed);
}

static void test_broken(void **state)
{
	static const struct {
		const char *path, *text, *expected;
	} cases[] = {
		{"a.pem", "", "a.pem"},
		{"a.pem", "-----BEGIN CERTIFICATE-----\nMIIB", "a.pem"},
		{"a.key", "no key at all\n", "a.key"},
	};
	struct plan plan, renewed;
	struct pki second = pki_issue(NULL, &usual);
	begin(files, &plan);
	for (size_t i = 0; i < COUNT(cases); i++) {
		put_pair(&second, &second);
		put(cases[i].path, cases[i].text);
		renew_and_expect(&plan, cases[i].expected);
	}
	pki_file_remove("a.key");
	renew_and_expect(&plan, "cannot read \"a.key\"");
	put_pair(&second, &second);
	load_well(&plan, &renewed);
	plan_free(&plan);
	plan_free(&renewed);
}

static void test_one_more_in_the_folder(void **state)
{
	struct plan plan, renewed;
	struct pki_wishes rsa = usual;
	rsa.key = "rsa2048";
	struct pki other = pki_issue(NULL, &rsa);
	begin(folder, &plan);
	pki_file_both("b.pem", &other, NULL);
	load_well(&plan, &renewed);
	assert_false(watches(&plan, "b.pem"));
	assert_true(watches(&renewed, "b.pem"));
	plan_free(&plan);
	plan_free(&renewed);
}

// Nothing but the bundle is asked: what is on the disk by now is another matter.
static void test_review(void **state)
{
	static const struct {
		long days;
		const char *expected;
	} cases[] = {{90, ""}, {22, ""}, {20, "expires in"}, {1, "expires in"}, {-1, "HAS EXPIRED"}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct plan plan;
		struct pki_wishes wishes = usual;
		char *messages;
		size_t length;
		wishes.from_seconds = -10 * DAY_SECONDS;
		wishes.to_seconds = cases[i].days * DAY_SECONDS;
		struct pki one = pki_issue(NULL, &wishes);
		put("usher.yaml", files);
		put_pair(&one, &one);
		assert_true(load(NULL, &plan, &messages));
		free(messages);
		put("a.pem", "broken meanwhile");
		FILE *stream = open_memstream(&messages, &length);
		plan_review(&plan, stream);
		fclose(stream);
		assert_non_null(strstr(messages, cases[i].expected));
		assert_int_equal(length == 0, cases[i].expected[0] == '\0');
		free(messages);
		plan_free(&plan);
	}
}

static void test_memory_runs_out(void **state)
{
	struct plan plan;
	unsigned failures = 0;
	struct pki second = pki_issue(NULL, &usual);
	begin(files, &plan);
	put_pair(&second, &second);
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		struct plan renewed;
		FILE *nowhere = fopen("/dev/null", "w");
		bool well = plan_renew(&plan, pki_source(), nowhere, &renewed);
		(void)fail_alloc_stop();
		fclose(nowhere);
		failures += !well;
		plan_free(&renewed);
	}
	assert_true(failures > 10);
	plan_free(&plan);
}

static void test_memory_is_hidden(void **state)
{
	struct plan plan;
	begin(files, &plan);
	assert_int_equal(prctl(PR_GET_DUMPABLE), SANITIZE_ADDRESS);
	plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_what_is_watched, end),
		cmocka_unit_test_teardown(test_replaced_pair, end),
		cmocka_unit_test_teardown(test_replaced_one_after_the_other, end),
		cmocka_unit_test_teardown(test_broken, end),
		cmocka_unit_test_teardown(test_one_more_in_the_folder, end),
		cmocka_unit_test_teardown(test_review, end),
		cmocka_unit_test_teardown(test_memory_runs_out, end),
		cmocka_unit_test_teardown(test_memory_is_hidden, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
