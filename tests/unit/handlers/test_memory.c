// Every allocation fails once while a configuration with everything in it is loaded: it is
// refused, and nothing is left behind.
#include "../tls/pki.h"
#include "fail_alloc.h"
#include "support.h"

static struct test_file files[] = {
	{"page.html", "<p>$status $code"}, {"fixed.txt", "fixed"}, {"a.pem"}, {"ca.pem"}, {NULL, NULL}};

// Kept as texts: making certificates is not what is tested.
static int make_certificates(void **state)
{
	struct pki root = pki_root("Test");
	struct pki leaf =
		pki_issue(&root, &(struct pki_wishes){.subject = "a", .names = "DNS:a.example,DNS:*.b.example"});
	pki_file_both("a.pem", &leaf, NULL);
	pki_file_certificates("ca.pem", &root, NULL);
	for (struct test_file *file = files; file->name; file++) {
		struct slice content;
		if (file->content)
			continue;
		assert_int_equal(pki_source()->read_file(pki_source(), file->name, &content), 0);
		file->content = strndup(content.data, content.length);
		free((void *)content.data);
	}
	pki_free_all();
	return 0;
}

static int free_certificates(void **state)
{
	free((void *)files[2].content);
	free((void *)files[3].content);
	return 0;
}

#define FINGERPRINT "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

static const char everything[] = "listen: [\":80\", {address: \"127.0.0.1:81\", tls: true}]\n"
				 "tls: {client_certificate: {mode: optional, ca: ca.pem}}\n"
				 "hsts: {subdomains: true}\n"
				 "access_log: {path: access.log, format: \"$client $status\"}\n"
				 "error_log: error.log\n"
				 "pid_file: usher.pid\n"
				 "trusted_proxies: [10.0.0.0/8, unix]\n"
				 "limits: {body: 1MiB}\n"
				 "error_pages: {html: page.html, 404: page.html}\n"
				 "headers: {request: {set: {A: $host}, remove: B}, response: {add: {C: [d, e]}}}\n"
				 "sites:\n"
				 "  - host: [a.example, \"*.B.example\"]\n"
				 "    server: true\n"
				 "    timeouts: {read: 1s}\n"
				 "    tls: {certificate: a.pem}\n"
				 "    routes:\n"
				 "      - {path: /x/, strip: /x}\n"
				 "      - {path: \"~ ^/(a+)$\", rewrite: {match: \"^/(a)\", to: \"/b/$1?c=$path\"}}\n"
				 "      - {path: /caf\xc3\xa9, match: {method: [GET, PURGE], header: {A: \"~ b\"}, "
				 "query: {c: \"*\"}, client: 10.0.0.0/8}}\n"
				 "      - {path: /m, match: {client_certificate: {subject: \"~ a\", "
				 "fingerprint: " FINGERPRINT "}}}\n"
				 "      - {path: /r, redirect: \"https://$host$uri\"}\n"
				 "      - {path: /t, respond: {body: \"$path\"}}\n"
				 "      - {path: /f, respond: {file: fixed.txt}}\n"
				 "      - {path: /f, respond: 404}\n"
				 "  - respond: 204\n";

static const char wrong[] =
	"listen: nowhere\n"
	"sites:\n"
	"  - {host: [a, A, \"b:1\"], respond: 1, routes: [{path: x}, {path: \"~ (\"}]}\n"
	"  - {host: b, redirect: $nothing, headers: {request: {set: {Host: x}}}}\n"
	"  - {host: c, routes: [{path: /, match: {client: x, client_certificate: {fingerprint: x}}}]}\n"
	"  - {host: d, tls: {certificate: fixed.txt}, hsts: {preload: true}}\n";

static void load(const char *text, bool is_right)
{
	struct config_source source = {test_read_file, test_glob, test_environment};
	unsigned rounds = 0;
	test_files = files;
	for (; fail_alloc_round(rounds); rounds++) {
		struct snapshot *snapshot = NULL;
		FILE *nowhere = fopen("/dev/null", "w");
		bool well = snapshot_load(&source, "usher.yaml", slice_from_string(text), &test_registry, nowhere,
					  false, &snapshot);
		bool failed = fail_alloc_stop();
		if (nowhere)
			fclose(nowhere);
		assert_true(well == (snapshot != NULL));
		if (!failed)
			assert_true(well == is_right);
		snapshot_unref(snapshot);
	}
	assert_true(rounds > 1);
	test_files = NULL;
}

static void test_right(void **state)
{
	load(everything, true);
}

static void test_wrong(void **state)
{
	load(wrong, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
	};
	return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
