// A server: one target of a pool, what is known of it, and what it is doing.
//
// It may have one address, or a name with several (discovery.h). It is shared by all
// threads and outlives reloads that still name it: its state is atomic, and references
// keep it. What each thread has for itself (idle connections, counters) hangs on a
// struct server_local.
#ifndef USHER_UPSTREAM_SERVER_H
#define USHER_UPSTREAM_SERVER_H

#include "base/fault.h"
#include "base/histogram.h"
#include "base/slice.h"
#include "net/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct host_name;
struct pool_family;
struct server_local;
struct tls_client;

// What is spoken with a server.
enum server_protocol {
	SERVER_HTTP1,
	SERVER_HTTP2,	   // over TLS it must be agreed upon (ALPN), without TLS it is taken for known
	SERVER_NEGOTIATED, // over TLS only: what the server prefers
};

// Statuses are below 600.
enum { SERVER_STATUS_WORDS = 10 };

// What a reload may change without the server becoming another one.
struct server_settings {
	_Atomic uint32_t rest_after;			    // failures in a row; 0: never rests
	_Atomic int64_t rest_ns;			    // the first rest; each that follows is twice as long,
	_Atomic int64_t rest_max_ns;			    // up to this
	_Atomic uint64_t bad_statuses[SERVER_STATUS_WORDS]; // bits: answers that count as failures
	_Atomic int64_t slow_start_ns;	   // until a new or recovered server gets its whole share; 0: at once
	_Atomic uint32_t max_connections;  // over all threads; SERVER_REQUESTS_UNBOUNDED
	_Atomic uint32_t idle_connections; // kept by each thread
	_Atomic int64_t idle_timeout_ns;   // that one may lie idle
	_Atomic int64_t idle_age_ns;	   // since it was opened
	_Atomic uint32_t h2_connections;   // opened by each thread, at most
	_Atomic uint32_t h2_streams;	   // at once on each
	_Atomic uint32_t h2_queue;	   // requests of each thread that wait
	_Atomic uint32_t h2_window_bytes;
	_Atomic int64_t h2_ping_ns; // 0: never
	_Atomic int64_t h2_ping_timeout_ns;
};

// Why a server gets no requests, or not all of them. Picking looks at one word of these.
enum server_hold {
	HOLD_DRAINING = 1 << 0, // by the operator: nobody but visitors that stick to it
	HOLD_DISABLED = 1 << 1, // by the operator: nobody
	HOLD_ILL = 1 << 2,	// some check fails: `ill` has a bit for each
	HOLD_UNPROVEN = 1 << 3, // some check has not come through yet: `unproven`
	HOLD_WARMING = 1 << 4,	// slow start
	HOLD_SLOW = 1 << 5,	// set aside, since it is far slower than the others
};

enum { SERVER_REQUESTS_UNBOUNDED = UINT32_MAX };

struct server {
	// What picking reads, in one cache line.
	_Alignas(64) _Atomic int64_t rest_until_ns; // 0: takes requests
	_Atomic uint32_t in_flight;		    // requests that were picked for it and have not ended
	_Atomic uint32_t max_requests;		    // that may be in flight at once; SERVER_REQUESTS_UNBOUNDED
	_Atomic uint32_t holds;			    // bits of enum server_hold
	_Atomic uint32_t failures;		    // in a row
	_Atomic uint32_t rests;			    // in a row
	_Atomic bool trial;    // a request was let through while it rests, to see whether it is back
	_Atomic uint32_t sets; // active pools that choose from it; 0: it is retired
	_Atomic uint32_t references;
	struct host_name *name; // NULL: it has an address
	uint32_t number;	// small, used again after its end
	uint64_t id;		// never used again
	// What changes with answers and checks.
	_Alignas(64) _Atomic int64_t latency_ns; // of its answers of late (server_latency); 0: not known
	_Atomic int64_t latency_at_ns;		 // when the last one came
	_Atomic uint64_t token;			 // by which visitors stick to it (sticky.h); 0: none
	_Atomic uint64_t ill, unproven;		 // bits by the numbers of the pool's checks
	_Atomic uint32_t connections;		 // that there are now
	_Atomic int64_t warm_from_ns;		 // with HOLD_WARMING; 0: from the next pick on
	// Seldom written.
	_Alignas(64) struct server_settings settings;
	struct slice text;	// as configured: "10.0.0.1:80", "h2://app.internal:443", "unix:/run/app.sock"
	struct slice authority; // the same without its scheme
	struct slice tls_name;	// sent as SNI, and verified
	enum server_protocol protocol;
	struct tls_client *tls; // holds a reference; NULL: without TLS
	struct pool_family *family;
	struct address address;	      // without a name
	uint16_t port;		      // with a name
	_Atomic uint32_t turn;	      // which of the name's addresses is next
	_Atomic uint64_t unreachable; // bits of addresses that could not be connected to
	_Atomic int64_t unreachable_until_ns;
	struct server_local *_Atomic locals; // one for each thread that has used it
	struct server *next;		     // in the registry
	// Under the registry's lock.
	bool removed;			       // by the operator, until a configuration names it anew
	int64_t own_weight;		       // by the operator; -1: none
	int64_t own_weight_over;	       // the configured one that it took the place of
	uint64_t seen_answers, seen_answer_ns; // when its answers were last looked at (outlier.h)
	int64_t slow_until_ns;		       // with HOLD_SLOW
	uint32_t slow_times;		       // in a row
};

void server_ref(struct server *server);
void server_unref(struct server *server);

// As configured: "10.0.0.1:80", with a scheme where that is not plain HTTP/1.1. Lives as
// long as the server.
static inline struct slice server_name(const struct server *server)
{
	return server->text;
}

// For Host and :authority: "10.0.0.1:80". Lives as long as the server.
static inline struct slice server_authority(const struct server *server)
{
	return server->authority;
}

static inline bool server_is_over_tls(const struct server *server)
{
	return server->tls != NULL;
}

// The pool's name.
struct slice server_pool_name(const struct server *server);

// How a request that was picked for a server ended, seen from the server.
enum server_outcome {
	SERVER_ANSWERED,  // it did its part
	SERVER_FAILED,	  // connecting, sending, or the answer failed, through the server
	SERVER_ABANDONED, // ended by the client or by usher: says nothing of the server
};

// The outcome that a fault means: faults of the server's side are its failures, but for
// those that are usher's own trouble (no local port, no descriptor).
enum server_outcome server_outcome_of(const struct fault *fault);

// The head of a final answer came, response_ns after the request was sent: the server works.
// Ends its rest, unless the status is one of those that count as failures: then it is one more
// in a row. Before server_end, and not instead of it.
void server_answered(struct server *server, unsigned status, int64_t response_ns);

// How long its answers take of late: a moving average that follows a rise at once, and falls
// by half in every ten seconds without answers, so that a server that was slow is tried
// again. 0: not known.
int64_t server_latency_ns(const struct server *server, int64_t now_ns);

// Sets and clears bits of enum server_hold; from any thread that holds a reference. Clearing
// HOLD_ILL begins a slow start.
void server_hold(struct server *server, uint32_t holds);
void server_release(struct server *server, uint32_t holds);

// Begins a slow start, where its pool has one.
void server_warm(struct server *server);

// The end of a request that pool_pick picked the server for, exactly once for each; the server
// may be gone afterwards. `kind` is counted when it failed. Enough failures in a row make it
// rest.
//
// A reused connection that died before a byte of the answer is no failure of the server:
// the request is tried again on a fresh connection (connection.h), to the same server or
// the next, and ends as that one ends.
void server_end(struct server *server, enum server_outcome outcome, enum fault_kind kind);

// Whether it rests now, on the loop's clock.
bool server_rests(const struct server *server, int64_t now_ns);

// How long the rest is that is its `rests`th in a row.
int64_t server_rest_ns(const struct server *server, uint32_t rests);

// How many kinds of faults there are.
#define SERVER_FAULT_ROW(kind, status, word, token) +1
enum { SERVER_FAULT_KINDS = 0 FAULTS(SERVER_FAULT_ROW) };
#undef SERVER_FAULT_ROW

// What a server has done, summed over all threads; for the admin API and for tests.
struct server_status {
	struct slice text;
	unsigned in_flight;
	unsigned max_requests; // SERVER_REQUESTS_UNBOUNDED: no bound
	uint32_t holds;	       // bits of enum server_hold
	uint64_t ill, unproven;
	int64_t latency_ns; // of late; 0: not known
	unsigned failures_in_row;
	int64_t rest_until_ns;		       // 0: takes requests
	bool unresolved;		       // its name has never had an address
	bool retired;			       // no configuration names it any more
	unsigned addresses;		       // that its name has; 1 without a name
	uint64_t requests;		       // ended
	uint64_t answers, answer_ns;	       // heads that came, and the sum of their times
	uint64_t connects, connect_ns;	       // connections that were made, and the sum of their times
	uint64_t reuses;		       // connections that were taken from idle ones
	uint64_t stale;			       // idle ones that turned out to be closed or to have sent bytes
	unsigned open;			       // connections now
	uint64_t idle;			       // idle connections now
	uint64_t links;			       // connections now that speak HTTP/2
	uint64_t latencies[HISTOGRAM_BUCKETS]; // of answers (histogram.h)
	uint64_t failures[SERVER_FAULT_KINDS]; // requests that it failed, by kind of fault
};

// From any thread that holds a reference.
void server_read_status(const struct server *server, struct server_status *ret_status);

#endif
