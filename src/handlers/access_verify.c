#include "handlers/access_verify.h"

#include "access/failures.h"
#include "access/recovery.h"
#include "access/remembered.h"
#include "access/second.h"
#include "access/source.h"
#include "access/totp.h"
#include "base/log.h"
#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "fiber/places.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define WAIT_NS (10 * SECOND_NS)

// A login that may know the user, and by which of its sources.
struct candidate {
	const struct login *login;
	const struct source *source;
};

// --- Asking a source

struct asking {
	const struct source *source;
	struct source_question question;
	struct source_answer *answer;
	enum source_verdict verdict;
};

static void run(void *argument)
{
	struct asking *asking = argument;
	asking->verdict = asking->source->verify(asking->source->self, &asking->question, asking->answer);
}

static enum access_verified verified_of(enum source_verdict verdict)
{
	switch (verdict) {
	case SOURCE_RIGHT:
		return ACCESS_RIGHT;
	case SOURCE_WRONG:
		return ACCESS_WRONG;
	case SOURCE_ABSENT:
		return ACCESS_ABSENT;
	}
	return ACCESS_ABSENT;
}

static enum access_verified ask(const struct source *source, const struct source_question *question,
				struct source_answer *answer)
{
	struct asking asking = {source, *question, answer, SOURCE_ABSENT};
	int error = places_take(source->places, "place to verify a password", loop_now() + WAIT_NS);
	if (error < 0)
		return error == -ECANCELED ? ACCESS_ENDED : ACCESS_BUSY;
	error = source->is_remote ? offload_remote(run, &asking) : offload_heavy(run, &asking);
	places_give_back(source->places);
	return error < 0 ? ACCESS_BUSY : verified_of(asking.verdict);
}

// --- Who he is

static const char one_name[] = "1";

// The texts of an answer one behind the other, a NUL behind each, as they are remembered.
// .data is NULL when memory is out.
static struct slice pack(const struct source_answer *answer, struct arena *arena)
{
	char *room = arena_alloc(arena, REMEMBERED_SAID_MAX);
	const char *texts[] = {answer->has_one_name ? one_name : "", answer->name, answer->groups, answer->email};
	size_t length = 0;
	_Static_assert(sizeof *answer <= REMEMBERED_SAID_MAX, "an answer fits");
	for (size_t i = 0; room && i < sizeof texts / sizeof *texts; i++) {
		size_t size = strlen(texts[i]) + 1;
		memcpy(room + length, texts[i], size);
		length += size;
	}
	return slice_from(room, length);
}

static struct slice next_text(struct slice *rest)
{
	struct slice text;
	(void)slice_cut(*rest, '\0', &text, rest);
	return text;
}

// Of who is asked, by the name that he has there. Letters that a directory takes for the same are the same here.
static const struct second *find_second(const struct login *login, const struct user *user)
{
	return seconds_find(&login->seconds, user->name, !users_find(&login->users, user->name));
}

// Of whom his source has several names, or none for sure, nobody can say that he does not stand in the file by another.
static enum access_second second_of(const struct exchange *exchange, const struct login *login, const struct user *user,
				    bool has_one_name)
{
	if (!login->second_path.text.data)
		return ACCESS_SECOND_NONE;
	if (find_second(login, user))
		return ACCESS_SECOND_ASKED;
	if (!login->second_required && has_one_name)
		return ACCESS_SECOND_NONE;
	log_warning("access: login refused from %.*s to %.*s: no second factor%s, user \"%.*s\"",
		    SLICE_ARGUMENTS(exchange->client_text), SLICE_ARGUMENTS(login->name.text),
		    login->second_required ? "" : ", and no other name that is his for sure",
		    SLICE_ARGUMENTS(slice_first(user->name, USERS_NAME_MAX)));
	return ACCESS_SECOND_MISSING;
}

static const struct user *copy_user(struct arena *arena, struct slice *said)
{
	struct user *user = arena_zalloc(arena, sizeof *user);
	if (!user)
		return NULL;
	user->name = arena_copy(arena, next_text(said));
	user->groups = arena_copy(arena, next_text(said));
	user->email = arena_copy(arena, next_text(said));
	return user->name.data && user->groups.data && user->email.data ? user : NULL;
}

// False: memory is out, or he was taken out of the file meanwhile.
static bool read_who(struct exchange *exchange, const struct candidate *candidate, struct slice said,
		     struct access_who *ret_who)
{
	const struct login *login = candidate->login;
	bool has_one_name = next_text(&said).length > 0;
	const struct user *user = candidate->source == &login->file ? users_find(&login->users, next_text(&said))
								    : copy_user(exchange_arena(exchange), &said);
	if (user)
		*ret_who = (struct access_who){login, user, second_of(exchange, login, user, has_one_name)};
	return user != NULL;
}

// --- The logins that may know him

// The first whose file has him, or all with users elsewhere, or one that takes as long to find that it has him not.
// There is at least one; NULL: memory is out.
static struct candidate *candidates_of(struct exchange *exchange, const struct login *const *logins, size_t count,
				       struct slice name, size_t *ret_count)
{
	struct candidate *candidates = arena_alloc(exchange_arena(exchange), count * sizeof *candidates);
	const struct login *with_file = logins[0];
	*ret_count = 0;
	for (size_t i = 0; candidates && i < count; i++) {
		if (users_find(&logins[i]->users, name)) {
			candidates[0] = (struct candidate){logins[i], &logins[i]->file};
			*ret_count = 1;
			return candidates;
		}
		if (with_file->users.count == 0)
			with_file = logins[i];
		if (logins[i]->elsewhere.verify)
			candidates[(*ret_count)++] = (struct candidate){logins[i], &logins[i]->elsewhere};
	}
	if (candidates && *ret_count == 0)
		candidates[(*ret_count)++] = (struct candidate){with_file, &with_file->file};
	return candidates;
}

static struct remembered_login known_by(const struct candidate *candidate, const struct source_question *question)
{
	return (struct remembered_login){candidate->source->digest, question->user, question->password};
}

static bool is_known(struct exchange *exchange, const struct candidate *candidate,
		     const struct source_question *question, struct access_who *ret_who)
{
	const struct remembered_login known = known_by(candidate, question);
	struct slice said;
	if (candidate->login->remember_ns == 0 ||
	    !remembered_has_said(&known, loop_now_exact(), exchange_arena(exchange), &said))
		return false;
	return read_who(exchange, candidate, said, ret_who);
}

static enum access_verified verify(struct exchange *exchange, const struct candidate *candidate,
				   const struct source_question *question, struct access_who *ret_who)
{
	const struct remembered_login known = known_by(candidate, question);
	struct source_answer *answer = arena_alloc(exchange_arena(exchange), sizeof *answer);
	enum access_verified verified = answer ? ask(candidate->source, question, answer) : ACCESS_BUSY;
	if (verified != ACCESS_RIGHT)
		return verified;
	struct slice said = pack(answer, exchange_arena(exchange));
	if (!said.data || !read_who(exchange, candidate, said, ret_who))
		return ACCESS_BUSY;
	if (candidate->login->remember_ns > 0)
		remembered_put_said(&known, loop_now_exact() + candidate->login->remember_ns, said);
	return ACCESS_RIGHT;
}

// --- Verifying

static void note_failure(const struct exchange *exchange, const struct failures_try *tried)
{
	unsigned failed;
	failures_note(tried, loop_now_exact(), &failed);
	// The address comes first: what follows is the visitor's own text.
	log_warning("access: login failed from %.*s to %.*s: %u time%s of late, user \"%.*s\"",
		    SLICE_ARGUMENTS(exchange->client_text), SLICE_ARGUMENTS(tried->login), failed,
		    failed == 1 ? "" : "s", SLICE_ARGUMENTS(slice_first(tried->user, USERS_NAME_MAX)));
}

// Directories take large and small letters for the same: by them a user has no more tries.
static struct slice name_that_counts(struct exchange *exchange, const struct login *login, struct slice name)
{
	struct slice copy = arena_copy(exchange_arena(exchange), name);
	if (users_find(&login->users, name) || !login->elsewhere.verify || !copy.data)
		return name;
	for (char *c = (char *)copy.data; *c; c++)
		*c = ascii_lower(*c);
	return copy;
}

// Each in turn. When one of them cannot be asked, and no other says that it is right, he may be one of its users.
static enum access_verified verify_in_turn(struct exchange *exchange, const struct candidate *candidates, size_t count,
					   const struct source_question *question, const struct failures_try *tried,
					   struct access_who *ret_who)
{
	enum access_verified verified = ACCESS_WRONG;
	bool is_wrong = false, is_absent = false;
	for (size_t i = 0; i < count && (verified == ACCESS_WRONG || verified == ACCESS_ABSENT); i++) {
		verified = verify(exchange, &candidates[i], question, ret_who);
		is_wrong |= verified == ACCESS_WRONG;
		is_absent |= verified == ACCESS_ABSENT;
	}
	if (is_wrong && verified != ACCESS_RIGHT)
		note_failure(exchange, tried);
	return verified == ACCESS_WRONG && is_absent ? ACCESS_ABSENT : verified;
}

enum access_verified access_verify(struct exchange *exchange, const struct login *const *logins, size_t count,
				   struct slice name, struct slice password, struct access_who *ret_who)
{
	const struct source_question question = {name, password};
	size_t candidate_count;
	const struct candidate *candidates = candidates_of(exchange, logins, count, name, &candidate_count);
	if (!candidates)
		return ACCESS_BUSY;
	for (size_t i = 0; i < candidate_count; i++)
		if (is_known(exchange, &candidates[i], &question, ret_who))
			return ACCESS_RIGHT;
	const struct failures_try tried = {candidates[0].login->name.text,
					   name_that_counts(exchange, candidates[0].login, name), &exchange->client};
	int64_t wait_ns = failures_wait_ns(&tried, loop_now_exact());
	if (wait_ns > 0) {
		exchange->retry_after_ns = wait_ns;
		return ACCESS_WAITS;
	}
	enum access_verified verified =
		verify_in_turn(exchange, candidates, candidate_count, &question, &tried, ret_who);
	// Who has the password only must not get more tries at the second factor by it.
	if (verified == ACCESS_RIGHT && ret_who->second == ACCESS_SECOND_NONE)
		failures_forgive(&tried);
	return verified;
}

static bool take_recovery(const struct exchange *exchange, const struct login *login, const struct second *second,
			  const struct totp_secret *secret, struct slice code)
{
	unsigned left;
	if (!recovery_take(secret, second->recovery, login->name.text, second->user, code, &left))
		return false;
	log_warning("access: a recovery code was used from %.*s to log in to %.*s: %u %s left, user \"%.*s\"",
		    SLICE_ARGUMENTS(exchange->client_text), SLICE_ARGUMENTS(login->name.text), left,
		    left == 1 ? "is" : "are", SLICE_ARGUMENTS(second->user));
	return true;
}

enum access_verified access_verify_second(struct exchange *exchange, const struct login *login, const struct user *user,
					  struct slice code)
{
	const struct second *second = find_second(login, user);
	const struct failures_try tried = {login->name.text,
					   name_that_counts(exchange, login, second ? second->user : user->name),
					   &exchange->client};
	struct totp_secret secret = {.length = 0};
	int64_t wait_ns = failures_wait_ns(&tried, loop_now_exact());
	if (wait_ns > 0) {
		exchange->retry_after_ns = wait_ns;
		return ACCESS_WAITS;
	}
	bool is_right = second && totp_secret_read(second->secret, &secret) &&
			(totp_take(&secret, login->name.text, second->user, code, loop_wall_clock() / SECOND_NS) ||
			 take_recovery(exchange, login, second, &secret, code));
	OPENSSL_cleanse(&secret, sizeof secret);
	if (is_right) {
		failures_forgive(&tried);
		return ACCESS_RIGHT;
	}
	note_failure(exchange, &tried);
	return ACCESS_WRONG;
}
