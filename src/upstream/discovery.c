#include "upstream/discovery.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "upstream/address_book.h"
#include "upstream/name_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKUPS_MAX = 64 };

#define RETRY_FIRST_NS SECOND_NS
#define RETRY_MAX_NS (30 * SECOND_NS)
#define WAIT_STEP_NS (5 * MILLISECOND_NS)

struct host_name {
	struct name_entry entry; // first
	struct discovery_settings settings;
	struct address_book book;
	_Atomic enum host_name_state state;
	unsigned references;	 // under the lock
	struct list_link change; // under the lock: new, or without references
	// Of the discovering thread.
	bool started;
	struct timer timer;
	struct list_link waiting; // for its turn to be looked up
	struct list_link looking; // being looked up
	struct fiber *fiber;
	int64_t retry_ns; // 0: the last look-up went well
	char text[];
};

// The whole process's.
static struct {
	pthread_mutex_t lock;
	struct name_table names;
	struct list_link changes;
	struct loop *loop; // NULL while no thread discovers
	bool posted;
	struct loop_message *message;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .changes = {&shared.changes, &shared.changes}};

// The discovering thread's.
static struct {
	discovery_look_up *look_up;
	void *argument;
	uint64_t epoch; // under the lock: counts starts and stops, so that what is left of an earlier one is known
	unsigned lookups;
	struct list_link waiting, looking;
} own = {.waiting = {&own.waiting, &own.waiting}, .looking = {&own.looking, &own.looking}};

// Each thread that discovers has its own, so that what an ended loop still holds is never
// posted to another.
static _Thread_local struct loop_message changes_message;

static void changes_arrived(struct loop_message *message);

// --- Names

// With the lock held.
static void note_change(struct host_name *name)
{
	if (list_is_empty(&name->change))
		list_push_back(&shared.changes, &name->change);
	if (shared.loop && !shared.posted) {
		shared.posted = true;
		loop_post(shared.loop, shared.message);
	}
}

static bool settings_equal(const struct discovery_settings *a, const struct discovery_settings *b)
{
	return a->refresh_ns == b->refresh_ns && a->min_ns == b->min_ns && a->max_ns == b->max_ns &&
	       a->timeout_ns == b->timeout_ns;
}

static struct host_name *find(struct slice text, const struct discovery_settings *settings)
{
	struct name_entry *entry = name_table_find(&shared.names, text);
	while (entry && !settings_equal(&((struct host_name *)entry)->settings, settings))
		entry = name_table_find_next(entry);
	return (struct host_name *)entry;
}

static void refresh_due(struct timer *timer);

static struct host_name *make(struct slice text, const struct discovery_settings *settings)
{
	struct host_name *name = calloc(1, sizeof(*name) + text.length + 1);
	if (!name)
		return NULL;
	memcpy(name->text, text.data, text.length);
	name->settings = *settings;
	atomic_init(&name->state, HOST_NAME_NEW);
	list_init(&name->change);
	list_init(&name->waiting);
	list_init(&name->looking);
	timer_init(&name->timer, refresh_due);
	if (!name_table_add(&shared.names, &name->entry, slice_from(name->text, text.length))) {
		free(name);
		return NULL;
	}
	note_change(name);
	return name;
}

struct host_name *host_name_new(struct slice text, const struct discovery_settings *settings)
{
	pthread_mutex_lock(&shared.lock);
	struct host_name *name = find(text, settings);
	if (!name)
		name = make(text, settings);
	if (name)
		name->references++;
	pthread_mutex_unlock(&shared.lock);
	return name;
}

// With the lock held.
static void unref(struct host_name *name)
{
	check(name->references > 0);
	if (--name->references > 0)
		return;
	name_table_remove(&shared.names, &name->entry);
	if (name->started) {
		note_change(name); // its timer is another thread's to stop
		return;
	}
	list_remove(&name->change);
	free(name);
}

void host_name_unref(struct host_name *name)
{
	pthread_mutex_lock(&shared.lock);
	unref(name);
	pthread_mutex_unlock(&shared.lock);
}

bool host_name_has_settings(const struct host_name *name, const struct discovery_settings *settings)
{
	return settings_equal(&name->settings, settings);
}

enum host_name_state host_name_state(const struct host_name *name)
{
	return atomic_load_explicit(&name->state, memory_order_acquire);
}

const struct address_book *host_name_addresses(const struct host_name *name)
{
	return &name->book;
}

int host_name_wait(const struct host_name *name, int64_t deadline_ns)
{
	// Only requests that come within the first moments of a name meet this; looking again
	// and again is good enough for them.
	enum host_name_state state;
	while ((state = host_name_state(name)) == HOST_NAME_NEW && loop_now() < deadline_ns) {
		int64_t step_ns = loop_now() + WAIT_STEP_NS;
		int failed = fiber_sleep("name of a server", step_ns < deadline_ns ? step_ns : deadline_ns);
		if (failed)
			return failed;
	}
	return (int)state;
}

// --- Looking up, on the discovering thread

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

// Up to a tenth less, so that many names do not stay in step.
static int64_t with_jitter(int64_t duration_ns)
{
	return duration_ns - (int64_t)random_number_below((uint64_t)(duration_ns / 10) + 1);
}

static int64_t found(struct host_name *name, const struct resolution *resolution)
{
	bool changed = address_book_write(&name->book, resolution->addresses, resolution->count);
	enum host_name_state before = host_name_state(name);
	atomic_store_explicit(&name->state, HOST_NAME_FOUND, memory_order_release);
	if (name->retry_ns > 0)
		log_info("%s: resolved again, to %u addresses", name->text, resolution->count);
	else if (changed && before == HOST_NAME_FOUND)
		log_info("%s: its addresses changed, to %u", name->text, resolution->count);
	name->retry_ns = 0;
	if (name->settings.refresh_ns > 0)
		return name->settings.refresh_ns;
	return clamp(resolution->ttl_ns, name->settings.min_ns, name->settings.max_ns);
}

static const char *reason(int error)
{
	switch (error) {
	case -ENOENT:
		return "no such name, or it has no addresses";
	case -ETIMEDOUT:
		return "no answer in time";
	case -EIO:
		return "the name server failed";
	default:
		return strerror(-error);
	}
}

static int64_t not_found(struct host_name *name, int error)
{
	bool first = name->retry_ns == 0;
	if (host_name_state(name) == HOST_NAME_FOUND) {
		if (first)
			log_warning("%s: cannot be resolved any more (%s); its old addresses stay in use", name->text,
				    reason(error));
	} else {
		atomic_store_explicit(&name->state, HOST_NAME_FAILED, memory_order_release);
		if (first)
			log_warning("%s: cannot be resolved (%s); servers of this name get no requests until it can",
				    name->text, reason(error));
	}
	name->retry_ns = first ? RETRY_FIRST_NS : clamp(name->retry_ns * 2, RETRY_FIRST_NS, RETRY_MAX_NS);
	return name->retry_ns;
}

static int look_up(struct host_name *name, struct resolution *ret_resolution)
{
	int failed = own.look_up(own.argument, name->text, loop_now() + name->settings.timeout_ns, ret_resolution);
	return !failed && ret_resolution->count == 0 ? -ENOENT : failed;
}

// Whether discovery was neither stopped nor started anew since.
static bool still_discovers(uint64_t epoch)
{
	pthread_mutex_lock(&shared.lock);
	bool same = epoch == own.epoch;
	pthread_mutex_unlock(&shared.lock);
	return same;
}

static void look_up_waiting(void);

static void look_up_fiber(void *argument)
{
	struct host_name *name = argument;
	uint64_t epoch = own.epoch;
	struct resolution resolution;
	int failed = look_up(name, &resolution);

	bool goes_on = still_discovers(epoch);
	if (goes_on) {
		int64_t next_ns = failed ? not_found(name, failed) : found(name, &resolution);
		timer_start(&name->timer, loop_now() + with_jitter(next_ns));
		own.lookups--;
	}
	list_remove(&name->looking);
	name->fiber = NULL;
	host_name_unref(name);
	if (goes_on)
		look_up_waiting();
}

static void look_up_soon(struct host_name *name)
{
	if (list_is_empty(&name->waiting) && !name->fiber)
		list_push_back(&own.waiting, &name->waiting);
	look_up_waiting();
}

// A name whose last reference is gone waits for changes_arrived() to free it.
static bool ref_if_used(struct host_name *name)
{
	pthread_mutex_lock(&shared.lock);
	bool used = name->references > 0;
	name->references += used;
	pthread_mutex_unlock(&shared.lock);
	return used;
}

static void look_up_waiting(void)
{
	while (own.lookups < LOOKUPS_MAX) {
		struct list_link *link = list_pop_front(&own.waiting);
		if (!link)
			return;
		struct host_name *name = LIST_ENTRY(link, struct host_name, waiting);
		if (!ref_if_used(name))
			continue;
		name->fiber = fiber_spawn("look up a server's name", look_up_fiber, name);
		if (!name->fiber) {
			timer_start(&name->timer, loop_now() + RETRY_FIRST_NS);
			host_name_unref(name);
			return;
		}
		own.lookups++;
		list_push_back(&own.looking, &name->looking);
	}
}

static void refresh_due(struct timer *timer)
{
	look_up_soon(LIST_ENTRY(timer, struct host_name, timer));
}

// --- Following what others change

// With the lock held: no timer or list of this thread's refers to the name any more.
static void forget(struct host_name *name)
{
	timer_stop(&name->timer);
	list_remove(&name->waiting);
	name->started = false;
	if (name->references == 0)
		free(name);
}

static void changes_arrived(struct loop_message *message)
{
	pthread_mutex_lock(&shared.lock);
	shared.posted = false;
	struct list_link *link;
	while (shared.loop == loop_current() && (link = list_pop_front(&shared.changes))) {
		struct host_name *name = LIST_ENTRY(link, struct host_name, change);
		if (name->references == 0) {
			forget(name);
		} else if (!name->started) {
			name->started = true;
			timer_start(&name->timer, loop_now());
		}
	}
	pthread_mutex_unlock(&shared.lock);
}

void discovery_start(discovery_look_up *look_up_name, void *argument)
{
	pthread_mutex_lock(&shared.lock);
	check(!shared.loop);
	own.look_up = look_up_name;
	own.argument = argument;
	own.epoch++;
	own.lookups = 0;
	shared.loop = loop_current();
	shared.posted = false;
	shared.message = &changes_message;
	changes_message.run = changes_arrived;
	for (size_t i = 0; i < shared.names.bucket_count; i++)
		for (struct name_entry *entry = shared.names.buckets[i]; entry; entry = entry->next)
			note_change((struct host_name *)entry);
	pthread_mutex_unlock(&shared.lock);
}

void discovery_stop(void)
{
	pthread_mutex_lock(&shared.lock);
	check(shared.loop == loop_current());
	shared.loop = NULL;
	own.epoch++;
	struct list_link *link;
	while ((link = list_pop_front(&shared.changes))) {
		struct host_name *name = LIST_ENTRY(link, struct host_name, change);
		if (name->references == 0)
			forget(name);
	}
	for (size_t i = 0; i < shared.names.bucket_count; i++) {
		struct name_entry *next;
		for (struct name_entry *entry = shared.names.buckets[i]; entry; entry = next) {
			next = entry->next;
			forget((struct host_name *)entry);
		}
	}
	pthread_mutex_unlock(&shared.lock);

	for (link = own.looking.next; link != &own.looking; link = link->next)
		fiber_cancel(LIST_ENTRY(link, struct host_name, looking)->fiber);
}
