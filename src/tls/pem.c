#include "tls/pem.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

// A key that is locked by a password cannot be used by a server that starts by itself.
static int no_password(char *buffer, int size, int is_writing, void *argument)
{
	bool *asked = argument;
	if (asked)
		*asked = true;
	return -1;
}

static BIO *open_bytes(struct slice pem)
{
	return pem.length <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.length) : NULL;
}

static bool at_end(void)
{
	unsigned long error = ERR_peek_last_error();
	return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

STACK_OF(X509) * pem_certificates(struct slice pem, const char **ret_wrong)
{
	ERR_clear_error();
	BIO *bytes = open_bytes(pem);
	STACK_OF(X509) *certificates = bytes ? sk_X509_new_null() : NULL;
	const char *wrong = certificates ? NULL : "memory is out";
	X509 *certificate;
	while (!wrong && (certificate = PEM_read_bio_X509(bytes, NULL, no_password, NULL))) {
		if (sk_X509_push(certificates, certificate) > 0)
			continue;
		X509_free(certificate);
		wrong = "memory is out";
	}
	if (!wrong && !at_end())
		wrong = "it holds a certificate that is broken";
	if (!wrong && sk_X509_num(certificates) == 0)
		wrong = "it holds no certificate (a PEM file has -----BEGIN CERTIFICATE----- in it)";
	ERR_clear_error();
	BIO_free(bytes);
	if (!wrong)
		return certificates;
	sk_X509_pop_free(certificates, X509_free);
	*ret_wrong = wrong;
	return NULL;
}

// OpenSSL's error does not tell a file without a key from one with a key that is broken.
static bool has_key(struct slice pem)
{
	static const char mark[] = "PRIVATE KEY-----";
	return pem.length > 0 && memmem(pem.data, pem.length, mark, sizeof(mark) - 1) != NULL;
}

EVP_PKEY *pem_private_key(struct slice pem, const char **ret_wrong)
{
	ERR_clear_error();
	BIO *bytes = open_bytes(pem);
	bool asked = false;
	EVP_PKEY *key = bytes ? PEM_read_bio_PrivateKey(bytes, NULL, no_password, &asked) : NULL;
	if (!key)
		*ret_wrong = !bytes  ? "memory is out"
			     : asked ? "its key is locked by a password; usher needs one without"
			     : !has_key(pem)
				     ? "it holds no private key (a PEM file has -----BEGIN PRIVATE KEY----- in it)"
				     : "its private key is broken";
	ERR_clear_error();
	BIO_free(bytes);
	return key;
}
