#include "access/users.h"

#include "access/password.h"
#include "base/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

// --- Reading

static int compare(const void *left, const void *right)
{
	const struct slice a = ((const struct user *)left)->name, b = ((const struct user *)right)->name;
	int order = memcmp(a.data, b.data, a.length < b.length ? a.length : b.length);
	return order ? order : a.length < b.length ? -1 : a.length > b.length;
}

enum hashes { HASHES_NEW, HASHES_OLD_TOO, HASHES_OF_KEYS };

static bool is_digest(struct slice hash)
{
	for (size_t i = 0; i < hash.length; i++)
		if (!((hash.data[i] >= '0' && hash.data[i] <= '9') || (hash.data[i] >= 'a' && hash.data[i] <= 'f')))
			return false;
	return hash.length == API_KEY_DIGITS;
}

static const char *fault_of(struct slice name, struct slice hash, enum hashes allowed)
{
	if (name.length == 0 || name.length > USERS_NAME_MAX || !slice_is_printable(name))
		return "expected NAME:HASH, with a name of 1 to 128 printable bytes";
	if (allowed == HASHES_OF_KEYS)
		return is_digest(hash) ? NULL
				       : "expected NAME:SHA-256, with 64 hexadecimal digits in lower case, as `usher "
					 "user key` makes it";
	if (hash.length >= PASSWORD_HASH_MAX)
		return "the hash is longer than any";
	switch (password_kind_of(hash)) {
	case PASSWORD_UNKNOWN:
		return "this is no hash that usher can verify; `usher user add` makes one";
	case PASSWORD_OLD:
		return allowed == HASHES_OLD_TOO
			       ? NULL
			       : "a hash of this old kind is guessed within hours; make a new one with `usher user "
				 "add`, or allow it by `old_hashes: true`";
	case PASSWORD_BCRYPT:
	case PASSWORD_SHA256:
	case PASSWORD_SHA512:
	case PASSWORD_YESCRYPT:
	case PASSWORD_ARGON2:
		return NULL;
	}
	return NULL;
}

static bool is_passed_over(struct slice line)
{
	line = slice_trim(line);
	return line.length == 0 || line.data[0] == '#';
}

static bool fail(unsigned line, const char *why, struct users_fault *ret_fault)
{
	*ret_fault = (struct users_fault){line, why};
	return false;
}

static bool find_doubles(const struct users *users, struct users_fault *ret_fault)
{
	for (size_t i = 1; i < users->count; i++)
		if (compare(&users->items[i - 1], &users->items[i]) == 0)
			return fail(0, "a user is named twice", ret_fault);
	return true;
}

static bool read_hashes(struct users *users, struct slice content, enum hashes allowed, struct arena *arena,
			struct users_fault *ret_fault)
{
	struct slice rest = content, line, name, hash, more;
	*users = (struct users){.digest = hash_fast(content)};
	users->items = arena_alloc(arena, (slice_count(content, '\n') + 1) * sizeof *users->items);
	if (!users->items)
		return fail(0, "no memory", ret_fault);
	for (unsigned number = 1; slice_next_line(&rest, &line); number++) {
		if (is_passed_over(line))
			continue;
		if (!slice_cut(line, ':', &name, &hash))
			hash = SLICE_EMPTY;
		(void)slice_cut(hash, ':', &hash, &more);
		const char *why = fault_of(name, hash, allowed);
		if (why)
			return fail(number, why, ret_fault);
		struct user user = {.name = arena_copy(arena, name), .hash = arena_copy(arena, hash)};
		if (!user.name.data || !user.hash.data)
			return fail(0, "no memory", ret_fault);
		users->items[users->count++] = user;
	}
	users->dummy = users->count > 0 ? users->items[0].hash : SLICE_EMPTY;
	qsort(users->items, users->count, sizeof *users->items, compare);
	return find_doubles(users, ret_fault);
}

bool users_read(struct users *users, struct slice content, bool old_allowed, struct arena *arena,
		struct users_fault *ret_fault)
{
	return read_hashes(users, content, old_allowed ? HASHES_OLD_TOO : HASHES_NEW, arena, ret_fault);
}

static int compare_hashes(const void *left, const void *right)
{
	const struct user *a = *(const struct user *const *)left, *b = *(const struct user *const *)right;
	return memcmp(a->hash.data, b->hash.data, API_KEY_DIGITS);
}

bool users_read_keys(struct users *keys, struct slice content, struct arena *arena, struct users_fault *ret_fault)
{
	if (!read_hashes(keys, content, HASHES_OF_KEYS, arena, ret_fault))
		return false;
	keys->by_hash = arena_alloc(arena, (keys->count + 1) * sizeof(const struct user *));
	if (!keys->by_hash)
		return fail(0, "no memory", ret_fault);
	for (size_t i = 0; i < keys->count; i++)
		keys->by_hash[i] = &keys->items[i];
	qsort(keys->by_hash, keys->count, sizeof(const struct user *), compare_hashes);
	for (size_t i = 1; i < keys->count; i++)
		if (compare_hashes(&keys->by_hash[i - 1], &keys->by_hash[i]) == 0)
			return fail(0, "two have the same key", ret_fault);
	return true;
}

static bool add_group(struct users *users, struct slice name, struct slice group, struct arena *arena)
{
	struct user *user = (struct user *)users_find(users, name);
	if (!user || user_is_in(user, group))
		return true;
	user->groups = arena_printf(arena, "%.*s%s%.*s", SLICE_ARGUMENTS(user->groups), user->groups.length ? "," : "",
				    SLICE_ARGUMENTS(group));
	return user->groups.data != NULL;
}

bool users_is_group(struct slice group)
{
	return group.length > 0 && group.length <= USERS_NAME_MAX && slice_is_printable(group) &&
	       slice_find(group, ',') == group.length;
}

bool users_read_groups(struct users *users, struct slice content, struct arena *arena, struct users_fault *ret_fault)
{
	struct slice rest = content, line, group, names, name;
	users->digest = hash_number(users->digest ^ hash_fast(content));
	for (unsigned number = 1; slice_next_line(&rest, &line); number++) {
		if (is_passed_over(line))
			continue;
		bool has_names = slice_cut(line, ':', &group, &names);
		group = slice_trim(group);
		if (!has_names || !users_is_group(group))
			return fail(number, "expected GROUP: USER USER ...", ret_fault);
		for (bool more = true; more;) {
			more = slice_cut(slice_trim(names), ' ', &name, &names);
			if (name.length > 0 && !add_group(users, name, group, arena))
				return fail(0, "no memory", ret_fault);
		}
	}
	return true;
}

// --- Finding

const struct user *users_find(const struct users *users, struct slice name)
{
	const struct user wanted = {.name = name};
	return users->count > 0 ? bsearch(&wanted, users->items, users->count, sizeof *users->items, compare) : NULL;
}

bool api_key_digest(struct slice key, char ret_digits[API_KEY_DIGITS + 1])
{
	static const char hexadecimal[] = "0123456789abcdef";
	unsigned char digest[API_KEY_DIGITS / 2];
	if (EVP_Digest(key.data, key.length, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (size_t i = 0; i < sizeof digest; i++) {
		ret_digits[i * 2] = hexadecimal[digest[i] >> 4];
		ret_digits[i * 2 + 1] = hexadecimal[digest[i] & 15];
	}
	ret_digits[API_KEY_DIGITS] = '\0';
	return true;
}

const struct user *users_find_key(const struct users *keys, struct slice key)
{
	char digits[API_KEY_DIGITS + 1];
	if (keys->count == 0 || !api_key_digest(key, digits))
		return NULL;
	const struct user wanted = {.hash = slice_from(digits, API_KEY_DIGITS)}, *pointer = &wanted;
	const struct user **found =
		bsearch(&pointer, keys->by_hash, keys->count, sizeof(const struct user *), compare_hashes);
	return found ? *found : NULL;
}

bool user_is_in(const struct user *user, struct slice group)
{
	struct slice rest = user->groups, one;
	for (bool more = rest.length > 0; more;) {
		more = slice_cut(rest, ',', &one, &rest);
		if (slice_equal(one, group))
			return true;
	}
	return false;
}
