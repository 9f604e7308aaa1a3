#include "tls/policy.h"

// Mozilla's guidelines 6.0 for modern and intermediate, 5.8 for old, which later ones have no
// more. Old is spelt out without what this OpenSSL is usually built without (3DES).
#define SUITES_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_INTERMEDIATE                                                                                            \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                                   \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                                   \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_OLD                                                                                                     \
	SUITES_INTERMEDIATE                                                                                            \
	":ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"              \
	"ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:"               \
	"AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA"

// The guidelines put X25519MLKEM768 first, which OpenSSL has from 3.5 on.
#if OPENSSL_VERSION_NUMBER >= 0x30500000L
#define GROUPS "X25519MLKEM768:X25519:P-256:P-384"
#else
#define GROUPS "X25519:P-256:P-384"
#endif

// Where several suites are safe, the guidelines leave the choice to the client: one without
// hardware for AES puts ChaCha20 first. PRIORITIZE_CHACHA grants it that; everything else,
// groups included, which OpenSSL ties to the same option, goes by the lists above.
#define OPTIONS                                                                                                        \
	(SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION)

const char *const tls_policy_names[] = {"modern", "intermediate", "old", NULL};

static const struct {
	int version; // the oldest
	int security_level;
	const char *suites; // of TLS 1.2 and before
} policies[] = {
	[TLS_POLICY_MODERN] = {TLS1_3_VERSION, 2, SUITES_INTERMEDIATE},
	[TLS_POLICY_INTERMEDIATE] = {TLS1_2_VERSION, 2, SUITES_INTERMEDIATE},
	// TLS 1.0 and 1.1 sign with SHA-1, which is below level 1.
	[TLS_POLICY_OLD] = {TLS1_VERSION, 0, SUITES_OLD},
};

bool tls_policy_apply(enum tls_policy policy, SSL_CTX *context)
{
	SSL_CTX_set_security_level(context, policies[policy].security_level);
	SSL_CTX_set_options(context, OPTIONS);
	return SSL_CTX_set_min_proto_version(context, policies[policy].version) == 1 &&
	       SSL_CTX_set_max_proto_version(context, 0) == 1 &&
	       SSL_CTX_set_cipher_list(context, policies[policy].suites) == 1 &&
	       SSL_CTX_set_ciphersuites(context, SUITES_TLS13) == 1 && SSL_CTX_set1_groups_list(context, GROUPS) == 1;
}

void tls_policy_follow(SSL *ssl, SSL_CTX *context)
{
	SSL_clear_options(ssl, SSL_get_options(ssl));
	SSL_set_options(ssl, SSL_CTX_get_options(context));
	// It only fails for versions that OpenSSL does not have, and the context has it.
	(void)SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(context));
}
