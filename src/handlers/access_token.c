#include "handlers/access_token.h"

#include "access/jwt.h"
#include "access/remembered.h"
#include "fiber/loop.h"

#include <string.h>

static const struct slice scheme = {"Bearer ", 7};

bool access_token_is_given(struct slice value)
{
	return value.length > scheme.length && slice_equal_nocase(slice_first(value, scheme.length), scheme);
}

// Of a claim: a text, or a list of texts, with commas between.
static struct slice texts_of(struct arena *arena, const json_t *claim)
{
	struct slice texts = SLICE("");
	const json_t *one;
	size_t i;
	if (json_is_string(claim))
		return arena_copy(arena, slice_from(json_string_value(claim), json_string_length(claim)));
	json_array_foreach(claim, i, one)
	{
		struct slice text = slice_from(json_string_value(one), json_string_length(one));
		// A comma would make two groups of one.
		if (json_is_string(one) && slice_find(text, ',') == text.length)
			texts = arena_printf(arena, "%.*s%s%.*s", SLICE_ARGUMENTS(texts), texts.length ? "," : "",
					     SLICE_ARGUMENTS(text));
	}
	return texts;
}

static const struct user *user_of(struct exchange *exchange, const struct login_tokens *tokens, const json_t *claims)
{
	struct arena *arena = exchange_arena(exchange);
	struct user *user = arena_zalloc(arena, sizeof *user);
	const json_t *name = json_object_get(claims, tokens->user.text.data);
	if (!user || !json_is_string(name))
		return NULL;
	user->name = texts_of(arena, name);
	user->groups = texts_of(arena, json_object_get(claims, tokens->groups.text.data));
	bool is_good = user->name.length > 0 && user->name.length <= USERS_NAME_MAX && slice_is_printable(user->name) &&
		       user->groups.data && slice_is_printable(user->groups);
	return is_good ? user : NULL;
}

// A signature that was found right is not looked at again for a minute.
static json_t *verify(const struct login *login, struct slice token, const char **ret_why)
{
	const struct login_tokens *tokens = login->tokens;
	const struct jwt_rules rules = {tokens->keys, tokens->issuer.text, tokens->audience.text,
					tokens->leeway_ns / SECOND_NS};
	const struct remembered_login known = {tokens->digest, SLICE(""), token};
	bool is_known = remembered_has(&known, loop_now_exact());
	json_t *claims = jwt_verify(&rules, token, is_known, loop_wall_clock() / SECOND_NS, ret_why);
	if (claims && !is_known && login->remember_ns > 0)
		remembered_put(&known, loop_now_exact() + login->remember_ns);
	return claims;
}

const struct user *access_token_take(struct exchange *exchange, const struct access_config *config, struct slice value,
				     const char **ret_why)
{
	struct slice token = slice_trim(slice_after(value, scheme.length));
	*ret_why = "no login takes tokens";
	for (size_t i = 0; i < config->login_count; i++) {
		if (!config->logins[i]->tokens)
			continue;
		json_t *claims = verify(config->logins[i], token, ret_why);
		if (!claims)
			continue;
		const struct user *user = user_of(exchange, config->logins[i]->tokens, claims);
		json_decref(claims);
		*ret_why = user ? NULL : "it names no user";
		if (user)
			return user;
	}
	return NULL;
}
