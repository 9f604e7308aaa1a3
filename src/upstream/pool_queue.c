#include "upstream/pool_queue.h"

#include "fiber/loop.h"
#include "upstream/balancer.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"

#include <errno.h>

// When a visitor may come again who found the queue full.
#define COME_AGAIN_NS SECOND_NS

// How long one waits at most where all servers rest.
#define REST_WAIT_NS SECOND_NS

struct waiting_request {
	struct line_place place;
	struct pool *pool;
	const struct pick *pick;
	struct server *server; // that was given on; NULL: look again
	bool all_rest;
};

// --- Who waits

static struct server *refuse(struct pick *pick, enum fault_kind fault, const char *setting)
{
	pick->fault = pick->all_rest && fault == FAULT_OVERLOADED ? FAULT_NO_SERVER : fault;
	pick->setting = pick->all_rest ? NULL : setting;
	if (pick->retry_after_ns < COME_AGAIN_NS)
		pick->retry_after_ns = COME_AGAIN_NS;
	return NULL;
}

static int64_t end_of_wait(const struct pool_family *family, int64_t deadline_ns)
{
	int64_t end_ns = loop_now() + atomic_load_explicit(&family->queue_ns, memory_order_relaxed);
	return end_ns < deadline_ns ? end_ns : deadline_ns;
}

// Looks once more, now that the request is in line: what came free before is given to nobody else.
// True when the wait is over.
static bool look_again(struct waiting_request *waiting, struct pick *pick, struct server **ret_server)
{
	struct pool_family *family = waiting->pool->family;
	struct line *line = &family->line;
	struct pick look = *pick;
	// Of this and what pool_queue_leave does to the same number one comes first: either it sees that
	// somebody waits, or what it made free is seen here.
	atomic_fetch_add_explicit(&family->in_flight, 0, memory_order_seq_cst);
	struct server *server = pool_pick(waiting->pool, &look);
	if (!server && (look.full || look.all_rest)) {
		waiting->all_rest = look.all_rest;
		return false;
	}
	if (line_leave(line, &waiting->place) && waiting->server)
		pool_queue_leave(waiting->server);
	*pick = look;
	*ret_server = server;
	return true;
}

static struct server *take_over(struct pick *pick, struct server *server)
{
	if (pick->tries == 0)
		atomic_fetch_add_explicit(&server->family->requests, 1, memory_order_relaxed);
	pick->tried[pick->tries++] = server;
	return server;
}

// Suspends until called: 0, also when it is time to look again; or as line_wait.
static int wait_in_line(struct waiting_request *waiting, int64_t end_ns)
{
	int64_t look_ns = loop_now() + POOL_LAST_RESORT_NS;
	bool looks_sooner = waiting->all_rest && look_ns < end_ns;
	int error = line_wait(&waiting->pool->family->line, &waiting->place, "server", looks_sooner ? look_ns : end_ns);
	return looks_sooner && error == -ETIMEDOUT ? 0 : error;
}

struct server *pool_wait(struct pool *pool, struct pick *pick, int64_t deadline_ns)
{
	struct pool_family *family = pool->family;
	struct waiting_request waiting = {.pool = pool, .pick = pick};
	int64_t end_ns = end_of_wait(family, deadline_ns);
	int64_t rest_end_ns = loop_now() + REST_WAIT_NS < end_ns ? loop_now() + REST_WAIT_NS : end_ns;
	uint32_t at_most = atomic_load_explicit(&family->queue_requests, memory_order_relaxed);
	struct server *server = NULL;
	while (!waiting.server) {
		if (!line_enter(&family->line, &waiting.place, at_most))
			return refuse(pick, FAULT_OVERLOADED, "queue.requests");
		if (look_again(&waiting, pick, &server))
			return server;
		int error = wait_in_line(&waiting, waiting.all_rest ? rest_end_ns : end_ns);
		pick->all_rest = waiting.all_rest;
		if (error == -ETIMEDOUT)
			return refuse(pick, FAULT_OVERLOADED,
				      end_ns < deadline_ns ? "queue.timeout" : "timeouts.total");
		if (error)
			return refuse(pick, FAULT_CLIENT_GONE, NULL);
	}
	return take_over(pick, waiting.server);
}

// --- Who is done

static bool is_member(const struct pool *pool, const struct server *server)
{
	const struct roster *roster = atomic_load_explicit(&pool->roster, memory_order_acquire);
	for (uint32_t i = 0; i < roster->count; i++)
		if (roster->members[i].server == server)
			return roster->members[i].weight > 0;
	return false;
}

// Whether the request could have been sent there if the server were not full.
static bool fits(const struct waiting_request *waiting, const struct server *server)
{
	struct pick look = *waiting->pick;
	look.takes_cold = true;
	look.sticks = look.takes_unproven = look.stuck && look.tries == 0;
	if (look.sticks ? look.stuck != server : !is_member(waiting->pool, server))
		return false;
	return look.tries < waiting->pool->tries && server_may_have(server, &look, loop_now());
}

static bool give_on(struct line_place *place, void *argument)
{
	struct waiting_request *waiting = LIST_ENTRY(place, struct waiting_request, place);
	struct server *server = argument;
	if (!fits(waiting, server))
		return false;
	waiting->server = server;
	return true;
}

static bool is_wanted(struct line_place *place, void *argument)
{
	return fits(LIST_ENTRY(place, struct waiting_request, place), argument);
}

static bool is_first(struct line_place *place, void *argument)
{
	return true;
}

// A bound that was lowered meanwhile: places are not given on, but vanish.
static bool is_overfull(const struct server *server)
{
	const struct pool_family *family = server->family;
	return atomic_load_explicit(&server->in_flight, memory_order_relaxed) >
		       atomic_load_explicit(&server->max_requests, memory_order_relaxed) ||
	       atomic_load_explicit(&family->in_flight, memory_order_relaxed) >
		       atomic_load_explicit(&family->max_requests, memory_order_relaxed);
}

void pool_queue_leave(struct server *server)
{
	struct pool_family *family = server->family;
	if (!line_is_empty(&family->line) && !is_overfull(server) && line_call(&family->line, give_on, server))
		return;
	atomic_fetch_sub_explicit(&server->in_flight, 1, memory_order_seq_cst);
	atomic_fetch_sub_explicit(&family->in_flight, 1, memory_order_seq_cst);
	// Somebody may have come to wait just now; and with a bound of the whole pool, another server will
	// do for who has no use for this one.
	if (!line_is_empty(&family->line) && !line_call(&family->line, is_wanted, server))
		(void)line_call(&family->line, is_first, NULL);
	server_unref(server);
}

void pool_queue_stir(struct pool_family *family)
{
	if (!line_is_empty(&family->line))
		line_call_all(&family->line);
}
