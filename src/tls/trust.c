#include "tls/trust.h"

#include "base/check.h"
#include "tls/pem.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <pthread.h>

// Debian and Alpine, Red Hat, SUSE, the BSDs.
static const char *const system_files[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

X509_STORE *trust_from(struct slice pem, const char **ret_wrong)
{
	STACK_OF(X509) *certificates = pem_certificates(pem, ret_wrong);
	if (!certificates)
		return NULL;
	X509_STORE *store = X509_STORE_new();
	for (int i = 0; store && i < sk_X509_num(certificates); i++) {
		if (X509_STORE_add_cert(store, sk_X509_value(certificates, i)) == 1)
			continue;
		X509_STORE_free(store);
		store = NULL;
	}
	sk_X509_pop_free(certificates, X509_free);
	ERR_clear_error();
	if (!store)
		*ret_wrong = "memory is out";
	return store;
}

// The store of the system's authorities that was made last: some 150 certificates, of which
// every pool and every reload needs the same.
static struct {
	pthread_mutex_t lock;
	unsigned char digest[SHA256_DIGEST_LENGTH];
	X509_STORE *store;
} latest = {.lock = PTHREAD_MUTEX_INITIALIZER};

// With the lock held.
static bool refresh_latest(struct slice pem, const char **ret_wrong)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)pem.data, pem.length, digest);
	if (latest.store && memcmp(digest, latest.digest, sizeof(digest)) == 0)
		return true;
	X509_STORE *store = trust_from(pem, ret_wrong);
	if (!store)
		return false;
	X509_STORE_free(latest.store);
	latest.store = store;
	memcpy(latest.digest, digest, sizeof(digest));
	return true;
}

static X509_STORE *parsed_once(struct slice pem, const char **ret_wrong)
{
	pthread_mutex_lock(&latest.lock);
	X509_STORE *store = refresh_latest(pem, ret_wrong) ? latest.store : NULL;
	check(!store || X509_STORE_up_ref(store));
	pthread_mutex_unlock(&latest.lock);
	return store;
}

X509_STORE *trust_of_system(struct config_load *load, struct config_place place, struct slice *ret_pem)
{
	for (size_t i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++) {
		struct slice pem;
		if (!config_read_if_there(load, system_files[i], &pem))
			continue;
		const char *wrong;
		X509_STORE *store = parsed_once(pem, &wrong);
		if (store)
			*ret_pem = pem;
		else
			config_error(load, place, "the system's authorities in %s cannot be used: %s", system_files[i],
				     wrong);
		return store;
	}
	config_error(load, place,
		     "this system has no list of authorities to verify servers by (%s): install the package "
		     "ca-certificates, or name a file under tls.ca of a pool",
		     system_files[0]);
	return NULL;
}
