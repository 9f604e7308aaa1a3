// What a thread has of each server: its idle connections, those that speak HTTP/2, sessions of
// TLS, and its counters.
//
// Found by the server's number in a table of the thread; written by that thread alone.
// Counters are read by others, so they are stored whole. For the files of this folder.
#ifndef USHER_UPSTREAM_LOCAL_H
#define USHER_UPSTREAM_LOCAL_H

#include "base/list.h"
#include "fiber/loop.h"
#include "fiber/wait.h"
#include "tls/client.h"
#include "upstream/server.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server_local {
	struct server_local *next;  // the server's, of another thread
	struct list_link idle;	    // connections, newest first
	struct list_link with_idle; // on the thread's list while there are any
	struct server *server;
	struct tls_sessions *sessions; // NULL before there are any
	char tls_reason[160];	       // why the last handshake failed

	// HTTP/2 (links.h).
	struct list_link links;	  // struct server_link, oldest first
	struct fiber *opener;	  // opens another one; NULL: none is being opened
	struct list_link opening; // on the thread's list while there is an opener
	int64_t open_deadline_ns; // of the opener
	uint64_t open_failures;	  // of openers
	struct fault open_fault;  // of the last one
	int open_error;		  // the same
	bool prefers_http1;	  // what ALPN chose last
	struct wait_queue stream_waiters;
	uint32_t waiting;
	_Atomic uint64_t link_count;

	_Atomic uint64_t idle_count;
	_Atomic uint64_t requests, answers, answer_ns, connects, connect_ns, reuses, stale;
	_Atomic uint64_t latencies[HISTOGRAM_BUCKETS];
	_Atomic uint64_t failures[SERVER_FAULT_KINDS];
};

// Adds to a counter that only this thread writes: no locked instruction.
static inline void local_count(_Atomic uint64_t *counter, uint64_t amount)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, value + amount, memory_order_relaxed);
}

struct local_slot {
	uint64_t id; // of the server; numbers are used again
	struct server_local *local;
};

struct upstream_thread {
	bool started;
	struct loop *loop;
	struct local_slot *slots; // by server->number
	uint32_t slot_count;
	uint32_t *pool_idle; // idle connections by pool_family.number
	uint32_t pool_count;
	struct list_link with_idle; // of server_local
	struct timer ageing;	    // runs while there are idle connections
	struct list_link links;	    // of server_link, of all servers
	struct list_link openers;   // of server_local
	struct timer link_ageing;   // runs while there are any
	struct list_link spare;	    // structs of closed connections
	unsigned spare_count;
	// Posted by others: servers were retired, or a round was begun.
	struct loop_message message;
	// Under the lock of the list of threads.
	bool posted;
	uint64_t round; // the last one that it has come round for
	struct upstream_thread *next;
};

extern _Thread_local struct upstream_thread upstream_thread;

// Makes this thread's part of the server. NULL when memory is out.
struct server_local *server_local_new(struct server *server);

// This thread's part of the server, made at first use. NULL when memory is out.
static inline struct server_local *server_local(struct server *server)
{
	const struct upstream_thread *thread = &upstream_thread;
	if (server->number < thread->slot_count && thread->slots[server->number].id == server->id)
		return thread->slots[server->number].local;
	return server_local_new(server);
}

// Makes all threads close the idle connections of retired servers, soon.
void upstream_threads_sweep(void);

#endif
