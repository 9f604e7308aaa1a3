#include "handlers/access_session.h"

#include "base/hash.h"
#include "base/random.h"
#include "exchange/snapshot.h"
#include "fiber/loop.h"
#include "http/cookie.h"

#define SESSION_NAME "usher"
#define PENDING_NAME "usher-second"

enum { PENDING_S = 5 * 60 };
enum { RENEWED_SHARE = 20 }; // of the idle time: so late a cookie is sent anew

static int64_t now_s(void)
{
	return loop_wall_clock() / SECOND_NS;
}

static bool has_tls(const struct exchange *exchange)
{
	return slice_equal(exchange->scheme, SLICE("https"));
}

// --- Cookies. A name with __Host- is taken by browsers only from the very host, and with TLS (RFC 6265bis
// section 4.1.3).

static struct slice name_of(struct exchange *exchange, const char *name, bool is_for_domain)
{
	const char *prefix = !has_tls(exchange) ? "" : is_for_domain ? "__Secure-" : "__Host-";
	return arena_printf(exchange_arena(exchange), "%s%s", prefix, name);
}

static bool add(struct exchange *exchange, struct slice name, struct slice value, const char *domain,
		const char *attributes)
{
	struct slice cookie = arena_printf(exchange_arena(exchange), "%.*s=%.*s; Path=/%s%s%s; HttpOnly%s",
					   SLICE_ARGUMENTS(name), SLICE_ARGUMENTS(value), domain ? "; Domain=" : "",
					   domain ? domain : "", has_tls(exchange) ? "; Secure" : "", attributes);
	return name.data && cookie.data &&
	       fields_add(&exchange_response(exchange)->fields, exchange_arena(exchange), FIELD_SET_COOKIE, cookie);
}

bool access_cookie_add(struct exchange *exchange, const char *name, struct slice value, const char *attributes)
{
	return add(exchange, name_of(exchange, name, false), value, NULL, attributes);
}

struct slice access_cookie_find(struct exchange *exchange, const char *name)
{
	struct slice whole = name_of(exchange, name, false);
	return whole.data ? cookie_find(&exchange_request(exchange)->fields, whole) : SLICE_EMPTY;
}

// --- Hiding

static bool is_own(struct slice name)
{
	static const char *const prefixes[] = {"__Host-", "__Secure-", ""};
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		struct slice prefix = slice_from_string(prefixes[i]);
		if (!slice_starts_with(name, prefix))
			continue;
		struct slice rest = slice_after(name, prefix.length);
		return slice_equal(rest, SLICE(SESSION_NAME)) || slice_equal(rest, SLICE("usher-form")) ||
		       slice_equal(rest, SLICE(PENDING_NAME)) || slice_equal(rest, SLICE("usher-openid"));
	}
	return false;
}

// Without usher's own; the value itself where it has none.
static struct slice without_own(struct slice value, struct arena *arena)
{
	struct slice rest = value, name, content, kept = SLICE("");
	bool has_own = false;
	while (cookie_next(&rest, &name, &content))
		has_own |= is_own(name);
	if (!has_own)
		return value;
	for (rest = value; cookie_next(&rest, &name, &content);)
		if (!is_own(name))
			kept = arena_printf(arena, "%.*s%s%.*s=%.*s", SLICE_ARGUMENTS(kept), kept.length ? "; " : "",
					    SLICE_ARGUMENTS(name), SLICE_ARGUMENTS(content));
	return kept;
}

void access_session_hide(struct exchange *exchange)
{
	struct fields *fields = &exchange_request(exchange)->fields;
	uint32_t count = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct field field = fields->items[i];
		if (field.id == FIELD_COOKIE)
			field.value = without_own(field.value, exchange_arena(exchange));
		if (field.id != FIELD_COOKIE || field.value.length > 0)
			fields->items[count++] = field;
	}
	fields->count = count;
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

// What the text says, as far as it is for that scope.
static bool read_text(struct exchange *exchange, const struct login *login, struct slice text, struct slice scope,
		      struct access_session *session)
{
	char *room = text.data ? arena_alloc(exchange_arena(exchange), SESSION_TEXT_MAX) : NULL;
	if (!room || !scope.data || !session_read(&login->session.key, text, scope, room, &session->session) ||
	    !holds(login, &session->session))
		return false;
	session->login = login;
	session->user = user_of(login, session);
	return session->user && proof_of(login, session->user) == session->session.proof;
}

static bool find_of(struct exchange *exchange, const struct login *login, struct access_session *session)
{
	struct slice name = name_of(exchange, SESSION_NAME, login->session.domain.text.data != NULL);
	struct slice text = name.data ? cookie_find(&exchange_request(exchange)->fields, name) : SLICE_EMPTY;
	return read_text(exchange, login, text, scope_of(exchange, login), session);
}

bool access_session_find(struct exchange *exchange, const struct access_config *config,
			 struct access_session *ret_session)
{
	bool found = false;
	for (size_t i = 0; i < config->login_count && !found; i++)
		found = login_has_sessions(config->logins[i]) && find_of(exchange, config->logins[i], ret_session);
	return found;
}

static bool send_cookie(struct exchange *exchange, const struct login *login, const struct session *session)
{
	bool is_for_domain = login->session.domain.text.data != NULL;
	char room[SESSION_TEXT_MAX];
	struct slice text = session_write(&login->session.key, session, scope_of(exchange, login), room);
	return text.length > 0 && add(exchange, name_of(exchange, SESSION_NAME, is_for_domain), text,
				      is_for_domain ? login->session.domain.text.data : NULL, "; SameSite=Lax");
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
	return send_cookie(exchange, login, &session);
}

// No session has such a scope.
static struct slice pending_scope(struct exchange *exchange)
{
	return arena_printf(exchange_arena(exchange), "second factor at %.*s", SLICE_ARGUMENTS(exchange->host));
}

bool access_pending_begin(struct exchange *exchange, const struct login *login, const struct user *user,
			  struct slice password)
{
	const struct session session = make_session(login, user, password);
	struct slice scope = pending_scope(exchange);
	char room[SESSION_TEXT_MAX];
	struct slice text = scope.data ? session_write(&login->session.key, &session, scope, room) : SLICE_EMPTY;
	return text.length > 0 && access_cookie_add(exchange, PENDING_NAME, text, "; SameSite=Strict; Max-Age=300");
}

bool access_pending_find(struct exchange *exchange, const struct access_config *config,
			 struct access_session *ret_session)
{
	struct slice text = access_cookie_find(exchange, PENDING_NAME), scope = pending_scope(exchange);
	bool found = false;
	for (size_t i = 0; i < config->login_count && !found; i++)
		found = read_text(exchange, config->logins[i], text, scope, ret_session);
	return found && now_s() - ret_session->session.created_s < PENDING_S;
}

void access_session_renew(struct exchange *exchange, const struct access_session *session)
{
	struct session renewed = session->session;
	int64_t idle_s = session->login->session.idle_ns / SECOND_NS;
	if (exchange_failed(exchange) || now_s() - renewed.seen_s <= idle_s / RENEWED_SHARE)
		return;
	renewed.seen_s = now_s();
	(void)send_cookie(exchange, session->login, &renewed);
}

void access_session_end(struct exchange *exchange, const struct access_session *session, bool everywhere)
{
	bool is_for_domain = session->login->session.domain.text.data != NULL;
	if (everywhere)
		session_end_all(session->session.login, session->session.user, now_s());
	session_end(&session->session);
	(void)add(exchange, name_of(exchange, SESSION_NAME, is_for_domain), SLICE(""),
		  is_for_domain ? session->login->session.domain.text.data : NULL, "; SameSite=Lax; Max-Age=0");
}
