#include "access/source.h"

#include "access/password.h"

enum source_verdict source_verify_file(void *self, const struct source_question *question,
				       struct source_answer *ret_answer)
{
	const struct users *users = self;
	const struct user *user = users_find(users, question->user);
	struct slice hash = user ? user->hash : users->dummy;
	bool is_right = hash.length > 0 && password_verify(hash, question->password);
	if (!user || !is_right)
		return SOURCE_WRONG;
	*ret_answer = (struct source_answer){.has_one_name = true};
	memcpy(ret_answer->name, user->name.data, user->name.length);
	return SOURCE_RIGHT;
}

bool source_add_group(struct source_answer *answer, struct slice group)
{
	const struct user so_far = {.groups = slice_from_string(answer->groups)};
	size_t length = so_far.groups.length, separator = length > 0;
	// A comma would make two groups of one.
	if (!users_is_group(group) || user_is_in(&so_far, group))
		return true;
	if (length + separator + group.length > SOURCE_GROUPS_MAX)
		return false;
	if (separator)
		answer->groups[length] = ',';
	memcpy(answer->groups + length + separator, group.data, group.length);
	answer->groups[length + separator + group.length] = '\0';
	return true;
}
