// Loading certificates when memory is out: the load fails, and nothing is lost.
#include "fail_alloc.h"
#include "server_support.h"

static struct pki root, leaf;

static int set_up(void **state)
{
	root = pki_root("Root");
	leaf = pki_issue(&root, &(struct pki_wishes){.subject = "a", .names = "DNS:a.example,DNS:*.b.example"});
	pki_file_both("certs/a.pem", &leaf, NULL);
	pki_file_certificates("certs/b.crt", &leaf, NULL);
	pki_file_key("certs/b.key", &leaf);
	pki_file_certificates("ca.pem", &root, NULL);
	pki_file_list("crl.pem", pki_revoke(&root, NULL, 1000));
	return 0;
}

static int tear_down(void **state)
{
	pki_free_all();
	return 0;
}

static void survives(const char *text)
{
	for (unsigned round = 0; fail_alloc_round(round); round++) {
		struct test_server server = test_server_load(text);
		bool failed = fail_alloc_stop();
		// Without a failure all is good; where one did no harm, it may be.
		if (!failed)
			assert_true(server.good);
		test_server_free(&server);
	}
}

static void survives_files(void **state)
{
	survives("sites: [{host: a.example, tls: {certificate: certs/a.pem,\n"
		 "  client_certificate: {ca: ca.pem, crl: crl.pem}}}]");
}

static void survives_folders(void **state)
{
	survives("tls: {folder: certs}\nsites: [{host: a.example}, {}]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(survives_files), cmocka_unit_test(survives_folders)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
