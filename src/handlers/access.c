// access: who gets in, by address, by certificate, and by user name and password.
#include "handlers/access.h"

#include "access/basic.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "handlers/access_config.h"
#include "handlers/access_openid.h"
#include "handlers/access_page.h"
#include "handlers/access_session.h"
#include "handlers/access_token.h"
#include "handlers/access_verify.h"
#include "handlers/handlers.h"

#include <openssl/crypto.h>

// --- Handling

// RFC 9110 section 11.6.1.
static void challenge(struct exchange *exchange, const struct access_config *config, const char *detail)
{
	exchange_always(exchange, SLICE("WWW-Authenticate"),
			config->challenge.length > 0 ? config->challenge : access_page_challenge);
	exchange_fail(exchange, FAULT_UNAUTHORIZED, "log in", detail);
}

static void note(struct exchange *exchange, const struct access_config *config, struct slice by)
{
	trace_note(&exchange->trace, "access", by, config->place.file, config->place.line, TRACE_NO_VALUE);
}

static void refuse(struct exchange *exchange, struct slice by, struct config_place place, const char *detail)
{
	trace_note(&exchange->trace, "access", by, place.file, place.line, TRACE_NO_VALUE);
	exchange_fail(exchange, FAULT_REFUSED, "access", detail);
}

// `password` is as access_tell takes it, here and below; `user` is NULL when nobody has logged in.
static void go_on(struct exchange *exchange, const struct access_config *config, const struct user *user,
		  struct slice password)
{
	access_cookies_hide(exchange);
	if (access_tell(exchange, &config->telling, user ? user->told : SLICE_EMPTY, password))
		exchange_next(exchange);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "tell who the visitor is", NULL);
}

static void let_in(struct exchange *exchange, const struct access_config *config, const struct user *user,
		   struct slice password)
{
	exchange->user = user->name;
	exchange->groups = user->groups;
	exchange->email = user->email;
	note(exchange, config, user->name);
	if (access_means(config, user))
		go_on(exchange, config, user, password);
	else
		exchange_fail(exchange, FAULT_REFUSED, "log in",
			      "access.users, access.groups and access.claims do not mean him");
}

static void take_basic(struct exchange *exchange, const struct access_config *config, const struct basic *basic)
{
	struct access_who who;
	switch (access_verify(exchange, config->logins, config->login_count, basic->user, basic->password, &who)) {
	case ACCESS_RIGHT:
		if (who.second != ACCESS_SECOND_NONE) {
			challenge(exchange, config, "the user logs in by the page, with a second factor");
			return;
		}
		if (!config->pass_password)
			(void)fields_remove(&exchange_request(exchange)->fields, FIELD_AUTHORIZATION);
		let_in(exchange, config, who.user, basic->password);
		return;
	case ACCESS_WRONG:
		challenge(exchange, config, "the user name or the password is wrong");
		return;
	case ACCESS_WAITS:
		exchange_fail(exchange, FAULT_TOO_MANY_REQUESTS, "log in", "too many logins failed of late");
		return;
	case ACCESS_BUSY:
		exchange_fail(exchange, FAULT_OVERLOADED, "log in", "too many passwords are being verified");
		return;
	case ACCESS_ABSENT:
		exchange_fail(exchange, FAULT_OVERLOADED, "log in", "who knows the users cannot be asked");
		return;
	case ACCESS_ENDED:
		exchange_fail(exchange, FAULT_CLIENT_GONE, "log in", NULL);
		return;
	}
}

static void log_in_by_basic(struct exchange *exchange, const struct access_config *config, struct slice value)
{
	struct basic basic;
	if (basic_read(value, &basic))
		take_basic(exchange, config, &basic);
	else
		challenge(exchange, config, "Authorization is no Basic");
	OPENSSL_cleanse(&basic, sizeof basic);
}

// RFC 6750 section 3.
static void log_in_by_token(struct exchange *exchange, const struct access_config *config, struct slice value)
{
	const char *why;
	const struct user *user = access_token_take(exchange, config, value, &why);
	if (!user && why == access_issuer_away) {
		exchange_fail(exchange, FAULT_NO_SERVER, "take a token", why);
		return;
	}
	if (!user) {
		exchange_always(exchange, SLICE("WWW-Authenticate"), SLICE("Bearer error=\"invalid_token\""));
		exchange_fail(exchange, FAULT_UNAUTHORIZED, "take a token", why);
		return;
	}
	if (!config->pass_password)
		(void)fields_remove(&exchange_request(exchange)->fields, FIELD_AUTHORIZATION);
	let_in(exchange, config, user, SLICE_EMPTY);
}

static void go_on_in_session(struct exchange *exchange, const struct access_config *config,
			     struct access_session *session)
{
	if (slice_equal(exchange->path, config->logout.text)) {
		access_page_log_out(exchange, session);
		return;
	}
	let_in(exchange, config, session->user, session->session.password);
	access_session_renew(exchange, session);
}

// The first of the logins' fields that the request has; NULL without one.
static const struct field *given_key(struct exchange *exchange, const struct access_config *config)
{
	const struct field *field = NULL;
	for (size_t i = 0; i < config->login_count && !field; i++)
		if (config->logins[i]->keys)
			field = fields_find_name(&exchange_request(exchange)->fields,
						 config->logins[i]->keys->header.text);
	return field;
}

static void log_in_by_key(struct exchange *exchange, const struct access_config *config, const struct field *given)
{
	const struct user *user = NULL;
	for (size_t i = 0; i < config->login_count && !user; i++) {
		const struct login_keys *keys = config->logins[i]->keys;
		if (keys && slice_equal_nocase(keys->header.text, given->name))
			user = users_find_key(&keys->users, given->value);
	}
	if (!user) {
		challenge(exchange, config, "the API key is nobody's");
		return;
	}
	if (!config->pass_password)
		(void)fields_remove_name(&exchange_request(exchange)->fields, given->name);
	let_in(exchange, config, user, SLICE_EMPTY);
}

// With a single provider there is nothing to be chosen.
static void ask_browser(struct exchange *exchange, const struct access_config *config)
{
	if (config->has_choice)
		access_page_show(exchange, config, 401, ACCESS_REASON_NONE);
	else
		access_openid_begin(exchange, config->provider);
}

static void log_in(struct exchange *exchange, const struct access_config *config)
{
	struct access_session session;
	struct slice value = fields_value(&exchange_request(exchange)->fields, FIELD_AUTHORIZATION);
	const struct field *key = config->has_keys ? given_key(exchange, config) : NULL;
	if (config->has_openid && access_openid_is_callback(exchange, config))
		access_openid_take(exchange, config);
	else if (key)
		log_in_by_key(exchange, config, key);
	else if (config->has_sessions && access_session_find(exchange, config, &session))
		go_on_in_session(exchange, config, &session);
	else if (access_token_is_given(value) && config->has_tokens)
		log_in_by_token(exchange, config, value);
	else if (value.data && config->has_basic)
		log_in_by_basic(exchange, config, value);
	else if (config->page && access_page_is_form(exchange))
		access_page_take(exchange, config);
	else if (config->has_sessions && access_page_is_wanted(exchange))
		ask_browser(exchange, config);
	else
		challenge(exchange, config, "no Authorization");
}

static void let_in_without_login(struct exchange *exchange, const struct access_config *config)
{
	note(exchange, config, exchange->client_text);
	go_on(exchange, config, NULL, SLICE_EMPTY);
}

static void ask_service(struct exchange *exchange, const struct access_config *config)
{
	struct fields told, *fields = &exchange_request(exchange)->fields;
	if (!access_forward_ask(exchange, config->forward, &told))
		return;
	note(exchange, config, exchange->user.length > 0 ? exchange->user : exchange->client_text);
	bool good = access_tell(exchange, &config->telling, SLICE_EMPTY, SLICE_EMPTY);
	for (size_t i = 0; i < config->forward->take.count; i++)
		(void)fields_remove_name(fields, config->forward->take.items[i].text);
	for (uint32_t i = 0; i < told.count && good; i++)
		good = fields_add_name(fields, exchange_arena(exchange), told.items[i].name, told.items[i].value);
	if (good)
		exchange_next(exchange);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "tell who the visitor is", NULL);
}

static void access_handle(struct exchange *exchange, const void *value)
{
	const struct access_config *config = value;
	bool is_allowed =
		access_networks_have(&config->allow, exchange) ||
		(config->certificate && certificate_match_holds(config->certificate, exchange) == MATCH_HOLDS);
	if (access_networks_have(&config->deny, exchange))
		refuse(exchange, SLICE("deny"), config->place, "access.deny names this client");
	else if (config->times &&
		 !hours_have(&config->times->hours, &config->times->zone, loop_wall_clock() / SECOND_NS))
		refuse(exchange, SLICE("times"), config->times->place, "access.times are over, or are to come");
	else if (is_allowed && config->require == REQUIRE_EITHER)
		let_in_without_login(exchange, config);
	else if ((config->login_count == 0 && !config->forward) || (!is_allowed && config->require == REQUIRE_BOTH))
		refuse(exchange, SLICE("nobody"), config->place,
		       "neither access.allow nor access.certificate names this client");
	else if (config->forward)
		ask_service(exchange, config);
	else
		log_in(exchange, config);
}

static bool access_guards(const void *value)
{
	const struct access_config *config = value;
	bool denies =
		config->deny.all || config->deny.set.count > 0 || config->deny.set.local || config->deny.countries;
	return denies || config->times || !config->allow.all || config->require == REQUIRE_BOTH;
}

const struct handler_type access_handler = {
	.order = HANDLER_ACCESS,
	.key = {.name = "access",
		.kind = CONFIG_OPTIONAL,
		.section = &access_section,
		.help = "Who gets in: by address, or by user name and password.",
		.form = "a map such as {allow: [10.0.0.0/8], login: staff}"},
	.load = access_config_load,
	.handle = access_handle,
	.guards = access_guards,
};

// --- In words

static bool is_same_claim(const struct config_pairs *claims, size_t i, size_t j)
{
	return slice_equal(claims->items[i].name.text, claims->items[j].name.text);
}

// ", only with department sales or it, and with tier gold"
static void describe_claims(const struct config_pairs *claims, FILE *stream)
{
	for (size_t i = 0; i < claims->count; i++) {
		size_t first = 0;
		while (!is_same_claim(claims, first, i))
			first++;
		if (first < i)
			continue;
		fprintf(stream, "%s %.*s", i == 0 ? ", only with" : ", and with",
			SLICE_ARGUMENTS(claims->items[i].name.text));
		for (size_t j = i; j < claims->count; j++)
			if (is_same_claim(claims, i, j))
				fprintf(stream, "%s %.*s", j == i ? "" : " or",
					SLICE_ARGUMENTS(claims->items[j].value.text));
	}
}

static void describe_logins(const struct access_config *config, FILE *stream)
{
	if (config->forward)
		fprintf(stream, " through the service %.*s", SLICE_ARGUMENTS(config->forward->to.items[0].text));
	for (size_t i = 0; i < config->login_count; i++)
		fprintf(stream, "%s%.*s", i ? " or " : " through ", SLICE_ARGUMENTS(config->logins[i]->name.text));
	const struct config_texts *texts[] = {&config->users, &config->groups};
	static const char *const words[] = {"user", "group"};
	bool first = true;
	for (size_t kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < texts[kind]->count; i++, first = false)
			fprintf(stream, "%s %s %.*s", first ? ", only" : " or", words[kind],
				SLICE_ARGUMENTS(texts[kind]->items[i].text));
	describe_claims(&config->claims, stream);
}

// Who is allowed without a login, or before it: there is somebody.
static void describe_allowed(const struct access_config *config, FILE *stream)
{
	bool has_networks = config->allow.words.length > 0;
	fprintf(stream, "visitors");
	if (has_networks)
		fprintf(stream, " from %.*s", SLICE_ARGUMENTS(config->allow.words));
	if (config->certificate)
		fprintf(stream, "%s with %.*s", has_networks ? " or" : "", SLICE_ARGUMENTS(config->certificate_words));
}

static void describe(const struct access_config *config, FILE *stream)
{
	const char *separator = "";
	bool names_some = config->deny.words.length > 0;
	if (config->times) {
		fprintf(stream, "outside of %.*s nobody gets in", SLICE_ARGUMENTS(config->times->words));
		separator = "; ";
	}
	if (names_some) {
		fprintf(stream, "%svisitors from %.*s never get in", separator, SLICE_ARGUMENTS(config->deny.words));
		separator = "; ";
	}
	if (config->require == REQUIRE_BOTH) {
		fprintf(stream, "%s", separator);
		describe_allowed(config, stream);
		fprintf(stream, " log in");
		describe_logins(config, stream);
		fprintf(stream, "; anyone else gets 403\n");
		return;
	}
	if (config->allow.all) {
		fprintf(stream, "%s%s gets in\n", separator, names_some ? "anyone else" : "everybody");
		return;
	}
	if (config->allow.words.length > 0 || config->certificate) {
		fprintf(stream, "%s", separator);
		describe_allowed(config, stream);
		fprintf(stream, " get in");
		separator = "; ";
		names_some = true;
	}
	if (config->login_count > 0 || config->forward) {
		fprintf(stream, "%s%s", separator, names_some ? "others log in" : "everybody logs in");
		describe_logins(config, stream);
		separator = "; ";
		names_some = true;
	}
	fprintf(stream, "%s%s gets 403\n", separator, names_some ? "anyone else" : "everybody");
}

void access_describe(const struct snapshot *snapshot, FILE *stream)
{
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct site *site = &snapshot->all_sites[i];
		for (size_t j = 0; j < site->route_count; j++) {
			const struct handler_step *step = site->routes[j].steps;
			while (step->type && step->type != &access_handler)
				step++;
			if (!step->type)
				continue;
			fprintf(stream, "%.*s %.*s: ", SLICE_ARGUMENTS(site->name),
				SLICE_ARGUMENTS(site->routes[j].path_text));
			describe(step->config, stream);
		}
	}
}
