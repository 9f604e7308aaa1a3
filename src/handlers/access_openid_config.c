#include "handlers/access_openid_config.h"

#include "http/uri.h"

#include <stddef.h>

static const struct config_key openid_keys[] = {
	{"issuer", CONFIG_TEXT, offsetof(struct login_openid, issuer.url), .required = true,
	 .help = "the provider, by the URL that stands in its tokens (iss); what else is to be known of it is found "
		 "below that",
	 .form = "a URL such as https://id.example.com"},
	{"client_id", CONFIG_TEXT, offsetof(struct login_openid, client_id), .required = true,
	 .help = "the name by which the provider knows usher"},
	{"client_secret", CONFIG_TEXT, offsetof(struct login_openid, client_secret),
	 .help = "by which usher shows that it is that client; without it, it is a public one",
	 .form = "what the provider gave, such as ${USHER_CLIENT_SECRET}", .secret = true},
	{"scopes", CONFIG_TEXTS, offsetof(struct login_openid, scopes), "[profile, email]",
	 "what is asked for, besides `openid`"},
	{"user", CONFIG_TEXT, offsetof(struct login_openid, claims.user), "sub",
	 "the claim that names the user: sub alone is never given to somebody else; preferred_username and email are "
	 "easier to read",
	 .form = "a claim such as preferred_username"},
	ACCESS_CLAIMS_KEYS(struct login_openid, claims),
	{"callback", CONFIG_TEXT, offsetof(struct login_openid, callback), "/.usher/openid/callback",
	 "the path that the provider sends visitors back to, within the rule's own ones; usher answers it itself. The "
	 "provider has to know it, with scheme and host",
	 .form = "a path such as /.usher/openid/callback"},
	{"label", CONFIG_TEXT, offsetof(struct login_openid, label),
	 .help = "what the link to the provider says, on the page where visitors choose how to log in; `Log in with` "
		 "and "
		 "the login's `realm` unless it is written",
	 .form = "a text such as Mit dem Konto der Firma anmelden"},
	{"end_session", CONFIG_BOOL, offsetof(struct login_openid, ends_session), "false",
	 "who logs out is sent on to the provider, to log out there, too"},
	{"refresh", CONFIG_DURATION, offsetof(struct login_openid, issuer.refresh_ns), "1h",
	 "so often its keys are fetched anew, or sooner, as it says itself; and when there is none for a token",
	 .min = INT64_C(1000000000), .max = 7 * 86400 * INT64_C(1000000000)},
	{"ca", CONFIG_FILE, offsetof(struct login_openid, issuer.authorities),
	 .help = "a file of the authorities that vouch for it; the system's unless it is written",
	 .form = "a path such as ca.pem"},
	{0},
};

const struct config_section access_openid_section = {
	.name = "logins.openid",
	.help = "A provider of OpenID Connect, to which browsers are sent to log in.",
	.size = sizeof(struct login_openid),
	.keys = openid_keys,
	.place_offset = offsetof(struct login_openid, place),
	.name_offset = CONFIG_NO_OFFSET,
};

// Rules compare paths in their normal form.
static bool check_callback(struct config_load *load, const struct config_text *callback)
{
	const struct uri_normal_options options = {.merge_slashes = true};
	struct slice path = callback->text, normal = uri_normal_path(path, &options, config_arena(load));
	if (slice_starts_with(path, SLICE("/")) && slice_equal(path, normal) && slice_find(path, '?') == path.length &&
	    slice_find(path, '#') == path.length)
		return true;
	config_error(load, callback->place, "\"%.*s\" is no path such as /.usher/openid/callback",
		     SLICE_ARGUMENTS(path));
	return false;
}

static bool make_scope(struct config_load *load, struct login_openid *openid)
{
	openid->scope = SLICE("openid");
	for (size_t i = 0; i < openid->scopes.count && openid->scope.data; i++) {
		const struct config_text *one = &openid->scopes.items[i];
		if (slice_equal(one->text, SLICE("openid")))
			continue;
		if (one->text.length == 0 || slice_find(one->text, ' ') < one->text.length) {
			config_error(load, one->place, "a scope has no blanks; write a list: [profile, email]");
			return false;
		}
		openid->scope = arena_printf(config_arena(load), "%.*s %.*s", SLICE_ARGUMENTS(openid->scope),
					     SLICE_ARGUMENTS(one->text));
	}
	return openid->scope.data != NULL;
}

bool access_openid_load(struct config_load *load, struct login_openid *openid)
{
	openid->issuer.is_openid = true;
	if (!check_callback(load, &openid->callback) || !make_scope(load, openid) ||
	    !access_claims_check(load, &openid->claims))
		return false;
	openid->provider = access_issuer_get(load, &openid->issuer);
	return openid->provider != NULL;
}
