#include "upstream/health.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// At once; more wait a moment.
enum { RUNNING_MAX = 64 };
#define WAIT_NS (10 * MILLISECOND_NS)

// One check of one server.
struct prober {
	struct list_link link;
	struct server *server; // holds a reference
	struct check_set *set; // the same
	uint32_t number;       // of the check in the set, and of its bit
	bool is_wanted;	       // while looking again
	struct timer timer;
	struct fiber *fiber; // while a check runs
	uint32_t good, bad;  // in a row
	// Read by others, under the lock.
	struct health_status status;
};

static struct {
	pthread_mutex_t lock; // of the list and of what others read; taken inside the registry's
	struct list_link probers;
	struct loop *loop; // NULL while no thread checks
	struct loop_message *message;
	bool posted;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .probers = {&shared.probers, &shared.probers}};

// The checking thread's.
static struct {
	health_run *run;
	uint32_t running;
	bool is_ending;
} own;

static _Thread_local struct loop_message look_message;

static const struct check *check_of(const struct prober *prober)
{
	return &prober->set->checks[prober->number];
}

// --- What becomes of a server

// Only this thread writes these bits, but for those of a server that has just come.
static void set_bits(struct server *server, _Atomic uint64_t *bits, uint64_t bit, bool set, enum server_hold hold)
{
	uint64_t now = set ? atomic_fetch_or(bits, bit) | bit : atomic_fetch_and(bits, ~bit) & ~bit;
	if (now != 0)
		server_hold(server, hold);
	else
		server_release(server, hold);
}

static void show(struct prober *prober, bool ill, bool unproven)
{
	struct server *server = prober->server;
	uint64_t bit = UINT64_C(1) << prober->number;
	pthread_mutex_lock(&shared.lock);
	if (prober->status.ill != ill || prober->status.unproven != unproven)
		prober->status.since_ns = loop_now();
	prober->status.ill = ill;
	prober->status.unproven = unproven;
	pthread_mutex_unlock(&shared.lock);
	set_bits(server, &server->ill, bit, ill, HOLD_ILL);
	set_bits(server, &server->unproven, bit, unproven, HOLD_UNPROVEN);
}

static void note_good(struct prober *prober, int64_t took_ns)
{
	const struct check *check = check_of(prober);
	struct slice pool = server_pool_name(prober->server), name = server_name(prober->server);
	prober->bad = 0;
	prober->good++;
	if (prober->status.ill && prober->good >= check->rise) {
		log_info("pool %.*s: %.*s passes its check \"%.*s\" again", SLICE_ARGUMENTS(pool),
			 SLICE_ARGUMENTS(name), SLICE_ARGUMENTS(check->name));
		show(prober, false, false);
	} else if (prober->status.unproven) {
		log_info("pool %.*s: %.*s passes its check \"%.*s\" (%lld ms)", SLICE_ARGUMENTS(pool),
			 SLICE_ARGUMENTS(name), SLICE_ARGUMENTS(check->name), (long long)(took_ns / MILLISECOND_NS));
		show(prober, false, false);
	}
}

static void note_bad(struct prober *prober, int64_t took_ns)
{
	const struct check *check = check_of(prober);
	prober->good = 0;
	prober->bad++;
	if (prober->status.ill || prober->bad < check->fall)
		return;
	log_warning("pool %.*s: %.*s fails its check \"%.*s\": %s (after %lld ms, %u in a row)",
		    SLICE_ARGUMENTS(server_pool_name(prober->server)), SLICE_ARGUMENTS(server_name(prober->server)),
		    SLICE_ARGUMENTS(check->name), prober->status.reason, (long long)(took_ns / MILLISECOND_NS),
		    prober->bad);
	show(prober, true, false);
}

// --- When

static int64_t with_jitter(int64_t duration_ns, uint32_t percent)
{
	int64_t range_ns = duration_ns / 100 * percent;
	return duration_ns - range_ns / 2 + (int64_t)random_number_below((uint64_t)range_ns + 1);
}

// Faster while it is not known how things are, or they are about to change.
static int64_t next_ns(const struct prober *prober)
{
	const struct check *check = check_of(prober);
	bool is_changing = prober->status.unproven || (prober->status.ill ? prober->good : prober->bad) > 0;
	return with_jitter(is_changing ? check->fast_ns : check->interval_ns, check->jitter_percent);
}

// --- One check

static void prober_free(struct prober *prober)
{
	check(!prober->fiber);
	server_unref(prober->server);
	check_set_unref(prober->set);
	free(prober);
}

static void take_result(struct prober *prober, bool well, const char *reason, int64_t took_ns)
{
	pthread_mutex_lock(&shared.lock);
	prober->status.checks++;
	prober->status.bad += !well;
	if (!well)
		memcpy(prober->status.reason, reason, CHECK_REASON_SIZE);
	pthread_mutex_unlock(&shared.lock);
	if (well)
		note_good(prober, took_ns);
	else
		note_bad(prober, took_ns);
}

// A prober that is wanted no more is freed by its fiber.
static void run_check(void *argument)
{
	struct prober *prober = argument;
	char reason[CHECK_REASON_SIZE] = "";
	int64_t began_ns = loop_now();
	bool well = own.run(check_of(prober), prober->server, reason);
	own.running--;
	prober->fiber = NULL;
	if (list_is_empty(&prober->link)) {
		prober_free(prober);
		return;
	}
	if (own.is_ending)
		return;
	take_result(prober, well, reason, loop_now() - began_ns);
	timer_start(&prober->timer, loop_now() + next_ns(prober));
}

static void due(struct timer *timer)
{
	struct prober *prober = LIST_ENTRY(timer, struct prober, timer);
	// Whoever took a server out of service does not want it asked.
	if (atomic_load_explicit(&prober->server->holds, memory_order_relaxed) & HOLD_DISABLED) {
		timer_start(timer, loop_now() + next_ns(prober));
		return;
	}
	if (own.running < RUNNING_MAX)
		prober->fiber = fiber_spawn("check a server", run_check, prober);
	if (!prober->fiber) {
		timer_start(timer, loop_now() + WAIT_NS);
		return;
	}
	own.running++;
}

// --- Which servers

static struct prober *find(const struct server *server, struct slice key)
{
	for (struct list_link *link = shared.probers.next; link != &shared.probers; link = link->next) {
		struct prober *prober = LIST_ENTRY(link, struct prober, link);
		if (prober->server == server && slice_equal(check_of(prober)->key, key))
			return prober;
	}
	return NULL;
}

// A new one is asked at once, but not all of them in the same moment.
static struct prober *prober_new(struct server *server, struct check_set *set, uint32_t number)
{
	struct prober *prober = calloc(1, sizeof(*prober));
	if (!prober)
		return NULL; // it stays unproven until the next change
	prober->server = server;
	server_ref(server);
	prober->set = check_set_ref(set);
	prober->number = number;
	prober->status.unproven = true;
	prober->status.since_ns = loop_now();
	timer_init(&prober->timer, due);
	timer_start(&prober->timer,
		    loop_now() + (int64_t)random_number_below((uint64_t)check_of(prober)->fast_ns / 4 + 1));
	list_push_back(&shared.probers, &prober->link);
	return prober;
}

// With the same check under another number, or in a newer set.
static void move_to(struct prober *prober, struct check_set *set, uint32_t number)
{
	struct check_set *former = prober->set;
	prober->set = check_set_ref(set);
	prober->number = number;
	check_set_unref(former);
}

static void want(void *argument, const struct pool *pool)
{
	struct check_set *set = pool->checks;
	for (size_t i = 0; set && i < pool_server_count(pool); i++) {
		struct server *server = pool_server(pool, i);
		for (uint32_t number = 0; number < set->count; number++) {
			struct prober *prober = find(server, set->checks[number].key);
			if (!prober)
				prober = prober_new(server, set, number);
			else if (!prober->fiber)
				move_to(prober, set, number);
			if (prober)
				prober->is_wanted = true;
		}
	}
}

// What the probers of a server say together. With the lock held.
static void sum_up(struct server *server)
{
	uint64_t ill = 0, unproven = 0;
	for (struct list_link *link = shared.probers.next; link != &shared.probers; link = link->next) {
		const struct prober *prober = LIST_ENTRY(link, struct prober, link);
		uint64_t bit = UINT64_C(1) << prober->number;
		ill |= prober->server == server && prober->status.ill ? bit : 0;
		unproven |= prober->server == server && prober->status.unproven ? bit : 0;
	}
	atomic_store(&server->ill, ill);
	atomic_store(&server->unproven, unproven);
	if (ill)
		server_hold(server, HOLD_ILL);
	else
		server_release(server, HOLD_ILL);
	if (unproven)
		server_hold(server, HOLD_UNPROVEN);
	else
		server_release(server, HOLD_UNPROVEN);
}

// With the lock held. The list of those that can be freed once it is given back.
static void drop_unwanted(struct list_link *dropped)
{
	struct list_link *next;
	for (struct list_link *link = shared.probers.next; link != &shared.probers; link = next) {
		struct prober *prober = LIST_ENTRY(link, struct prober, link);
		next = link->next;
		if (prober->is_wanted)
			continue;
		list_remove(link);
		timer_stop(&prober->timer);
		sum_up(prober->server);
		if (prober->fiber)
			fiber_cancel(prober->fiber);
		else
			list_push_back(dropped, link);
	}
}

static void look(struct loop_message *message)
{
	struct list_link dropped;
	list_init(&dropped);
	pthread_mutex_lock(&shared.lock);
	shared.posted = false;
	bool is_checking = shared.loop == loop_current();
	for (struct list_link *link = shared.probers.next; link != &shared.probers; link = link->next)
		LIST_ENTRY(link, struct prober, link)->is_wanted = false;
	pthread_mutex_unlock(&shared.lock);
	if (!is_checking)
		return;
	registry_lock();
	pthread_mutex_lock(&shared.lock);
	pools_visit_locked(want, NULL);
	drop_unwanted(&dropped);
	for (struct list_link *link = shared.probers.next; link != &shared.probers; link = link->next)
		sum_up(LIST_ENTRY(link, struct prober, link)->server);
	pthread_mutex_unlock(&shared.lock);
	registry_unlock();
	for (struct list_link *link; (link = list_pop_front(&dropped));)
		prober_free(LIST_ENTRY(link, struct prober, link));
}

void health_look_again(void)
{
	pthread_mutex_lock(&shared.lock);
	if (shared.loop && !shared.posted) {
		shared.posted = true;
		loop_post(shared.loop, shared.message);
	}
	pthread_mutex_unlock(&shared.lock);
}

// --- The checking thread

void health_start(health_run *run)
{
	pthread_mutex_lock(&shared.lock);
	check(!shared.loop);
	own.run = run;
	own.running = 0;
	own.is_ending = false;
	shared.loop = loop_current();
	shared.posted = false;
	shared.message = &look_message;
	look_message.run = look;
	pthread_mutex_unlock(&shared.lock);
	health_look_again();
}

// Checks that run free their probers as they end.
void health_stop(void)
{
	struct list_link dropped;
	list_init(&dropped);
	pthread_mutex_lock(&shared.lock);
	check(shared.loop == loop_current());
	shared.loop = NULL;
	own.is_ending = true;
	for (struct list_link *link; (link = list_pop_front(&shared.probers));) {
		struct prober *prober = LIST_ENTRY(link, struct prober, link);
		timer_stop(&prober->timer);
		if (prober->fiber)
			fiber_cancel(prober->fiber);
		else
			list_push_back(&dropped, link);
	}
	pthread_mutex_unlock(&shared.lock);
	for (struct list_link *link; (link = list_pop_front(&dropped));)
		prober_free(LIST_ENTRY(link, struct prober, link));
}

void health_visit(const struct server *server, health_visitor *visit, void *argument)
{
	pthread_mutex_lock(&shared.lock);
	for (struct list_link *link = shared.probers.next; link != &shared.probers; link = link->next) {
		struct prober *prober = LIST_ENTRY(link, struct prober, link);
		if (prober->server != server)
			continue;
		prober->status.check = check_of(prober)->name;
		visit(argument, &prober->status);
	}
	pthread_mutex_unlock(&shared.lock);
}
