#include "handlers/access_page.h"

#include "access/form.h"
#include "access/password.h"
#include "base/random.h"
#include "exchange/error_page.h"
#include "exchange/escape.h"
#include "handlers/access_openid.h"
#include "handlers/access_verify.h"
#include "http/body.h"

#include <openssl/crypto.h>
#include <string.h>

const struct slice access_page_challenge = {"Form", 4};

enum { FORM_MAX = 8192, TOKEN_MAX = 64 };

#define FORM_COOKIE "usher-form"

// --- Pages

// What forms lead to besides this site: browsers hold redirects to it, too.
static struct slice security_of(struct exchange *exchange, struct slice others)
{
	return arena_printf(exchange_arena(exchange),
			    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'%s%.*s; "
			    "base-uri 'none'; frame-ancestors 'none'",
			    others.length > 0 ? " " : "", SLICE_ARGUMENTS(others));
}

static bool add(struct exchange *exchange, const char *name, struct slice value)
{
	return value.data && fields_add_name(&exchange_response(exchange)->fields, exchange_arena(exchange),
					     slice_from_string(name), value);
}

static void answer(struct exchange *exchange, unsigned status, struct slice page, struct slice others)
{
	if (page.data && add(exchange, "Cache-Control", SLICE("no-store")) &&
	    add(exchange, "Content-Security-Policy", security_of(exchange, others)) &&
	    add(exchange, "X-Frame-Options", SLICE("DENY")) && add(exchange, "Referrer-Policy", SLICE("same-origin")))
		exchange_answer(exchange, status, SLICE("text/html; charset=utf-8"), page);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "make a page", NULL);
}

static struct slice make_token(struct arena *arena)
{
	return arena_printf(arena, "%016llx%016llx", (unsigned long long)random_number(),
			    (unsigned long long)random_number());
}

// What the form holds has to come back with a cookie that nobody else can set: a form on another site's page has it
// not.
static struct slice give_token(struct exchange *exchange)
{
	struct slice token = make_token(exchange_arena(exchange));
	if (token.data && access_cookie_add(exchange, FORM_COOKIE, token, "; SameSite=Strict"))
		return token;
	return (struct slice){0};
}

bool access_page_is_wanted(const struct exchange *exchange)
{
	const struct request *request = &exchange->transaction.request;
	return (request->method == METHOD_GET || request->method == METHOD_HEAD) &&
	       page_type_accepted(&request->fields) == PAGE_HTML;
}

static void show(struct exchange *exchange, const struct login *login, enum access_page page, unsigned status,
		 const struct access_page_values *values)
{
	struct access_page_values all = *values;
	all.realm = login->realm.text;
	all.token = give_token(exchange);
	if (all.token.data)
		answer(exchange, status, access_pages_fill(&login->pages, page, &all, exchange_arena(exchange)),
		       page == ACCESS_PAGE_LOGOUT ? access_openid_logout_origin(exchange, login) : SLICE_EMPTY);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "make a page", NULL);
}

static struct slice link_to(struct exchange *exchange, const struct login *login)
{
	struct arena *arena = exchange_arena(exchange);
	const struct config_text *label = &login->openid->label;
	struct slice address = access_openid_link(exchange, login),
		     text = label->text.data
				    ? label->text
				    : arena_printf(arena, "Log in with %.*s", SLICE_ARGUMENTS(login->realm.text));
	address = address.data ? escape(address, ESCAPE_HTML, arena) : address;
	text = text.data ? escape(text, ESCAPE_HTML, arena) : text;
	return address.data && text.data ? arena_printf(arena, "<li><a href=\"%.*s\">%.*s</a></li>\n",
							SLICE_ARGUMENTS(address), SLICE_ARGUMENTS(text))
					 : (struct slice){0};
}

// Links to all providers of the rule, as a list; .data is NULL when memory is out.
static struct slice links_of(struct exchange *exchange, const struct access_config *config)
{
	struct arena *arena = exchange_arena(exchange);
	struct slice items = SLICE("");
	if (!config->has_openid)
		return items;
	for (size_t i = 0; i < config->login_count && items.data; i++) {
		const struct login *login = config->logins[i];
		struct slice item = login->openid ? link_to(exchange, login) : SLICE("");
		items = item.data ? arena_printf(arena, "%.*s%.*s", SLICE_ARGUMENTS(items), SLICE_ARGUMENTS(item))
				  : item;
	}
	return items.data ? arena_printf(arena, "<ul role=\"list\">\n%.*s</ul>", SLICE_ARGUMENTS(items)) : items;
}

void access_page_show(struct exchange *exchange, const struct access_config *config, unsigned status,
		      enum access_reason reason)
{
	struct slice links = links_of(exchange, config);
	if (!links.data) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "make a page", NULL);
		return;
	}
	exchange_always(exchange, SLICE("WWW-Authenticate"), access_page_challenge);
	show(exchange, config->page ? config->page : config->provider,
	     config->page ? ACCESS_PAGE_LOGIN : ACCESS_PAGE_CHOOSE, status,
	     &(struct access_page_values){.user = SLICE(""), .links = links, .reason = reason});
}

static void show_second(struct exchange *exchange, const struct login *login, unsigned status,
			enum access_reason reason)
{
	exchange_always(exchange, SLICE("WWW-Authenticate"), access_page_challenge);
	show(exchange, login, ACCESS_PAGE_CODE, status,
	     &(struct access_page_values){.user = SLICE(""), .reason = reason});
}

// --- Forms

bool access_page_is_form(const struct exchange *exchange)
{
	const struct request *request = &exchange->transaction.request;
	struct slice type, parameters;
	(void)slice_cut(fields_value(&request->fields, FIELD_CONTENT_TYPE), ';', &type, &parameters);
	return request->method == METHOD_POST &&
	       slice_equal_nocase(slice_trim(type), SLICE("application/x-www-form-urlencoded"));
}

// False for one that is larger, and when the visitor breaks off.
static bool read_form(struct exchange *exchange, char room[FORM_MAX], struct slice *ret_form)
{
	return body_read_whole(exchange_request(exchange)->body, room, FORM_MAX, ret_form) == 0;
}

// The host and port that the visitor's browser knows.
static struct slice own_authority(struct exchange *exchange)
{
	return exchange->forwarded_host.length > 0 ? exchange->forwarded_host : exchange_request(exchange)->authority;
}

struct slice access_page_origin(struct exchange *exchange)
{
	return arena_printf(exchange_arena(exchange), "%.*s://%.*s", SLICE_ARGUMENTS(exchange->scheme),
			    SLICE_ARGUMENTS(own_authority(exchange)));
}

// Browsers say where a form comes from (RFC 6454 section 7; Fetch Metadata).
static bool is_from_here(struct exchange *exchange)
{
	const struct request *request = exchange_request(exchange);
	struct slice origin = fields_value(&request->fields, FIELD_ORIGIN),
		     token = access_cookie_find(exchange, FORM_COOKIE);
	const struct field *site = fields_find_name(&request->fields, SLICE("Sec-Fetch-Site"));
	if (site && slice_equal(site->value, SLICE("cross-site")))
		return false;
	if (!token.data || token.length == 0)
		return false;
	struct slice own = access_page_origin(exchange);
	return own.data && (!origin.data || slice_equal_nocase(origin, own));
}

static bool has_token(struct exchange *exchange, struct slice form)
{
	char room[TOKEN_MAX];
	struct slice given, token = access_cookie_find(exchange, FORM_COOKIE);
	return is_from_here(exchange) && form_find(form, SLICE("usher-token"), room, sizeof room, &given) &&
	       given.length == token.length && CRYPTO_memcmp(given.data, token.data, token.length) == 0;
}

void access_page_send(struct exchange *exchange, struct slice location)
{
	struct fields *fields = &exchange_response(exchange)->fields;
	if (location.data && fields_add(fields, exchange_arena(exchange), FIELD_LOCATION, location) &&
	    add(exchange, "Cache-Control", SLICE("no-store")))
		exchange_answer(exchange, 303, SLICE_EMPTY, SLICE_EMPTY);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "log in", NULL);
}

// To a path of this host, whatever it looks like: with the host before it, "//other.example" is none.
void access_page_send_back(struct exchange *exchange, struct slice target)
{
	access_page_send(exchange,
			 arena_printf(exchange_arena(exchange), "%.*s%.*s",
				      SLICE_ARGUMENTS(access_page_origin(exchange)), SLICE_ARGUMENTS(target)));
}

// Who has a second factor is asked for it now.
static void let_in(struct exchange *exchange, const struct access_who *who, struct slice password)
{
	switch (who->second) {
	case ACCESS_SECOND_NONE:
		if (access_session_begin(exchange, who->login, who->user, password))
			access_page_send_back(exchange, exchange->target);
		else
			exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "log in", NULL);
		return;
	case ACCESS_SECOND_ASKED:
		if (access_pending_begin(exchange, who->login, who->user, password))
			show_second(exchange, who->login, 401, ACCESS_REASON_NONE);
		else
			exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "log in", NULL);
		return;
	case ACCESS_SECOND_MISSING:
		exchange_fail(exchange, FAULT_REFUSED, "log in", "the user has no second factor");
		return;
	}
}

static void verify(struct exchange *exchange, const struct access_config *config, struct slice name,
		   struct slice password)
{
	struct access_who who;
	switch (access_verify(exchange, config->logins, config->login_count, name, password, &who)) {
	case ACCESS_RIGHT:
		let_in(exchange, &who, password);
		return;
	case ACCESS_WRONG:
		access_page_show(exchange, config, 401, ACCESS_REASON_WRONG);
		return;
	case ACCESS_WAITS:
		access_page_show(exchange, config, 429, ACCESS_REASON_WAIT);
		return;
	case ACCESS_BUSY:
	case ACCESS_ABSENT:
		access_page_show(exchange, config, 503, ACCESS_REASON_BUSY);
		return;
	case ACCESS_ENDED:
		exchange_fail(exchange, FAULT_CLIENT_GONE, "log in", NULL);
		return;
	}
}

static void verify_second(struct exchange *exchange, const struct access_config *config, struct slice code)
{
	struct access_session pending;
	if (!access_pending_find(exchange, config, &pending)) {
		access_page_show(exchange, config, 401, ACCESS_REASON_OLD);
		return;
	}
	switch (access_verify_second(exchange, pending.login, pending.user, code)) {
	case ACCESS_RIGHT:
		if (access_session_begin(exchange, pending.login, pending.user, pending.session.password))
			access_page_send_back(exchange, exchange->target);
		else
			exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "log in", NULL);
		return;
	case ACCESS_WAITS:
		show_second(exchange, pending.login, 429, ACCESS_REASON_WAIT);
		return;
	default:
		show_second(exchange, pending.login, 401, ACCESS_REASON_WRONG_CODE);
		return;
	}
}

void access_page_take(struct exchange *exchange, const struct access_config *config)
{
	char room[FORM_MAX], user_room[USERS_NAME_MAX + 1], password_room[PASSWORD_MAX + 1];
	struct slice form = SLICE_EMPTY, name, password;
	bool is_whole = read_form(exchange, room, &form);
	if (!is_whole || !has_token(exchange, form))
		access_page_show(exchange, config, 401,
				 is_whole && form_find(form, SLICE("usher-token"), user_room, sizeof user_room, &name)
					 ? ACCESS_REASON_OLD
					 : ACCESS_REASON_NONE);
	else if (form_find(form, SLICE("usher-code"), user_room, sizeof user_room, &name))
		verify_second(exchange, config, slice_trim(name));
	else if (!form_find(form, SLICE("usher-user"), user_room, sizeof user_room, &name) || name.length == 0 ||
		 !form_find(form, SLICE("usher-password"), password_room, sizeof password_room, &password))
		access_page_show(exchange, config, 401, ACCESS_REASON_WRONG);
	else
		verify(exchange, config, name, password);
	OPENSSL_cleanse(room, sizeof room);
	OPENSSL_cleanse(password_room, sizeof password_room);
}

// --- Logging out

void access_page_log_out(struct exchange *exchange, const struct access_session *session)
{
	char room[FORM_MAX], everywhere[8];
	struct slice form, value;
	if (!access_page_is_form(exchange) || !read_form(exchange, room, &form) || !has_token(exchange, form)) {
		show(exchange, session->login, ACCESS_PAGE_LOGOUT, 200,
		     &(struct access_page_values){.user = session->user->name});
		return;
	}
	access_session_end(exchange, session,
			   form_find(form, SLICE("usher-everywhere"), everywhere, sizeof everywhere, &value));
	struct slice elsewhere = access_openid_logout_url(exchange, session->login);
	if (elsewhere.data)
		access_page_send(exchange, elsewhere);
	else
		access_page_send_back(exchange, SLICE("/"));
}
