#include "control/privileges.h"

#include "base/log.h"
#include "base/sanitizer.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 64 };

static bool copy_name(struct slice from, char ret_name[NAME_MAX_BYTES])
{
	if (from.length == 0 || from.length >= NAME_MAX_BYTES || memchr(from.data, '\0', from.length))
		return false;
	memcpy(ret_name, from.data, from.length);
	ret_name[from.length] = '\0';
	return true;
}

static bool find_user(struct slice text, struct privileges *privileges)
{
	char name[NAME_MAX_BYTES];
	uint64_t number;
	if (!copy_name(text, name))
		return false;
	const struct passwd *entry = getpwnam(name);
	if (!entry && slice_to_number(text, &number) && number < UINT32_MAX) {
		entry = getpwuid((uid_t)number);
		// A number needs no entry, but then nothing says which group is its own.
		privileges->user = (uid_t)number;
		privileges->group = entry ? entry->pw_gid : (gid_t)number;
		return true;
	}
	if (!entry)
		return false;
	privileges->user = entry->pw_uid;
	privileges->group = entry->pw_gid;
	return true;
}

static bool find_group(struct slice text, struct privileges *privileges)
{
	char name[NAME_MAX_BYTES];
	uint64_t number;
	if (!copy_name(text, name))
		return false;
	const struct group *entry = getgrnam(name);
	if (entry)
		privileges->group = entry->gr_gid;
	else if (slice_to_number(text, &number) && number < UINT32_MAX)
		privileges->group = (gid_t)number;
	else
		return false;
	return true;
}

bool privileges_find(struct slice text, struct privileges *ret_privileges, struct slice *ret_wrong)
{
	struct privileges privileges = {.required = text.length > 0};
	struct slice user, group = SLICE_EMPTY;
	if (text.length == 0) {
		privileges.drop = geteuid() == 0 &&
				  (find_user(SLICE("usher"), &privileges) || find_user(SLICE("nobody"), &privileges));
		*ret_privileges = privileges;
		return true;
	}
	bool has_group = slice_cut(text, ':', &user, &group);
	if (!find_user(user, &privileges)) {
		*ret_wrong = user;
		return false;
	}
	if (has_group && !find_group(group, &privileges)) {
		*ret_wrong = group;
		return false;
	}
	privileges.drop = privileges.user != geteuid() || privileges.group != getegid();
	*ret_privileges = privileges;
	return true;
}

bool privileges_can_drop(void)
{
	return geteuid() == 0;
}

static int become(const struct privileges *privileges)
{
	if (setgroups(0, NULL) < 0 || setresgid(privileges->group, privileges->group, privileges->group) < 0 ||
	    setresuid(privileges->user, privileges->user, privileges->user) < 0)
		return -errno;
	// A user that can go back to root has not been dropped to.
	if (privileges->user != 0 && setuid(0) == 0)
		return -EPERM;
	return 0;
}

int privileges_drop(const struct privileges *privileges)
{
	if (privileges->drop) {
		int error = become(privileges);
		// A container may forbid it; then root inside is nobody outside.
		if (error == -EPERM && !privileges->required && geteuid() == 0) {
			log_warning("the system forbids to become user %u: the worker goes on as root",
				    (unsigned)privileges->user);
			error = 0;
		}
		if (error < 0)
			return error;
	}
	int error = privileges_hide_memory();
	if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error = -errno;
	return error;
}

int privileges_hide_memory(void)
{
	// The leak check at the end of a sanitizer build needs to look at the process.
	return prctl(PR_SET_DUMPABLE, SANITIZE_ADDRESS) < 0 ? -errno : 0;
}
