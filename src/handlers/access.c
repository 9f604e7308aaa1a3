// access: who gets in, by address, and by user name and password.
#include "handlers/access.h"

#include "access/basic.h"
#include "exchange/exchange.h"
#include "exchange/identity.h"
#include "exchange/snapshot.h"
#include "handlers/access_lists.h"
#include "handlers/access_logins.h"
#include "handlers/access_verify.h"
#include "handlers/handlers.h"

#include <openssl/crypto.h>
#include <stddef.h>

// --- Keys

enum { REQUIRE_EITHER, REQUIRE_BOTH };

struct access_config {
	struct config_place place;
	struct config_texts allow_texts, deny_texts, login_texts, users, groups;
	int require;
	bool pass_password;
	// Made of these.
	struct access_networks allow, deny;
	const struct login **logins;
	size_t login_count;
	struct slice challenge;
};

static const char *const require_words[] = {[REQUIRE_EITHER] = "either", [REQUIRE_BOTH] = "both", NULL};

static const struct config_key access_keys[] = {
	{"allow", CONFIG_TEXTS, offsetof(struct access_config, allow_texts),
	 .help = "whose address is enough: addresses, networks, names of `lists`, `unix`, or `all`",
	 .form = "a network such as 10.0.0.0/8, or the name of a list"},
	{"deny", CONFIG_TEXTS, offsetof(struct access_config, deny_texts),
	 .help = "who never gets in, whatever else is true: as `allow`",
	 .form = "a network such as 192.0.2.0/24, or the name of a list"},
	{"login", CONFIG_TEXTS, offsetof(struct access_config, login_texts),
	 .help = "the `logins` through which others get in; without it they get 403"},
	{"users", CONFIG_TEXTS, offsetof(struct access_config, users),
	 .help = "only these users of them; with `groups`, those or these"},
	{"groups", CONFIG_TEXTS, offsetof(struct access_config, groups), .help = "only who is in one of these groups"},
	{"require", CONFIG_CHOICE, offsetof(struct access_config, require), "either",
	 "both: an address that is allowed, and a login besides", .choices = require_words},
	{"pass_password", CONFIG_BOOL, offsetof(struct access_config, pass_password), "false",
	 "servers get the Authorization that the visitor logged in with; otherwise the password goes no further"},
	{0},
};

static const struct config_section access_section = {
	.name = "access",
	.help = "Who gets in. `deny` always wins; then an address that is allowed, or a login, is enough, and nobody "
		"else gets "
		"in.",
	.size = sizeof(struct access_config),
	.keys = access_keys,
	.place_offset = offsetof(struct access_config, place),
};

// --- Loading

static bool load_logins(struct config_load *load, struct snapshot *snapshot, struct access_config *config)
{
	const struct config_texts *texts = &config->login_texts;
	config->logins = config_alloc(load, (texts->count + 1) * sizeof *config->logins);
	bool good = config->logins != NULL;
	for (size_t i = 0; config->logins && i < texts->count; i++) {
		const struct login *login = access_login_find(load, snapshot, &texts->items[i]);
		good = login && good;
		config->logins[config->login_count++] = login;
	}
	if (!good || config->login_count == 0)
		return good;
	config->challenge = arena_printf(config_arena(load), "Basic realm=\"%.*s\", charset=\"UTF-8\"",
					 SLICE_ARGUMENTS(config->logins[0]->realm.text));
	return config->challenge.data != NULL;
}

// What would open no door, or every one, is no rule.
static bool check_rule(struct config_load *load, const struct access_config *config)
{
	bool has_login = config->login_texts.count > 0, has_allow = config_is_set(load, config, "allow");
	if (!has_login && !has_allow) {
		config_error(
			load, config->place,
			"this rule does not say who gets in; add `allow: [10.0.0.0/8]`, `login: staff`, or `allow: "
			"[all]`");
		return false;
	}
	if (!has_login && (config->users.count > 0 || config->groups.count > 0)) {
		config_error(load, config_where(load, config, config->users.count > 0 ? "users" : "groups"),
			     "users and groups are known by a `login`, and there is none here");
		return false;
	}
	if (config->require == REQUIRE_BOTH && (!has_login || !has_allow)) {
		config_error(load, config_where(load, config, "require"), "`require: both` needs `allow` and `login`");
		return false;
	}
	if (has_login && config->allow.all && config->require == REQUIRE_EITHER) {
		config_error(
			load, config_where(load, config, "allow"),
			"with `allow: [all]` nobody is asked to log in; leave out `login`, or say `require: both`");
		return false;
	}
	return true;
}

static bool access_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			const void **ret_config)
{
	struct access_config *config = value;
	*ret_config = config;
	if (config->logins) // several routes share the value
		return true;
	return access_networks_load(load, snapshot, &config->allow_texts, &config->allow) &&
	       access_networks_load(load, snapshot, &config->deny_texts, &config->deny) && check_rule(load, config) &&
	       load_logins(load, snapshot, config);
}

// --- Handling

static bool names_user(const struct config_texts *texts, const struct user *user, bool are_groups)
{
	for (size_t i = 0; i < texts->count; i++)
		if (are_groups ? user_is_in(user, texts->items[i].text) : slice_equal(texts->items[i].text, user->name))
			return true;
	return false;
}

static bool is_meant(const struct access_config *config, const struct user *user)
{
	return (config->users.count == 0 && config->groups.count == 0) || names_user(&config->users, user, false) ||
	       names_user(&config->groups, user, true);
}

// RFC 9110 section 11.6.1.
static void challenge(struct exchange *exchange, const struct access_config *config, const char *detail)
{
	exchange_always(exchange, SLICE("WWW-Authenticate"), config->challenge);
	exchange_fail(exchange, FAULT_UNAUTHORIZED, "log in", detail);
}

static void let_in(struct exchange *exchange, const struct access_config *config, const struct user *user)
{
	if (user && !config->pass_password)
		(void)fields_remove(&exchange_request(exchange)->fields, FIELD_AUTHORIZATION);
	exchange->user = user ? user->name : SLICE_EMPTY;
	exchange->groups = user ? user->groups : SLICE_EMPTY;
	trace_note(&exchange->trace, "access", user ? user->name : exchange->client_text, config->place.file,
		   config->place.line, TRACE_NO_VALUE);
	if (identity_tell(exchange))
		exchange_next(exchange);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "tell who the visitor is", NULL);
}

static void take(struct exchange *exchange, const struct access_config *config, const struct basic *basic)
{
	const struct user *user = NULL;
	switch (access_verify(exchange, config->logins, config->login_count, basic->user, basic->password, &user)) {
	case ACCESS_RIGHT:
		if (is_meant(config, user))
			let_in(exchange, config, user);
		else
			exchange_fail(exchange, FAULT_REFUSED, "log in",
				      "access.users and access.groups do not mean him");
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
	case ACCESS_ENDED:
		exchange_fail(exchange, FAULT_CLIENT_GONE, "log in", NULL);
		return;
	}
}

static void log_in(struct exchange *exchange, const struct access_config *config)
{
	struct slice value = fields_value(&exchange_request(exchange)->fields, FIELD_AUTHORIZATION);
	struct basic basic;
	if (!value.data || !basic_read(value, &basic)) {
		challenge(exchange, config, value.data ? "Authorization is no Basic" : "no Authorization");
		return;
	}
	take(exchange, config, &basic);
	OPENSSL_cleanse(&basic, sizeof basic);
}

static void access_handle(struct exchange *exchange, const void *value)
{
	const struct access_config *config = value;
	bool is_allowed = access_networks_have(&config->allow, &exchange->client);
	if (access_networks_have(&config->deny, &exchange->client))
		exchange_fail(exchange, FAULT_REFUSED, "access", "access.deny names this address");
	else if (is_allowed && config->require == REQUIRE_EITHER)
		let_in(exchange, config, NULL);
	else if (config->login_count == 0 || (!is_allowed && config->require == REQUIRE_BOTH))
		exchange_fail(exchange, FAULT_REFUSED, "access", "access.allow does not name this address");
	else
		log_in(exchange, config);
}

static bool access_guards(const void *value)
{
	const struct access_config *config = value;
	bool denies = config->deny.all || config->deny.set.count > 0 || config->deny.set.local;
	return denies || !config->allow.all || config->require == REQUIRE_BOTH;
}

const struct handler_type access_handler = {
	.order = HANDLER_ACCESS,
	.key = {.name = "access",
		.kind = CONFIG_OPTIONAL,
		.section = &access_section,
		.help = "Who gets in: by address, or by user name and password.",
		.form = "a map such as {allow: [10.0.0.0/8], login: staff}"},
	.load = access_load,
	.handle = access_handle,
	.guards = access_guards,
};

// --- In words

static void describe_logins(const struct access_config *config, FILE *stream)
{
	for (size_t i = 0; i < config->login_count; i++)
		fprintf(stream, "%s%.*s", i ? " or " : " through ", SLICE_ARGUMENTS(config->logins[i]->name.text));
	const struct config_texts *texts[] = {&config->users, &config->groups};
	static const char *const words[] = {"user", "group"};
	bool first = true;
	for (size_t kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < texts[kind]->count; i++, first = false)
			fprintf(stream, "%s %s %.*s", first ? ", only" : " or", words[kind],
				SLICE_ARGUMENTS(texts[kind]->items[i].text));
}

static void describe(const struct access_config *config, FILE *stream)
{
	const char *separator = "";
	if (config->deny.words.length > 0) {
		fprintf(stream, "visitors from %.*s never get in", SLICE_ARGUMENTS(config->deny.words));
		separator = "; ";
	}
	if (config->require == REQUIRE_BOTH) {
		fprintf(stream, "%svisitors from %.*s log in", separator, SLICE_ARGUMENTS(config->allow.words));
		describe_logins(config, stream);
		fprintf(stream, "; anyone else gets 403\n");
		return;
	}
	if (config->allow.all) {
		fprintf(stream, "%s%s gets in\n", separator, config->deny.words.length ? "anyone else" : "everybody");
		return;
	}
	if (config->allow.words.length > 0) {
		fprintf(stream, "%svisitors from %.*s get in", separator, SLICE_ARGUMENTS(config->allow.words));
		separator = "; ";
	}
	if (config->login_count > 0) {
		fprintf(stream, "%s%s", separator, *separator ? "others log in" : "everybody logs in");
		describe_logins(config, stream);
		separator = "; ";
	}
	fprintf(stream, "%s%s gets 403\n", separator, *separator ? "anyone else" : "everybody");
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
