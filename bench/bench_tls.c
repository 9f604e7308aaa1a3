// What TLS costs, and what usher's stream adds to OpenSSL's own: the same bytes, by SSL_write and
// SSL_read on the socket as others call them, and by struct tls_stream.
//
//   bench_tls [ROUNDS]
//
// Prints the median time of a write and a read of several sizes, of a handshake (both sides),
// and the memory of an idle connection. The other end is plain OpenSSL in the same thread, over
// loopback, and not in the measured times (but for handshakes).
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "measure.h"
#include "net/listener.h"
#include "net/tcp.h"
#include "tls/server.h"
#include "tls/stream.h"

#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIZE_MAX_BYTES = 64 * 1024, SOCKET_BUFFER = 4 * 1024 * 1024, IDLE_CONNECTIONS = 500 };

static SSL_CTX *server_context, *client_context;
static struct tls_server server;
static size_t rounds = 3000;
static char bytes[SIZE_MAX_BYTES], drained[4 * SIZE_MAX_BYTES];

// --- Contexts

static void make_contexts(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	check(key && certificate);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	check(X509_sign(certificate, key, EVP_sha256()) > 0);
	server_context = SSL_CTX_new(TLS_server_method());
	client_context = SSL_CTX_new(TLS_client_method());
	check(SSL_CTX_use_certificate(server_context, certificate) == 1);
	check(SSL_CTX_use_PrivateKey(server_context, key) == 1);
	SSL_CTX_set_session_cache_mode(server_context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(server_context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(server_context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(server_context, 1); // as nginx does
	server.first = server_context;
	X509_free(certificate);
	EVP_PKEY_free(key);
}

// --- Connections: a client by hand, a server by hand or as a stream

struct connection {
	int client_descriptor, server_descriptor;
	SSL *client, *raw; // raw: the server by hand
	struct tls_stream *stream;
};

static void prepare_socket(int descriptor)
{
	int size = SOCKET_BUFFER, yes = 1;
	setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

static void open_sockets(struct connection *connection)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof name;
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	check(bind(listening, (struct sockaddr *)&name, length) == 0 && listen(listening, 8) == 0);
	check(getsockname(listening, (struct sockaddr *)&name, &length) == 0);
	connection->client_descriptor = socket(AF_INET, SOCK_STREAM, 0);
	check(connect(connection->client_descriptor, (struct sockaddr *)&name, length) == 0);
	connection->server_descriptor = accept(listening, NULL, NULL);
	check(connection->server_descriptor >= 0);
	prepare_socket(connection->client_descriptor);
	prepare_socket(connection->server_descriptor);
	close(listening);
}

static void accept_stream(void *argument)
{
	struct connection *connection = argument;
	check(tls_stream_accept(connection->stream, &server, FIBER_NEVER) == TLS_DONE);
}

static SSL *ssl_on(SSL_CTX *context, int descriptor)
{
	SSL *ssl = SSL_new(context);
	check(ssl && SSL_set_fd(ssl, descriptor) == 1);
	return ssl;
}

static void shake_with_stream(struct connection *connection)
{
	connection->stream = tls_stream_new();
	check(tcp_open(tls_stream_tcp(connection->stream), connection->server_descriptor) == 0);
	struct fiber *fiber = fiber_spawn_joinable("accept", accept_stream, connection);
	while (SSL_connect(connection->client) != 1)
		fiber_yield();
	fiber_join(fiber);
}

static void shake_by_hand(struct connection *connection)
{
	connection->raw = ssl_on(server_context, connection->server_descriptor);
	bool client_done = false, server_done = false;
	while (!client_done || !server_done) {
		client_done = client_done || SSL_connect(connection->client) == 1;
		server_done = server_done || SSL_accept(connection->raw) == 1;
	}
}

static void connection_open(struct connection *connection, bool as_stream)
{
	*connection = (struct connection){0};
	open_sockets(connection);
	connection->client = ssl_on(client_context, connection->client_descriptor);
	SSL_set_connect_state(connection->client);
	if (as_stream)
		shake_with_stream(connection);
	else
		shake_by_hand(connection);
}

static void connection_close(struct connection *connection)
{
	SSL_free(connection->client);
	close(connection->client_descriptor);
	SSL_free(connection->raw);
	if (connection->stream)
		stream_close(tls_stream_stream(connection->stream));
	else
		close(connection->server_descriptor);
}

// --- Measuring

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int64_t median(int64_t *times, size_t count)
{
	qsort(times, count, sizeof *times, compare);
	return times[count / 2];
}

static void write_stream(struct connection *connection, size_t size)
{
	struct iovec part = {bytes, size};
	check(stream_write_all(tls_stream_stream(connection->stream), &part, 1, false, "bench", 0) == 0);
}

// As nginx does: a record at a time.
static void write_by_hand(struct connection *connection, size_t size)
{
	for (size_t at = 0; at < size; at += SSL3_RT_MAX_PLAIN_LENGTH) {
		size_t record = size - at < SSL3_RT_MAX_PLAIN_LENGTH ? size - at : SSL3_RT_MAX_PLAIN_LENGTH;
		check(SSL_write(connection->raw, bytes + at, (int)record) == (int)record);
	}
}

static void read_stream(struct connection *connection, size_t size)
{
	struct stream *stream = tls_stream_stream(connection->stream);
	tls_stream_tcp(connection->stream)->io.ready |= KERNEL_READABLE; // as the loop would have said
	for (size_t at = 0; at < size;) {
		ssize_t count = stream_try_read(stream, bytes + at, size - at);
		check(count > 0);
		at += (size_t)count;
	}
}

static void read_by_hand(struct connection *connection, size_t size)
{
	for (size_t at = 0; at < size;) {
		int count = SSL_read(connection->raw, bytes + at, (int)(size - at));
		check(count > 0);
		at += (size_t)count;
	}
}

static int64_t measure_write(struct connection *connection, size_t size)
{
	int64_t *times = malloc(rounds * sizeof *times);
	for (size_t i = 0; i < rounds; i++) {
		int64_t begin = now_ns();
		if (connection->stream)
			write_stream(connection, size);
		else
			write_by_hand(connection, size);
		times[i] = now_ns() - begin;
		for (size_t got = 0; got < size;) {
			ssize_t count = recv(connection->client_descriptor, drained, sizeof drained, 0);
			got += count > 0 ? (size_t)count : 0;
		}
	}
	int64_t result = median(times, rounds);
	free(times);
	return result;
}

static int64_t measure_read(struct connection *connection, size_t size)
{
	int64_t *times = malloc(rounds * sizeof *times);
	for (size_t i = 0; i < rounds; i++) {
		check(SSL_write(connection->client, bytes, (int)size) == (int)size);
		int64_t begin = now_ns();
		if (connection->stream)
			read_stream(connection, size);
		else
			read_by_hand(connection, size);
		times[i] = now_ns() - begin;
	}
	int64_t result = median(times, rounds);
	free(times);
	return result;
}

static void bench_transfers(void)
{
	static const size_t sizes[] = {128, 1024, 4096, 16384, 65536};
	printf("%-28s %12s %12s %8s\n", "median of a call, ns", "OpenSSL", "stream", "adds");
	for (int is_read = 1; is_read >= 0; is_read--) {
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			int64_t times[2];
			for (int as_stream = 0; as_stream < 2; as_stream++) {
				struct connection connection;
				connection_open(&connection, as_stream);
				times[as_stream] = is_read ? measure_read(&connection, sizes[i])
							   : measure_write(&connection, sizes[i]);
				connection_close(&connection);
			}
			printf("%-5s %6zu bytes           %12lld %12lld %7.1f%%\n", is_read ? "read" : "write",
			       sizes[i], (long long)times[0], (long long)times[1],
			       100.0 * (double)(times[1] - times[0]) / (double)times[0]);
		}
	}
}

static void bench_handshakes(void)
{
	int64_t medians[2];
	size_t count = rounds / 10 + 1;
	int64_t *times = malloc(count * sizeof *times);
	for (int as_stream = 0; as_stream < 2; as_stream++) {
		for (size_t i = 0; i < count; i++) {
			struct connection connection = {0};
			open_sockets(&connection);
			int64_t begin = now_ns();
			connection.client = ssl_on(client_context, connection.client_descriptor);
			SSL_set_connect_state(connection.client);
			if (as_stream)
				shake_with_stream(&connection);
			else
				shake_by_hand(&connection);
			times[i] = now_ns() - begin;
			connection_close(&connection);
		}
		medians[as_stream] = median(times, count);
	}
	free(times);
	printf("%-28s %12lld %12lld %7.1f%%\n", "handshake, both sides", (long long)medians[0], (long long)medians[1],
	       100.0 * (double)(medians[1] - medians[0]) / (double)medians[0]);
}

static void nobody_comes(struct stream *stream, void *argument)
{
}

// What the server's side of a connection keeps allocated while it waits for a request.
static size_t idle_memory(bool as_stream)
{
	static struct connection connections[IDLE_CONNECTIONS];
	fiber_sleep("bench", loop_now() + 10 * MILLISECOND_NS); // what was closed is freed by then
	struct mallinfo2 before = mallinfo2();
	for (int i = 0; i < IDLE_CONNECTIONS; i++) {
		struct connection *connection = &connections[i];
		connection_open(connection, as_stream);
		// One exchange, after which nothing of the handshake is needed.
		check(SSL_write(connection->client, bytes, 100) == 100);
		if (as_stream) {
			read_stream(connection, 100);
			write_stream(connection, 100);
			stream_park(tls_stream_stream(connection->stream), nobody_comes, NULL);
		} else {
			read_by_hand(connection, 100);
			write_by_hand(connection, 100);
		}
		SSL_free(connection->client);
		connection->client = NULL;
	}
	struct mallinfo2 after = mallinfo2();
	for (int i = 0; i < IDLE_CONNECTIONS; i++)
		connection_close(&connections[i]);
	return (after.uordblks - before.uordblks) / IDLE_CONNECTIONS;
}

static void bench(void *argument)
{
	bench_transfers();
	bench_handshakes();
	(void)idle_memory(true); // fills the lists of blocks and the like
	size_t by_hand = idle_memory(false), as_stream = idle_memory(true);
	printf("%-28s %12zu %12zu %7.1f%%\n", "idle connection, bytes", by_hand, as_stream,
	       100.0 * ((double)as_stream - (double)by_hand) / (double)by_hand);
}

int main(int count, char **arguments)
{
	if (count > 1)
		rounds = strtoul(arguments[1], NULL, 10);
	make_contexts();
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	check(loop && fiber_spawn("bench", bench, NULL));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	return 0;
}
