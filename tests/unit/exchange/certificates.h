// Certificates for configurations of tests: a.pem, b.pem and star.pem with their keys, and
// clients.pem, an authority for clients.
#ifndef USHER_TESTS_UNIT_EXCHANGE_CERTIFICATES_H
#define USHER_TESTS_UNIT_EXCHANGE_CERTIFICATES_H

#include "../tls/pki.h"
#include "support.h"

static inline void test_certificate(const struct pki *root, const char *path, const char *names)
{
	struct pki leaf = pki_issue(root, &(struct pki_wishes){.subject = path, .names = names});
	pki_file_both(path, &leaf, NULL);
}

// Group setup and teardown.
static inline int test_certificates_begin(void **state)
{
	struct pki root = pki_root("Test");
	test_certificate(&root, "a.pem", "DNS:a.example");
	test_certificate(&root, "b.pem", "DNS:b.example");
	test_certificate(&root, "star.pem", "DNS:a.example,DNS:b.example,DNS:*.c.example");
	pki_file_certificates("clients.pem", &root, NULL);
	test_source = pki_source();
	return test_loop_begin(state);
}

static inline int test_certificates_end(void **state)
{
	test_source = NULL;
	pki_free_all();
	return test_loop_end(state);
}

#endif
