#include "handlers/access_tell.h"

#include "access/jwt_kept.h"
#include "access/jwt_sign.h"
#include "base/base64.h"
#include "base/hash.h"
#include "base/text.h"
#include "exchange/escape.h"
#include "exchange/identity.h"
#include "exchange/snapshot.h"
#include "exchange/variables.h"
#include "fiber/loop.h"
#include "http/syntax.h"

#include <openssl/crypto.h>
#include <stddef.h>

// --- Keys

static const struct config_key login_keys[] = {
	{"user", CONFIG_TEXT, offsetof(struct server_login, user), "$user",
	 "the user name that servers get; with variables, such as CORP\\$user"},
	{"password", CONFIG_TEXT, offsetof(struct server_login, password), .required = true,
	 .help = "the password that servers get; `own`: the visitor's, as far as he has given one",
	 .form = "own, or a text such as ${SERVER_PASSWORD}", .secret = true},
	{0},
};

const struct config_section server_login_section = {
	.name = "access.server_login",
	.help = "Servers are logged in to by Basic (RFC 7617), in the place of what the visitor sends as "
		"Authorization.",
	.size = sizeof(struct server_login),
	.keys = login_keys,
	.place_offset = offsetof(struct server_login, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "password",
};

static const struct config_key token_keys[] = {
	{"key", CONFIG_TEXT, offsetof(struct server_token, key_path),
	 .help = "a file with a private key in PEM (EC, Ed25519, or RSA): servers verify tokens by its public key; "
		 "taken without a reload when it is replaced",
	 .form = "a path such as tokens.pem"},
	{"secret", CONFIG_TEXT, offsetof(struct server_token, secret),
	 .help = "in its place: a secret that the servers have, too (HS256)",
	 .form = "32 bytes at least, such as ${TOKEN_SECRET}", .secret = true},
	{"key_id", CONFIG_TEXT, offsetof(struct server_token, key_id), .help = "the key's name (kid)"},
	{"field", CONFIG_TEXT, offsetof(struct server_token, field), "X-Forwarded-Jwt",
	 "the field of the request that holds the token; in Authorization, it is a Bearer's"},
	{"issuer", CONFIG_TEXT, offsetof(struct server_token, issuer), "usher", "who made it (iss)"},
	{"audience", CONFIG_TEXT, offsetof(struct server_token, audience),
	 .help = "for whom it is (aud); the host that was asked for unless it is written"},
	{"lifetime", CONFIG_DURATION, offsetof(struct server_token, lifetime_ns), "1m",
	 "it holds for so long; one that is at most half as old is sent again", .min = 2 * SECOND_NS,
	 .max = 3600 * SECOND_NS},
	{0},
};

const struct config_section server_token_section = {
	.name = "access.server_token",
	.help = "Servers get a JSON Web Token (RFC 7519) that tells who has logged in: sub, groups, email.",
	.size = sizeof(struct server_token),
	.keys = token_keys,
	.place_offset = offsetof(struct server_token, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "key",
};

// --- Loading

static bool load_login(struct config_load *load, struct server_login *login)
{
	login->is_own = slice_equal(login->password.text, SLICE("own"));
	return variables_load(load, &login->user, 0, &login->user_template);
}

static void free_signer(void *signer)
{
	jwt_signer_free(signer);
}

static bool load_signer(struct config_load *load, struct server_token *token)
{
	struct slice content = token->secret.text;
	bool is_key = token->key_path.text.data != NULL;
	const char *why;
	if (is_key == (content.data != NULL)) {
		config_error(load, token->place, "tokens are signed with either a `key` or a `secret`");
		return false;
	}
	if (is_key && !config_read_watched(load, &token->key_path, &content))
		return false;
	token->signer = is_key ? jwt_signer_by_key(content, &why) : jwt_signer_by_secret(content, &why);
	if (!token->signer) {
		config_error(load, is_key ? token->key_path.place : token->secret.place, "%s", why);
		return false;
	}
	token->digest = hash_number(hash_fast(content) ^ hash_number((uint64_t)token->lifetime_ns)) ^
			hash_fast(token->key_id.text);
	return config_at_free(load, free_signer, token->signer);
}

static bool load_token(struct config_load *load, struct snapshot *snapshot, struct server_token *token)
{
	const struct config_text *id = &token->key_id;
	if (!syntax_all(token->field.text, SYNTAX_TOKEN)) {
		config_error(load, token->field.place, "\"%.*s\" is no name of a field, such as X-Forwarded-Jwt",
			     SLICE_ARGUMENTS(token->field.text));
		return false;
	}
	if (id->text.length > 0 && !syntax_all(id->text, SYNTAX_TOKEN)) {
		config_error(load, id->place, "\"%.*s\" is no name of a key, such as 2026-11",
			     SLICE_ARGUMENTS(id->text));
		return false;
	}
	return load_signer(load, token) && snapshot_own_field(load, snapshot, token->field.text);
}

bool access_telling_load(struct config_load *load, struct snapshot *snapshot, struct access_telling *telling)
{
	return (!telling->login || load_login(load, telling->login)) &&
	       (!telling->token || load_token(load, snapshot, telling->token));
}

// --- Logging in to servers (RFC 7617 section 2)

enum { CREDENTIALS_MAX = 1024 };

static bool log_in(struct exchange *exchange, const struct server_login *login, struct slice own_password)
{
	struct slice user = variables_expand(exchange, &login->user_template),
		     password = login->is_own ? own_password : login->password.text;
	struct fields *fields = &exchange_request(exchange)->fields;
	char plain[CREDENTIALS_MAX], text[sizeof "Basic " + BASE64_LENGTH(CREDENTIALS_MAX)] = "Basic ";
	(void)fields_remove(fields, FIELD_AUTHORIZATION);
	if (!user.data)
		return false;
	// A colon would end the name; nobody has one that long.
	if (user.length == 0 || password.length == 0 || slice_find(user, ':') < user.length ||
	    user.length + 1 + password.length > sizeof plain)
		return true;
	size_t length =
		(size_t)snprintf(plain, sizeof plain, "%.*s:%.*s", SLICE_ARGUMENTS(user), SLICE_ARGUMENTS(password));
	size_t written = base64_encode(BASE64_PADDED, slice_from(plain, length), text + sizeof "Basic " - 1);
	struct slice value = arena_copy(exchange_arena(exchange), slice_from(text, sizeof "Basic " - 1 + written));
	OPENSSL_cleanse(plain, sizeof plain);
	OPENSSL_cleanse(text, sizeof text);
	return value.data && fields_add(fields, exchange_arena(exchange), FIELD_AUTHORIZATION, value);
}

// --- Tokens

// A string of JSON.
static struct slice quote(struct arena *arena, struct slice text)
{
	struct slice escaped = escape(text.data ? text : SLICE(""), ESCAPE_JSON, arena);
	return escaped.data ? arena_printf(arena, "\"%.*s\"", SLICE_ARGUMENTS(escaped)) : escaped;
}

// A list of them; `groups` are separated by commas, which stay what they are.
static struct slice quote_groups(struct arena *arena, struct slice groups)
{
	struct slice quoted = groups.length > 0 ? quote(arena, groups) : SLICE(""), group;
	size_t bound = quoted.length + 2 * slice_count(quoted, ',');
	char *room = quoted.data ? arena_alloc(arena, bound + 1) : NULL;
	struct text list;
	if (!room)
		return (struct slice){0};
	text_init(&list, room, bound);
	for (bool more = quoted.length > 0; more;) {
		more = slice_cut(quoted, ',', &group, &quoted);
		text_add(&list, group);
		if (more)
			text_add(&list, SLICE("\",\""));
	}
	return text_slice(&list);
}

// All but their times, and the end of the object.
static struct slice claims_of(struct exchange *exchange, const struct server_token *token)
{
	struct arena *arena = exchange_arena(exchange);
	bool has_email = exchange->email.length > 0;
	struct slice issuer = quote(arena, token->issuer.text),
		     audience = quote(arena, token->audience.text.data ? token->audience.text : exchange->host),
		     user = quote(arena, exchange->user), email = quote(arena, exchange->email),
		     groups = quote_groups(arena, exchange->groups);
	if (!issuer.data || !audience.data || !user.data || !email.data || !groups.data)
		return (struct slice){0};
	return arena_printf(arena, "{\"iss\":%.*s,\"aud\":%.*s,\"sub\":%.*s,\"groups\":[%.*s]%s%.*s",
			    SLICE_ARGUMENTS(issuer), SLICE_ARGUMENTS(audience), SLICE_ARGUMENTS(user),
			    SLICE_ARGUMENTS(groups), has_email ? ",\"email\":" : "",
			    SLICE_ARGUMENTS(has_email ? email : SLICE_EMPTY));
}

static struct slice token_of(struct exchange *exchange, const struct server_token *token)
{
	struct arena *arena = exchange_arena(exchange);
	int64_t now_s = loop_wall_clock() / SECOND_NS, lifetime_s = token->lifetime_ns / SECOND_NS;
	struct slice claims = claims_of(exchange, token);
	if (!claims.data)
		return claims;
	struct slice text = jwt_kept_find(token->digest, claims, now_s, arena);
	if (text.data)
		return text;
	struct slice whole = arena_printf(arena, "%.*s,\"iat\":%lld,\"exp\":%lld}", SLICE_ARGUMENTS(claims),
					  (long long)now_s, (long long)(now_s + lifetime_s));
	text = whole.data ? jwt_sign(token->signer, token->key_id.text, whole, arena) : whole;
	if (text.data)
		jwt_kept_put(token->digest, claims, text, now_s + lifetime_s / 2);
	return text;
}

static bool send_token(struct exchange *exchange, const struct server_token *token)
{
	struct fields *fields = &exchange_request(exchange)->fields;
	struct arena *arena = exchange_arena(exchange);
	if (exchange->user.length == 0) {
		(void)fields_remove_name(fields, token->field.text);
		return true;
	}
	struct slice text = token_of(exchange, token);
	if (slice_equal_nocase(token->field.text, SLICE("Authorization")))
		text = text.data ? arena_printf(arena, "Bearer %.*s", SLICE_ARGUMENTS(text)) : text;
	return text.data && fields_set_name(fields, arena, token->field.text, text);
}

// What logins tell of a user.
static bool tell_claims(struct exchange *exchange, struct slice told)
{
	struct fields *fields = &exchange_request(exchange)->fields;
	struct slice line, name, value;
	bool good = true;
	while (good && slice_next_line(&told, &line))
		if (slice_cut(line, ':', &name, &value))
			good = fields_add_name(fields, exchange_arena(exchange), name, slice_trim(value));
	return good;
}

bool access_tell(struct exchange *exchange, const struct access_telling *telling, struct slice told,
		 struct slice password)
{
	return identity_tell(exchange, identity_user_fields[telling->user_field],
			     identity_groups_fields[telling->groups_field],
			     identity_email_fields[telling->email_field]) &&
	       tell_claims(exchange, told) && (!telling->login || log_in(exchange, telling->login, password)) &&
	       (!telling->token || send_token(exchange, telling->token));
}
