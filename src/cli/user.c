// usher user: files of users and the hashes of their passwords.
#include "access/password.h"
#include "access/recovery.h"
#include "access/second.h"
#include "access/totp.h"
#include "access/users.h"
#include "base/arena.h"
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS                                                                                                      \
	"add FILE NAME | remove FILE NAME | list FILE | verify FILE NAME | second FILE NAME | recovery FILE NAME | "   \
	"key FILE NAME"

enum { MEMORY_MAX = 256 << 20, FILE_MAX = 64 << 20, API_KEY_LENGTH = 48 };

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "usher user: %s: %s\n", path, why);
	return EXIT_FAILURE;
}

// --- Files

// The content, to be freed; a file that is not there is empty. NULL when it cannot be read.
static char *read_file(const char *path, size_t *ret_length)
{
	size_t length = 0;
	FILE *file = fopen(path, "re");
	char *content = malloc(FILE_MAX);
	if (file && content)
		length = fread(content, 1, FILE_MAX, file);
	bool good = content && (file ? !ferror(file) && length < FILE_MAX : errno == ENOENT);
	if (file)
		fclose(file);
	if (!good) {
		free(content);
		return NULL;
	}
	*ret_length = length;
	return content;
}

static bool write_lines(FILE *file, struct slice content, struct slice name, const char *hash)
{
	struct slice line, user, rest;
	for (bool more = content.length > 0; more;) {
		more = slice_cut(content, '\n', &line, &content) && content.length > 0;
		(void)slice_cut(line, ':', &user, &rest);
		if (!slice_equal(user, name))
			fprintf(file, "%.*s\n", SLICE_ARGUMENTS(line));
	}
	if (hash)
		fprintf(file, "%.*s:%s\n", SLICE_ARGUMENTS(name), hash);
	return fflush(file) == 0 && fsync(fileno(file)) == 0;
}

// Whoever reads it sees the old one or the new one. It keeps its rights; a new one is for its owner and group.
static bool replace_file(const char *path, struct slice content, struct slice name, const char *hash)
{
	struct stat status;
	char *temporary = NULL;
	if (asprintf(&temporary, "%s.new", path) < 0)
		return false;
	bool is_there = stat(path, &status) == 0;
	(void)unlink(temporary);
	int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
	bool good = file != NULL;
	if (good && is_there)
		good = fchmod(descriptor, status.st_mode & 07777) == 0 &&
		       (fchown(descriptor, status.st_uid, status.st_gid) == 0 || errno == EPERM);
	good = good && write_lines(file, content, name, hash);
	if (file)
		good = fclose(file) == 0 && good;
	good = good && rename(temporary, path) == 0;
	if (!good && descriptor >= 0)
		(void)unlink(temporary);
	free(temporary);
	return good;
}

// --- Passwords

// A line from a terminal, unseen, or from standard input. False at its end, and for one that is too long.
static bool read_password(const char *prompt, char ret_password[PASSWORD_MAX + 2])
{
	struct termios shown, hidden;
	bool is_terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
	if (is_terminal) {
		fprintf(stderr, "%s", prompt);
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	bool good = fgets(ret_password, PASSWORD_MAX + 2, stdin) != NULL;
	if (is_terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fprintf(stderr, "\n");
	}
	size_t length = good ? strcspn(ret_password, "\n") : 0;
	good = good && length <= PASSWORD_MAX && length > 0;
	if (good)
		ret_password[length] = '\0';
	return good;
}

// From a terminal it is asked for twice.
static bool read_new_password(char ret_password[PASSWORD_MAX + 2])
{
	char again[PASSWORD_MAX + 2];
	if (!read_password("password: ", ret_password))
		return false;
	if (!isatty(STDIN_FILENO))
		return true;
	bool same = read_password("again: ", again) && strcmp(again, ret_password) == 0;
	OPENSSL_cleanse(again, sizeof again);
	return same;
}

// --- What is asked for

static bool is_name(const char *name)
{
	return name[0] != '\0' && name[0] != '#' && !strchr(name, ':') && !strchr(name, '\n');
}

// In hexadecimal.
static bool make_key(char ret_key[API_KEY_LENGTH + 1])
{
	unsigned char bytes[API_KEY_LENGTH / 2];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(ret_key + i * 2, 3, "%02x", bytes[i]);
	return true;
}

static int add(const char *path, const char *name, struct slice content)
{
	char password[PASSWORD_MAX + 2], hash[PASSWORD_HASH_MAX];
	struct users users;
	struct users_fault fault;
	struct arena arena;
	if (!read_new_password(password))
		return fail(path, "no password, one of more than 256 bytes, or two that differ");
	int error = password_hash(slice_from_string(password), hash);
	OPENSSL_cleanse(password, sizeof password);
	if (error < 0)
		return fail(path, strerror(-error));
	// What usher would refuse is not written.
	arena_init(&arena, MEMORY_MAX);
	struct slice line = arena_printf(&arena, "%s:%s", name, hash);
	bool good = is_name(name) && line.data && users_read(&users, line, false, &arena, &fault);
	arena_fini(&arena);
	if (!good)
		return fail(name, "no name of a user: 1 to 128 printable bytes without a colon");
	return replace_file(path, content, slice_from_string(name), hash) ? EXIT_SUCCESS : fail(path, strerror(errno));
}

// A file of users, of API keys, or of second factors. What is wrong is told as of the first.
struct look {
	struct users users;
	struct seconds seconds;
};

static bool read_any(struct look *look, struct slice content, struct arena *arena, struct users_fault *ret_fault)
{
	struct users_fault other;
	*look = (struct look){0};
	if (users_read(&look->users, content, true, arena, ret_fault) ||
	    users_read_keys(&look->users, content, arena, &other))
		return true;
	look->users = (struct users){0};
	return seconds_read(&look->seconds, content, arena, &other);
}

static void print_names(const struct look *look)
{
	for (size_t i = 0; i < look->users.count; i++)
		printf("%.*s\n", SLICE_ARGUMENTS(look->users.items[i].name));
	for (size_t i = 0; i < look->seconds.count; i++)
		printf("%.*s\n", SLICE_ARGUMENTS(look->seconds.items[i].user));
}

// The code of this moment is not used up by it.
static bool is_his_code(const struct second *second, struct slice digits)
{
	struct totp_secret secret;
	bool is_code = totp_secret_read(second->secret, &secret) && totp_is_code(&secret, digits, (int64_t)time(NULL));
	OPENSSL_cleanse(&secret, sizeof secret);
	return is_code;
}

static bool is_his(const struct look *look, struct slice name)
{
	char text[PASSWORD_MAX + 2];
	const struct user *user = users_find(&look->users, name);
	const struct second *second = seconds_find(&look->seconds, name, false);
	bool is_right = read_password(second ? "code: " : "password: ", text);
	struct slice given = is_right ? slice_from_string(text) : SLICE_EMPTY;
	is_right = is_right && (second		      ? is_his_code(second, given)
				: look->users.by_hash ? users_find_key(&look->users, given) == user
						      : password_verify(user->hash, given));
	OPENSSL_cleanse(text, sizeof text);
	return is_right;
}

// Of what the file holds.
static int look_into(const char *word, const char *path, const char *name, struct slice content)
{
	struct look look;
	struct users_fault fault;
	struct arena arena;
	int code = EXIT_FAILURE;
	arena_init(&arena, MEMORY_MAX);
	if (!read_any(&look, content, &arena, &fault)) {
		fprintf(stderr, "usher user: %s:%u: %s\n", path, fault.line, fault.why);
	} else if (strcmp(word, "list") == 0) {
		print_names(&look);
		code = EXIT_SUCCESS;
	} else {
		struct slice wanted = slice_from_string(name);
		if (!users_find(&look.users, wanted) && !seconds_find(&look.seconds, wanted, false))
			fprintf(stderr, "usher user: %s: there is no user \"%s\"\n", path, name);
		else if (strcmp(word, "remove") == 0 || is_his(&look, wanted))
			code = EXIT_SUCCESS;
		else
			fprintf(stderr, "usher user: wrong\n");
	}
	arena_fini(&arena);
	return code;
}

static int remove_user(const char *path, const char *name, struct slice content)
{
	if (look_into("remove", path, name, content) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	return replace_file(path, content, slice_from_string(name), NULL) ? EXIT_SUCCESS : fail(path, strerror(errno));
}

// Writes the user's secret and the hashes of new codes. These are shown this once.
static int write_second(const char *path, const char *name, struct slice content, const char *secret_text,
			struct recovery_codes *ret_codes)
{
	struct totp_secret secret;
	char *line = NULL;
	bool good = totp_secret_read(slice_from_string(secret_text), &secret) &&
		    recovery_make(&secret, (int64_t)time(NULL), ret_codes);
	OPENSSL_cleanse(&secret, sizeof secret);
	if (!good || asprintf(&line, "%s:%s", secret_text, ret_codes->list) < 0)
		return fail(path, "no secret of a second factor, or no random bytes");
	good = replace_file(path, content, slice_from_string(name), line);
	OPENSSL_cleanse(line, strlen(line));
	free(line);
	return good ? EXIT_SUCCESS : fail(path, strerror(errno));
}

static void print_codes(struct recovery_codes *codes)
{
	printf("recovery codes, in the place of a code, each good once:\n");
	for (unsigned i = 0; i < RECOVERY_CODES; i++)
		printf("%s\n", codes->codes[i]);
	OPENSSL_cleanse(codes, sizeof *codes);
}

// What an authenticator takes (the format of "otpauth" URIs), and the codes.
static int add_second(const char *path, const char *name, struct slice content)
{
	char secret[TOTP_SECRET_BYTES * 8 / 5 + 1];
	struct recovery_codes codes;
	struct slice text = slice_from_string(name);
	if (!is_name(name) || text.length > USERS_NAME_MAX || !slice_is_printable(text))
		return fail(name, "no name of a user: 1 to 128 printable bytes without a colon");
	if (!totp_secret_make(secret))
		return fail(path, "no random bytes");
	int code = write_second(path, name, content, secret, &codes);
	if (code != EXIT_SUCCESS)
		return code;
	printf("otpauth://totp/usher?secret=%s&issuer=usher\n", secret);
	print_codes(&codes);
	return EXIT_SUCCESS;
}

// Other codes for the secret that he has; the former ones are good no more.
static int add_recovery(const char *path, const char *name, struct slice content)
{
	struct slice rest = content, line, user, secret = SLICE_EMPTY, more;
	struct recovery_codes codes;
	while (slice_next_line(&rest, &line) && secret.length == 0)
		if (slice_cut(line, ':', &user, &more) && slice_equal(user, slice_from_string(name)))
			(void)slice_cut(more, ':', &secret, &more);
	char *copy = strndup(secret.length > 0 ? secret.data : "", secret.length);
	if (!copy || secret.length == 0) {
		free(copy);
		return fail(path, "there is no second factor of this user");
	}
	int code = write_second(path, name, content, copy, &codes);
	OPENSSL_cleanse(copy, secret.length);
	free(copy);
	if (code == EXIT_SUCCESS)
		print_codes(&codes);
	return code;
}

// It is shown this once: the file holds its hash. It is long enough that nobody guesses it.
static int add_key(const char *path, const char *name, struct slice content)
{
	char key[API_KEY_LENGTH + 1], digits[API_KEY_DIGITS + 1];
	struct users users;
	struct users_fault fault;
	struct arena arena;
	if (!make_key(key) || !api_key_digest(slice_from_string(key), digits))
		return fail(path, "no random bytes");
	arena_init(&arena, MEMORY_MAX);
	struct slice line = arena_printf(&arena, "%s:%s", name, digits);
	bool good = is_name(name) && line.data && users_read_keys(&users, line, &arena, &fault);
	arena_fini(&arena);
	if (!good)
		return fail(name, "no name of a user: 1 to 128 printable bytes without a colon");
	if (!replace_file(path, content, slice_from_string(name), digits))
		return fail(path, strerror(errno));
	printf("%s\n", key);
	return EXIT_SUCCESS;
}

static int user_run(const struct invocation *invocation)
{
	const char *word = invocation->arguments[0], *path = invocation->arguments[1];
	const char *name = invocation->count > 2 ? invocation->arguments[2] : NULL;
	bool is_list = strcmp(word, "list") == 0, is_add = strcmp(word, "add") == 0,
	     is_remove = strcmp(word, "remove") == 0, is_second = strcmp(word, "second") == 0,
	     is_recovery = strcmp(word, "recovery") == 0, is_key = strcmp(word, "key") == 0;
	if ((!is_list && !is_add && !is_remove && !is_second && !is_recovery && !is_key &&
	     strcmp(word, "verify") != 0) ||
	    is_list != (name == NULL)) {
		fprintf(stderr, "usage: usher user " ARGUMENTS "\n");
		return EXIT_USAGE;
	}
	size_t length;
	char *bytes = read_file(path, &length);
	if (!bytes)
		return fail(path, strerror(errno));
	struct slice content = slice_from(bytes, length);
	int code = is_second	 ? add_second(path, name, content)
		   : is_recovery ? add_recovery(path, name, content)
		   : is_key	 ? add_key(path, name, content)
		   : is_add	 ? add(path, name, content)
		   : is_remove	 ? remove_user(path, name, content)
				 : look_into(word, path, name, content);
	free(bytes);
	return code;
}

const struct command user_command = {
	.name = "user",
	.arguments = ARGUMENTS,
	.summary = "keep the files of users and passwords",
	.help = "add       puts a user into a file of the key `logins`, or gives him another password\n"
		"remove    takes one out, of a file of any kind\n"
		"list      shows their names\n"
		"verify    tells whether a password is a user's, or a code of his second factor\n"
		"second    gives a user a second factor, in a file of its own, and shows it for his authenticator,\n"
		"          with ten recovery codes; his password may be in another file, or in a directory\n"
		"recovery  gives a user other recovery codes\n"
		"key       gives a program an API key, in a file of its own, and shows it this once\n"
		"\n"
		"Passwords are read from the terminal, or a line of standard input; the file holds hashes of them\n"
		"(yescrypt). A usher that runs takes the file when it was replaced, without a reload.\n",
	.least = 2,
	.most = 3,
	.run = user_run,
};
