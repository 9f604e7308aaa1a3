#include "handlers/proxy_hedge.h"

#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "upstream/hedge.h"
#include "upstream/pool_config.h"

#include <errno.h>

struct race;

struct contestant {
	struct race *race;
	struct proxying *proxying;
	struct fiber *fiber; // NULL: does not run
	struct fault fault;
	bool is_done, has_answered;
};

struct race {
	struct fiber *judge; // the exchange's
	struct contestant contestants[2];
};

bool hedge_is_wished(const struct proxying *proxying)
{
	const struct client_request *request = &proxying->request;
	return hedge_after_ns(proxying->config->pool->pool) > 0 && method_is_safe(request->method) &&
	       request->framing == BODY_NONE && request->upgrade.length == 0 && !proxying->pick.stuck;
}

// --- Contestants

static void run_contestant(void *argument)
{
	struct contestant *contestant = argument;
	struct proxying *proxying = contestant->proxying;
	contestant->has_answered = try_server(proxying, &contestant->fault) == 0;
	if (!contestant->has_answered)
		contestant->fault.after_ns = loop_now() - proxying->step_started_ns;
	contestant->is_done = true;
	fiber_wake(contestant->race->judge);
}

static bool start(struct contestant *contestant, struct race *race, struct proxying *proxying)
{
	contestant->race = race;
	contestant->proxying = proxying;
	proxying->is_hedged = true;
	contestant->fiber = fiber_spawn_joinable("proxy", run_contestant, contestant);
	return contestant->fiber != NULL;
}

// Another try of the same request, at a server that the pool chooses and pays for as for a retry. NULL:
// there is none.
static struct proxying *second_of(struct proxying *first)
{
	struct exchange *exchange = first->exchange;
	struct pool *pool = first->config->pool->pool;
	if (!pool_spend_retry(pool))
		return NULL;
	struct proxying *second = arena_alloc(exchange_arena(exchange), sizeof *second);
	struct server *server = second ? pool_pick(pool, &first->pick) : NULL;
	if (!server) {
		pool_return_retry(pool);
		return NULL;
	}
	*second = *first;
	second->connection = NULL;
	second->client = NULL;
	second->answered = false;
	try_end_with_exchange(second);
	try_begin(second, server);
	trace_note(&exchange->trace, "hedged", server->text, NULL, 0, TRACE_NO_VALUE);
	return second;
}

// --- The race

static bool is_decided(const struct race *race)
{
	bool all_done = true;
	for (unsigned i = 0; i < 2; i++) {
		const struct contestant *contestant = &race->contestants[i];
		if (contestant->is_done && contestant->has_answered)
			return true;
		all_done = all_done && (contestant->is_done || !contestant->fiber);
	}
	return all_done;
}

static int wait_for(const struct race *race, int64_t until_ns)
{
	int outcome = 0;
	while (!is_decided(race) && outcome == 0)
		outcome = fiber_wait("answer of a server", until_ns);
	return outcome;
}

// The first one stands for both where neither has answered.
static struct contestant *winner_of(struct race *race)
{
	struct contestant *second = &race->contestants[1];
	return second->fiber && second->has_answered && !race->contestants[0].has_answered ? second
											   : &race->contestants[0];
}

static void finish(struct contestant *contestant, bool has_won)
{
	if (!contestant->fiber)
		return;
	fiber_cancel(contestant->fiber);
	fiber_join(contestant->fiber);
	if (!has_won)
		try_end(contestant->proxying, &contestant->fault);
}

// The exchange goes on with the winner alone. Who was cancelled has said nothing of its server.
static int settle(struct race *race, struct proxying **proxying, struct fault *ret_fault)
{
	struct contestant *winner = winner_of(race);
	for (unsigned i = 0; i < 2; i++)
		finish(&race->contestants[i], &race->contestants[i] == winner);
	winner->proxying->pick = race->contestants[0].proxying->pick;
	*proxying = winner->proxying;
	(*proxying)->exchange->server.address = (*proxying)->server->text;
	if (winner->has_answered)
		return 0;
	*ret_fault = winner->fault;
	return -1;
}

int try_hedged(struct proxying **proxying, struct fault *ret_fault)
{
	struct proxying *first = *proxying;
	struct race race = {.judge = fiber_current()};
	int64_t after_ns = hedge_after_ns(first->config->pool->pool);
	if (!start(&race.contestants[0], &race, first))
		return try_server(first, ret_fault);
	if (wait_for(&race, loop_now() + after_ns) == -ETIMEDOUT) {
		struct proxying *second = second_of(first);
		if (second && !start(&race.contestants[1], &race, second))
			try_end(second, &(struct fault){.kind = FAULT_CLIENT_GONE});
		(void)wait_for(&race, FIBER_NEVER); // each try has its deadlines
	}
	return settle(&race, proxying, ret_fault);
}
