// The loads over TLS that wrk and h2load do not make: handshakes alone, and thousands of
// idle connections.
//
// usage: tls_load handshakes PORT COUNT full|resumed
//            so many TLS 1.3 handshakes, a few at a time, each connection closed when it is
//            established; at the end prints "HANDSHAKES RESUMED SECONDS"
//        tls_load idle PORT PATH CONNECTIONS
//            one request on each connection, then prints "ready" and keeps them all open
//            until its standard input ends
// Certificates are not verified: what the client does is not what is measured.
#include "tcp.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <time.h>

enum { AT_ONCE = 8, EVENTS = 64, ANSWER_SIZE = 16 * 1024 };

struct connection {
	SSL *ssl;
	int descriptor;
	bool established;
};

static SSL_CTX *context;
static struct sockaddr_in address;
static SSL_SESSION *ticket; // of a session to be resumed; NULL until one has come
static long established_count, resumed_count;

_Noreturn static void die_tls(const char *what)
{
	fprintf(stderr, "%s: ", what);
	ERR_print_errors_fp(stderr);
	fprintf(stderr, "\n");
	exit(1);
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int session_new(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(ticket);
	ticket = session;
	return 1; // kept
}

static void context_make(void)
{
	context = SSL_CTX_new(TLS_client_method());
	if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
		die_tls("SSL_CTX_new");
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}

static SSL *ssl_connect(int descriptor)
{
	SSL *ssl = SSL_new(context);
	if (ssl == NULL || SSL_set_fd(ssl, descriptor) != 1 || SSL_set_tlsext_host_name(ssl, "bench.example") != 1)
		die_tls("SSL_new");
	SSL_set_connect_state(ssl);
	return ssl;
}

// Sends a request and reads its whole answer; tickets come on the way. Blocks.
static void ssl_ask(SSL *ssl, const char *path)
{
	char text[ANSWER_SIZE];
	int length = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: bench.example\r\n\r\n", path);
	if (SSL_do_handshake(ssl) != 1 || SSL_write(ssl, text, length) != length)
		die_tls("request");
	size_t have = 0, wanted = 0;
	while (wanted == 0 || have < wanted) {
		int count = SSL_read(ssl, text + have, (int)(sizeof(text) - 1 - have));
		if (count <= 0)
			die_tls("answer");
		have += (size_t)count;
		text[have] = '\0';
		const char *end = strstr(text, "\r\n\r\n");
		const char *field = strcasestr(text, "\r\ncontent-length:");
		if (end == NULL)
			continue;
		if (memcmp(text, "HTTP/1.1 200", 12) != 0 || field == NULL)
			die("an answer that is not 200 with a length");
		wanted = (size_t)(end - text) + 4 + strtoul(field + 17, NULL, 10);
		if (wanted >= sizeof(text))
			die("the answer is too long");
	}
}

static void connection_start(struct connection *connection, int poller)
{
	connection->descriptor = tcp_connect(&address);
	fcntl(connection->descriptor, F_SETFL, O_NONBLOCK);
	connection->established = false;
	connection->ssl = ssl_connect(connection->descriptor);
	if (ticket != NULL) {
		// A copy: OpenSSL uses a session of TLS 1.3 only once.
		SSL_SESSION *session = SSL_SESSION_dup(ticket);
		if (session == NULL || SSL_set_session(connection->ssl, session) != 1)
			die_tls("SSL_set_session");
		SSL_SESSION_free(session);
	}
	tcp_watch(poller, connection->descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP, connection);
}

// True when the connection is over: established, its end said, and the server's end seen.
static bool connection_step(struct connection *connection)
{
	if (!connection->established) {
		int result = SSL_do_handshake(connection->ssl);
		int error = SSL_get_error(connection->ssl, result);
		if (result != 1 && (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE))
			return false;
		if (result != 1)
			die_tls("handshake");
		connection->established = true;
		established_count++;
		resumed_count += SSL_session_reused(connection->ssl);
		SSL_shutdown(connection->ssl);
		shutdown(connection->descriptor, SHUT_WR); // H2O waits for it
	}
	// The server has taken the handshake's last message when it answers the end.
	char rest[4096];
	ssize_t count;
	do
		count = read(connection->descriptor, rest, sizeof(rest));
	while (count > 0);
	return count == 0 || errno != EAGAIN;
}

static void connection_end(struct connection *connection)
{
	SSL_free(connection->ssl);
	close(connection->descriptor);
}

static void load_handshakes(long count, bool resumed)
{
	if (resumed) {
		SSL_CTX_sess_set_new_cb(context, session_new);
		int descriptor = tcp_connect(&address);
		SSL *ssl = ssl_connect(descriptor);
		ssl_ask(ssl, "/1k");
		if (ticket == NULL)
			die("the server gave no ticket");
		SSL_CTX_sess_set_new_cb(context, NULL);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(descriptor);
	}
	struct connection connections[AT_ONCE];
	int poller = epoll_create1(EPOLL_CLOEXEC);
	long started = 0, ended = 0;
	double start = seconds_now();
	for (; started < AT_ONCE && started < count; started++)
		connection_start(&connections[started], poller);
	while (ended < count) {
		struct epoll_event events[EVENTS];
		int ready = epoll_wait(poller, events, EVENTS, 10000);
		if (ready == 0)
			die("a handshake takes longer than ten seconds");
		for (int i = 0; i < ready; i++) {
			struct connection *connection = events[i].data.ptr;
			if (!connection_step(connection))
				continue;
			connection_end(connection);
			ended++;
			if (started < count) {
				started++;
				connection_start(connection, poller);
			}
		}
	}
	printf("%ld %ld %.6f\n", established_count, resumed_count, seconds_now() - start);
}

static void load_idle(long count, const char *path)
{
	for (long i = 0; i < count; i++)
		ssl_ask(ssl_connect(tcp_connect(&address)), path);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF) {
	}
}

int main(int argc, char **argv)
{
	bool handshakes = argc == 5 && strcmp(argv[1], "handshakes") == 0;
	if (!handshakes && !(argc == 5 && strcmp(argv[1], "idle") == 0)) {
		fprintf(stderr,
			"usage: tls_load handshakes PORT COUNT full|resumed | tls_load idle PORT PATH CONNECTIONS\n");
		return 2;
	}
	tcp_prepare();
	context_make();
	address = tcp_loopback(argv[2]);
	if (handshakes)
		load_handshakes(strtol(argv[3], NULL, 10), strcmp(argv[4], "resumed") == 0);
	else
		load_idle(strtol(argv[4], NULL, 10), argv[3]);
	return 0;
}
