#include "pki.h"

#include "base/check.h"

#include <errno.h>
#include <fnmatch.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS_MAX = 512, FILES_MAX = 64, DAY = 86400 };

static struct {
	X509 *certificates[OBJECTS_MAX];
	EVP_PKEY *keys[OBJECTS_MAX];
	unsigned certificate_count, key_count;
	struct {
		char *path;
		struct slice content;
	} files[FILES_MAX];
	unsigned file_count;
	long serial;
	const char *open_start;
} made;

// --- Certificates

static EVP_PKEY *make_dsa_key(void)
{
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
	EVP_PKEY *parameters = NULL, *key = NULL;
	check(EVP_PKEY_paramgen_init(maker) == 1 && EVP_PKEY_paramgen(maker, &parameters) == 1);
	EVP_PKEY_CTX_free(maker);
	maker = EVP_PKEY_CTX_new_from_pkey(NULL, parameters, NULL);
	check(EVP_PKEY_keygen_init(maker) == 1 && EVP_PKEY_keygen(maker, &key) == 1);
	EVP_PKEY_CTX_free(maker);
	EVP_PKEY_free(parameters);
	return key;
}

static EVP_PKEY *make_key(const char *kind)
{
	EVP_PKEY *key = NULL;
	if (!kind || strcmp(kind, "ecdsa") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	else if (strcmp(kind, "p384") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	else if (strcmp(kind, "p521") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
	else if (strncmp(kind, "rsa", 3) == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)strtoul(kind + 3, NULL, 10));
	else if (strcmp(kind, "ed25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else if (strcmp(kind, "dsa") == 0)
		key = make_dsa_key();
	check(key && made.key_count < OBJECTS_MAX);
	made.keys[made.key_count++] = key;
	return key;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	if (!value)
		return;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	check(extension && X509_add_ext(certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

struct pki pki_issue(const struct pki *issuer, const struct pki_wishes *wishes)
{
	struct pki pki = {X509_new(), make_key(wishes->key)};
	check(pki.certificate && made.certificate_count < OBJECTS_MAX);
	made.certificates[made.certificate_count++] = pki.certificate;
	const struct pki *signer = issuer ? issuer : &pki;
	X509_set_version(pki.certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(pki.certificate), ++made.serial);
	X509_gmtime_adj(X509_getm_notBefore(pki.certificate), wishes->from_seconds ? wishes->from_seconds : -DAY);
	X509_gmtime_adj(X509_getm_notAfter(pki.certificate), wishes->to_seconds ? wishes->to_seconds : 90 * DAY);
	X509_set_pubkey(pki.certificate, pki.key);
	if (wishes->subject)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(pki.certificate), "CN", MBSTRING_UTF8,
					   (const unsigned char *)wishes->subject, -1, -1, 0);
	X509_set_issuer_name(pki.certificate, X509_get_subject_name(signer->certificate));
	add_extension(pki.certificate, signer->certificate, NID_basic_constraints,
		      wishes->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add_extension(pki.certificate, signer->certificate, NID_subject_key_identifier, "hash");
	add_extension(pki.certificate, signer->certificate, NID_subject_alt_name, wishes->names);
	add_extension(pki.certificate, signer->certificate, NID_ext_key_usage, wishes->purpose);
	add_extension(pki.certificate, signer->certificate, NID_info_access, wishes->access);
	add_extension(pki.certificate, signer->certificate, NID_tlsfeature, wishes->features);
	bool is_bare = EVP_PKEY_get_base_id(signer->key) == EVP_PKEY_ED25519;
	const EVP_MD *digest = is_bare ? NULL : EVP_get_digestbyname(wishes->digest ? wishes->digest : "SHA256");
	check(X509_sign(pki.certificate, signer->key, digest) > 0);
	return pki;
}

struct pki pki_root(const char *subject)
{
	return pki_issue(NULL, &(struct pki_wishes){.subject = subject, .is_authority = true});
}

struct pki pki_intermediate(const struct pki *root, const char *subject)
{
	return pki_issue(root, &(struct pki_wishes){.subject = subject, .is_authority = true});
}

X509_CRL *pki_revoke(const struct pki *authority, const X509 *certificate, long to_seconds)
{
	X509_CRL *list = X509_CRL_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, -2L * DAY), *to = X509_gmtime_adj(NULL, to_seconds);
	check(list && from && to);
	X509_CRL_set_version(list, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(authority->certificate));
	X509_CRL_set1_lastUpdate(list, from);
	X509_CRL_set1_nextUpdate(list, to);
	if (certificate) {
		X509_REVOKED *revoked = X509_REVOKED_new();
		X509_REVOKED_set_serialNumber(revoked, (ASN1_INTEGER *)X509_get0_serialNumber(certificate));
		X509_REVOKED_set_revocationDate(revoked, from);
		X509_CRL_add0_revoked(list, revoked);
	}
	check(X509_CRL_sign(list, authority->key, EVP_sha256()) > 0);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return list;
}

// --- Files

static unsigned find_file(const char *path)
{
	unsigned i = 0;
	while (i < made.file_count && strcmp(made.files[i].path, path) != 0)
		i++;
	return i;
}

void pki_file_remove(const char *path)
{
	unsigned i = find_file(path);
	if (i == made.file_count)
		return;
	free(made.files[i].path);
	free((void *)made.files[i].content.data);
	made.files[i] = made.files[--made.file_count];
}

void pki_file(const char *path, struct slice content)
{
	pki_file_remove(path);
	check(made.file_count < FILES_MAX);
	char *copy = malloc(content.length + 1);
	memcpy(copy, content.data, content.length);
	copy[content.length] = '\0';
	made.files[made.file_count].path = strdup(path);
	made.files[made.file_count++].content = slice_from(copy, content.length);
}

static void file_from(const char *path, BIO *bytes)
{
	char *data;
	long length = BIO_get_mem_data(bytes, &data);
	check(length > 0);
	pki_file(path, slice_from(data, (size_t)length));
	BIO_free(bytes);
}

static void write_certificates(BIO *bytes, const struct pki *first, va_list rest)
{
	for (const struct pki *pki = first; pki; pki = va_arg(rest, const struct pki *))
		check(PEM_write_bio_X509(bytes, pki->certificate) == 1);
}

void pki_file_certificates(const char *path, const struct pki *first, ...)
{
	BIO *bytes = BIO_new(BIO_s_mem());
	va_list rest;
	va_start(rest, first);
	write_certificates(bytes, first, rest);
	va_end(rest);
	file_from(path, bytes);
}

void pki_file_both(const char *path, const struct pki *first, ...)
{
	BIO *bytes = BIO_new(BIO_s_mem());
	va_list rest;
	va_start(rest, first);
	write_certificates(bytes, first, rest);
	va_end(rest);
	check(PEM_write_bio_PrivateKey(bytes, first->key, NULL, NULL, 0, NULL, NULL) == 1);
	file_from(path, bytes);
}

void pki_file_key(const char *path, const struct pki *pki)
{
	BIO *bytes = BIO_new(BIO_s_mem());
	check(PEM_write_bio_PrivateKey(bytes, pki->key, NULL, NULL, 0, NULL, NULL) == 1);
	file_from(path, bytes);
}

void pki_file_locked_key(const char *path, const struct pki *pki)
{
	static const unsigned char password[] = "secret";
	BIO *bytes = BIO_new(BIO_s_mem());
	check(PEM_write_bio_PKCS8PrivateKey(bytes, pki->key, EVP_aes_128_cbc(), (const char *)password, 6, NULL,
					    NULL) == 1);
	file_from(path, bytes);
}

void pki_file_list(const char *path, X509_CRL *list)
{
	BIO *bytes = BIO_new(BIO_s_mem());
	check(PEM_write_bio_X509_CRL(bytes, list) == 1);
	X509_CRL_free(list);
	file_from(path, bytes);
}

static int read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	unsigned i = find_file(path);
	if (i == made.file_count)
		return -ENOENT;
	struct slice content = made.files[i].content;
	char *copy = malloc(content.length + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, content.data, content.length + 1);
	*ret_content = slice_from(copy, content.length);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_files(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	const char *found[FILES_MAX];
	size_t count = 0, length = 0;
	for (unsigned i = 0; i < made.file_count; i++) {
		if (fnmatch(pattern, made.files[i].path, FNM_PATHNAME) != 0)
			continue;
		found[count++] = made.files[i].path;
		length += strlen(made.files[i].path) + 1;
	}
	qsort(found, count, sizeof(found[0]), compare);
	char *names = malloc(length + 1), *to = names;
	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(found[i]) + 1;
		memcpy(to, found[i], size);
		to += size;
	}
	*ret_names = slice_from(names, length);
	return 0;
}

static const char *no_environment(struct config_source *source, const char *name)
{
	return NULL;
}

static bool is_open_to_others(struct config_source *source, const char *path)
{
	return made.open_start && strncmp(path, made.open_start, strlen(made.open_start)) == 0;
}

void pki_open_to_others(const char *start)
{
	made.open_start = start;
}

struct config_source *pki_source(void)
{
	static struct config_source source = {.read_file = read_file,
					      .glob = find_files,
					      .environment = no_environment,
					      .is_open_to_others = is_open_to_others};
	return &source;
}

void pki_free_all(void)
{
	made.open_start = NULL;
	while (made.file_count > 0)
		pki_file_remove(made.files[0].path);
	while (made.certificate_count > 0)
		X509_free(made.certificates[--made.certificate_count]);
	while (made.key_count > 0)
		EVP_PKEY_free(made.keys[--made.key_count]);
}
