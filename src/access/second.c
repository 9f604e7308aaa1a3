#include "access/second.h"

#include "access/recovery.h"
#include "access/totp.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

// --- Order

static int compare_bytes(struct slice a, struct slice b, bool in_any_case)
{
	for (size_t i = 0; i < a.length && i < b.length; i++) {
		unsigned char x = (unsigned char)(in_any_case ? ascii_lower(a.data[i]) : a.data[i]),
			      y = (unsigned char)(in_any_case ? ascii_lower(b.data[i]) : b.data[i]);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.length > b.length) - (a.length < b.length);
}

static int compare_in_any_case(const void *left, const void *right)
{
	return compare_bytes(((const struct second *)left)->user, ((const struct second *)right)->user, true);
}

static int compare(const void *left, const void *right)
{
	int order = compare_in_any_case(left, right);
	return order ? order
		     : compare_bytes(((const struct second *)left)->user, ((const struct second *)right)->user, false);
}

// --- Reading

static bool fail(unsigned line, const char *why, struct users_fault *ret_fault)
{
	*ret_fault = (struct users_fault){line, why};
	return false;
}

// The parts of a line, where they stand. False: it is none.
static bool split(struct slice line, struct second *ret_second)
{
	struct totp_secret secret = {.length = 0};
	struct slice user, text, recovery = SLICE("");
	if (!slice_cut(line, ':', &user, &text))
		return false;
	bool has_recovery = slice_cut(text, ':', &text, &recovery);
	*ret_second = (struct second){user, slice_trim(text), slice_trim(recovery)};
	bool good = user.length > 0 && user.length <= USERS_NAME_MAX && slice_is_printable(user) &&
		    totp_secret_read(ret_second->secret, &secret) &&
		    (!has_recovery || recovery_is_list(ret_second->recovery));
	OPENSSL_cleanse(&secret, sizeof secret);
	return good;
}

static bool keep(struct second *second, struct arena *arena)
{
	second->user = arena_copy(arena, second->user);
	second->secret = arena_copy(arena, second->secret);
	second->recovery = arena_copy(arena, second->recovery);
	return second->user.data && second->secret.data && second->recovery.data;
}

bool seconds_read(struct seconds *seconds, struct slice content, struct arena *arena, struct users_fault *ret_fault)
{
	struct slice rest = content, line;
	struct second second;
	*seconds = (struct seconds){0};
	seconds->items = arena_alloc(arena, (slice_count(content, '\n') + 1) * sizeof *seconds->items);
	if (!seconds->items)
		return fail(0, "no memory", ret_fault);
	for (unsigned number = 1; slice_next_line(&rest, &line); number++) {
		struct slice trimmed = slice_trim(line);
		if (trimmed.length == 0 || trimmed.data[0] == '#')
			continue;
		if (!split(line, &second))
			return fail(number, "expected USER:SECRET, as `usher user second` makes it", ret_fault);
		if (!keep(&second, arena))
			return fail(0, "no memory", ret_fault);
		seconds->items[seconds->count++] = second;
	}
	qsort(seconds->items, seconds->count, sizeof *seconds->items, compare);
	for (size_t i = 1; i < seconds->count; i++)
		if (compare(&seconds->items[i - 1], &seconds->items[i]) == 0)
			return fail(0, "a user is named twice", ret_fault);
	return true;
}

// --- Finding

const struct second *seconds_find(const struct seconds *seconds, struct slice user, bool in_any_case)
{
	const struct second wanted = {.user = user};
	if (seconds->count == 0)
		return NULL;
	const struct second *found = bsearch(&wanted, seconds->items, seconds->count, sizeof wanted, compare);
	if (!found && in_any_case)
		found = bsearch(&wanted, seconds->items, seconds->count, sizeof wanted, compare_in_any_case);
	return found;
}
