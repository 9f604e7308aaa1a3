#include "handlers/access_openid.h"

#include "access/form.h"
#include "access/openid_state.h"
#include "base/log.h"
#include "fiber/loop.h"
#include "handlers/access_openid_exchange.h"
#include "handlers/access_page.h"
#include "handlers/access_session.h"

#include <stdlib.h>

enum { LOGIN_S = 10 * 60, URL_MAX = 8 * 1024 };

#define BINDING_NAME "usher-openid"
// Of links.
#define LOGIN_FIELD "usher-login"
#define TARGET_FIELD "usher-target"

static const char step[] = "log in through a provider";

static void fail(struct exchange *exchange, enum fault_kind kind, const char *detail)
{
	exchange_fail(exchange, kind, step, detail);
}

// The same for what the operator has to know: the visitor learns nothing of it.
static void fail_and_tell(struct exchange *exchange, const struct login *login, enum fault_kind kind,
			  const char *detail, const char *why)
{
	log_warning("access: login from %.*s through %.*s failed: %s: %s", SLICE_ARGUMENTS(exchange->client_text),
		    SLICE_ARGUMENTS(login->name.text), detail, why);
	fail(exchange, kind, detail);
}

// No session has such a scope.
static struct slice scope_of(struct exchange *exchange, const struct login *login)
{
	return arena_printf(exchange_arena(exchange), "OpenID Connect for %.*s at %.*s",
			    SLICE_ARGUMENTS(login->name.text), SLICE_ARGUMENTS(exchange->host));
}

static struct slice redirect_uri_of(struct exchange *exchange, const struct login *login)
{
	return arena_printf(exchange_arena(exchange), "%.*s%.*s", SLICE_ARGUMENTS(access_page_origin(exchange)),
			    SLICE_ARGUMENTS(login->openid->callback.text));
}

// --- There

// The browser's own text, one for all its logins that are under way: tabs do not disturb each other.
static bool bind_browser(struct exchange *exchange, struct openid_secret *ret_binding)
{
	struct slice known = access_cookie_find(exchange, BINDING_NAME);
	openid_secret_make(ret_binding);
	if (known.length == OPENID_SECRET_TEXT)
		memcpy(ret_binding->text, known.data, OPENID_SECRET_TEXT);
	struct slice value = arena_copy(exchange_arena(exchange), openid_secret_text(ret_binding));
	return value.data && access_cookie_add(exchange, BINDING_NAME, value, "; SameSite=Lax; Max-Age=600");
}

// What cannot be taken along is left behind.
static struct slice target_of(const struct exchange *exchange)
{
	return openid_is_target(exchange->target) ? exchange->target : SLICE("/");
}

static struct slice write_request(struct exchange *exchange, const struct login *login, struct openid_state *state,
				  const struct provider_facts *facts)
{
	char *room = arena_alloc(exchange_arena(exchange), URL_MAX);
	struct slice scope = scope_of(exchange, login);
	struct openid_request request = {
		.endpoint = facts->metadata.authorization,
		.client_id = login->openid->client_id.text,
		.redirect_uri = redirect_uri_of(exchange, login),
		.scope = login->openid->scope,
		.nonce = openid_secret_text(&state->nonce),
		.verifier = openid_secret_text(&state->verifier),
	};
	struct text url;
	if (!room || !scope.data || !request.redirect_uri.data)
		return (struct slice){0};
	text_init(&url, room, URL_MAX);
	request.state = openid_state_write(&login->session.key, state, scope, exchange_arena(exchange));
	return request.state.length > 0 && openid_request_write(&url, &request) ? text_slice(&url) : (struct slice){0};
}

static void begin(struct exchange *exchange, const struct login *login, struct slice target)
{
	const struct provider_facts *facts = access_issuer_facts(login->openid->provider);
	struct openid_state state = {.created_s = loop_wall_clock() / SECOND_NS, .target = target};
	if (!facts) {
		fail(exchange, FAULT_NO_SERVER, "the provider has not answered yet");
		return;
	}
	openid_secret_make(&state.verifier);
	openid_secret_make(&state.nonce);
	if (!bind_browser(exchange, &state.binding)) {
		fail(exchange, FAULT_OUT_OF_MEMORY, NULL);
		return;
	}
	struct slice url = write_request(exchange, login, &state, facts);
	if (url.data)
		access_page_send(exchange, url);
	else
		fail(exchange, FAULT_INTERNAL, "the request to the provider is too long, or memory is out");
}

void access_openid_begin(struct exchange *exchange, const struct login *login)
{
	begin(exchange, login, target_of(exchange));
}

// --- There, by a link

struct slice access_openid_link(struct exchange *exchange, const struct login *login)
{
	char *room = arena_alloc(exchange_arena(exchange), URL_MAX);
	struct text url;
	if (!room)
		return (struct slice){0};
	text_init(&url, room, URL_MAX);
	text_add(&url, login->openid->callback.text);
	text_add_char(&url, '?');
	form_encode(&url, SLICE(LOGIN_FIELD));
	text_add_char(&url, '=');
	form_encode(&url, login->name.text);
	form_add(&url, TARGET_FIELD, target_of(exchange));
	return url.overflow ? (struct slice){0} : text_slice(&url);
}

static const struct login *find_login(const struct exchange *exchange, const struct access_config *config,
				      struct slice name)
{
	for (size_t i = 0; i < config->login_count; i++) {
		const struct login *login = config->logins[i];
		if (login->openid && slice_equal(login->name.text, name) &&
		    slice_equal(login->openid->callback.text, exchange->path))
			return login;
	}
	return NULL;
}

// What is in it anybody may have written: it leads to a login of this rule, and then to a page of this host.
static void take_link(struct exchange *exchange, const struct access_config *config)
{
	const struct request *request = exchange_request(exchange);
	char *room = arena_alloc(exchange_arena(exchange), OPENID_TARGET_MAX + 1), name_room[USERS_NAME_MAX + 1];
	struct access_session session;
	struct slice name, target;
	const struct login *login = form_find(request->query, SLICE(LOGIN_FIELD), name_room, sizeof name_room, &name)
					    ? find_login(exchange, config, name)
					    : NULL;
	if (!room)
		fail(exchange, FAULT_OUT_OF_MEMORY, NULL);
	else if (request->method != METHOD_GET || !login ||
		 !form_find(request->query, SLICE(TARGET_FIELD), room, OPENID_TARGET_MAX + 1, &target) ||
		 !openid_is_target(target))
		fail(exchange, FAULT_BAD_REQUEST, "this is no link to log in by");
	else if (access_session_find(exchange, config, &session)) // in another tab, or by going back to this one
		access_page_send_back(exchange, target);
	else
		begin(exchange, login, target);
}

// --- And back

bool access_openid_is_callback(const struct exchange *exchange, const struct access_config *config)
{
	for (size_t i = 0; i < config->login_count; i++)
		if (config->logins[i]->openid && slice_equal(exchange->path, config->logins[i]->openid->callback.text))
			return true;
	return false;
}

// The login that the state was made for, here; NULL: none.
static const struct login *read_state(struct exchange *exchange, const struct access_config *config, struct slice text,
				      struct openid_state *ret_state)
{
	char *room = arena_alloc(exchange_arena(exchange), OPENID_STATE_MAX);
	for (size_t i = 0; room && i < config->login_count; i++) {
		const struct login *login = config->logins[i];
		struct slice scope = scope_of(exchange, login);
		if (login->openid && scope.data && openid_state_read(&login->session.key, text, scope, room, ret_state))
			return login;
	}
	return NULL;
}

// RFC 9207 section 2.4: an answer of another provider is none.
static const char *fault_of_issuer(const struct provider_facts *facts, const struct login *login,
				   const struct openid_callback *callback)
{
	if (callback->issuer.data && !slice_equal(callback->issuer, login->openid->issuer.url.text))
		return "the answer is another provider's (iss)";
	if (!callback->issuer.data && facts->metadata.tells_issuer)
		return "the answer does not say whose it is (iss)";
	return NULL;
}

// RFC 6749 section 4.1.2.1. What it says comes by the visitor.
static void fail_by_error(struct exchange *exchange, const struct login *login, struct slice error)
{
	bool is_away =
		slice_equal(error, SLICE("temporarily_unavailable")) || slice_equal(error, SLICE("server_error"));
	struct slice words = arena_copy(exchange_arena(exchange), error);
	fail_and_tell(exchange, login, is_away ? FAULT_NO_SERVER : FAULT_REFUSED,
		      is_away ? "the provider is not able to log anybody in"
			      : "the provider does not let the visitor in",
		      words.data ? words.data : "");
}

static json_t *verify(const struct login_openid *openid, struct slice token, const char **ret_why)
{
	const struct provider_facts *facts = provider_facts(openid->provider);
	struct jwt_rules rules = {
		.issuer = openid->issuer.url.text, .audience = openid->client_id.text, .leeway_s = 10};
	*ret_why = access_issuer_away;
	if (!facts)
		return NULL;
	rules.keys = facts->keys;
	return jwt_verify(&rules, token, false, loop_wall_clock() / SECOND_NS, ret_why);
}

// The claims of the ID token (Core 1.0 section 3.1.3.7); NULL: it does not hold.
static json_t *claims_of(const struct login_openid *openid, struct slice token, const struct openid_state *state,
			 const char **ret_why)
{
	const struct provider_facts *before = provider_facts(openid->provider);
	json_t *claims = verify(openid, token, ret_why);
	if (!claims && access_issuer_has_news(openid->provider, before, *ret_why))
		claims = verify(openid, token, ret_why);
	if (!claims)
		return NULL;
	*ret_why = openid_fault_of_claims(claims, openid->client_id.text, openid_secret_text(&state->nonce));
	if (!*ret_why)
		return claims;
	json_decref(claims);
	return NULL;
}

// Core 1.0 section 5.3.2: what is said of somebody else does not count. What the token says stands.
static bool add_userinfo(json_t *claims, json_t *userinfo)
{
	return json_equal(json_object_get(claims, "sub"), json_object_get(userinfo, "sub")) &&
	       json_object_update_missing(claims, userinfo) == 0;
}

static void let_in(struct exchange *exchange, const struct login *login, const json_t *claims, struct slice target)
{
	const char *why;
	const struct user *user = access_claims_user(&login->openid->claims, claims, exchange_arena(exchange), &why);
	if (!user)
		fail_and_tell(exchange, login, FAULT_REFUSED, "the provider's word does not do", why);
	else if (!access_session_begin(exchange, login, user, SLICE_EMPTY))
		fail_and_tell(exchange, login, FAULT_INTERNAL, "no session can be made",
			      "what is known of the user is too much for a cookie, or memory is out");
	else if (!access_cookie_add(exchange, BINDING_NAME, SLICE(""), "; SameSite=Lax; Max-Age=0"))
		fail(exchange, FAULT_OUT_OF_MEMORY, NULL);
	else
		access_page_send_back(exchange, target);
}

static void finish(struct exchange *exchange, const struct login *login, struct openid_asking *asking,
		   const struct openid_state *state)
{
	const struct login_openid *openid = login->openid;
	const char *why;
	if (!openid_ask_tokens(exchange, asking)) {
		fail_and_tell(exchange, login, asking->fault, "the provider gave no token", asking->why);
		return;
	}
	json_t *claims = claims_of(openid, asking->tokens.id_token, state, &why);
	bool wants_more = claims && asking->userinfo_url && access_claims_miss(&openid->claims, claims);
	if (!claims)
		fail_and_tell(exchange, login, FAULT_REFUSED, "the provider's token does not hold", why);
	else if (wants_more && !openid_ask_userinfo(asking))
		fail_and_tell(exchange, login, asking->fault, "the provider did not say who it is", asking->why);
	else if (wants_more && !add_userinfo(claims, asking->userinfo))
		fail_and_tell(exchange, login, FAULT_REFUSED, "the provider's word does not do",
			      "userinfo is about somebody else");
	else
		let_in(exchange, login, claims, state->target);
	json_decref(claims);
}

static void take_code(struct exchange *exchange, const struct login *login, const struct openid_callback *callback,
		      const struct openid_state *state)
{
	struct openid_asking *asking = arena_zalloc(exchange_arena(exchange), sizeof *asking);
	struct slice redirect_uri = redirect_uri_of(exchange, login);
	if (!asking || !redirect_uri.data) {
		fail(exchange, FAULT_OUT_OF_MEMORY, NULL);
		return;
	}
	*asking = (struct openid_asking){
		.openid = login->openid,
		.code = callback->code,
		.redirect_uri = redirect_uri,
		.verifier = openid_secret_text(&state->verifier),
	};
	finish(exchange, login, asking, state);
	openid_asking_end(asking);
}

static void take(struct exchange *exchange, const struct login *login, const struct openid_callback *callback,
		 const struct openid_state *state)
{
	const struct provider_facts *facts = access_issuer_facts(login->openid->provider);
	const char *why = facts ? fault_of_issuer(facts, login, callback) : NULL;
	if (!facts)
		fail(exchange, FAULT_NO_SERVER, "the provider has not answered yet");
	else if (why)
		fail(exchange, FAULT_BAD_REQUEST, why);
	else if (callback->error.length > 0)
		fail_by_error(exchange, login, callback->error);
	else
		take_code(exchange, login, callback, state);
}

static void take_callback(struct exchange *exchange, const struct access_config *config)
{
	const struct request *request = exchange_request(exchange);
	struct openid_callback *callback = arena_alloc(exchange_arena(exchange), sizeof *callback);
	struct access_session session;
	struct openid_state state;
	if (!callback) {
		fail(exchange, FAULT_OUT_OF_MEMORY, NULL);
		return;
	}
	if (request->method != METHOD_GET || !openid_callback_read(request->query, callback)) {
		fail(exchange, FAULT_BAD_REQUEST, "this is not how providers send visitors back");
		return;
	}
	const struct login *login = read_state(exchange, config, callback->state, &state);
	int64_t age_s = login ? loop_wall_clock() / SECOND_NS - state.created_s : 0;
	if (!login)
		fail(exchange, FAULT_BAD_REQUEST, "the state was not made here");
	else if (access_session_find(exchange, config, &session)) // in another tab, or by going back to this one
		access_page_send_back(exchange, state.target);
	else if (!openid_secret_is(&state.binding, access_cookie_find(exchange, BINDING_NAME)))
		fail(exchange, FAULT_BAD_REQUEST, "the login was begun by another browser, or ended");
	else if (age_s < 0 || age_s > LOGIN_S)
		fail(exchange, FAULT_BAD_REQUEST, "the login was begun too long ago");
	else
		take(exchange, login, callback, &state);
}

void access_openid_take(struct exchange *exchange, const struct access_config *config)
{
	if (form_has(exchange_request(exchange)->query, SLICE(LOGIN_FIELD)))
		take_link(exchange, config);
	else
		take_callback(exchange, config);
}

// --- Logging out

// NULL: nobody is sent there.
static const char *end_session_of(const struct login *login)
{
	const struct provider_facts *facts =
		login->openid && login->openid->ends_session ? provider_facts(login->openid->provider) : NULL;
	return facts ? facts->metadata.end_session : NULL;
}

struct slice access_openid_logout_origin(struct exchange *exchange, const struct login *login)
{
	const char *url = end_session_of(login), *host = url ? strstr(url, "://") : NULL;
	return host ? arena_copy(exchange_arena(exchange),
				 slice_from(url, (size_t)(host - url) + 3 + strcspn(host + 3, "/?")))
		    : (struct slice){0};
}

struct slice access_openid_logout_url(struct exchange *exchange, const struct login *login)
{
	const char *end_session = end_session_of(login);
	char *room = end_session ? arena_alloc(exchange_arena(exchange), URL_MAX) : NULL;
	struct slice home =
		arena_printf(exchange_arena(exchange), "%.*s/", SLICE_ARGUMENTS(access_page_origin(exchange)));
	char form_room[2048];
	struct text url, form;
	if (!room || !home.data)
		return (struct slice){0};
	text_init(&url, room, URL_MAX);
	text_init(&form, form_room, sizeof form_room);
	form_add(&form, "client_id", login->openid->client_id.text);
	form_add(&form, "post_logout_redirect_uri", home);
	text_add_string(&url, end_session);
	text_add_char(&url, strchr(end_session, '?') ? '&' : '?');
	text_add(&url, text_slice(&form));
	return url.overflow || form.overflow ? (struct slice){0} : text_slice(&url);
}
