#include "upstream/server.h"

#include "base/check.h"
#include "base/log.h"
#include "fiber/loop.h"
#include "upstream/address_book.h"
#include "upstream/discovery.h"
#include "upstream/hedge.h"
#include "upstream/local.h"
#include "upstream/outlier.h"
#include "upstream/pool_queue.h"
#include "upstream/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct slice server_pool_name(const struct server *server)
{
	return server->family->name;
}

// What stops usher itself from connecting is not the server's doing.
static bool is_own_trouble(int system_error)
{
	return system_error == EADDRNOTAVAIL || system_error == ENOBUFS || system_error == ENOMEM ||
	       system_error == EACCES || system_error == EPERM;
}

enum server_outcome server_outcome_of(const struct fault *fault)
{
	switch (fault->kind) {
	case FAULT_NONE:
		return SERVER_ANSWERED;
	case FAULT_CONNECT_FAILED:
		return is_own_trouble(fault->system_error) ? SERVER_ABANDONED : SERVER_FAILED;
	case FAULT_CONNECT_REFUSED:
	case FAULT_CONNECT_TIMEOUT:
	case FAULT_TLS_FAILED:
	case FAULT_TLS_CERTIFICATE:
	case FAULT_TLS_ALERT:
	case FAULT_SEND_FAILED:
	case FAULT_SEND_TIMEOUT:
	case FAULT_SERVER_CLOSED:
	case FAULT_RESPONSE_TIMEOUT:
	case FAULT_RESPONSE_BAD:
	case FAULT_RESPONSE_TRUNCATED:
	case FAULT_RESPONSE_BODY_TIMEOUT:
		return SERVER_FAILED;
	// A name without addresses has a state of its own; a header section that is larger
	// than the configuration allows, or a refused upgrade, may be one page's doing.
	case FAULT_DNS_FAILED:
	case FAULT_DNS_TIMEOUT:
	case FAULT_RESPONSE_HEADER_TOO_LARGE:
	case FAULT_UPGRADE_FAILED:
	case FAULT_NO_SERVER:
	case FAULT_OVERLOADED:
	case FAULT_CONNECTION_LIMIT:
	case FAULT_BAD_REQUEST:
	case FAULT_UNAUTHORIZED:
	case FAULT_TOO_MANY_REQUESTS:
	case FAULT_BAD_FRAMING:
	case FAULT_BAD_HOST:
	case FAULT_BAD_TARGET:
	case FAULT_BAD_VERSION:
	case FAULT_UNKNOWN_EXPECTATION:
	case FAULT_HEADER_TOO_LARGE:
	case FAULT_TARGET_TOO_LONG:
	case FAULT_BODY_TOO_LARGE:
	case FAULT_HEADER_TIMEOUT:
	case FAULT_BODY_TIMEOUT:
	case FAULT_CLIENT_GONE:
	case FAULT_CLIENT_SLOW:
	case FAULT_MISDIRECTED:
	case FAULT_NO_SITE:
	case FAULT_NO_ROUTE:
	case FAULT_METHOD_REFUSED:
	case FAULT_REFUSED:
	case FAULT_NOT_IMPLEMENTED:
	case FAULT_TOO_MANY_CONNECTIONS:
	case FAULT_OUT_OF_MEMORY:
	case FAULT_INTERNAL:
	case FAULT_STOPPING:
	case FAULT_LOOP:
		return SERVER_ABANDONED;
	}
	check(false);
}

bool server_rests(const struct server *server, int64_t now_ns)
{
	return now_ns < atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed);
}

// --- Holds

void server_hold(struct server *server, uint32_t holds)
{
	atomic_fetch_or_explicit(&server->holds, holds, memory_order_relaxed);
}

void server_warm(struct server *server)
{
	if (atomic_load_explicit(&server->settings.slow_start_ns, memory_order_relaxed) == 0)
		return;
	atomic_store_explicit(&server->warm_from_ns, 0, memory_order_relaxed);
	server_hold(server, HOLD_WARMING);
}

void server_release(struct server *server, uint32_t holds)
{
	uint32_t before = atomic_fetch_and_explicit(&server->holds, ~holds, memory_order_relaxed);
	if (before & holds & HOLD_ILL)
		server_warm(server);
	if (before & holds)
		pool_queue_stir(server->family);
}

// --- Answers

// A share of the difference that an answer which came sooner makes.
enum { LATENCY_SHARE = 8 };
#define LATENCY_HALF_LIFE_NS (10 * SECOND_NS)

int64_t server_latency_ns(const struct server *server, int64_t now_ns)
{
	int64_t latency_ns = atomic_load_explicit(&server->latency_ns, memory_order_relaxed);
	int64_t age_ns = now_ns - atomic_load_explicit(&server->latency_at_ns, memory_order_relaxed);
	if (age_ns < LATENCY_HALF_LIFE_NS)
		return latency_ns;
	int64_t halvings = age_ns / LATENCY_HALF_LIFE_NS;
	return halvings < 62 ? latency_ns >> halvings : 0;
}

// Threads may overwrite each other's answers: one of many.
static void note_latency(struct server *server, int64_t response_ns)
{
	int64_t now_ns = loop_now(), latency_ns = server_latency_ns(server, now_ns);
	if (response_ns < latency_ns)
		response_ns = latency_ns - (latency_ns - response_ns) / LATENCY_SHARE;
	atomic_store_explicit(&server->latency_ns, response_ns > 0 ? response_ns : 1, memory_order_relaxed);
	atomic_store_explicit(&server->latency_at_ns, now_ns, memory_order_relaxed);
}

static void recover(struct server *server)
{
	atomic_store_explicit(&server->failures, 0, memory_order_relaxed);
	atomic_store_explicit(&server->rests, 0, memory_order_relaxed);
	atomic_store_explicit(&server->trial, false, memory_order_relaxed);
	if (atomic_exchange_explicit(&server->rest_until_ns, 0, memory_order_relaxed) == 0)
		return;
	server_warm(server);
	log_info("pool %.*s: %.*s answers again", SLICE_ARGUMENTS(server_pool_name(server)),
		 SLICE_ARGUMENTS(server->text));
	pool_queue_stir(server->family);
}

// --- Failures

int64_t server_rest_ns(const struct server *server, uint32_t rests)
{
	int64_t rest_ns = atomic_load_explicit(&server->settings.rest_ns, memory_order_relaxed);
	int64_t max_ns = atomic_load_explicit(&server->settings.rest_max_ns, memory_order_relaxed);
	while (rests-- > 1 && rest_ns < max_ns)
		rest_ns *= 2;
	return rest_ns < max_ns ? rest_ns : max_ns;
}

// Begins a rest, or makes it longer when the request that was let through to see whether
// the server is back failed too. Requests that were under way when the rest began and fail
// now say nothing new.
static void fail(struct server *server, const char *how)
{
	uint32_t failures = atomic_fetch_add_explicit(&server->failures, 1, memory_order_relaxed) + 1;
	uint32_t after = atomic_load_explicit(&server->settings.rest_after, memory_order_relaxed);
	if (after == 0)
		return;
	int64_t until_ns = atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed);
	bool trial = atomic_exchange_explicit(&server->trial, false, memory_order_relaxed);
	if (until_ns == 0 ? failures < after : !trial)
		return;
	uint32_t rests = atomic_load_explicit(&server->rests, memory_order_relaxed) + 1;
	int64_t rest_ns = server_rest_ns(server, rests);
	if (!atomic_compare_exchange_strong_explicit(&server->rest_until_ns, &until_ns, loop_now() + rest_ns,
						     memory_order_relaxed, memory_order_relaxed))
		return;
	atomic_store_explicit(&server->rests, rests, memory_order_relaxed);
	log_warning("pool %.*s: %.*s gets no requests for %lld ms: %u failures in a row, the last one %s",
		    SLICE_ARGUMENTS(server_pool_name(server)), SLICE_ARGUMENTS(server->text),
		    (long long)(rest_ns / MILLISECOND_NS), failures, how);
}

// One that answers is still of use: not too many of a pool rest for that.
static void fail_by_status(struct server *server, unsigned status)
{
	char how[32];
	uint32_t after = atomic_load_explicit(&server->settings.rest_after, memory_order_relaxed);
	bool is_due = atomic_load_explicit(&server->failures, memory_order_relaxed) + 1 >= after;
	if (after == 0 || (is_due && !outlier_may_rest(server)))
		return;
	(void)snprintf(how, sizeof how, "answered %u", status);
	fail(server, how);
}

// --- How it answers

static bool is_bad(const struct server *server, unsigned status)
{
	if (status / 64 >= SERVER_STATUS_WORDS)
		return false;
	uint64_t word = atomic_load_explicit(&server->settings.bad_statuses[status / 64], memory_order_relaxed);
	return word >> status % 64 & 1;
}

void server_answered(struct server *server, unsigned status, int64_t response_ns)
{
	struct server_local *local = server_local(server);
	if (local) {
		local_count(&local->answers, 1);
		local_count(&local->latencies[histogram_bucket(response_ns)], 1);
		local_count(&local->answer_ns, response_ns > 0 ? (uint64_t)response_ns : 0);
	}
	note_latency(server, response_ns);
	hedge_note(server->family, response_ns);
	if (is_bad(server, status))
		fail_by_status(server, status);
	else if (atomic_load_explicit(&server->failures, memory_order_relaxed) != 0 ||
		 atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed) != 0)
		recover(server);
}

void server_end(struct server *server, enum server_outcome outcome, enum fault_kind kind)
{
	struct server_local *local = server_local(server);
	if (local) {
		local_count(&local->requests, 1);
		if (kind != FAULT_NONE)
			local_count(&local->failures[kind], 1);
	}
	if (outcome == SERVER_FAILED)
		fail(server, fault_word(kind));
	check(atomic_load_explicit(&server->in_flight, memory_order_relaxed) > 0);
	pool_queue_leave(server);
}

// --- What it has done

static uint64_t sum(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_local(struct server_local *local, struct server_status *status)
{
	status->requests += sum(&local->requests);
	status->answers += sum(&local->answers);
	status->answer_ns += sum(&local->answer_ns);
	status->connects += sum(&local->connects);
	status->connect_ns += sum(&local->connect_ns);
	status->reuses += sum(&local->reuses);
	status->stale += sum(&local->stale);
	status->idle += sum(&local->idle_count);
	status->links += sum(&local->link_count);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		status->latencies[i] += sum(&local->latencies[i]);
	for (unsigned i = 0; i < SERVER_FAULT_KINDS; i++)
		status->failures[i] += sum(&local->failures[i]);
}

void server_read_status(const struct server *server, struct server_status *ret_status)
{
	struct server_status status = {
		.text = server->text,
		.in_flight = atomic_load_explicit(&server->in_flight, memory_order_relaxed),
		.max_requests = atomic_load_explicit(&server->max_requests, memory_order_relaxed),
		.holds = atomic_load_explicit(&server->holds, memory_order_relaxed),
		.ill = atomic_load_explicit(&server->ill, memory_order_relaxed),
		.unproven = atomic_load_explicit(&server->unproven, memory_order_relaxed),
		.latency_ns = atomic_load_explicit(&server->latency_ns, memory_order_relaxed),
		.open = atomic_load_explicit(&server->connections, memory_order_relaxed),
		.failures_in_row = atomic_load_explicit(&server->failures, memory_order_relaxed),
		.rest_until_ns = atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed),
		.unresolved = server->name && host_name_state(server->name) != HOST_NAME_FOUND,
		.retired = atomic_load_explicit(&server->sets, memory_order_relaxed) == 0,
		.addresses = server->name ? address_book_count(host_name_addresses(server->name)) : 1,
	};
	struct server_local *local = atomic_load_explicit(&server->locals, memory_order_acquire);
	for (; local; local = local->next)
		add_local(local, &status);
	*ret_status = status;
}
