#include "control/carriers.h"

#include "base/check.h"
#include "exchange/snapshot.h"
#include "http/h1_server.h"
#include "http/h2_memory.h"
#include "http/h2_server.h"
#include "http/preface.h"
#include "net/connection_count.h"
#include "net/proxy_acceptor.h"
#include "net/tcp.h"
#include "tls/acceptor.h"

#include <stdlib.h>

// Certificates for handshakes, with or without an offer of HTTP/2.
struct certificates {
	struct tls_server_source source; // first
	struct carriers *carriers;
	bool http2;
};

struct carriers {
	struct snapshot *snapshot; // the current one
	struct h1_server *h1;
	struct h2_server *h2;
	struct tls_acceptor *acceptor;
	struct prefaces *prefaces;
	struct proxy_acceptor *balanced;
	struct certificates certificates[2]; // by whether HTTP/2 is offered
};

// --- Settings

static struct h1_server_settings h1_settings(const struct snapshot *snapshot)
{
	const struct limits *limits = snapshot->limits;
	const struct timeouts *timeouts = snapshot->timeouts;
	return (struct h1_server_settings){
		.header_bytes = (uint32_t)limits->header_bytes,
		.limits = {.fields = (uint32_t)limits->fields, .target_bytes = (uint32_t)limits->target_bytes},
		.header_timeout_ns = timeouts->header_ns,
		.idle_timeout_ns = timeouts->idle_ns,
		.body_timeout_ns = timeouts->body_ns,
		.send_timeout_ns = timeouts->send_ns,
		.tunnel_timeout_ns = timeouts->tunnel_ns,
		.connections = (uint32_t)limits->connections,
		.connections_per_client = (uint32_t)limits->connections_per_client,
	};
}

static struct h2_server_settings h2_settings(const struct snapshot *snapshot)
{
	const struct limits *limits = snapshot->limits;
	const struct timeouts *timeouts = snapshot->timeouts;
	const struct http2_settings *http2 = &snapshot->http2;
	return (struct h2_server_settings){
		.header_bytes = (uint32_t)limits->header_bytes,
		.limits = {.fields = (uint32_t)limits->fields, .target_bytes = (uint32_t)limits->target_bytes},
		.streams = (uint32_t)http2->streams,
		.stream_window = (uint32_t)http2->stream_window,
		.window = (uint32_t)http2->window,
		.header_timeout_ns = timeouts->header_ns,
		.idle_timeout_ns = timeouts->idle_ns,
		.body_timeout_ns = timeouts->body_ns,
		.send_timeout_ns = timeouts->send_ns,
		.tunnel_timeout_ns = timeouts->tunnel_ns,
		.resets = (uint32_t)http2->resets,
		.controls = (uint32_t)http2->controls,
	};
}

static struct tls_acceptor_settings acceptor_settings(const struct snapshot *snapshot)
{
	const struct limits *limits = snapshot->limits;
	return (struct tls_acceptor_settings){
		.handshakes = (uint32_t)limits->handshakes,
		.timeout_ns = snapshot->timeouts->handshake_ns,
		.client_rate = (uint32_t)limits->handshake_rate,
		.client_burst = (uint32_t)limits->handshake_burst,
		.connections = (uint32_t)limits->connections,
		.connections_per_client = (uint32_t)limits->connections_per_client,
	};
}

void carriers_set(struct carriers *carriers, struct snapshot *snapshot)
{
	struct h1_server_settings h1 = h1_settings(snapshot);
	struct h2_server_settings h2 = h2_settings(snapshot);
	struct tls_acceptor_settings acceptor = acceptor_settings(snapshot);
	h1_server_set(carriers->h1, &h1);
	h2_server_set(carriers->h2, &h2);
	tls_acceptor_set(carriers->acceptor, &acceptor);
	snapshot_ref(snapshot);
	snapshot_unref(carriers->snapshot);
	carriers->snapshot = snapshot;
}

// --- From the port to a version of HTTP

static void plain_chosen(void *argument, struct stream *stream, bool is_h2, struct slice early,
			 const struct address *peer, const char *listener)
{
	struct carriers *carriers = argument;
	if (is_h2)
		h2_server_take(carriers->h2, stream, early, peer, listener, NULL);
	else
		h1_server_take(carriers->h1, stream, early, peer, listener, NULL);
}

static void handshake_done(void *argument, struct tls_stream *tls, const struct address *peer, const char *listener)
{
	struct carriers *carriers = argument;
	struct stream *stream = tls_stream_stream(tls);
	if (slice_equal(tls_stream_protocol(tls), SLICE("h2")))
		h2_server_take(carriers->h2, stream, SLICE_EMPTY, peer, listener, tls_stream_peer(tls));
	else
		h1_server_take(carriers->h1, stream, SLICE_EMPTY, peer, listener, tls_stream_peer(tls));
}

// A handshake goes on with the certificates that were current when it began. There are none
// where a reload took TLS from the port that had accepted the connection.
static const struct tls_server *borrow_server(struct tls_server_source *source, void **ret_hold)
{
	const struct certificates *certificates = (struct certificates *)source;
	struct snapshot *snapshot = certificates->carriers->snapshot;
	snapshot_ref(snapshot);
	*ret_hold = snapshot;
	return certificates->http2 ? snapshot->tls : snapshot->tls_http1;
}

static void give_back_server(struct tls_server_source *source, void *hold)
{
	snapshot_unref(hold);
}

static void accept_either(struct carriers *carriers, int descriptor, const struct address *peer, const char *name)
{
	const struct limits *limits = carriers->snapshot->limits;
	struct stream *stream = tcp_new(descriptor);
	if (!stream)
		return;
	if (connection_admit(peer, (uint32_t)limits->connections, (uint32_t)limits->connections_per_client))
		prefaces_take(carriers->prefaces, stream, peer, name, carriers->snapshot->timeouts->header_ns);
	else
		stream_close(stream);
}

// What a port speaks, as the PROXY protocol's acceptor keeps it: the configuration may be replaced meanwhile.
enum { SPEAKS_TLS = 1, SPEAKS_HTTP2 = 2, SPEAKS_H2C = 4 };

static void accept_as(void *argument, int speaks, int descriptor, const struct address *peer, const char *name)
{
	struct carriers *carriers = argument;
	if (speaks & SPEAKS_TLS)
		tls_acceptor_accept(carriers->acceptor, &carriers->certificates[(speaks & SPEAKS_HTTP2) != 0].source,
				    descriptor, peer, name);
	else if (speaks & SPEAKS_H2C)
		accept_either(carriers, descriptor, peer, name);
	else
		h1_server_accept(carriers->h1, descriptor, peer, name);
}

void carriers_accept(struct carriers *carriers, const struct listen *listen, int descriptor, const struct address *peer,
		     const char *name)
{
	int speaks =
		(listen->tls ? SPEAKS_TLS : 0) | (listen->http2 ? SPEAKS_HTTP2 : 0) | (listen->h2c ? SPEAKS_H2C : 0);
	if (network_set_contains(&listen->balancers, peer))
		proxy_acceptor_accept(carriers->balanced, speaks, descriptor, peer, name,
				      carriers->snapshot->timeouts->header_ns);
	else
		accept_as(carriers, speaks, descriptor, peer, name);
}

// --- Their life

struct carriers *carriers_new(struct http_service *service, struct snapshot *snapshot)
{
	struct h1_server_settings h1 = h1_settings(snapshot);
	struct h2_server_settings h2 = h2_settings(snapshot);
	struct tls_acceptor_settings acceptor = acceptor_settings(snapshot);
	struct carriers *carriers = calloc(1, sizeof *carriers);
	if (!carriers)
		return NULL;
	snapshot_ref(snapshot);
	carriers->snapshot = snapshot;
	for (int http2 = 0; http2 < 2; http2++)
		carriers->certificates[http2] = (struct certificates){
			.source = {.borrow = borrow_server, .give_back = give_back_server},
			.carriers = carriers,
			.http2 = http2,
		};
	carriers->h1 = h1_server_new(service, &h1);
	carriers->h2 = h2_server_new(service, &h2);
	carriers->acceptor = tls_acceptor_new(&acceptor, handshake_done, carriers);
	carriers->prefaces = prefaces_new(plain_chosen, carriers);
	carriers->balanced = proxy_acceptor_new(accept_as, carriers);
	if (carriers->balanced && carriers->h1 && carriers->h2 && carriers->acceptor && carriers->prefaces)
		return carriers;
	carriers_free(carriers);
	return NULL;
}

void carriers_announce_drain(struct carriers *carriers)
{
	h1_server_announce_drain(carriers->h1);
	h2_server_announce_drain(carriers->h2);
}

void carriers_drain(struct carriers *carriers)
{
	proxy_acceptor_abort(carriers->balanced);
	tls_acceptor_drain(carriers->acceptor);
	prefaces_abort(carriers->prefaces);
	h1_server_drain(carriers->h1);
	h2_server_drain(carriers->h2);
}

void carriers_abort(struct carriers *carriers)
{
	proxy_acceptor_abort(carriers->balanced);
	tls_acceptor_abort(carriers->acceptor);
	prefaces_abort(carriers->prefaces);
	h1_server_abort(carriers->h1);
	h2_server_abort(carriers->h2);
}

uint32_t carriers_connections(const struct carriers *carriers)
{
	return h1_server_connections(carriers->h1) + h2_server_connections(carriers->h2) +
	       tls_acceptor_connections(carriers->acceptor) + prefaces_count(carriers->prefaces) +
	       proxy_acceptor_connections(carriers->balanced);
}

void carriers_free(struct carriers *carriers)
{
	if (!carriers)
		return;
	if (carriers->acceptor)
		tls_acceptor_free(carriers->acceptor);
	if (carriers->prefaces)
		prefaces_free(carriers->prefaces);
	proxy_acceptor_free(carriers->balanced);
	if (carriers->h1)
		h1_server_free(carriers->h1);
	if (carriers->h2)
		h2_server_free(carriers->h2);
	h2_memory_trim();
	snapshot_unref(carriers->snapshot);
	free(carriers);
}
