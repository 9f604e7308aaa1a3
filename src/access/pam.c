#include "access/pam.h"

#include "access/directory_text.h"
#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GROUPS_MAX = 1024, ENTRY_BYTES = 16 * 1024, GROUP_BYTES_MAX = 4 << 20 };

// --- The conversation

// A module asks for the password, once; whoever has more questions (a code, a new password) gets no answer.
static int answer_one(const struct pam_message *message, const char **password, char **ret_text)
{
	*ret_text = NULL;
	if (message->msg_style == PAM_TEXT_INFO || message->msg_style == PAM_ERROR_MSG)
		return PAM_SUCCESS;
	if (message->msg_style != PAM_PROMPT_ECHO_OFF || !*password)
		return PAM_CONV_ERR;
	*ret_text = strdup(*password);
	*password = NULL;
	return *ret_text ? PAM_SUCCESS : PAM_BUF_ERR;
}

// What it gives is freed by the module.
static int converse(int count, const struct pam_message **messages, struct pam_response **ret_answers, void *password)
{
	int code = count > 0 && count <= PAM_MAX_NUM_MSG ? PAM_SUCCESS : PAM_CONV_ERR;
	struct pam_response *answers = code == PAM_SUCCESS ? calloc((size_t)count, sizeof *answers) : NULL;
	if (!answers)
		return code == PAM_SUCCESS ? PAM_BUF_ERR : code;
	for (int i = 0; i < count && code == PAM_SUCCESS; i++)
		code = answer_one(messages[i], password, &answers[i].resp);
	if (code == PAM_SUCCESS) {
		*ret_answers = answers;
		return PAM_SUCCESS;
	}
	for (int i = 0; i < count; i++)
		if (answers[i].resp) {
			explicit_bzero(answers[i].resp, strlen(answers[i].resp));
			free(answers[i].resp);
		}
	free(answers);
	return code;
}

// Guessing is made slow by access/failures.h: that nobody is kept waiting here keeps places free for others.
static void wait_not(int code, unsigned delay_us, void *password)
{
}

// --- Verdicts

static enum source_verdict cannot_ask(const struct pam_service *service, const char *step, const char *why)
{
	log_warning("access: PAM service %.*s cannot be asked: %s: %s", SLICE_ARGUMENTS(service->name), step, why);
	return SOURCE_ABSENT;
}

// What is not known to be an absence is a wrong password, so that guessing counts whatever a module answers to it; the
// operator hears of what may be his own mistake.
static enum source_verdict verdict_of(const struct pam_service *service, pam_handle_t *handle, const char *step,
				      int code)
{
	switch (code) {
	case PAM_SUCCESS:
		return SOURCE_RIGHT;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_PERM_DENIED:
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_CRED_INSUFFICIENT:
		return SOURCE_WRONG;
	case PAM_ABORT:
	case PAM_AUTHINFO_UNAVAIL:
	case PAM_BUF_ERR:
	case PAM_CONV_ERR:
	case PAM_MODULE_UNKNOWN:
	case PAM_OPEN_ERR:
	case PAM_SYMBOL_ERR:
		return cannot_ask(service, step, pam_strerror(handle, code));
	default:
		log_warning("access: PAM service %.*s lets a user not in: %s: %s", SLICE_ARGUMENTS(service->name), step,
			    pam_strerror(handle, code));
		return SOURCE_WRONG;
	}
}

// --- What is known of the user

// Of a group, all members are read with it: there may be many. False where it does not fit, or cannot be read.
static bool add_group(gid_t id, struct source_answer *answer)
{
	struct group group, *found = NULL;
	char *room = NULL;
	int error = ERANGE;
	for (size_t size = ENTRY_BYTES; error == ERANGE && size <= GROUP_BYTES_MAX; size *= 4) {
		char *larger = realloc(room, size);
		if (!larger)
			break;
		room = larger;
		error = getgrgid_r(id, &group, room, size, &found);
	}
	// Without a name it is none.
	bool good = error == 0 && (!found || source_add_group(answer, slice_from_string(group.gr_name)));
	free(room);
	return good;
}

static void add_groups(gid_t first, struct source_answer *answer)
{
	gid_t ids[GROUPS_MAX];
	int count = GROUPS_MAX;
	unsigned left_out = 0;
	if (getgrouplist(answer->name, first, ids, &count) < 0) {
		left_out = count > GROUPS_MAX ? (unsigned)(count - GROUPS_MAX) : 0;
		count = GROUPS_MAX;
	}
	for (int i = 0; i < count; i++)
		left_out += !add_group(ids[i], answer);
	if (left_out > 0)
		log_warning("access: %u groups of the user \"%s\" are left out: a session holds %d bytes of them",
			    left_out, answer->name, SOURCE_GROUPS_MAX);
}

// The system may spell the name in another way.
static void read_entry(struct source_answer *answer)
{
	char room[ENTRY_BYTES];
	struct passwd entry, *found;
	if (getpwnam_r(answer->name, &entry, room, sizeof room, &found) != 0 || !found)
		return;
	struct slice name = slice_from_string(entry.pw_name);
	answer->has_one_name = directory_is_user(name);
	if (answer->has_one_name) {
		memcpy(answer->name, name.data, name.length);
		answer->name[name.length] = '\0';
	}
	add_groups(entry.pw_gid, answer);
}

// A module may have mapped the name to another one.
static enum source_verdict tell(const struct pam_service *service, pam_handle_t *handle, struct source_answer *answer)
{
	const void *item = NULL;
	int code = pam_get_item(handle, PAM_USER, &item);
	struct slice name = code == PAM_SUCCESS && item ? slice_from_string(item) : SLICE_EMPTY;
	if (!directory_is_user(name))
		return cannot_ask(service, "name", "the modules give no name that can be told");
	*answer = (struct source_answer){0};
	memcpy(answer->name, name.data, name.length);
	read_entry(answer);
	return SOURCE_RIGHT;
}

static enum source_verdict verify(const struct pam_service *service, pam_handle_t *handle, struct source_answer *answer)
{
	void (*delay)(int code, unsigned delay_us, void *password) = wait_not;
	int code = pam_set_item(handle, PAM_FAIL_DELAY, (const void *)delay);
	if (code != PAM_SUCCESS)
		return cannot_ask(service, "start", pam_strerror(handle, code));
	code = pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	enum source_verdict verdict = verdict_of(service, handle, "authenticate", code);
	if (verdict != SOURCE_RIGHT)
		return verdict;
	code = pam_acct_mgmt(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	verdict = verdict_of(service, handle, "account", code);
	return verdict == SOURCE_RIGHT ? tell(service, handle, answer) : verdict;
}

enum source_verdict pam_service_verify(void *self, const struct source_question *question,
				       struct source_answer *ret_answer)
{
	const struct pam_service *service = self;
	const char *password = question->password.data;
	const struct pam_conv conversation = {converse, &password};
	pam_handle_t *handle = NULL;
	if (!directory_is_user(question->user) || question->password.length == 0)
		return SOURCE_WRONG;
	int code = pam_start_confdir(service->name.data, question->user.data, &conversation, service->directory.data,
				     &handle);
	if (code != PAM_SUCCESS)
		return cannot_ask(service, "start", handle ? pam_strerror(handle, code) : "no such service");
	enum source_verdict verdict = verify(service, handle, ret_answer);
	(void)pam_end(handle, code);
	return verdict;
}
