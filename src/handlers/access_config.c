#include "handlers/access_config.h"

#include "exchange/identity.h"
#include "exchange/snapshot.h"

#include <stddef.h>

// --- Keys

static const char *const require_words[] = {[REQUIRE_EITHER] = "either", [REQUIRE_BOTH] = "both", NULL};

static const struct config_key access_keys[] = {
	{"allow", CONFIG_TEXTS, offsetof(struct access_config, allow_texts),
	 .help = "whose address is enough: addresses, networks, countries (`country:CH`, by `geo`), names of `lists`, "
		 "`unix`, or `all`",
	 .form = "a network such as 10.0.0.0/8, or the name of a list"},
	{"deny", CONFIG_TEXTS, offsetof(struct access_config, deny_texts),
	 .help = "who never gets in, whatever else is true: as `allow`",
	 .form = "a network such as 192.0.2.0/24, or the name of a list"},
	{"times", CONFIG_OPTIONAL, offsetof(struct access_config, times),
	 .help = "when visitors may come; at other times nobody gets in, whatever else is true",
	 .section = &access_times_section, .form = "a time such as \"Mon-Fri 08:00-18:00\", or a list of them"},
	{"certificate", CONFIG_OPTIONAL, offsetof(struct access_config, certificate_wants),
	 .help = "a client certificate that is like this is as good as an address that is allowed; the site's "
		 "`tls.client_certificate` asks for it",
	 .section = &certificate_match_section},
	{"login", CONFIG_TEXTS, offsetof(struct access_config, login_texts),
	 .help = "the `logins` through which others get in; without it they get 403"},
	{"users", CONFIG_TEXTS, offsetof(struct access_config, users),
	 .help = "only these users of them; with `groups`, those or these"},
	{"groups", CONFIG_TEXTS, offsetof(struct access_config, groups), .help = "only who is in one of these groups"},
	{"claims", CONFIG_PAIRS, offsetof(struct access_config, claims),
	 .help = "and only who has, of each of these claims of a token or of an OpenID Connect provider, one of the "
		 "values",
	 .form = "a map such as {department: [sales, it]}"},
	{"require", CONFIG_CHOICE, offsetof(struct access_config, require), "either",
	 "both: an address or a certificate that is allowed, and a login besides", .choices = require_words},
	{"pass_password", CONFIG_BOOL, offsetof(struct access_config, pass_password), "false",
	 "servers get the Authorization that the visitor logged in with; otherwise the password goes no further"},
	{"user_field", CONFIG_CHOICE, offsetof(struct access_config, telling.user_field), "X-Forwarded-User",
	 "the field that tells servers who logged in; from outside none of these is ever passed on",
	 .choices = identity_user_fields},
	{"groups_field", CONFIG_CHOICE, offsetof(struct access_config, telling.groups_field), "X-Forwarded-Groups",
	 "the field that tells servers his groups, with commas between them", .choices = identity_groups_fields},
	{"email_field", CONFIG_CHOICE, offsetof(struct access_config, telling.email_field), "X-Forwarded-Email",
	 "the field that tells servers his address of mail, where the login knows it",
	 .choices = identity_email_fields},
	{"server_login", CONFIG_OPTIONAL, offsetof(struct access_config, telling.login),
	 .help = "servers are logged in to by Basic: with the visitor's name and password, or with fixed ones",
	 .section = &server_login_section},
	{"server_token", CONFIG_OPTIONAL, offsetof(struct access_config, telling.token),
	 .help = "servers get a token that usher signs, which tells who has logged in",
	 .section = &server_token_section},
	{"forward", CONFIG_OPTIONAL, offsetof(struct access_config, forward),
	 .help = "in the place of `login`: an authentication service that is asked about each visitor",
	 .section = &access_forward_section},
	{"logout", CONFIG_TEXT, offsetof(struct access_config, logout),
	 .help = "a path within the rule's own ones where visitors log out, and out everywhere; usher answers it "
		 "itself",
	 .form = "a path such as /logout"},
	{0},
};

const struct config_section access_section = {
	.name = "access",
	.help = "Who gets in. `deny` and `times` always win; then an address or a certificate that is allowed, or a "
		"login, is "
		"enough, "
		"and nobody else gets in.",
	.size = sizeof(struct access_config),
	.keys = access_keys,
	.place_offset = offsetof(struct access_config, place),
};

// --- Loading

static bool take_login(struct config_load *load, struct access_config *config, const struct login *login)
{
	bool good = true;
	config->has_openid |= login->openid != NULL;
	config->has_sessions |= login_has_sessions(login);
	if (!config->page && login->page)
		config->page = login;
	config->has_choice |= login->page || (login->openid && config->provider);
	if (!config->provider && login->openid)
		config->provider = login;
	for (size_t i = 0; i < config->claims.count && good; i++)
		good = access_login_want(load, login, &config->claims.items[i]);
	return good;
}

// An operator's page has to show the links, or nobody finds them.
static void check_links(struct config_load *load, const struct access_config *config)
{
	if (!config->page || !config->provider || access_pages_have_links(&config->page->pages, ACCESS_PAGE_LOGIN))
		return;
	config_warning(
		load, config->page->pages.files[ACCESS_PAGE_LOGIN].path.place,
		"this page has no $links, and a rule names it together with the provider %.*s: nobody gets there "
		"from it",
		SLICE_ARGUMENTS(config->provider->name.text));
}

// Who logs in with a password has no claims.
static bool check_claims(struct config_load *load, const struct access_config *config)
{
	bool has_claims = config->has_openid || config->has_tokens;
	if (config->claims.count > 0 && !has_claims)
		config_error(load, config_where(load, config, "claims"),
			     "claims are known of tokens and of an OpenID Connect provider, and the login has neither");
	return config->claims.count == 0 || has_claims;
}

static bool load_logins(struct config_load *load, struct snapshot *snapshot, struct access_config *config)
{
	const struct config_texts *texts = &config->login_texts;
	config->logins = config_alloc(load, (texts->count + 1) * sizeof *config->logins);
	bool good = config->logins != NULL;
	for (size_t i = 0; config->logins && i < texts->count; i++) {
		const struct login *login = access_login_find(load, snapshot, &texts->items[i]);
		good = login && good;
		config->logins[config->login_count++] = login;
		config->has_basic |= login && login->basic;
		config->has_tokens |= login && login->tokens;
		config->has_keys |= login && login->keys;
		good = good && take_login(load, config, login);
	}
	if (!good || config->login_count == 0)
		return good;
	check_links(load, config);
	const struct {
		bool is_taken;
		const char *scheme, *more;
	} schemes[] = {{config->has_basic, "Basic", ", charset=\"UTF-8\""},
		       {config->has_tokens, "Bearer", ""},
		       {config->has_keys, "ApiKey", ""}};
	config->challenge = SLICE("");
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes && config->challenge.data; i++)
		if (schemes[i].is_taken)
			config->challenge = arena_printf(
				config_arena(load), "%.*s%s%s realm=\"%.*s\"%s", SLICE_ARGUMENTS(config->challenge),
				config->challenge.length ? ", " : "", schemes[i].scheme,
				SLICE_ARGUMENTS(config->logins[0]->realm.text), schemes[i].more);
	return config->challenge.data && check_claims(load, config);
}

// What would open no door, or every one, is no rule.
static bool check_rule(struct config_load *load, const struct access_config *config)
{
	bool has_login = config->login_texts.count > 0 || config->forward,
	     has_allow = config_is_set(load, config, "allow") || config->certificate;
	if (config->login_texts.count > 0 && config->forward) {
		config_error(load, config_where(load, config, "forward"), "`login` and `forward` do not go together");
		return false;
	}
	if (!has_login && !has_allow) {
		config_error(
			load, config->place,
			"this rule does not say who gets in; add `allow: [10.0.0.0/8]`, `login: staff`, or `allow: "
			"[all]`");
		return false;
	}
	if (config->login_texts.count == 0 &&
	    (config->users.count > 0 || config->groups.count > 0 || config->claims.count > 0)) {
		config_error(load,
			     config_where(load, config,
					  config->users.count > 0    ? "users"
					  : config->groups.count > 0 ? "groups"
								     : "claims"),
			     "users, groups and claims are known by a `login`, and there is none here");
		return false;
	}
	if (config->require == REQUIRE_BOTH && (!has_login || !has_allow)) {
		config_error(load, config_where(load, config, "require"),
			     "`require: both` needs `allow` or `certificate`, and `login`");
		return false;
	}
	if (config->allow.all && config->certificate) {
		config_error(load, config_where(load, config, "allow"),
			     "with `allow: [all]` nobody needs a certificate; leave out one of them");
		return false;
	}
	if (has_login && config->allow.all && config->require == REQUIRE_EITHER) {
		config_error(
			load, config_where(load, config, "allow"),
			"with `allow: [all]` nobody is asked to log in; leave out `login`, or say `require: both`");
		return false;
	}
	if (config->logout.text.data &&
	    (config->login_texts.count == 0 || !slice_starts_with(config->logout.text, SLICE("/")))) {
		config_error(load, config->logout.place,
			     "`logout` is a path such as /logout, of a rule with a `login`");
		return false;
	}
	return true;
}

static bool load_certificate(struct config_load *load, struct access_config *config)
{
	const struct certificate_match_config *wants = config->certificate_wants;
	if (!wants)
		return true;
	config->certificate = certificate_match_load(load, wants);
	config->certificate_words = certificate_match_words(wants, config_arena(load));
	if (!config->certificate || !config->certificate_words.data)
		return false;
	if (!certificate_match_takes_none(config->certificate))
		return true;
	config_error(load, config_where(load, config, "certificate"),
		     "this would let in everybody who shows no certificate; leave out `verified: false`");
	return false;
}

// The visitor's own password has to be known with each of his requests.
static bool load_telling(struct config_load *load, struct snapshot *snapshot, struct access_config *config)
{
	if (!access_telling_load(load, snapshot, &config->telling))
		return false;
	if (!config->telling.login || !config->telling.login->is_own)
		return true;
	bool good = config->login_count > 0;
	if (!good)
		config_error(load, config_where(load, config, "server_login"),
			     "`own` is the password that a visitor logs in with, and there is no `login` here");
	if (good && config->has_openid) {
		config_error(load, config_where(load, config, "server_login"),
			     "who logs in through a provider gives usher no password, and `own` is that");
		good = false;
	}
	for (size_t i = 0; i < config->login_count && good; i++) {
		const struct login *login = config->logins[i];
		good = !login->page || login->session.has_password;
		if (!good)
			config_error(
				load, config_where(load, config, "server_login"),
				"the login %.*s forgets passwords that its page takes; give it `session: {password: "
				"true}`, which keeps them in the session, encrypted",
				SLICE_ARGUMENTS(login->name.text));
	}
	return good;
}

bool access_config_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			const void **ret_config)
{
	struct access_config *config = value;
	*ret_config = config;
	if (config->logins) // several routes share the value
		return true;
	return access_networks_load(load, snapshot, &config->allow_texts, &config->allow) &&
	       access_networks_load(load, snapshot, &config->deny_texts, &config->deny) &&
	       (!config->times || access_times_load(load, config->times)) && load_certificate(load, config) &&
	       check_rule(load, config) && load_logins(load, snapshot, config) &&
	       load_telling(load, snapshot, config) &&
	       (!config->forward || access_forward_load(load, snapshot, route, config->forward));
}

// --- What it says

static bool names_user(const struct config_texts *texts, const struct user *user, bool are_groups)
{
	for (size_t i = 0; i < texts->count; i++)
		if (are_groups ? user_is_in(user, texts->items[i].text) : slice_equal(texts->items[i].text, user->name))
			return true;
	return false;
}

bool access_means(const struct access_config *config, const struct user *user)
{
	if (!access_claims_hold(&config->claims, user))
		return false;
	return (config->users.count == 0 && config->groups.count == 0) || names_user(&config->users, user, false) ||
	       names_user(&config->groups, user, true);
}
