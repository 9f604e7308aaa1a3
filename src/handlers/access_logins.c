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
	{"keys", CONFIG_TEXT, offsetof(struct login_tokens, keys_path), .required = true,
	 .help = "a file with a JWK set (RFC 7517): the keys by which tokens are signed; taken without a reload when "
		 "it is "
		 "replaced",
	 .form = "a path such as keys.json"},
	{"issuer", CONFIG_TEXT, offsetof(struct login_tokens, issuer),
	 .help = "who must have made them (iss); any unless it is written"},
	{"audience", CONFIG_TEXT, offsetof(struct login_tokens, audience),
	 .help = "for whom they must be (aud); any unless it is written"},
	{"user", CONFIG_TEXT, offsetof(struct login_tokens, user), "sub", "the claim that names the user"},
	{"groups", CONFIG_TEXT, offsetof(struct login_tokens, groups), "groups",
	 "the claim that names his groups, as a list"},
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
	{"groups", CONFIG_TEXT, offsetof(struct login, groups_path),
	 .help = "a file of groups, each line GROUP: USER USER ...; taken without a reload when it is replaced",
	 .form = "a path such as staff.groups"},
	{"second", CONFIG_TEXT, offsetof(struct login, second_path),
	 .help = "a file of second factors (one-time passwords by time, RFC 6238), as `usher user second` writes it: "
		 "who stands in "
		 "it logs in by the page alone, and with a code, or one of his recovery codes, besides; taken without "
		 "a reload when it is replaced",
	 .form = "a path such as staff.second"},
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
	return !path->text.data || (read_file(load, path, users_read_groups, &login->users) &&
				    (!login->keys || read_file(load, path, users_read_groups, &login->keys->users)));
}

static bool read_second(struct config_load *load, struct login *login)
{
	if (!login->second_path.text.data)
		return true;
	if (login->page)
		return read_file(load, &login->second_path, users_read_second, &login->users);
	config_error(load, login->second_path.place, "a second factor is asked for by the page, and `page` is false");
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
	if (!login->page && !login->basic) {
		config_error(load, login->place, "with neither `page` nor `basic` nobody can log in");
		return false;
	}
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
	session_key_make(session->secret.text, &session->key);
	return true;
}

static void free_keys(void *keys)
{
	jwt_keys_free(keys);
}

static bool load_tokens(struct config_load *load, struct login *login)
{
	struct login_tokens *tokens = login->tokens;
	struct slice content;
	const char *why;
	if (!tokens)
		return true;
	if (!config_read_watched(load, &tokens->keys_path, &content))
		return false;
	tokens->keys = jwt_keys_read(content, &why);
	if (!tokens->keys) {
		config_error(load, tokens->keys_path.place, "%.*s: %s", SLICE_ARGUMENTS(tokens->keys_path.text), why);
		return false;
	}
	tokens->digest = hash_number(hash_fast(content) + 1) ^ hash_fast(tokens->issuer.text) ^
			 hash_number(hash_fast(tokens->audience.text));
	return config_at_free(load, free_keys, tokens->keys);
}

// Without users there is nobody to log in with a password.
static bool load_users(struct config_load *load, struct login *login)
{
	if (login->users_path.text.data)
		return load_session(load, login) && access_pages_load(load, &login->pages) && read_users(load, login) &&
		       read_second(load, login);
	if (!login->tokens && !login->keys) {
		config_error(load, login->place, "a login needs `users`, `tokens` or `api_keys`");
		return false;
	}
	login->page = login->basic = false;
	return true;
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
	return load_users(load, login) && read_keys(load, login->keys) && read_groups(load, login) &&
	       load_tokens(load, login);
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
		good = load_login(load, &logins->items[i]) && good;
	*ret_section = logins;
	return good;
}

const struct top_section_type logins_section = {
	.key = {.name = "logins",
		.kind = CONFIG_NAMED,
		.section = &login_section,
		.help = "who may log in, under names that `access` uses",
		.form = "a map of names and logins, such as {staff: {users: staff.htpasswd}}"},
	.load = load,
};

bool access_logins_have_pages(const struct snapshot *snapshot)
{
	const struct logins *logins = snapshot_section(snapshot, &logins_section);
	bool have = false;
	for (size_t i = 0; logins && i < logins->count; i++)
		have = have || logins->items[i].page;
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
