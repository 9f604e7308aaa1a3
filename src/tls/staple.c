#include "tls/staple.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "tls/ocsp_fetch.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	RENEW_SECONDS_MIN = 60, // so that an authority with short-lived answers is not flooded
	RETRY_SECONDS = 30,
	RETRY_SECONDS_MAX = 3600,
};

struct staple {
	struct list_link link;
	unsigned references;
	X509 *certificate, *issuer;
	char *url;
	struct slice response; // malloced; empty: none yet
	int64_t until_s;
	int64_t due_s; // when to fetch
	unsigned failures;
};

// One lock for all: it is held for a copy of some hundred bytes.
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct list_link staples;
	bool is_running;
	pthread_t thread;
	int stop; // an eventfd
} all = {.lock = PTHREAD_MUTEX_INITIALIZER,
	 .changed = PTHREAD_COND_INITIALIZER,
	 .staples = {&all.staples, &all.staples},
	 .stop = -1};

static int64_t wall_clock_s(void)
{
	return time(NULL);
}

// --- What handshakes see

bool staple_copy(struct staple *staple, int64_t now_s, unsigned char **ret_response, size_t *ret_length)
{
	unsigned char *copy = NULL;
	pthread_mutex_lock(&all.lock);
	size_t length = staple->response.length;
	if (length > 0 && now_s < staple->until_s)
		copy = OPENSSL_memdup(staple->response.data, length);
	pthread_mutex_unlock(&all.lock);
	if (!copy)
		return false;
	*ret_response = copy;
	*ret_length = length;
	return true;
}

// --- What there is

static struct staple *staple_from(struct list_link *link)
{
	return LIST_ENTRY(link, struct staple, link);
}

static void staple_free(struct staple *staple)
{
	X509_free(staple->certificate);
	X509_free(staple->issuer);
	free(staple->url);
	free((void *)staple->response.data);
	free(staple);
}

// With the lock held.
static struct staple *find(X509 *certificate, X509 *issuer)
{
	for (struct list_link *link = all.staples.next; link != &all.staples; link = link->next) {
		struct staple *staple = staple_from(link);
		if (X509_cmp(staple->certificate, certificate) == 0 && X509_cmp(staple->issuer, issuer) == 0)
			return staple;
	}
	return NULL;
}

static struct staple *staple_new(X509 *certificate, X509 *issuer, const char *url)
{
	struct staple *staple = calloc(1, sizeof(*staple));
	char *copy = strdup(url);
	if (!staple || !copy) {
		free(staple);
		free(copy);
		return NULL;
	}
	check(X509_up_ref(certificate) == 1 && X509_up_ref(issuer) == 1);
	*staple = (struct staple){.certificate = certificate, .issuer = issuer, .url = copy};
	return staple;
}

struct staple *staple_get(X509 *certificate, X509 *issuer, const char *url)
{
	pthread_mutex_lock(&all.lock);
	struct staple *staple = find(certificate, issuer);
	if (!staple && (staple = staple_new(certificate, issuer, url))) {
		list_push_back(&all.staples, &staple->link);
		pthread_cond_signal(&all.changed);
	}
	if (staple)
		staple->references++;
	pthread_mutex_unlock(&all.lock);
	return staple;
}

void staple_unref(struct staple *staple)
{
	pthread_mutex_lock(&all.lock);
	check(staple->references > 0);
	bool is_last = --staple->references == 0;
	if (is_last)
		list_remove(&staple->link);
	pthread_mutex_unlock(&all.lock);
	if (is_last)
		staple_free(staple);
}

// --- Fetching

int64_t staple_renewal(const struct ocsp_answer *answer, int64_t now_s)
{
	int64_t half = answer->from_s + (answer->until_s - answer->from_s) / 2;
	return half > now_s + RENEW_SECONDS_MIN ? half : now_s + RENEW_SECONDS_MIN;
}

int64_t staple_retry(unsigned failures, int64_t now_s)
{
	int64_t seconds = RETRY_SECONDS;
	for (unsigned i = 1; i < failures && seconds < RETRY_SECONDS_MAX; i++)
		seconds *= 2;
	return now_s + (seconds < RETRY_SECONDS_MAX ? seconds : RETRY_SECONDS_MAX);
}

static const char *ask(const struct staple *staple, struct slice *ret_response, struct ocsp_answer *ret_answer)
{
	OCSP_REQUEST *request = ocsp_request(staple->certificate, staple->issuer);
	if (!request)
		return "memory is out";
	const char *wrong = ocsp_fetch(staple->url, request, all.stop, ret_response);
	OCSP_REQUEST_free(request);
	if (wrong)
		return wrong;
	wrong = ocsp_read(*ret_response, staple->certificate, staple->issuer, wall_clock_s(), ret_answer);
	if (wrong)
		free((void *)ret_response->data);
	return wrong;
}

static void tell(const struct staple *staple, const char *wrong, bool is_revoked)
{
	char subject[256] = "";
	(void)X509_NAME_oneline(X509_get_subject_name(staple->certificate), subject, sizeof(subject));
	if (wrong)
		log_warning("tls: no OCSP response for the certificate of %s from %s: %s", subject, staple->url, wrong);
	else if (is_revoked)
		log_error("tls: the certificate of %s IS REVOKED, says %s: clients refuse it", subject, staple->url);
}

// Without the lock; the staple is held by a reference.
static void renew(struct staple *staple)
{
	struct slice response = SLICE_EMPTY, old = SLICE_EMPTY;
	struct ocsp_answer answer = {0};
	const char *wrong = ask(staple, &response, &answer);
	int64_t now_s = wall_clock_s();
	pthread_mutex_lock(&all.lock);
	bool is_ending = !all.is_running;
	if (wrong) {
		staple->due_s = staple_retry(++staple->failures, now_s);
	} else {
		old = staple->response;
		staple->response = response;
		staple->until_s = answer.until_s;
		staple->due_s = staple_renewal(&answer, now_s);
		staple->failures = 0;
	}
	pthread_mutex_unlock(&all.lock);
	free((void *)old.data);
	if (!is_ending)
		tell(staple, wrong, answer.is_revoked);
}

// With the lock held: the one that is due first; NULL: there is none.
static struct staple *first_due(void)
{
	struct staple *first = NULL;
	for (struct list_link *link = all.staples.next; link != &all.staples; link = link->next)
		if (!first || staple_from(link)->due_s < first->due_s)
			first = staple_from(link);
	return first;
}

// With the lock held, which is given up meanwhile.
static void wait_until(int64_t due_s)
{
	struct timespec until = {.tv_sec = due_s};
	if (due_s == INT64_MAX)
		pthread_cond_wait(&all.changed, &all.lock);
	else
		pthread_cond_timedwait(&all.changed, &all.lock, &until);
}

static void *run(void *argument)
{
	pthread_mutex_lock(&all.lock);
	while (all.is_running) {
		struct staple *staple = first_due();
		if (!staple || staple->due_s > wall_clock_s()) {
			wait_until(staple ? staple->due_s : INT64_MAX);
			continue;
		}
		staple->references++;
		pthread_mutex_unlock(&all.lock);
		renew(staple);
		staple_unref(staple);
		pthread_mutex_lock(&all.lock);
	}
	pthread_mutex_unlock(&all.lock);
	return NULL;
}

int staple_fetch_start(void)
{
	check(!all.is_running);
	all.stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all.stop < 0)
		return -errno;
	all.is_running = true;
	// Signals are for others.
	sigset_t every, before;
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	int error = pthread_create(&all.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		return 0;
	all.is_running = false;
	close(all.stop);
	all.stop = -1;
	return -error;
}

void staple_fetch_stop(void)
{
	static const uint64_t one = 1;
	if (all.stop < 0)
		return;
	pthread_mutex_lock(&all.lock);
	all.is_running = false;
	pthread_cond_signal(&all.changed);
	pthread_mutex_unlock(&all.lock);
	check(write(all.stop, &one, sizeof(one)) == sizeof(one));
	pthread_join(all.thread, NULL);
	close(all.stop);
	all.stop = -1;
}
