#include "handlers/access_logins.h"

#include "base/hash.h"
#include "handlers/handlers.h"
#include "http/syntax.h"
#include "http/uri.h"

#include <stddef.h>

// --- Keys

struct logins {
	struct login *items;
	size_t count;
};

static const struct config_key session_keys[] = {
	{"secret", CONFIG_TEXT, offsetof(struct login_session, secret),
	 .help = "what sessions are encrypted with; several ushers with the same one understand each other's. Without "
		 "it, it is random, and kept in `state`",
	 .form = "a text that nobody can guess, such as ${USHER_SESSION_SECRET}", .secret = true},
	{"idle", CONFIG_DURATION, offsetof(struct login_session, idle_ns), "12h",
	 "a session that is not used for so long ends", .min = 60 * INT64_C(1000000000)},
	{"lifetime", CONFIG_DURATION, offsetof(struct login_session, lifetime_ns), "7d",
	 "every session ends after so long", .min = 60 * INT64_C(1000000000),
	 .max = SESSION_LIFETIME_MAX_S * INT64_C(1000000000)},
	{"password", CONFIG_BOOL, offsetof(struct login_session, has_password), "false",
	 "the password is kept in the session, encrypted, for servers that get it (`access.server_login: own`)"},
	{"domain", CONFIG_TEXT, offsetof(struct login_session, domain),
	 .help = "one login holds for all hosts of this domain; otherwise for the host that it was made at",
	 .form = "a domain such as example.com"},
	{0},
};

static const struct config_section session_section = {
	.name = "logins.session",
	.help = "Sessions of those who log in by the page.",
	.size = sizeof(struct login_session),
	.keys = session_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key tokens_keys[] = {
	{"keys", CONFIG_TEXT, offsetof(struct login_tokens, keys_from.url),
	 .help = "a file or a URL with a JWK set (RFC 7517): the keys by which tokens are signed; a file is taken "
		 "without a "
		 "reload when it is replaced. With `openid` it may be left out: then they are the provider's",
	 .form = "a path such as keys.json, or a URL such as https://id.example.com/jwks"},
	{"refresh", CONFIG_DURATION, offsetof(struct login_tokens, keys_from.refresh_ns), "1h",
	 "so often keys are fetched anew from a URL, or sooner, as it says itself; and when there is none for a token",
	 .min = INT64_C(1000000000), .max = 7 * 86400 * INT64_C(1000000000)},
	{"ca", CONFIG_FILE, offsetof(struct login_tokens, keys_from.authorities),
	 .help = "a file of the authorities that vouch for that URL; the system's unless it is written",
	 .form = "a path such as ca.pem"},
	{"issuer", CONFIG_TEXT, offsetof(struct login_tokens, issuer),
	 .help = "who must have made them (iss); any unless it is written"},
	{"audience", CONFIG_TEXT, offsetof(struct login_tokens, audience),
	 .help = "for whom they must be (aud); any unless it is written"},
	{"user", CONFIG_TEXT, offsetof(struct login_tokens, claims.user), "sub", "the claim that names the user"},
	ACCESS_CLAIMS_KEYS(struct login_tokens, claims),
	{"leeway", CONFIG_DURATION, offsetof(struct login_tokens, leeway_ns), "10s", "by so much clocks may differ",
	 .min = 0, .max = 600 * INT64_C(1000000000)},
	{0},
};

static const struct config_section tokens_section = {
	.name = "logins.tokens",
	.help = "JSON Web Tokens that programs send as Bearer (RFC 6750): signed, and with an end.",
	.size = sizeof(struct login_tokens),
	.keys = tokens_keys,
	.place_offset = offsetof(struct login_tokens, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "keys",
};

static const struct config_key api_keys_keys[] = {
	{"file", CONFIG_TEXT, offsetof(struct login_keys, path), .required = true,
	 .help = "a file of names and hashes of their keys, as `usher user key` writes it; taken without a reload when "
		 "it is replaced",
	 .form = "a path such as programs.keys"},
	{"header", CONFIG_TEXT, offsetof(struct login_keys, header), "X-Api-Key",
	 "the field of the request that holds the key"},
	{0},
};

static const struct config_section api_keys_section = {
	.name = "logins.api_keys",
	.help = "Keys that programs send in a field of each request, in the place of a user name and a password.",
	.size = sizeof(struct login_keys),
	.keys = api_keys_keys,
	.place_offset = offsetof(struct login_keys, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "file",
};

static const struct config_key login_keys[] = {
	{"users", CONFIG_TEXT, offsetof(struct login, users_path),
	 .help = "a file of users and hashes of their passwords, as htpasswd and `usher user add` write it: bcrypt, "
		 "SHA-256 "
		 "and SHA-512 of crypt, yescrypt, argon2; taken without a reload when it is replaced",
	 .form = "a path such as staff.htpasswd"},
	{"ldap", CONFIG_OPTIONAL, offsetof(struct login, directory),
	 .help = "users of a directory, beside those of `users` or in their place",
	 .section = &access_directory_section},
	{"pam", CONFIG_OPTIONAL, offsetof(struct login, pam),
	 .help = "users of the system, beside those of `users` or in their place", .section = &access_pam_section},
	{"groups", CONFIG_TEXT, offsetof(struct login, groups_path),
	 .help = "a file of groups, each line GROUP: USER USER ...; taken without a reload when it is replaced",
	 .form = "a path such as staff.groups"},
	{"second", CONFIG_TEXT, offsetof(struct login, second_path),
	 .help = "a file of second factors (one-time passwords by time, RFC 6238), as `usher user second` writes it, "
		 "of "
		 "users of `users`, `ldap` and `pam` alike: who stands in it logs in by the page alone, and with a "
		 "code, or one of his recovery codes, besides; taken without a reload when it is replaced",
	 .form = "a path such as staff.second"},
	{"second_required", CONFIG_BOOL, offsetof(struct login, second_required), "false",
	 "who does not stand in `second` does not get in; otherwise the password is enough for him"},
	{"realm", CONFIG_TEXT, offsetof(struct login, realm),
	 .help = "what programs and browsers are told that they log in to; the login's name unless it is written"},
	{"old_hashes", CONFIG_BOOL, offsetof(struct login, old_hashes), "false",
	 "hashes that are guessed quickly are taken, too: DES, MD5 and SHA-1"},
	{"remember", CONFIG_DURATION, offsetof(struct login, remember_ns), "1m",
	 "how long a right password is known without being verified again; off: verified with each request",
	 .max = 3600 * INT64_C(1000000000)},
	{"page", CONFIG_BOOL, offsetof(struct login, page), "true",
	 "browsers get a page to log in by, at the address that they asked for, and a session; others get 401"},
	{"basic", CONFIG_BOOL, offsetof(struct login, basic), "true", "the Basic scheme is taken, as programs use it"},
	{"session", CONFIG_SECTION, offsetof(struct login, session), .help = "sessions of those who log in by the page",
	 .section = &session_section},
	{"pages", CONFIG_SECTION, offsetof(struct login, pages), .help = "pages in the place of usher's own",
	 .section = &access_pages_section},
	{"openid", CONFIG_OPTIONAL, offsetof(struct login, openid),
	 .help = "a provider of OpenID Connect, to which browsers are sent to log in",
	 .section = &access_openid_section},
	{"tokens", CONFIG_OPTIONAL, offsetof(struct login, tokens),
	 .help = "JSON Web Tokens that are taken, beside `users` or in their place", .section = &tokens_section},
	{"api_keys", CONFIG_OPTIONAL, offsetof(struct login, keys),
	 .help = "API keys that are taken, beside the others or in their place", .section = &api_keys_section},
	{0},
};

static const struct config_section login_section = {
	.name = "logins",
	.help = "Who may log in, under a name that `access` uses.",
	.size = sizeof(struct login),
	.keys = login_keys,
	.place_offset = offsetof(struct login, place),
	.name_offset = offsetof(struct login, name),
	.shorthand = "users",
};

// --- Loading

// What a line holds is never shown: it may be a hash.
static void complain(struct config_load *load, const struct config_text *path, const struct users_fault *fault)
{
	if (fault->line > 0)
		config_error(load, path->place, "%.*s:%u: %s", SLICE_ARGUMENTS(path->text), fault->line, fault->why);
	else
		config_error(load, path->place, "%.*s: %s", SLICE_ARGUMENTS(path->text), fault->why);
}

static bool read_users(struct config_load *load, struct login *login)
{
	struct slice content;
	struct users_fault fault;
	if (!config_read_watched(load, &login->users_path, &content))
		return false;
	if (!users_read(&login->users, content, login->old_hashes, config_arena(load), &fault)) {
		complain(load, &login->users_path, &fault);
		return false;
	}
	if (login->users.count == 0)
		config_warning(load, login->users_path.place, "there is no user in %.*s: nobody can log in",
			       SLICE_ARGUMENTS(login->users_path.text));
	return true;
}

typedef bool reader(struct users *users, struct slice content, struct arena *arena, struct users_fault *ret_fault);

static bool read_file(struct config_load *load, const struct config_text *path, reader *read, struct users *users)
{
	struct slice content;
	struct users_fault fault;
	if (!config_read_watched(load, path, &content))
		return false;
	if (read(users, content, config_arena(load), &fault))
		return true;
	complain(load, path, &fault);
	return false;
}

static bool read_keys(struct config_load *load, struct login_keys *keys)
{
	if (!keys)
		return true;
	if (!syntax_all(keys->header.text, SYNTAX_TOKEN)) {
		config_error(load, keys->header.place, "\"%.*s\" is no name of a field, such as X-Api-Key",
			     SLICE_ARGUMENTS(keys->header.text));
		return false;
	}
	return read_file(load, &keys->path, users_read_keys, &keys->users);
}

// They are of users and of API keys.
static bool read_groups(struct config_load *load, struct login *login)
{
	const struct config_text *path = &login->groups_path;
	if (path->text.data && !login->users_path.text.data && !login->keys) {
		config_error(load, path->place,
			     "this file is of users who stand in `users`; a directory tells groups by "
			     "`ldap.groups`");
		return false;
	}
	return !path->text.data || (read_file(load, path, users_read_groups, &login->users) &&
				    (!login->keys || read_file(load, path, users_read_groups, &login->keys->users)));
}

static bool read_second(struct config_load *load, struct login *login)
{
	const struct config_text *path = &login->second_path;
	struct slice content;
	struct users_fault fault;
	if (!path->text.data && login->second_required)
		config_error(load, config_where(load, login, "second_required"),
			     "`second` is missing: the file of the second factors that are required");
	if (!path->text.data)
		return !login->second_required;
	if (!login->page) {
		config_error(load, path->place, "a second factor is asked for by the page, and `page` is false");
		return false;
	}
	if (!config_read_watched(load, path, &content))
		return false;
	if (seconds_read(&login->seconds, content, config_arena(load), &fault))
		return true;
	complain(load, path, &fault);
	return false;
}

static bool is_quotable(struct slice realm)
{
	return slice_find(realm, '"') == realm.length && slice_find(realm, '\\') == realm.length &&
	       syntax_skip_value(realm.data, realm.data + realm.length) == realm.data + realm.length;
}

enum { SECRET_MIN = 16 };

static bool is_domain(struct slice domain)
{
	struct slice host;
	uint16_t port;
	return uri_parse_authority(domain, &host, &port) && host.length == domain.length &&
	       slice_find(domain, '.') < domain.length && domain.data[0] != '.' && domain.data[0] != '[';
}

static bool load_session(struct config_load *load, struct login *login)
{
	struct login_session *session = &login->session;
	if (session->domain.text.data && !is_domain(session->domain.text)) {
		config_error(load, session->domain.place, "\"%.*s\" is no domain such as example.com",
			     SLICE_ARGUMENTS(session->domain.text));
		return false;
	}
	if (session->secret.text.data && session->secret.text.length < SECRET_MIN) {
		config_error(load, session->secret.place, "the secret is guessed easily; expected at least %d bytes",
			     SECRET_MIN);
		return false;
	}
	seal_key_make(session->secret.text, &session->key);
	return true;
}

static void free_keys(void *keys)
{
	jwt_keys_free(keys);
}

static bool is_url(struct slice text)
{
	return slice_starts_with(text, SLICE("https://")) || slice_starts_with(text, SLICE("http://"));
}

static bool read_jwk_set(struct config_load *load, struct login_tokens *tokens)
{
	const struct config_text *path = &tokens->keys_from.url;
	struct slice content;
	const char *why;
	if (!config_read_watched(load, path, &content))
		return false;
	tokens->keys = jwt_keys_read(content, true, &why);
	if (tokens->keys)
		return config_at_free(load, free_keys, tokens->keys);
	config_error(load, path->place, "%.*s: %s", SLICE_ARGUMENTS(path->text), why);
	return false;
}

static bool load_tokens(struct config_load *load, struct login *login)
{
	struct login_tokens *tokens = login->tokens;
	if (!tokens)
		return true;
	const struct config_text *keys = &tokens->keys_from.url;
	if (!keys->text.data && !login->openid) {
		config_error(load, tokens->place,
			     "`keys` is missing: a file or a URL with the keys of whom signs tokens");
		return false;
	}
	if (!tokens->issuer.text.data && login->openid)
		tokens->issuer = login->openid->issuer.url;
	tokens->digest = hash_number(hash_fast(tokens->issuer.text)) ^ hash_fast(tokens->audience.text);
	if (!access_claims_check(load, &tokens->claims))
		return false;
	if (keys->text.data && !is_url(keys->text))
		return read_jwk_set(load, tokens);
	tokens->provider = keys->text.data ? access_issuer_get(load, &tokens->keys_from) : login->openid->provider;
	return tokens->provider != NULL;
}

// Hashes take a core's whole time, for tens of milliseconds: so many at once, of all logins; and so many that wait.
enum { HASHES_AT_ONCE = 2, WAITING_MAX = 64 };

static pthread_once_t hash_places_once = PTHREAD_ONCE_INIT;
static struct places hash_places;

static void make_hash_places(void)
{
	places_init(&hash_places, HASHES_AT_ONCE, WAITING_MAX);
}

static void end_places(void *places)
{
	places_fini(places);
}

// A slow directory, or one that is away, must not hold up other logins: it has places of its own.
static bool load_elsewhere(struct config_load *load, struct login *login)
{
	if (!login->directory && !login->pam)
		return true;
	if (login->directory && login->pam) {
		config_error(load, login->pam->place, "`ldap` and `pam` do not go together; make two logins");
		return false;
	}
	struct places *places = config_alloc(load, sizeof *places);
	if (!places || !(login->directory ? access_directory_load(load, login->directory, &login->elsewhere)
					  : access_pam_load(load, login->pam, &login->elsewhere)))
		return false;
	places_init(places, (unsigned)(login->directory ? login->directory->at_once : login->pam->at_once),
		    WAITING_MAX);
	login->elsewhere.places = places;
	login->has_others = true;
	return config_at_free(load, end_places, places);
}

static bool has_passwords(const struct login *login)
{
	return login->users_path.text.data || login->directory || login->pam;
}

static bool load_users(struct config_load *load, struct login *login)
{
	if (!login->page && !login->basic) {
		config_error(load, login->place, "with neither `page` nor `basic` nobody can log in");
		return false;
	}
	return load_session(load, login) && access_pages_load(load, &login->pages) &&
	       (!login->users_path.text.data || read_users(load, login)) && read_second(load, login) &&
	       load_elsewhere(load, login);
}

static bool load_openid(struct config_load *load, struct login *login)
{
	if (has_passwords(login)) {
		config_error(
			load, login->openid->place,
			"`openid` does not go together with `users`, `ldap` or `pam`: two users could have one name. "
			"Write two logins");
		return false;
	}
	login->has_others = true;
	return load_session(load, login) && access_pages_load(load, &login->pages) &&
	       access_openid_load(load, login->openid);
}

// Without users there is nobody to log in with a password.
static bool load_browsers(struct config_load *load, struct login *login)
{
	if (!has_passwords(login) && !login->openid && !login->tokens && !login->keys) {
		config_error(load, login->place,
			     "a login needs `users`, `ldap`, `pam`, `openid`, `tokens` or `api_keys`");
		return false;
	}
	if (!has_passwords(login) && (login->second_path.text.data || login->second_required)) {
		config_error(load,
			     config_where(load, login, login->second_path.text.data ? "second" : "second_required"),
			     "a second factor is asked for after a password, and this login takes none");
		return false;
	}
	if (has_passwords(login) && !load_users(load, login))
		return false;
	if (!has_passwords(login))
		login->page = login->basic = false;
	return !login->openid || load_openid(load, login);
}

// When all that the digest is of has been read.
static void make_file_source(struct login *login)
{
	(void)pthread_once(&hash_places_once, make_hash_places);
	login->file = (struct source){
		.verify = source_verify_file,
		.self = &login->users,
		.digest = login->users.digest,
		.places = &hash_places,
	};
}

static bool load_login(struct config_load *load, struct login *login)
{
	if (!login->realm.text.data)
		login->realm = login->name;
	if (!is_quotable(login->realm.text)) {
		config_error(load, login->realm.place,
			     "a realm stands in quotes: it has no quotes, backslashes or control characters");
		return false;
	}
	if (!load_browsers(load, login) || !read_keys(load, login->keys) || !read_groups(load, login) ||
	    !load_tokens(load, login))
		return false;
	make_file_source(login);
	return true;
}

// What a login's claims tell servers, nobody else may.
static bool own_fields(struct config_load *load, struct snapshot *snapshot, const struct login *login)
{
	const struct config_pairs *told[] = {login->openid ? &login->openid->claims.fields : NULL,
					     login->tokens ? &login->tokens->claims.fields : NULL};
	bool good = true;
	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		for (size_t j = 0; told[i] && j < told[i]->count && good; j++)
			good = snapshot_own_field(load, snapshot, told[i]->items[j].name.text);
	return good;
}

static bool load(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section)
{
	struct config_list *configured = value;
	struct logins *logins = config_alloc(load, sizeof *logins);
	bool good = logins != NULL;
	if (!good)
		return false;
	if (configured)
		*logins = (struct logins){configured->items, configured->count};
	for (size_t i = 0; i < logins->count; i++)
		good = load_login(load, &logins->items[i]) && own_fields(load, snapshot, &logins->items[i]) && good;
	*ret_section = logins;
	return good;
}

// What rules want to know of users is known when all of them are loaded.
static bool finish(struct config_load *load, struct snapshot *snapshot, void *section)
{
	struct logins *logins = section; // NULL: memory was out
	for (size_t i = 0; logins && i < logins->count; i++) {
		const struct login_openid *openid = logins->items[i].openid;
		if (openid)
			logins->items[i].proof = hash_number(hash_fast(openid->issuer.url.text)) ^
						 hash_number(hash_fast(openid->client_id.text) + 1) ^
						 access_claims_digest(&openid->claims);
	}
	return true;
}

const struct top_section_type logins_section = {
	.key = {.name = "logins",
		.kind = CONFIG_NAMED,
		.section = &login_section,
		.help = "who may log in, under names that `access` uses",
		.form = "a map of names and logins, such as {staff: {users: staff.htpasswd}}"},
	.load = load,
	.finish = finish,
};

bool access_logins_have_pages(const struct snapshot *snapshot)
{
	const struct logins *logins = snapshot_section(snapshot, &logins_section);
	bool have = false;
	for (size_t i = 0; logins && i < logins->count; i++)
		have = have || login_has_sessions(&logins->items[i]);
	return have;
}

const struct login *access_login_find(struct config_load *load, struct snapshot *snapshot,
				      const struct config_text *name)
{
	const struct logins *logins = snapshot_section(snapshot, &logins_section);
	size_t count = logins ? logins->count : 0;
	struct slice *names = config_alloc(load, (count + 1) * sizeof *names);
	if (!names)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(logins->items[i].name.text, name->text))
			return &logins->items[i];
		names[i] = logins->items[i].name.text;
	}
	config_error(load, name->place, "there is no login \"%.*s\" under `logins`%s", SLICE_ARGUMENTS(name->text),
		     config_suggestion(load, name->text, names, count));
	return NULL;
}

static bool want(struct config_load *load, struct access_claims *claims, const struct config_pair *claim)
{
	struct access_claim *wanted = config_alloc(load, sizeof *wanted);
	if (!wanted)
		return false;
	*wanted = (struct access_claim){claims->wanted, claim->name.text, claim->value.text};
	claims->wanted = wanted;
	return true;
}

bool access_login_want(struct config_load *load, const struct login *login, const struct config_pair *claim)
{
	return (!login->openid || want(load, &login->openid->claims, claim)) &&
	       (!login->tokens || want(load, &login->tokens->claims, claim));
}
