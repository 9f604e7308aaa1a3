#include "access/provider.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "cache/directives.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "net/fetch.h"
#include "upstream/thread_round.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { REFRESH_SECONDS_MIN = 60, RETRY_SECONDS = 5, RETRY_SECONDS_MAX = 300, TELL_SECONDS = 60, URL_MAX = 2048 };

struct provider {
	struct list_link link;
	unsigned references;
	struct provider_settings settings; // malloced
	_Atomic(const struct provider_facts *) facts;
	atomic_uint logins; // under way
	// With the lock held.
	pthread_cond_t changed;
	bool has_thread, is_wanted, is_fetching;
	struct list_link waiters;
	int64_t due_s, asked_s, told_s; // of the monotonic clock
	unsigned failures;
};

// A fiber that waits until the facts were fetched; on its stack.
struct waiter {
	struct list_link link;
	struct loop_message message;
	struct loop *loop;
	struct fiber *fiber;
	bool done;
};

// One lock for all: nobody holds it for long, and requests that need nothing new do not take it.
static struct {
	pthread_mutex_t lock;
	pthread_cond_t thread_ended;
	struct list_link providers;
	unsigned threads;
	bool is_running;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER,
	 .thread_ended = PTHREAD_COND_INITIALIZER,
	 .providers = {&all.providers, &all.providers}};

static int64_t now_s(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static struct provider *provider_from(struct list_link *link)
{
	return LIST_ENTRY(link, struct provider, link);
}

// --- Facts

// Behind the facts, for their end.
struct facts {
	struct provider_facts facts; // first
	struct thread_round round;
};

static void free_facts(struct facts *facts)
{
	jwt_keys_free(facts->facts.keys);
	openid_metadata_free(&facts->facts.metadata);
	free(facts);
}

static void forget_facts(struct thread_round *round)
{
	free_facts(LIST_ENTRY(round, struct facts, round));
}

// No thread looks at former ones any more when all have come round their loops.
static void put_facts(struct provider *provider, struct facts *facts)
{
	const struct provider_facts *former = atomic_exchange(&provider->facts, facts ? &facts->facts : NULL);
	if (former)
		thread_round_begin(&((struct facts *)former)->round, forget_facts);
}

const struct provider_facts *provider_facts(const struct provider *provider)
{
	return atomic_load_explicit(&provider->facts, memory_order_acquire);
}

const struct provider_settings *provider_settings(const struct provider *provider)
{
	return &provider->settings;
}

bool provider_enter(struct provider *provider)
{
	if (atomic_fetch_add(&provider->logins, 1) < PROVIDER_LOGINS_MAX)
		return true;
	provider_leave(provider);
	return false;
}

void provider_leave(struct provider *provider)
{
	check(atomic_fetch_sub(&provider->logins, 1) > 0);
}

// --- Fetching, in the provider's thread

struct fetching {
	const struct provider_settings *settings;
	struct fetch_answer answer;
	char why[512];
};

static bool fail(struct fetching *fetching, const char *url, const char *why)
{
	(void)snprintf(fetching->why, sizeof fetching->why, "%.200s: %s", url, why);
	return false;
}

// The answer has to be given back.
static bool fetch_one(struct fetching *fetching, const char *url)
{
	const struct fetch_request request = {
		.url = url,
		.http_allowed = slice_starts_with(fetching->settings->url, SLICE("http:")),
		.authorities = fetching->settings->authorities,
	};
	char why[64];
	if (!fetch(&request, &fetching->answer))
		return fail(fetching, url, fetching->answer.why);
	if (fetching->answer.status == 200)
		return true;
	(void)snprintf(why, sizeof why, "it answers with status %u", fetching->answer.status);
	fetch_answer_free(&fetching->answer);
	return fail(fetching, url, why);
}

static bool fetch_keys(struct fetching *fetching, const char *url, struct jwt_keys **ret_keys)
{
	const char *why;
	if (!fetch_one(fetching, url))
		return false;
	*ret_keys = jwt_keys_read(fetching->answer.content, false, &why);
	fetch_answer_free(&fetching->answer);
	return *ret_keys || fail(fetching, url, why);
}

static bool fetch_metadata(struct fetching *fetching, struct openid_metadata *ret_metadata)
{
	char url[URL_MAX];
	const char *why;
	struct text text;
	text_init(&text, url, sizeof url - 1);
	openid_discovery_url(&text, fetching->settings->url);
	url[text.length] = '\0';
	if (!fetch_one(fetching, url))
		return false;
	bool good =
		openid_metadata_read(fetching->answer.content, fetching->settings->url,
				     slice_starts_with(fetching->settings->url, SLICE("http:")), ret_metadata, &why);
	fetch_answer_free(&fetching->answer);
	return good || fail(fetching, url, why);
}

// NULL, and words of what went wrong.
static struct facts *fetch_facts(struct fetching *fetching)
{
	const struct provider_settings *settings = fetching->settings;
	struct facts *facts = calloc(1, sizeof *facts);
	bool good = facts || fail(fetching, settings->url.data, "memory is out");
	if (good && settings->is_openid)
		good = fetch_metadata(fetching, &facts->facts.metadata);
	good = good && fetch_keys(fetching, settings->is_openid ? facts->facts.metadata.keys : settings->url.data,
				  &facts->facts.keys);
	if (good)
		return facts;
	if (facts)
		free_facts(facts);
	return NULL;
}

// --- When

int64_t provider_refresh_s(const struct provider_settings *settings, struct slice cache_control)
{
	struct field item = {SLICE("Cache-Control"), cache_control, FIELD_CACHE_CONTROL};
	const struct fields fields = {&item, cache_control.length > 0 ? 1 : 0, 1};
	struct cache_directives directives;
	int64_t least_s = settings->refresh_s < REFRESH_SECONDS_MIN ? settings->refresh_s : REFRESH_SECONDS_MIN;
	cache_directives_of_response(&fields, &directives);
	if (directives.max_age == CACHE_ABSENT || directives.max_age > settings->refresh_s)
		return settings->refresh_s;
	return directives.max_age < least_s ? least_s : directives.max_age;
}

int64_t provider_retry_s(unsigned failures)
{
	int64_t seconds = RETRY_SECONDS;
	for (unsigned i = 1; i < failures && seconds < RETRY_SECONDS_MAX; i++)
		seconds *= 2;
	return seconds < RETRY_SECONDS_MAX ? seconds : RETRY_SECONDS_MAX;
}

// With the lock held. A line a while, however often it fails.
static void tell(struct provider *provider, const char *why)
{
	bool is_known = provider_facts(provider) != NULL;
	if (!why && provider->failures > 0)
		log_info("access: %s answers again", provider->settings.url.data);
	if (!why || !all.is_running || (provider->failures > 1 && now_s() - provider->told_s < TELL_SECONDS))
		return;
	provider->told_s = now_s();
	log_warning("access: nothing new from %s: %s: %s", provider->settings.url.data, why,
		    is_known ? "what is known of it goes on" : "nobody gets in through it until it answers");
}

static void came_back(struct loop_message *message)
{
	struct waiter *waiter = LIST_ENTRY(message, struct waiter, message);
	waiter->done = true;
	fiber_wake(waiter->fiber);
}

// With the lock held.
static void wake_waiters(struct provider *provider)
{
	for (struct list_link *link; (link = list_pop_front(&provider->waiters));) {
		struct waiter *waiter = LIST_ENTRY(link, struct waiter, link);
		loop_post(waiter->loop, &waiter->message);
	}
}

// With the lock held, which is given up meanwhile.
static void renew(struct provider *provider)
{
	struct fetching fetching = {.settings = &provider->settings};
	provider->is_wanted = false;
	provider->is_fetching = true;
	provider->asked_s = now_s();
	pthread_mutex_unlock(&all.lock);
	struct facts *facts = fetch_facts(&fetching);
	if (facts)
		put_facts(provider, facts);
	pthread_mutex_lock(&all.lock);
	provider->is_fetching = false;
	if (!facts)
		provider->failures++;
	tell(provider, facts ? NULL : fetching.why);
	if (facts) {
		provider->failures = 0;
		provider->due_s = now_s() + provider_refresh_s(&provider->settings,
							       slice_from_string(fetching.answer.cache_control));
	} else {
		provider->due_s = now_s() + provider_retry_s(provider->failures);
	}
	wake_waiters(provider);
}

static void provider_free(struct provider *provider)
{
	check(list_is_empty(&provider->waiters));
	put_facts(provider, NULL);
	pthread_cond_destroy(&provider->changed);
	free((char *)provider->settings.url.data);
	free((char *)provider->settings.authorities.data);
	free(provider);
}

static void *run(void *argument)
{
	struct provider *provider = argument;
	pthread_mutex_lock(&all.lock);
	while (all.is_running && provider->references > 0) {
		const struct timespec due = {.tv_sec = provider->due_s};
		if (provider->is_wanted || now_s() >= provider->due_s)
			renew(provider);
		else
			pthread_cond_clockwait(&provider->changed, &all.lock, CLOCK_MONOTONIC, &due);
	}
	provider->has_thread = false;
	wake_waiters(provider);
	bool is_forgotten = provider->references == 0;
	pthread_mutex_unlock(&all.lock);
	if (is_forgotten)
		provider_free(provider);
	// Who waits for the last thread ends the process, and OpenSSL with it, before this one is at its very end.
	OPENSSL_thread_stop();
	pthread_mutex_lock(&all.lock);
	all.threads--;
	pthread_cond_signal(&all.thread_ended);
	pthread_mutex_unlock(&all.lock);
	return NULL;
}

// With the lock held. Without a thread nothing is fetched, and nobody gets in: that is told.
static void start_thread(struct provider *provider)
{
	pthread_t thread;
	// Signals are for others.
	sigset_t every, before;
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	int error = pthread_create(&thread, NULL, run, provider);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		log_error("access: no thread to fetch %s: %s", provider->settings.url.data, strerror(error));
		return;
	}
	(void)pthread_detach(thread);
	provider->has_thread = true;
	all.threads++;
}

// --- What there is

static bool is_same(const struct provider_settings *a, const struct provider_settings *b)
{
	return a->is_openid == b->is_openid && a->refresh_s == b->refresh_s && slice_equal(a->url, b->url) &&
	       slice_equal(a->authorities, b->authorities);
}

// With the lock held.
static struct provider *find(const struct provider_settings *settings)
{
	for (struct list_link *link = all.providers.next; link != &all.providers; link = link->next)
		if (is_same(&provider_from(link)->settings, settings))
			return provider_from(link);
	return NULL;
}

static struct provider *provider_new(const struct provider_settings *settings)
{
	struct provider *provider = calloc(1, sizeof *provider);
	char *url = strndup(settings->url.data, settings->url.length),
	     *authorities = malloc(settings->authorities.length + 1);
	if (!provider || !url || !authorities) {
		free(provider);
		free(url);
		free(authorities);
		return NULL;
	}
	if (settings->authorities.length > 0)
		memcpy(authorities, settings->authorities.data, settings->authorities.length);
	provider->settings = *settings;
	provider->settings.url.data = url;
	provider->settings.authorities.data = authorities;
	provider->asked_s = now_s() - PROVIDER_PAUSE_SECONDS;
	list_init(&provider->waiters);
	check(pthread_cond_init(&provider->changed, NULL) == 0);
	return provider;
}

struct provider *provider_get(const struct provider_settings *settings)
{
	pthread_mutex_lock(&all.lock);
	struct provider *provider = find(settings);
	if (!provider && (provider = provider_new(settings))) {
		list_push_back(&all.providers, &provider->link);
		if (all.is_running)
			start_thread(provider);
	}
	if (provider)
		provider->references++;
	pthread_mutex_unlock(&all.lock);
	return provider;
}

void provider_unref(struct provider *provider)
{
	pthread_mutex_lock(&all.lock);
	check(provider->references > 0);
	bool is_last = --provider->references == 0, has_thread = provider->has_thread;
	if (is_last)
		list_remove(&provider->link);
	if (is_last && has_thread) // which frees it
		pthread_cond_signal(&provider->changed);
	pthread_mutex_unlock(&all.lock);
	if (is_last && !has_thread)
		provider_free(provider);
}

bool provider_renew(struct provider *provider)
{
	struct waiter waiter = {.message.run = came_back, .loop = loop_current(), .fiber = fiber_current()};
	pthread_mutex_lock(&all.lock);
	bool is_due = now_s() - provider->asked_s >= PROVIDER_PAUSE_SECONDS,
	     waits = provider->has_thread && (provider->is_fetching || is_due);
	if (waits) {
		provider->is_wanted |= !provider->is_fetching;
		pthread_cond_signal(&provider->changed);
		list_push_back(&provider->waiters, &waiter.link);
	}
	pthread_mutex_unlock(&all.lock);
	while (waits && !waiter.done)
		fiber_wait_steadfast("a provider's keys");
	return waits;
}

void provider_start(void)
{
	pthread_mutex_lock(&all.lock);
	check(!all.is_running);
	all.is_running = true;
	for (struct list_link *link = all.providers.next; link != &all.providers; link = link->next)
		start_thread(provider_from(link));
	pthread_mutex_unlock(&all.lock);
}

void provider_stop(void)
{
	fetch_end_all();
	pthread_mutex_lock(&all.lock);
	all.is_running = false;
	for (struct list_link *link = all.providers.next; link != &all.providers; link = link->next)
		pthread_cond_signal(&provider_from(link)->changed);
	while (all.threads > 0)
		pthread_cond_wait(&all.thread_ended, &all.lock);
	pthread_mutex_unlock(&all.lock);
}
