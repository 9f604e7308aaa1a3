#include "handlers/access_verify.h"

#include "access/failures.h"
#include "access/password.h"
#include "access/recovery.h"
#include "access/remembered.h"
#include "access/totp.h"
#include "base/log.h"
#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/line.h"
#include "fiber/loop.h"
#include "fiber/offload.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>

// Hashes take a core's whole time, for tens of milliseconds: so many at once, and so many that wait.
enum { AT_ONCE = 2, WAITING_MAX = 64 };
#define WAIT_NS (10 * SECOND_NS)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct line line;
static _Atomic unsigned running;

static void make_line(void)
{
	line_init(&line);
}

// --- A place among those who may verify

static bool try_to_take(void)
{
	unsigned now = atomic_load(&running);
	while (now < AT_ONCE)
		if (atomic_compare_exchange_weak(&running, &now, now + 1))
			return true;
	return false;
}

static void give_back(void)
{
	atomic_fetch_sub(&running, 1);
	if (!line_is_empty(&line))
		line_call_all(&line);
}

static enum access_verified take_place(void)
{
	struct line_place place = {0};
	int64_t deadline_ns = loop_now() + WAIT_NS;
	(void)pthread_once(&once, make_line);
	while (!try_to_take()) {
		if (!line_enter(&line, &place, WAITING_MAX))
			return ACCESS_BUSY;
		if (try_to_take()) {
			(void)line_leave(&line, &place);
			return ACCESS_RIGHT;
		}
		int error = line_wait(&line, &place, "place to verify a password", deadline_ns);
		if (error)
			return error == -ECANCELED ? ACCESS_ENDED : ACCESS_BUSY;
	}
	return ACCESS_RIGHT;
}

// --- Verifying

struct verifying {
	struct slice hash, password;
	bool is_right;
};

static void run(void *argument)
{
	struct verifying *verifying = argument;
	verifying->is_right = password_verify(verifying->hash, verifying->password);
}

// A user that is not there takes as long.
static enum access_verified verify(const struct login *login, const struct user *user, struct slice password)
{
	struct verifying verifying = {.hash = user ? user->hash : login->users.dummy, .password = password};
	enum access_verified place = take_place();
	if (place != ACCESS_RIGHT)
		return place;
	if (verifying.hash.length > 0)
		offload_surely(run, &verifying);
	give_back();
	return user && verifying.is_right ? ACCESS_RIGHT : ACCESS_WRONG;
}

// The first login that knows him, or the first one.
static const struct login *login_of(const struct login *const *logins, size_t count, struct slice name,
				    const struct user **ret_user)
{
	for (size_t i = 0; i < count; i++)
		if ((*ret_user = users_find(&logins[i]->users, name)))
			return logins[i];
	return logins[0];
}

static void note_failure(const struct exchange *exchange, const struct failures_try *tried)
{
	unsigned failed;
	failures_note(tried, loop_now_exact(), &failed);
	// The address comes first: what follows is the visitor's own text.
	log_warning("access: login failed from %.*s to %.*s: %u time%s of late, user \"%.*s\"",
		    SLICE_ARGUMENTS(exchange->client_text), SLICE_ARGUMENTS(tried->login), failed,
		    failed == 1 ? "" : "s", SLICE_ARGUMENTS(slice_first(tried->user, USERS_NAME_MAX)));
}

enum access_verified access_verify(struct exchange *exchange, const struct login *const *logins, size_t count,
				   struct slice name, struct slice password, const struct user **ret_user)
{
	const struct user *user = NULL;
	const struct login *login = login_of(logins, count, name, &user);
	const struct remembered_login known = {login->users.digest, name, password};
	const struct failures_try tried = {login->name.text, name, &exchange->client};
	if (user && login->remember_ns > 0 && remembered_has(&known, loop_now_exact())) {
		*ret_user = user;
		return ACCESS_RIGHT;
	}
	int64_t wait_ns = failures_wait_ns(&tried, loop_now_exact());
	if (wait_ns > 0) {
		exchange->retry_after_ns = wait_ns;
		return ACCESS_WAITS;
	}
	enum access_verified verified = verify(login, user, password);
	if (verified == ACCESS_WRONG)
		note_failure(exchange, &tried);
	if (verified != ACCESS_RIGHT)
		return verified;
	// Who has the password only must not get more tries at the second factor by it.
	if (user->second.length == 0)
		failures_forgive(&tried);
	if (login->remember_ns > 0)
		remembered_put(&known, loop_now_exact() + login->remember_ns);
	*ret_user = user;
	return ACCESS_RIGHT;
}

static bool take_recovery(const struct exchange *exchange, const struct login *login, const struct user *user,
			  const struct totp_secret *secret, struct slice code)
{
	unsigned left;
	if (!recovery_take(secret, user->recovery, login->name.text, user->name, code, &left))
		return false;
	log_warning("access: a recovery code was used from %.*s to log in to %.*s: %u %s left, user \"%.*s\"",
		    SLICE_ARGUMENTS(exchange->client_text), SLICE_ARGUMENTS(login->name.text), left,
		    left == 1 ? "is" : "are", SLICE_ARGUMENTS(slice_first(user->name, USERS_NAME_MAX)));
	return true;
}

enum access_verified access_verify_second(struct exchange *exchange, const struct login *login, const struct user *user,
					  struct slice code)
{
	const struct failures_try tried = {login->name.text, user->name, &exchange->client};
	struct totp_secret secret;
	int64_t wait_ns = failures_wait_ns(&tried, loop_now_exact());
	if (wait_ns > 0) {
		exchange->retry_after_ns = wait_ns;
		return ACCESS_WAITS;
	}
	bool is_right = totp_secret_read(user->second, &secret) &&
			(totp_take(&secret, login->name.text, user->name, code, loop_wall_clock() / SECOND_NS) ||
			 take_recovery(exchange, login, user, &secret, code));
	OPENSSL_cleanse(&secret, sizeof secret);
	if (is_right) {
		failures_forgive(&tried);
		return ACCESS_RIGHT;
	}
	note_failure(exchange, &tried);
	return ACCESS_WRONG;
}
