// Which versions and algorithms of TLS clients may use: Mozilla's recommendations by name.
#ifndef USHER_TLS_POLICY_H
#define USHER_TLS_POLICY_H

#include <openssl/ssl.h>
#include <stdbool.h>

enum tls_policy { TLS_POLICY_MODERN, TLS_POLICY_INTERMEDIATE, TLS_POLICY_OLD };

// By enum tls_policy, ends with NULL.
extern const char *const tls_policy_names[];

// Sets versions, suites, groups and options of a server's context. False when OpenSSL
// cannot (memory is out, or it was built without what the policy needs).
bool tls_policy_apply(enum tls_policy policy, SSL_CTX *context);

// Lets a connection that began with another context follow the policy of `context` in what
// SSL_set_SSL_CTX leaves as it was: versions and options.
void tls_policy_follow(SSL *ssl, SSL_CTX *context);

#endif
