#include "handlers/access_token.h"

#include "access/jwt.h"
#include "access/remembered.h"
#include "base/hash.h"
#include "fiber/loop.h"

static const struct slice scheme = {"Bearer ", 7};

bool access_token_is_given(struct slice value)
{
	return value.length > scheme.length && slice_equal_nocase(slice_first(value, scheme.length), scheme);
}

// A signature that was found right is not looked at again for a minute.
static json_t *verify(const struct login *login, struct slice token, const char **ret_why)
{
	const struct login_tokens *tokens = login->tokens;
	const struct provider_facts *facts = tokens->provider ? provider_facts(tokens->provider) : NULL;
	const struct jwt_keys *keys = facts ? facts->keys : tokens->keys;
	const struct jwt_rules rules = {keys, tokens->issuer.text, tokens->audience.text,
					tokens->leeway_ns / SECOND_NS};
	*ret_why = access_issuer_away;
	if (!keys)
		return NULL;
	const struct remembered_login known = {hash_number(tokens->digest) ^ jwt_keys_digest(keys), SLICE(""), token};
	bool is_known = remembered_has(&known, loop_now_exact());
	json_t *claims = jwt_verify(&rules, token, is_known, loop_wall_clock() / SECOND_NS, ret_why);
	if (claims && !is_known && login->remember_ns > 0)
		remembered_put(&known, loop_now_exact() + login->remember_ns);
	return claims;
}

static json_t *verify_by_news(const struct login *login, struct slice token, const char **ret_why)
{
	struct provider *provider = login->tokens->provider;
	const struct provider_facts *before = provider ? provider_facts(provider) : NULL;
	json_t *claims = verify(login, token, ret_why);
	if (!claims && provider && access_issuer_has_news(provider, before, *ret_why))
		claims = verify(login, token, ret_why);
	return claims;
}

static const struct user *user_of(struct exchange *exchange, const struct login *login, struct slice token,
				  const char **ret_why)
{
	const struct user *user = NULL;
	json_t *claims = verify_by_news(login, token, ret_why);
	if (claims)
		user = access_claims_user(&login->tokens->claims, claims, exchange_arena(exchange), ret_why);
	json_decref(claims);
	return user;
}

const struct user *access_token_take(struct exchange *exchange, const struct access_config *config, struct slice value,
				     const char **ret_why)
{
	struct slice token = slice_trim(slice_after(value, scheme.length));
	const char *why;
	*ret_why = "no login takes tokens";
	for (size_t i = 0; i < config->login_count; i++) {
		if (!config->logins[i]->tokens)
			continue;
		const struct user *user = user_of(exchange, config->logins[i], token, &why);
		if (user)
			return user;
		// That may be right which nobody can verify now.
		if (*ret_why != access_issuer_away)
			*ret_why = why;
	}
	return NULL;
}
