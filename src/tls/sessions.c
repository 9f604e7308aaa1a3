// The sessions that the handshakes with one server left, to be resumed by later ones.
//
// TLS 1.3 gives tickets that are to be used once, so that nobody can tell connections of the
// same client by them (RFC 8446 appendix C.4); a session of TLS 1.2 serves again and again.
#include "base/check.h"
#include "fiber/loop.h"
#include "tls/client.h"
#include "tls/context.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

// A server gives two with each handshake, as a rule; a few connections may be made at once.
enum { SESSIONS_MAX = 4 };

struct tls_sessions {
	unsigned count;
	SSL_SESSION *items[SESSIONS_MAX]; // newest last
};

struct tls_sessions *tls_sessions_new(void)
{
	return calloc(1, sizeof(struct tls_sessions));
}

void tls_sessions_free(struct tls_sessions *sessions)
{
	if (!sessions)
		return;
	while (sessions->count > 0)
		SSL_SESSION_free(sessions->items[--sessions->count]);
	free(sessions);
}

void tls_sessions_keep(struct tls_sessions *sessions, SSL_SESSION *session)
{
	if (sessions->count == SESSIONS_MAX) {
		SSL_SESSION_free(sessions->items[0]);
		sessions->count--;
		memmove(sessions->items, sessions->items + 1, sessions->count * sizeof(sessions->items[0]));
	}
	sessions->items[sessions->count++] = session;
}

static bool is_over(const SSL_SESSION *session)
{
	long now_s = (long)(loop_wall_clock() / SECOND_NS);
	return !SSL_SESSION_is_resumable(session) ||
	       now_s - SSL_SESSION_get_time(session) >= SSL_SESSION_get_timeout(session);
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions)
{
	while (sessions->count > 0) {
		SSL_SESSION *newest = sessions->items[--sessions->count];
		if (is_over(newest)) {
			SSL_SESSION_free(newest);
			continue;
		}
		if (SSL_SESSION_get_protocol_version(newest) < TLS1_3_VERSION) {
			check(SSL_SESSION_up_ref(newest));
			sessions->count++;
		}
		return newest;
	}
	return NULL;
}
