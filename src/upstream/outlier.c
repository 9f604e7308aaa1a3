#include "upstream/outlier.h"

#include "base/log.h"
#include "fiber/loop.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"

#include <stdlib.h>

#define LOOK_NS (10 * SECOND_NS)

// Fewer answers, or quicker ones, tell nothing.
enum { ANSWERS_LEAST = 20, PERCENT = 100 };
#define QUICK_NS (5 * MILLISECOND_NS)

static struct timer timer;

// --- How many may be set aside

static bool is_aside(const struct server *server, int64_t now_ns)
{
	return server_rests(server, now_ns) || atomic_load(&server->holds) & HOLD_SLOW;
}

// With the lock held. One may always be, where another is left.
static bool may_rest(const struct pool *pool, const struct server *server, int64_t now_ns)
{
	const struct roster *roster = atomic_load(&pool->roster);
	uint32_t servers = 0, aside = 0;
	for (uint32_t i = 0; i < roster->count; i++) {
		if (roster->members[i].weight == 0)
			continue;
		servers++;
		aside += roster->members[i].server != server && is_aside(roster->members[i].server, now_ns);
	}
	uint64_t most = (uint64_t)servers * (uint64_t)pool->settings.rest.share_percent / PERCENT;
	return servers > 1 && aside < (most > 0 ? most : 1);
}

bool outlier_may_rest(const struct server *server)
{
	registry_lock();
	const struct pool *pool = family_active_pool(server->family);
	bool may = pool && may_rest(pool, server, loop_now());
	registry_unlock();
	return may;
}

// --- Who is slow

// The mean of the answers since the last look; 0 where there were too few.
static int64_t take_mean(struct server *server)
{
	struct server_status status;
	server_read_status(server, &status);
	uint64_t answers = status.answers - server->seen_answers;
	uint64_t answer_ns = status.answer_ns - server->seen_answer_ns;
	server->seen_answers = status.answers;
	server->seen_answer_ns = status.answer_ns;
	return answers >= ANSWERS_LEAST ? (int64_t)(answer_ns / answers) : 0;
}

static int compare(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
	return first < second ? -1 : first > second;
}

// The lower one of two in the middle, so that of two servers the quicker one sets the measure.
static int64_t median(int64_t *values, uint32_t count)
{
	qsort(values, count, sizeof *values, compare);
	return count > 0 ? values[(count - 1) / 2] : 0;
}

static void set_aside(struct server *server, int64_t mean_ns, int64_t usual_ns, int64_t now_ns)
{
	int64_t rest_ns = server_rest_ns(server, ++server->slow_times);
	server->slow_until_ns = now_ns + rest_ns;
	server_hold(server, HOLD_SLOW);
	log_warning("pool %.*s: %.*s gets no requests for %lld ms: its answers take %lld ms, the others' %lld ms",
		    SLICE_ARGUMENTS(server_pool_name(server)), SLICE_ARGUMENTS(server_name(server)),
		    (long long)(rest_ns / MILLISECOND_NS), (long long)(mean_ns / MILLISECOND_NS),
		    (long long)(usual_ns / MILLISECOND_NS));
}

// What it was like before says nothing of what it is like now.
static void take_back(struct server *server)
{
	atomic_store(&server->latency_ns, 0);
	server_release(server, HOLD_SLOW);
	server_warm(server);
	log_info("pool %.*s: %.*s gets requests again, having been slow", SLICE_ARGUMENTS(server_pool_name(server)),
		 SLICE_ARGUMENTS(server_name(server)));
}

static void judge(const struct pool *pool, struct server *server, int64_t mean_ns, int64_t usual_ns, int64_t now_ns)
{
	int64_t times = pool->settings.rest.latency;
	bool is_held = atomic_load(&server->holds) & HOLD_SLOW;
	if (is_held && (times == 0 || now_ns >= server->slow_until_ns))
		take_back(server);
	if (is_held || times == 0 || mean_ns == 0)
		return;
	if (usual_ns == 0 || mean_ns < QUICK_NS || mean_ns <= usual_ns * times)
		server->slow_times = 0;
	else if (may_rest(pool, server, now_ns))
		set_aside(server, mean_ns, usual_ns, now_ns);
}

static void look_at(void *argument, const struct pool *pool)
{
	const struct roster *roster = atomic_load(&pool->roster);
	int64_t *means = calloc(2 * (size_t)roster->count + 1, sizeof *means), *known = means + roster->count;
	if (!means)
		return;
	uint32_t count = 0;
	for (uint32_t i = 0; i < roster->count; i++) {
		means[i] = take_mean(roster->members[i].server);
		if (means[i] > 0)
			known[count++] = means[i];
	}
	int64_t usual_ns = count > 1 ? median(known, count) : 0;
	for (uint32_t i = 0; i < roster->count; i++)
		judge(pool, roster->members[i].server, means[i], usual_ns, loop_now());
	free(means);
}

static void look(struct timer *due)
{
	pools_visit(look_at, NULL);
	timer_start(due, loop_now() + LOOK_NS);
}

void outliers_start(void)
{
	timer_init(&timer, look);
	timer_start(&timer, loop_now() + LOOK_NS);
}

void outliers_stop(void)
{
	timer_stop(&timer);
}
