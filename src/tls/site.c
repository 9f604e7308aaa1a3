#include "tls/site.h"

#include "base/check.h"
#include "tls/stapling.h"
#include "tls/tickets.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

static void free_context(void *context)
{
	SSL_CTX_free(context);
}

// --- What tells sites apart

static void digest_bytes(EVP_MD_CTX *digest, struct slice bytes)
{
	uint64_t length = bytes.length; // so that no two lists read the same
	(void)EVP_DigestUpdate(digest, &length, sizeof(length));
	(void)EVP_DigestUpdate(digest, bytes.data, bytes.length);
}

static void digest_number(EVP_MD_CTX *digest, int64_t number)
{
	(void)EVP_DigestUpdate(digest, &number, sizeof(number));
}

// The path itself: two files may each name a "ca.pem" beside them.
static bool digest_path(struct config_load *load, EVP_MD_CTX *digest, const struct config_text *path)
{
	struct slice resolved = path->text.data ? config_resolve(load, path) : SLICE("");
	digest_bytes(digest, resolved);
	return resolved.data != NULL;
}

static bool digest_settings(struct config_load *load, EVP_MD_CTX *digest, const struct tls_site_config *config)
{
	const struct client_auth_config *client = config->client_certificate;
	bool good = digest_path(load, digest, &config->folder);
	digest_number(digest, (int64_t)config->certificates.count);
	for (size_t i = 0; i < config->certificates.count; i++)
		good = digest_path(load, digest, &config->certificates.items[i]) && good;
	digest_number(digest, config->policy);
	digest_number(digest, client ? client->mode : CLIENT_AUTH_OFF);
	if (!client || client->mode == CLIENT_AUTH_OFF)
		return good;
	digest_bytes(digest, client->ca.path.text); // resolved already
	digest_bytes(digest, client->crl.path.text);
	digest_number(digest, client->depth);
	return good;
}

// The key is of the settings; the context for sessions also of what the files of authorities
// hold, since a session stands for a certificate that was verified against them.
static bool identify(struct config_load *load, const struct tls_site_config *config, struct tls_contexts *contexts)
{
	const struct client_auth_config *client = config->client_certificate;
	unsigned char key[EVP_MAX_MD_SIZE], session[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *digest = EVP_MD_CTX_new(), *whole = EVP_MD_CTX_new();
	bool good = digest && whole && EVP_DigestInit_ex2(digest, EVP_sha256(), NULL) == 1;
	good = good && digest_settings(load, digest, config) && EVP_MD_CTX_copy_ex(whole, digest) == 1;
	if (good && client && client->mode != CLIENT_AUTH_OFF) {
		digest_bytes(whole, client->ca.content);
		digest_bytes(whole, client->crl.content);
	}
	good = good && EVP_DigestFinal_ex(digest, key, NULL) == 1 && EVP_DigestFinal_ex(whole, session, NULL) == 1;
	EVP_MD_CTX_free(digest);
	EVP_MD_CTX_free(whole);
	if (!good) {
		config_error(load, config->place, "memory is out");
		return false;
	}
	memcpy(&contexts->site.key, key, sizeof(contexts->site.key));
	memcpy(contexts->session_context, session, sizeof(contexts->session_context));
	return true;
}

// --- Contexts

struct making {
	const struct tls_site_config *config;
	const struct tls_contexts *contexts;
	struct client_auth client_auth;
};

static bool use_certificate(struct config_load *load, SSL_CTX *context, const struct certificate *certificate)
{
	STACK_OF(X509) *above = sk_X509_dup(certificate->chain);
	if (above)
		(void)sk_X509_shift(above);
	bool good = above && SSL_CTX_use_cert_and_key(context, certificate->leaf, certificate->key, above, 1) == 1;
	if (!good) {
		const char *reason = ERR_reason_error_string(ERR_peek_last_error());
		config_error(load, certificate->place, "\"%s\" cannot be used: %s", certificate->path,
			     reason ? reason : "memory is out");
	}
	sk_X509_free(above);
	ERR_clear_error();
	return good;
}

static SSL_CTX *new_context(struct config_load *load, void *argument, const struct tls_set *set)
{
	const struct making *making = argument;
	const struct tls_contexts *contexts = making->contexts;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	bool good =
		context && tls_policy_apply((enum tls_policy)making->config->policy, context) &&
		client_auth_apply(&making->client_auth, context) && tickets_apply(making->config->tickets, context) &&
		SSL_CTX_set_session_id_context(context, contexts->session_context, sizeof(contexts->session_context)) ==
			1;
	ERR_clear_error();
	if (!good) {
		config_error(load, making->config->place, "OpenSSL cannot be set up: memory is out");
		SSL_CTX_free(context);
		return NULL;
	}
	if (!config_at_free(load, free_context, context))
		return NULL;
	for (size_t i = 0; good && i < CERTIFICATE_KINDS; i++)
		good = !set->certificates[i] || use_certificate(load, context, set->certificates[i]);
	SSL_CTX_set_app_data(context, (void *)set);
	tls_server_attach(context);
	stapling_attach(context);
	return good ? context : NULL;
}

// --- A site

static struct tls_contexts *make_contexts(struct config_load *load, const struct tls_site_config *config)
{
	struct tls_contexts *contexts = config_alloc(load, sizeof(*contexts));
	struct making making = {.config = config, .contexts = contexts};
	static const struct client_auth_config nobody = {.mode = CLIENT_AUTH_OFF};
	const struct client_auth_config *client = config->client_certificate;
	if (!contexts || !identify(load, config, contexts))
		return NULL;
	contexts->site.redirects = config->redirect;
	contexts->site.requires_certificate = client && client->mode == CLIENT_AUTH_REQUIRED;
	if (client && client->mode != CLIENT_AUTH_OFF)
		contexts->site.certificate_fields = (enum tls_certificate_fields)client->fields;
	contexts->site.contexts = contexts;
	contexts->site.config = config;
	bool good = client_auth_load(load, client ? client : &nobody, &making.client_auth);
	good = site_certificates_load(load, config, &contexts->certificates, &contexts->certificate_count) && good;
	good = good && stapling_load(load, &config->ocsp, contexts->certificates, contexts->certificate_count);
	return good && tls_sets_build(load, contexts, new_context, &making) ? contexts : NULL;
}

static void check_host(struct config_load *load, const struct tls_contexts *contexts, const struct config_text *host)
{
	if (slice_equal(host->text, SLICE("*")))
		return;
	for (size_t i = 0; i < contexts->certificate_count; i++)
		if (certificate_covers(&contexts->certificates[i], host->text))
			return;
	config_warning(load, host->place,
		       "no certificate of the site is for the host \"%.*s\": clients refuse it (%s%s)",
		       SLICE_ARGUMENTS(host->text), contexts->certificates[0].path,
		       contexts->certificate_count > 1 ? " and others" : "");
}

const struct tls_site *tls_site_load(struct config_load *load, struct tls_site_config *config,
				     const struct config_texts *hosts)
{
	check(config->certificates.count > 0 || config->folder.text.data);
	if (!config_is_whole(load, config))
		return NULL;
	if (!config->was_loaded) {
		config->was_loaded = true;
		config->made = make_contexts(load, config);
	}
	for (size_t i = 0; config->made && i < hosts->count; i++)
		check_host(load, config->made, &hosts->items[i]);
	return config->made ? &config->made->site : NULL;
}
