#include "handlers/access_session.h"

#include "base/hash.h"
#include "base/random.h"
#include "exchange/snapshot.h"
#include "fiber/loop.h"

enum { PENDING_S = 5 * 60 };
enum { RENEWED_SHARE = 20 }; // of the idle time: so late a cookie is sent anew

static int64_t now_s(void)
{
	return loop_wall_clock() / SECOND_NS;
}

// --- Cookies

static struct access_cookie session_cookie(struct exchange *exchange, const struct login *login)
{
	bool is_for_domain = login->session.domain.text.data != NULL;
	return (struct access_cookie){
		.name = access_cookie_name(exchange, ACCESS_SESSION_NAME, is_for_domain),
		.domain = login->session.domain.text,
		.attributes = "; SameSite=Lax",
		.lifetime = "",
	};
}

static struct access_cookie pending_cookie(struct exchange *exchange)
{
	return (struct access_cookie){
		.name = access_cookie_name(exchange, ACCESS_PENDING_NAME, false),
		.attributes = "; SameSite=Strict",
		.lifetime = "; Max-Age=300",
	};
}

// No session has such a scope.
static struct slice pending_scope(struct exchange *exchange)
{
	return arena_printf(exchange_arena(exchange), "second factor at %.*s", SLICE_ARGUMENTS(exchange->host));
}

// --- Sessions

static struct slice scope_of(const struct exchange *exchange, const struct login *login)
{
	return login->session.domain.text.data ? login->session.domain.text : exchange->host;
}

// Another password of the user ends his sessions, and so does another way to know who others are.
static uint64_t proof_of(const struct login *login, const struct user *user)
{
	return hash_fast(user->hash) ^ login->proof;
}

static bool holds(const struct login *login, const struct session *session)
{
	const struct login_session *settings = &login->session;
	return slice_equal(session->login, login->name.text) &&
	       now_s() - session->created_s < settings->lifetime_ns / SECOND_NS && now_s() < session->ends_s &&
	       now_s() - session->seen_s < settings->idle_ns / SECOND_NS && !session_is_ended(session);
}

// The login's, as its file has him; or, when it knows of others, what was known when he logged in.
static const struct user *user_of(const struct login *login, struct access_session *session)
{
	const struct session *said = &session->session;
	const struct user *user = users_find(&login->users, said->user);
	if (user || !login->has_others)
		return user;
	session->elsewhere = (struct user){
		.name = said->user,
		.groups = said->groups,
		.email = said->email,
		.told = said->told,
		.claims = said->claims,
	};
	return &session->elsewhere;
}

// What stands in further cookies.
static bool read_more(struct exchange *exchange, const struct login *login, const struct access_cookie *cookie,
		      struct slice scope, struct session *session)
{
	struct slice text = access_cookie_more(exchange, cookie, session->more);
	char *room = text.length > 0 ? arena_alloc(exchange_arena(exchange), text.length) : NULL;
	return room && session_read_more(&login->session.key, text, scope, room, session);
}

// What the cookie says, as far as it is for that scope.
static bool read_cookie(struct exchange *exchange, const struct login *login, const struct access_cookie *cookie,
			struct slice scope, struct access_session *session)
{
	struct slice text = access_cookie_value(exchange, cookie);
	bool is_one = text.length > 0 && text.length <= SESSION_TEXT_MAX && scope.data;
	char *room = is_one ? arena_alloc(exchange_arena(exchange), text.length) : NULL;
	if (!room || !session_read(&login->session.key, text, scope, room, &session->session) ||
	    !holds(login, &session->session) ||
	    (session->session.more > 0 && !read_more(exchange, login, cookie, scope, &session->session)))
		return false;
	session->login = login;
	session->user = user_of(login, session);
	return session->user && proof_of(login, session->user) == session->session.proof;
}

static bool find_of(struct exchange *exchange, const struct login *login, struct access_session *session)
{
	const struct access_cookie cookie = session_cookie(exchange, login);
	return read_cookie(exchange, login, &cookie, scope_of(exchange, login), session);
}

bool access_session_find(struct exchange *exchange, const struct access_config *config,
			 struct access_session *ret_session)
{
	bool found = false;
	for (size_t i = 0; i < config->login_count && !found; i++)
		found = login_has_sessions(config->logins[i]) && find_of(exchange, config->logins[i], ret_session);
	return found;
}

static bool send_first(struct exchange *exchange, const struct login *login, const struct access_cookie *cookie,
		       const struct session *session, struct slice scope)
{
	struct slice text =
		scope.data ? session_write(&login->session.key, session, scope, exchange_arena(exchange)) : SLICE_EMPTY;
	return text.length > 0 && access_cookie_send(exchange, cookie, text);
}

static bool send_all(struct exchange *exchange, const struct login *login, const struct access_cookie *cookie,
		     const struct session *session, struct slice scope)
{
	struct slice more = scope.data
				    ? session_write_more(&login->session.key, session, scope, exchange_arena(exchange))
				    : SLICE_EMPTY;
	return more.data && send_first(exchange, login, cookie, session, scope) &&
	       access_cookie_send_more(exchange, cookie, more);
}

static struct session make_session(const struct login *login, const struct user *user, struct slice password)
{
	bool is_of_file = users_find(&login->users, user->name) != NULL;
	return (struct session){
		.id = random_number(),
		.created_s = now_s(),
		.seen_s = now_s(),
		.ends_s = now_s() + login->session.lifetime_ns / SECOND_NS,
		.proof = proof_of(login, user),
		.login = login->name.text,
		.user = user->name,
		.groups = is_of_file ? SLICE_EMPTY : user->groups,
		.email = is_of_file ? SLICE_EMPTY : user->email,
		.told = is_of_file ? SLICE_EMPTY : user->told,
		.claims = is_of_file ? SLICE_EMPTY : user->claims,
		.password = login->session.has_password ? password : SLICE_EMPTY,
	};
}

bool access_session_begin(struct exchange *exchange, const struct login *login, const struct user *user,
			  struct slice password)
{
	const struct session session = make_session(login, user, password);
	const struct access_cookie cookie = session_cookie(exchange, login), pending = pending_cookie(exchange);
	if (access_cookie_value(exchange, &pending).data)
		access_cookie_end(exchange, &pending);
	return send_all(exchange, login, &cookie, &session, scope_of(exchange, login));
}

bool access_pending_begin(struct exchange *exchange, const struct login *login, const struct user *user,
			  struct slice password)
{
	const struct session session = make_session(login, user, password);
	const struct access_cookie cookie = pending_cookie(exchange);
	return send_all(exchange, login, &cookie, &session, pending_scope(exchange));
}

bool access_pending_find(struct exchange *exchange, const struct access_config *config,
			 struct access_session *ret_session)
{
	const struct access_cookie cookie = pending_cookie(exchange);
	struct slice scope = pending_scope(exchange);
	bool found = false;
	for (size_t i = 0; i < config->login_count && !found; i++)
		found = read_cookie(exchange, config->logins[i], &cookie, scope, ret_session);
	return found && now_s() - ret_session->session.created_s < PENDING_S;
}

// What stands in further cookies stays what it is.
void access_session_renew(struct exchange *exchange, const struct access_session *session)
{
	struct session renewed = session->session;
	int64_t idle_s = session->login->session.idle_ns / SECOND_NS;
	if (exchange_failed(exchange) || now_s() - renewed.seen_s <= idle_s / RENEWED_SHARE)
		return;
	renewed.seen_s = now_s();
	const struct access_cookie cookie = session_cookie(exchange, session->login);
	(void)send_first(exchange, session->login, &cookie, &renewed, scope_of(exchange, session->login));
}

void access_session_end(struct exchange *exchange, const struct access_session *session, bool everywhere)
{
	const struct access_cookie cookie = session_cookie(exchange, session->login);
	if (everywhere)
		session_end_all(session->session.login, session->session.user, now_s());
	session_end(&session->session);
	access_cookie_end(exchange, &cookie);
}
