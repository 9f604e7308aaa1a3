#include "tls/client_auth.h"

#include "tls/pem.h"
#include "tls/trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stddef.h>

enum { SUBJECT_SIZE = 256 };

static const char *const mode_names[] = {"off", "optional", "required", NULL};

static const char *const fields_names[] = {"off", "x", "standard", "both", NULL};

static bool finish_client_auth(struct config_load *load, void *section_struct)
{
	const struct client_auth_config *config = section_struct;
	if (config->mode == CLIENT_AUTH_OFF || config->ca.path.text.data)
		return true;
	config_error(load, config->place,
		     "\"ca\" is missing: a file with the certificates of those who issue clients' certificates");
	return false;
}

static const struct config_key client_auth_keys[] = {
	{"mode", CONFIG_CHOICE, offsetof(struct client_auth_config, mode), "required",
	 "`required`: without a good certificate there is no connection; `optional`: clients are asked, and what their "
	 "certificate is worth is told to servers; `off`",
	 .choices = mode_names},
	{"ca", CONFIG_FILE, offsetof(struct client_auth_config, ca),
	 .help = "the authorities that clients' certificates must come from (PEM); replaced, it is taken by itself",
	 .watched = true},
	{"crl", CONFIG_FILE, offsetof(struct client_auth_config, crl),
	 .help = "certificates that are revoked (PEM): a list of each of the authorities; replaced, it is taken by "
		 "itself",
	 .watched = true},
	{"depth", CONFIG_INTEGER, offsetof(struct client_auth_config, depth), "3",
	 "how many authorities may stand between a client's certificate and a root", .min = 0, .max = 10},
	{"fields", CONFIG_CHOICE, offsetof(struct client_auth_config, fields), "x",
	 "what servers are told: `x`: X-Client-Certificate-Verification (SUCCESS, FAILED:reason, NONE) and "
	 "-Fingerprint, and "
	 "of a verified one -Subject, -Issuer, -Names and -Serial; `standard`: Client-Cert (RFC 9440), the certificate "
	 "itself, once verified; `both`; `off`. Such fields are never taken from clients",
	 .choices = fields_names},
	{0},
};

const struct config_section client_auth_section = {
	.name = "client_certificate",
	.help = "Certificates that clients show (mutual TLS).",
	.size = sizeof(struct client_auth_config),
	.keys = client_auth_keys,
	.place_offset = offsetof(struct client_auth_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "mode",
	.finish = finish_client_auth,
};

// --- Loading

static void free_store(void *store)
{
	X509_STORE_free(store);
}

static void free_names(void *names)
{
	sk_X509_NAME_pop_free(names, X509_NAME_free);
}

static void free_certificates(STACK_OF(X509) * certificates)
{
	sk_X509_pop_free(certificates, X509_free);
}

static bool wrong_file(struct config_load *load, const struct config_file *file, const char *why)
{
	config_error(load, file->path.place, "\"%s\" cannot be used: %s", file->path.text.data, why);
	return false;
}

static bool load_names(struct config_load *load, struct config_place place, const STACK_OF(X509) * authorities,
		       struct client_auth *client_auth)
{
	client_auth->authorities = sk_X509_NAME_new_null();
	bool good = client_auth->authorities != NULL;
	for (int i = 0; good && i < sk_X509_num(authorities); i++) {
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(sk_X509_value(authorities, i)));
		good = name && sk_X509_NAME_push(client_auth->authorities, name) > 0;
		if (!good)
			X509_NAME_free(name);
	}
	if (good)
		return config_at_free(load, free_names, client_auth->authorities);
	free_names(client_auth->authorities);
	config_error(load, place, "memory is out");
	return false;
}

// Chains are verified up to a root (RFC 5280 section 6.1).
static bool check_roots(struct config_load *load, const struct config_file *file, const STACK_OF(X509) * authorities)
{
	for (int i = 0; i < sk_X509_num(authorities); i++)
		if (X509_self_signed(sk_X509_value(authorities, i), 0) == 1)
			return true;
	return wrong_file(load, file, "it holds no root, the self-signed certificate that every chain ends with");
}

static const char *name_text(const X509_NAME *name, char text[SUBJECT_SIZE])
{
	return X509_NAME_oneline(name, text, SUBJECT_SIZE) ? text : "";
}

// With lists, every authority needs one: else OpenSSL refuses all that it issued.
static bool check_lists(struct config_load *load, const struct config_file *file, const STACK_OF(X509) * authorities,
			const STACK_OF(X509_CRL) * lists)
{
	bool good = true;
	for (int i = 0; i < sk_X509_num(authorities); i++) {
		const X509_NAME *name = X509_get_subject_name(sk_X509_value(authorities, i));
		bool found = false;
		for (int j = 0; j < sk_X509_CRL_num(lists); j++)
			found = found || X509_NAME_cmp(name, X509_CRL_get_issuer(sk_X509_CRL_value(lists, j))) == 0;
		char text[SUBJECT_SIZE];
		if (found)
			continue;
		config_error(load, file->path.place,
			     "\"%s\" has no list of the authority %s: all that it issued would be refused",
			     file->path.text.data, name_text(name, text));
		good = false;
	}
	for (int j = 0; j < sk_X509_CRL_num(lists); j++) {
		const ASN1_TIME *end = X509_CRL_get0_nextUpdate(sk_X509_CRL_value(lists, j));
		if (end && X509_cmp_current_time(end) < 0)
			config_warning(load, file->path.place,
				       "\"%s\" holds a list that has expired: clients are refused until it is renewed",
				       file->path.text.data);
	}
	return good;
}

static STACK_OF(X509_CRL) * read_lists(struct slice pem, const char **ret_wrong)
{
	BIO *bytes = BIO_new_mem_buf(pem.data, (int)pem.length);
	STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
	const char *wrong = bytes && lists ? NULL : "memory is out";
	X509_CRL *list;
	ERR_clear_error();
	while (!wrong && (list = PEM_read_bio_X509_CRL(bytes, NULL, NULL, NULL))) {
		if (sk_X509_CRL_push(lists, list) > 0)
			continue;
		X509_CRL_free(list);
		wrong = "memory is out";
	}
	if (!wrong && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		wrong = "it holds a list that is broken";
	if (!wrong && sk_X509_CRL_num(lists) == 0)
		wrong = "it holds no list (a PEM file has -----BEGIN X509 CRL----- in it)";
	ERR_clear_error();
	BIO_free(bytes);
	if (!wrong)
		return lists;
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	*ret_wrong = wrong;
	return NULL;
}

static bool load_lists(struct config_load *load, const struct config_file *file, const STACK_OF(X509) * authorities,
		       X509_STORE *store)
{
	const char *wrong = NULL;
	STACK_OF(X509_CRL) *lists = read_lists(file->content, &wrong);
	if (!lists)
		return wrong_file(load, file, wrong);
	bool good = check_lists(load, file, authorities, lists);
	for (int i = 0; good && i < sk_X509_CRL_num(lists); i++)
		good = X509_STORE_add_crl(store, sk_X509_CRL_value(lists, i)) == 1 ||
		       wrong_file(load, file, "memory is out");
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return good;
}

bool client_auth_load(struct config_load *load, const struct client_auth_config *config,
		      struct client_auth *ret_client_auth)
{
	struct client_auth client_auth = {.mode = (enum client_auth_mode)config->mode, .depth = (int)config->depth};
	const char *wrong = NULL;
	if (client_auth.mode == CLIENT_AUTH_OFF) {
		*ret_client_auth = client_auth;
		return true;
	}
	client_auth.store = trust_from(config->ca.content, &wrong);
	if (!client_auth.store)
		return wrong_file(load, &config->ca, wrong);
	if (!config_at_free(load, free_store, client_auth.store))
		return false;
	STACK_OF(X509) *authorities = pem_certificates(config->ca.content, &wrong);
	if (!authorities)
		return wrong_file(load, &config->ca, wrong);
	bool good = check_roots(load, &config->ca, authorities) &&
		    load_names(load, config->place, authorities, &client_auth);
	if (good && config->crl.path.text.data)
		good = load_lists(load, &config->crl, authorities, client_auth.store);
	free_certificates(authorities);
	if (good)
		*ret_client_auth = client_auth;
	return good;
}

// --- Handshakes

// What is wrong with an optional certificate is told to servers (struct tls_peer); the
// connection goes on, and the result that was found stays.
static int accept_any(int is_good, X509_STORE_CTX *store)
{
	return 1;
}

bool client_auth_apply(const struct client_auth *client_auth, SSL_CTX *context)
{
	switch (client_auth->mode) {
	case CLIENT_AUTH_OFF:
		SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
		return true;
	case CLIENT_AUTH_OPTIONAL:
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
		break;
	case CLIENT_AUTH_REQUIRED:
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		break;
	}
	STACK_OF(X509_NAME) *authorities = SSL_dup_CA_list(client_auth->authorities);
	if (!authorities)
		return false;
	SSL_CTX_set_client_CA_list(context, authorities);
	SSL_CTX_set_verify_depth(context, client_auth->depth);
	return SSL_CTX_set1_verify_cert_store(context, client_auth->store) == 1;
}

void client_auth_follow(SSL *ssl, const SSL_CTX *context)
{
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context), SSL_CTX_get_verify_callback(context));
	SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(context));
}
