#include "handlers/access_claims.h"

#include "base/hash.h"
#include "base/text.h"
#include "exchange/identity.h"
#include "http/syntax.h"

#include <stdio.h>

enum { VALUE_MAX = 1024, NUMBER_MAX = 24 };

// --- Claims

// By its name, or by the names of objects within each other: "realm_access.roles".
static const json_t *find(const json_t *said, struct slice name)
{
	struct slice first, rest;
	const json_t *claim = json_object_getn(said, name.data, name.length);
	if (claim || !slice_cut(name, '.', &first, &rest))
		return claim;
	const json_t *inner = json_object_getn(said, first.data, first.length);
	return json_is_object(inner) ? find(inner, rest) : NULL;
}

// Of a claim that is no list; empty for one that is passed over.
static struct slice text_of_one(const json_t *claim, struct arena *arena)
{
	struct slice text = SLICE("");
	if (json_is_string(claim))
		text = arena_copy(arena, slice_from(json_string_value(claim), json_string_length(claim)));
	else if (json_is_integer(claim))
		text = arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(claim));
	else if (json_is_boolean(claim))
		text = json_is_true(claim) ? SLICE("true") : SLICE("false");
	return text.length <= VALUE_MAX && slice_is_printable(text) ? text : SLICE("");
}

static size_t bound_of_list(const json_t *list)
{
	const json_t *one;
	size_t i, bound = 0;
	json_array_foreach(list, i, one) bound += 1 + (json_is_string(one) ? json_string_length(one) : NUMBER_MAX);
	return bound;
}

// A list with commas in between. .data is NULL when memory is out.
static struct slice text_of(const json_t *claim, struct arena *arena)
{
	const json_t *one;
	struct text texts;
	size_t i;
	if (!json_is_array(claim))
		return text_of_one(claim, arena);
	size_t bound = bound_of_list(claim);
	char *room = arena_alloc(arena, bound + 1);
	if (!room)
		return (struct slice){0};
	text_init(&texts, room, bound);
	json_array_foreach(claim, i, one)
	{
		struct slice text = text_of_one(one, arena);
		// A comma would make two of one.
		if (text.length == 0 || slice_find(text, ',') < text.length)
			continue;
		if (texts.length > 0)
			text_add_char(&texts, ',');
		text_add(&texts, text);
	}
	return text_slice(&texts);
}

static bool has_value(const json_t *claim, struct slice value, struct arena *arena)
{
	const json_t *one;
	size_t i;
	json_array_foreach(claim, i, one) if (slice_equal(text_of_one(one, arena), value)) return true;
	return slice_equal(text_of_one(claim, arena), value);
}

// --- Who it is

// "Name: value\n" each.
static struct slice told_of(const struct access_claims *claims, const json_t *said, struct arena *arena)
{
	struct slice told = SLICE("");
	for (size_t i = 0; i < claims->fields.count && told.data; i++) {
		const struct config_pair *pair = &claims->fields.items[i];
		struct slice value = slice_trim(text_of(find(said, pair->value.text), arena));
		if (value.length > 0 && value.length <= VALUE_MAX)
			told = arena_printf(arena, "%.*s%.*s: %.*s\n", SLICE_ARGUMENTS(told),
					    SLICE_ARGUMENTS(pair->name.text), SLICE_ARGUMENTS(value));
	}
	return told;
}

// "name\tvalue\n" each: of what rules want, what he has.
static struct slice wanted_of(const struct access_claims *claims, const json_t *said, struct arena *arena)
{
	struct slice has = SLICE("");
	for (const struct access_claim *wanted = claims->wanted; wanted && has.data; wanted = wanted->next)
		if (has_value(find(said, wanted->name), wanted->value, arena))
			has = arena_printf(arena, "%.*s%.*s\t%.*s\n", SLICE_ARGUMENTS(has),
					   SLICE_ARGUMENTS(wanted->name), SLICE_ARGUMENTS(wanted->value));
	return has;
}

// An address that its provider did not verify is anybody's (OpenID Connect Core 1.0 section 5.7).
static bool is_unverified(const struct access_claims *claims, const json_t *said, struct slice name)
{
	const json_t *verified = json_object_get(said, "email_verified");
	return slice_equal(name, claims->email.text) &&
	       (json_is_false(verified) ||
		(json_is_string(verified) &&
		 slice_equal_nocase(slice_from_string(json_string_value(verified)), SLICE("false"))));
}

const struct user *access_claims_user(const struct access_claims *claims, const json_t *said, struct arena *arena,
				      const char **ret_why)
{
	const json_t *name = find(said, claims->user.text);
	struct user *user = arena_zalloc(arena, sizeof *user);
	*ret_why = "it names no user";
	if (!json_is_string(name))
		return NULL;
	if (is_unverified(claims, said, claims->user.text)) {
		*ret_why = "the provider has not verified the address of mail that names the user";
		return NULL;
	}
	*ret_why = "memory is out";
	if (!user)
		return NULL;
	user->name = text_of_one(name, arena);
	user->groups = text_of(find(said, claims->groups.text), arena);
	user->email = is_unverified(claims, said, claims->email.text)
			      ? SLICE("")
			      : text_of_one(find(said, claims->email.text), arena);
	user->told = told_of(claims, said, arena);
	user->claims = wanted_of(claims, said, arena);
	if (!user->name.data || !user->groups.data || !user->email.data || !user->told.data || !user->claims.data)
		return NULL;
	*ret_why = "it names a user whose name is empty, too long, or has control characters";
	return user->name.length > 0 && user->name.length <= USERS_NAME_MAX ? user : NULL;
}

bool access_claims_miss(const struct access_claims *claims, const json_t *said)
{
	if (!find(said, claims->user.text) || !find(said, claims->groups.text) || !find(said, claims->email.text))
		return true;
	for (size_t i = 0; i < claims->fields.count; i++)
		if (!find(said, claims->fields.items[i].value.text))
			return true;
	for (const struct access_claim *wanted = claims->wanted; wanted; wanted = wanted->next)
		if (!find(said, wanted->name))
			return true;
	return false;
}

// --- Rules

static bool has_pair(const struct user *user, const struct config_pair *pair)
{
	struct slice rest = user->claims, line, name, value;
	while (slice_next_line(&rest, &line))
		if (slice_cut(line, '\t', &name, &value) && slice_equal(name, pair->name.text) &&
		    slice_equal(value, pair->value.text))
			return true;
	return false;
}

bool access_claims_hold(const struct config_pairs *pairs, const struct user *user)
{
	for (size_t i = 0; i < pairs->count; i++) {
		bool holds = false;
		for (size_t j = 0; j < pairs->count && !holds; j++)
			holds = slice_equal(pairs->items[j].name.text, pairs->items[i].name.text) &&
				has_pair(user, &pairs->items[j]);
		if (!holds)
			return false;
	}
	return true;
}

// --- Configuration

bool access_claims_check(struct config_load *load, const struct access_claims *claims)
{
	bool good = true;
	for (size_t i = 0; i < claims->fields.count; i++) {
		const struct config_text *name = &claims->fields.items[i].name;
		bool is_token = syntax_all(name->text, SYNTAX_TOKEN);
		if (is_token && field_id_of(name->text) == FIELD_OTHER && !identity_is_known(name->text))
			continue;
		config_error(load, name->place,
			     is_token ? "\"%.*s\" has a meaning of its own; expected a field such as X-Department"
				      : "\"%.*s\" is no name of a field, such as X-Department",
			     SLICE_ARGUMENTS(name->text));
		good = false;
	}
	return good;
}

uint64_t access_claims_digest(const struct access_claims *claims)
{
	uint64_t digest = hash_fast(claims->user.text);
	digest = hash_number(digest) ^ hash_fast(claims->groups.text);
	digest = hash_number(digest) ^ hash_fast(claims->email.text);
	for (size_t i = 0; i < claims->fields.count; i++) {
		digest = hash_number(digest) ^ hash_fast(claims->fields.items[i].name.text);
		digest = hash_number(digest) ^ hash_fast(claims->fields.items[i].value.text);
	}
	for (const struct access_claim *wanted = claims->wanted; wanted; wanted = wanted->next) {
		digest = hash_number(digest) ^ hash_fast(wanted->name);
		digest = hash_number(digest) ^ hash_fast(wanted->value);
	}
	return digest;
}
