#include "tls/client.h"

#include "base/check.h"
#include "tls/context.h"
#include "tls/pem.h"
#include "tls/trust.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

struct tls_client {
	_Atomic uint32_t references;
	SSL_CTX *context;
	bool verifies;
	uint64_t key;
	struct slice name; // behind the struct
};

// --- Keys

static const char *const versions[] = {"1.2", "1.3", NULL};
static const int version_numbers[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static bool refine_name(struct config_load *load, void *section_struct, const struct config_text *text)
{
	if (text->text.length > 0 && text->text.length <= TLSEXT_MAXLEN_host_name &&
	    slice_find(text->text, ':') == text->text.length && slice_find(text->text, '/') == text->text.length)
		return true;
	config_error(load, text->place, "expected a host name such as app.internal, without scheme and port");
	return false;
}

static bool finish(struct config_load *load, void *section_struct)
{
	const struct tls_client_config *config = section_struct;
	bool good = true;
	if (config->key.path.text.data && !config->certificate.path.text.data) {
		config_error(load, config->key.path.place, "a key needs its certificate: add certificate: FILE");
		good = false;
	}
	if (config->ca.path.text.data && !config->verify) {
		config_error(load, config->ca.path.place,
			     "with verify: false nobody's word is asked for: remove verify, or ca");
		good = false;
	}
	return good;
}

static const struct config_key client_keys[] = {
	{
		.name = "verify",
		.kind = CONFIG_BOOL,
		.offset = offsetof(struct tls_client_config, verify),
		.standard = "true",
		.help = "Whether a server's certificate must be good, and for its name. false: whoever stands in "
			"between can read and change everything.",
	},
	{
		.name = "ca",
		.kind = CONFIG_FILE,
		.offset = offsetof(struct tls_client_config, ca),
		.watched = true,
		.help = "The authorities (or the very certificates) to trust, instead of the system's; a PEM file.",
	},
	{
		.name = "name",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct tls_client_config, name),
		.refine = refine_name,
		.help = "The name that the servers' certificates must have and that is sent as SNI, instead of the "
			"host "
			"in their addresses.",
		.form = "a host name such as app.internal",
	},
	{
		.name = "certificate",
		.kind = CONFIG_FILE,
		.offset = offsetof(struct tls_client_config, certificate),
		.watched = true,
		.help = "What usher shows to servers that ask who it is: a PEM file with its chain.",
	},
	{
		.name = "key",
		.kind = CONFIG_FILE,
		.offset = offsetof(struct tls_client_config, key),
		.watched = true,
		.help = "The key of certificate; needed where it is not in the same file.",
	},
	{
		.name = "min_version",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct tls_client_config, min_version),
		.choices = versions,
		.standard = "1.2",
		.help = "The oldest version of TLS that is spoken.",
	},
	{0},
};

const struct config_section tls_client_section = {
	.name = "pools.NAME.tls",
	.help = "TLS with the servers that are written https:// or h2://.",
	.size = sizeof(struct tls_client_config),
	.keys = client_keys,
	.place_offset = offsetof(struct tls_client_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.finish = finish,
};

static const struct tls_client_config standard = {.verify = true};

// --- Loading

// What was read for it: the key is made of all of it.
struct loading {
	struct config_load *load;
	const struct tls_client_config *config;
	struct config_place place;
	SSL_CTX *context;
	struct slice authorities;
};

static bool fail_memory(struct loading *loading)
{
	ERR_clear_error();
	config_error(loading->load, loading->place, "memory is out");
	return false;
}

static int session_came(SSL *ssl, SSL_SESSION *session)
{
	struct tls_sessions *sessions = tls_stream_sessions(ssl);
	if (!sessions)
		return 0;
	tls_sessions_keep(sessions, session);
	return 1;
}

static bool make_context(struct loading *loading)
{
	SSL_CTX *context = loading->context = SSL_CTX_new(TLS_client_method());
	if (!context)
		return fail_memory(loading);
	SSL_CTX_set_min_proto_version(context, version_numbers[loading->config->min_version]);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, session_came);
	// Names are the alternative ones, whole labels of them (RFC 9525 section 6.3).
	X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(context),
					X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return true;
}

static X509_STORE *read_authorities(struct loading *loading)
{
	const struct config_file *file = &loading->config->ca;
	if (!file->path.text.data)
		return trust_of_system(loading->load, loading->place, &loading->authorities);
	// Whoever names a file may name a server's own certificate in it, or an authority that
	// another one has signed: trust ends there.
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(loading->context), X509_V_FLAG_PARTIAL_CHAIN);
	const char *wrong;
	X509_STORE *store = trust_from(file->content, &wrong);
	if (!store)
		config_error(loading->load, file->path.place, "%.*s cannot be used: %s",
			     SLICE_ARGUMENTS(file->path.text), wrong);
	loading->authorities = file->content;
	return store;
}

static bool set_verification(struct loading *loading)
{
	const struct tls_client_config *config = loading->config;
	if (!config->verify) {
		config_warning(loading->load, config_where(loading->load, config, "verify"),
			       "certificates of these servers are not verified: whoever stands between usher and them "
			       "can read and change everything; rather name their authority under ca");
		return true;
	}
	X509_STORE *store = read_authorities(loading);
	if (!store)
		return false;
	SSL_CTX_set_cert_store(loading->context, store);
	SSL_CTX_set_verify(loading->context, SSL_VERIFY_PEER, NULL);
	return true;
}

// The first certificate is usher's own, the others lead to an authority.
static bool use_certificates(struct loading *loading, STACK_OF(X509) * certificates, EVP_PKEY *key)
{
	const struct config_text *path = &loading->config->certificate.path;
	X509 *own = sk_X509_shift(certificates);
	bool fits = X509_check_private_key(own, key) == 1;
	bool good = fits && SSL_CTX_use_cert_and_key(loading->context, own, key, certificates, 1) == 1;
	bool over = X509_cmp_current_time(X509_get0_notAfter(own)) < 0;
	X509_free(own);
	ERR_clear_error();
	if (!fits)
		config_error(loading->load, path->place, "the key does not belong to the certificate in %.*s",
			     SLICE_ARGUMENTS(path->text));
	else if (!good)
		config_error(loading->load, path->place,
			     "%.*s cannot be used: its certificate or key is of a kind too weak",
			     SLICE_ARGUMENTS(path->text));
	else if (over)
		config_warning(loading->load, path->place, "the certificate in %.*s has expired: servers may refuse it",
			       SLICE_ARGUMENTS(path->text));
	return good;
}

static bool set_own_certificate(struct loading *loading)
{
	const struct tls_client_config *config = loading->config;
	const struct config_file *from = &config->certificate, *key_from = from;
	if (!from->path.text.data)
		return true;
	if (config->key.path.text.data)
		key_from = &config->key;
	const char *wrong;
	STACK_OF(X509) *certificates = pem_certificates(from->content, &wrong);
	if (!certificates) {
		config_error(loading->load, from->path.place, "%.*s cannot be used: %s",
			     SLICE_ARGUMENTS(from->path.text), wrong);
		return false;
	}
	if (config_is_open_to_others(loading->load, key_from->path.text.data))
		config_warning(loading->load, key_from->path.place,
			       "everybody on this machine can read the key in %.*s: chmod 600 it",
			       SLICE_ARGUMENTS(key_from->path.text));
	EVP_PKEY *key = pem_private_key(key_from->content, &wrong);
	if (!key)
		config_error(loading->load, key_from->path.place, "%.*s cannot be used: %s",
			     SLICE_ARGUMENTS(key_from->path.text), wrong);
	bool good = key && use_certificates(loading, certificates, key);
	EVP_PKEY_free(key);
	sk_X509_pop_free(certificates, X509_free);
	return good;
}

static bool digest_add(EVP_MD_CTX *digest, struct slice bytes)
{
	uint64_t length = bytes.length;
	return EVP_DigestUpdate(digest, &length, sizeof(length)) == 1 &&
	       (length == 0 || EVP_DigestUpdate(digest, bytes.data, bytes.length) == 1);
}

// Of all that decides whom it trusts, and as whom it appears.
static bool make_key(const struct loading *loading, uint64_t *ret_key)
{
	const struct tls_client_config *config = loading->config;
	const unsigned char numbers[] = {config->verify, (unsigned char)config->min_version,
					 config->ca.path.text.data != NULL};
	unsigned char bytes[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		    digest_add(digest, slice_from(numbers, sizeof(numbers))) && digest_add(digest, config->name.text) &&
		    digest_add(digest, loading->authorities) && digest_add(digest, config->certificate.content) &&
		    digest_add(digest, config->key.content) && EVP_DigestFinal_ex(digest, bytes, NULL) == 1;
	EVP_MD_CTX_free(digest);
	if (good)
		memcpy(ret_key, bytes, sizeof(*ret_key));
	return good;
}

// Takes over the context.
static struct tls_client *client_new(const struct loading *loading)
{
	struct slice name = loading->config->name.text;
	uint64_t key;
	struct tls_client *client = make_key(loading, &key) ? malloc(sizeof(*client) + name.length) : NULL;
	if (!client)
		return NULL;
	if (name.length > 0)
		memcpy(client + 1, name.data, name.length);
	*client = (struct tls_client){
		.references = 1,
		.context = loading->context,
		.verifies = loading->config->verify,
		.key = key,
		.name = slice_from(client + 1, name.length),
	};
	return client;
}

static void unref(void *client)
{
	tls_client_unref(client);
}

struct tls_client *tls_client_load(struct config_load *load, const struct tls_client_config *config,
				   struct config_place place)
{
	struct loading loading = {.load = load, .config = config ? config : &standard, .place = place};
	struct tls_client *client = NULL;
	if (make_context(&loading) && set_verification(&loading) && set_own_certificate(&loading)) {
		client = client_new(&loading);
		if (!client)
			fail_memory(&loading);
	}
	if (!client) {
		SSL_CTX_free(loading.context);
		return NULL;
	}
	return config_at_free(load, unref, client) ? client : NULL;
}

// --- Its life, and what it tells

struct tls_client *tls_client_ref(struct tls_client *client)
{
	atomic_fetch_add_explicit(&client->references, 1, memory_order_relaxed);
	return client;
}

void tls_client_unref(struct tls_client *client)
{
	uint32_t before = atomic_fetch_sub_explicit(&client->references, 1, memory_order_acq_rel);
	check(before > 0);
	if (before > 1)
		return;
	SSL_CTX_free(client->context);
	free(client);
}

uint64_t tls_client_key(const struct tls_client *client)
{
	return client->key;
}

struct slice tls_client_name(const struct tls_client *client)
{
	return client->name;
}

SSL_CTX *tls_client_context(const struct tls_client *client)
{
	return client->context;
}

bool tls_client_verifies(const struct tls_client *client)
{
	return client->verifies;
}
