// Files of users, groups, API keys and second factors: whatever the bytes, users that are found again, or a fault.
#include "access/second.h"
#include "access/users.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct users users;
	struct users_fault fault = {0, NULL};
	if (size > 65536)
		return 0;
	arena_init(&arena, 64 << 20);
	struct slice content = slice_from((const char *)data, size);
	if (users_read(&users, content, true, &arena, &fault)) {
		for (size_t i = 0; i < users.count; i++)
			check(users_find(&users, users.items[i].name) == &users.items[i]);
		if (users_read_groups(&users, content, &arena, &fault))
			for (size_t i = 0; i < users.count; i++)
				check(!user_is_in(&users.items[i], SLICE("no such, group")));
	} else {
		check(fault.why != NULL);
	}
	fault.why = NULL;
	if (users_read_keys(&users, content, &arena, &fault))
		for (size_t i = 0; i < users.count; i++) {
			const struct user *user = users_find_key(&users, users.items[i].name);
			check(users_find(&users, users.items[i].name) == &users.items[i]);
			check(!user || (user >= users.items && user < users.items + users.count));
		}
	else
		check(fault.why != NULL);
	struct seconds seconds;
	fault.why = NULL;
	if (seconds_read(&seconds, content, &arena, &fault))
		for (size_t i = 0; i < seconds.count; i++) {
			check(seconds_find(&seconds, seconds.items[i].user, false) == &seconds.items[i]);
			check(seconds_find(&seconds, seconds.items[i].user, true) == &seconds.items[i]);
		}
	else
		check(fault.why != NULL);
	arena_fini(&arena);
	return 0;
}
