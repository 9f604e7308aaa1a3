#include "access/state_file.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "state.db"

enum { BUSY_MS = 2000, FORMAT = 1 };

enum statement { FIND, PUT, NEWER, VERSION, DROP, READ_SECRET, WRITE_SECRET, STATEMENTS };

// A row that changes gets a new number, above all there ever were: who has seen some knows which are newer.
static const char layout[] =
	"CREATE TABLE IF NOT EXISTS kept(number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" kind INTEGER NOT NULL, subject BLOB NOT NULL, value INTEGER NOT NULL,"
	" until INTEGER NOT NULL, UNIQUE(kind, subject));"
	"CREATE INDEX IF NOT EXISTS kept_until ON kept(until);"
	"CREATE TABLE IF NOT EXISTS secret(id INTEGER PRIMARY KEY CHECK(id = 0), bytes BLOB NOT NULL);"
	"PRAGMA user_version = 1;";

static const char *const texts[STATEMENTS] = {
	[FIND] = "SELECT value FROM kept WHERE kind = ?1 AND subject = ?2",
	[PUT] = "INSERT OR REPLACE INTO kept(kind, subject, value, until) VALUES(?1, ?2, ?3, ?4)",
	[NEWER] = "SELECT number, kind, subject, value, until FROM kept WHERE number > ?1 ORDER BY number",
	[VERSION] = "PRAGMA data_version",
	[DROP] = "DELETE FROM kept WHERE until <= ?1",
	[READ_SECRET] = "SELECT bytes FROM secret",
	[WRITE_SECRET] = "INSERT OR REPLACE INTO secret(id, bytes) VALUES(0, ?1)",
};

struct state_file {
	sqlite3 *database;
	sqlite3_stmt *statements[STATEMENTS];
	int64_t last_number;  // that was learnt
	int64_t last_version; // of what other connections wrote; -1: none was seen
	bool is_damaged;
};

// --- SQLite by a descriptor

// The worker may not be allowed to walk down to the directory: it has it open. SQLite's own way to a full path would
// follow /proc/self/fd/N to a name.
static int keep_path(sqlite3_vfs *vfs, const char *path, int size, char *ret_path)
{
	return snprintf(ret_path, (size_t)size, "%s", path) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static sqlite3_vfs by_descriptor;

static void make_vfs(void)
{
	const sqlite3_vfs *standard = sqlite3_vfs_find(NULL);
	check(standard != NULL);
	by_descriptor = *standard;
	by_descriptor.zName = "usher";
	by_descriptor.xFullPathname = keep_path;
	check(sqlite3_vfs_register(&by_descriptor, 0) == SQLITE_OK);
}

// --- What goes wrong

static bool fail(struct state_file *file, char ret_why[STATE_REASON_MAX])
{
	int code = sqlite3_errcode(file->database), system = sqlite3_system_errno(file->database);
	bool tells = system != 0 && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL);
	file->is_damaged = file->is_damaged || code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
	snprintf(ret_why, STATE_REASON_MAX, "%s%s%s", sqlite3_errmsg(file->database), tells ? ": " : "",
		 tells ? strerror(system) : "");
	return false;
}

bool state_file_is_damaged(const struct state_file *file)
{
	return file->is_damaged;
}

static bool may_pass(struct state_file *file)
{
	int system = sqlite3_system_errno(file->database);
	switch (sqlite3_errcode(file->database)) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_NOMEM:
	case SQLITE_PROTOCOL:
		return true;
	default:
		return system == ENOSPC || system == EDQUOT || system == EMFILE || system == EFBIG || system == EIO;
	}
}

// --- Opening

static bool run(struct state_file *file, const char *text)
{
	return sqlite3_exec(file->database, text, NULL, NULL, NULL) == SQLITE_OK;
}

static bool is_whole(struct state_file *file)
{
	sqlite3_stmt *statement = NULL;
	bool whole = sqlite3_prepare_v2(file->database, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
		     sqlite3_step(statement) == SQLITE_ROW;
	if (whole && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
		file->is_damaged = true;
	(void)sqlite3_finalize(statement);
	return whole && !file->is_damaged;
}

static bool prepare(struct state_file *file)
{
	bool good = true;
	for (unsigned i = 0; i < STATEMENTS && good; i++)
		good = sqlite3_prepare_v3(file->database, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &file->statements[i],
					  NULL) == SQLITE_OK;
	return good;
}

// What a commit has written outlives a crash of the system (synchronous = FULL).
static bool set_up(struct state_file *file)
{
	return sqlite3_busy_timeout(file->database, BUSY_MS) == SQLITE_OK &&
	       run(file, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;") &&
	       is_whole(file) && run(file, layout) && prepare(file);
}

// For its owner alone; SQLite gives its other files the same rights.
static bool make_file(int directory)
{
	int descriptor = openat(directory, FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (descriptor >= 0)
		close(descriptor);
	return descriptor >= 0;
}

static struct state_file *open_once(int directory, bool *ret_is_damaged, bool *ret_may_pass,
				    char ret_why[STATE_REASON_MAX])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char path[64];
	struct state_file *file = calloc(1, sizeof *file);
	(void)pthread_once(&once, make_vfs);
	snprintf(path, sizeof path, "/proc/self/fd/%d/" FILE_NAME, directory);
	if (!file || !make_file(directory)) {
		*ret_may_pass = !file || errno == ENOSPC || errno == EDQUOT || errno == EMFILE || errno == EIO;
		snprintf(ret_why, STATE_REASON_MAX, FILE_NAME ": %s", file ? strerror(errno) : "no memory");
		free(file);
		return NULL;
	}
	file->last_version = -1;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(path, &file->database, flags, by_descriptor.zName) == SQLITE_OK && set_up(file))
		return file;
	if (file->database)
		(void)fail(file, ret_why);
	*ret_is_damaged = file->is_damaged;
	*ret_may_pass = !file->database || may_pass(file);
	state_file_close(file);
	return NULL;
}

// With its name and the second; a log that belongs to it goes along.
static bool move_aside(int directory, char ret_why[STATE_REASON_MAX])
{
	static const char *const suffixes[] = {"-shm", "-wal", ""};
	long long now_s = (long long)time(NULL);
	bool good = true;
	for (unsigned i = 0; i < 3; i++) {
		char from[64], to[64];
		snprintf(from, sizeof from, FILE_NAME "%s", suffixes[i]);
		snprintf(to, sizeof to, "damaged-%lld.db%s", now_s, suffixes[i]);
		good = (renameat(directory, from, directory, to) == 0 || errno == ENOENT) && good;
	}
	if (!good)
		snprintf(ret_why, STATE_REASON_MAX, FILE_NAME " is damaged, and cannot be moved aside: %s",
			 strerror(errno));
	return good;
}

struct state_file *state_file_open(int directory, bool *ret_was_damaged, bool *ret_may_pass,
				   char ret_why[STATE_REASON_MAX])
{
	bool is_damaged = false;
	// Two that start at once do not both move it aside.
	(void)flock(directory, LOCK_EX);
	*ret_may_pass = false;
	snprintf(ret_why, STATE_REASON_MAX, "no memory");
	struct state_file *file = open_once(directory, &is_damaged, ret_may_pass, ret_why);
	*ret_was_damaged = is_damaged;
	if (!file && is_damaged && move_aside(directory, ret_why))
		file = open_once(directory, &is_damaged, ret_may_pass, ret_why);
	(void)flock(directory, LOCK_UN);
	return file;
}

void state_file_close(struct state_file *file)
{
	if (!file)
		return;
	for (unsigned i = 0; i < STATEMENTS; i++)
		(void)sqlite3_finalize(file->statements[i]);
	(void)sqlite3_close(file->database);
	free(file);
}

// --- Reading

// False for what this version does not know.
static bool read_row(sqlite3_stmt *statement, struct kept *ret_kept)
{
	int64_t kind = sqlite3_column_int64(statement, 1);
	const void *subject = sqlite3_column_blob(statement, 2);
	int length = sqlite3_column_bytes(statement, 2);
	if (kind < 0 || kind >= KEPT_KINDS || length < 0 || length > KEPT_SUBJECT_MAX)
		return false;
	*ret_kept = (struct kept){
		.kind = (enum kept_kind)kind,
		.value = sqlite3_column_int64(statement, 3),
		.until_s = sqlite3_column_int64(statement, 4),
		.subject_length = (unsigned)length,
	};
	if (length > 0)
		memcpy(ret_kept->subject, subject, (size_t)length);
	return true;
}

static bool read_from(struct state_file *file, int64_t *number, state_file_visitor *each, void *argument,
		      char ret_why[STATE_REASON_MAX])
{
	sqlite3_stmt *statement = file->statements[NEWER];
	struct kept kept;
	int code;
	sqlite3_bind_int64(statement, 1, *number);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		*number = sqlite3_column_int64(statement, 0);
		if (read_row(statement, &kept))
			each(argument, &kept);
	}
	bool good = code == SQLITE_DONE || fail(file, ret_why);
	(void)sqlite3_reset(statement);
	return good;
}

bool state_file_read_all(struct state_file *file, state_file_visitor *each, void *argument,
			 char ret_why[STATE_REASON_MAX])
{
	int64_t number = 0;
	return read_from(file, &number, each, argument, ret_why);
}

struct learning {
	state_file_visitor *each;
	void *argument;
};

static void learn_one(void *argument, const struct kept *kept)
{
	const struct learning *learning = argument;
	(void)kept_put(kept);
	if (learning->each)
		learning->each(learning->argument, kept);
}

bool state_file_learn(struct state_file *file, state_file_visitor *each, void *argument, char ret_why[STATE_REASON_MAX])
{
	sqlite3_stmt *statement = file->statements[VERSION];
	struct learning learning = {each, argument};
	bool good = sqlite3_step(statement) == SQLITE_ROW;
	int64_t version = good ? sqlite3_column_int64(statement, 0) : 0;
	(void)sqlite3_reset(statement);
	if (!good)
		return fail(file, ret_why);
	if (version == file->last_version)
		return true;
	good = read_from(file, &file->last_number, learn_one, &learning, ret_why);
	if (good)
		file->last_version = version;
	return good;
}

// --- Writing

static bool step_once(struct state_file *file, enum statement which)
{
	sqlite3_stmt *statement = file->statements[which];
	bool good = sqlite3_step(statement) == SQLITE_DONE;
	(void)sqlite3_reset(statement);
	return good;
}

static void bind_subject(sqlite3_stmt *statement, const struct kept *kept)
{
	sqlite3_bind_int64(statement, 1, kept->kind);
	sqlite3_bind_blob(statement, 2, kept->subject, (int)kept->subject_length, SQLITE_STATIC);
}

static bool write_one(struct state_file *file, const struct kept *kept, bool *ret_new)
{
	sqlite3_stmt *find = file->statements[FIND], *put = file->statements[PUT];
	bind_subject(find, kept);
	int code = sqlite3_step(find);
	bool covered = code == SQLITE_ROW && sqlite3_column_int64(find, 0) >= kept->value;
	(void)sqlite3_reset(find);
	*ret_new = !covered;
	if (covered || (code != SQLITE_ROW && code != SQLITE_DONE))
		return covered;
	bind_subject(put, kept);
	sqlite3_bind_int64(put, 3, kept->value);
	sqlite3_bind_int64(put, 4, kept->until_s);
	return step_once(file, PUT);
}

bool state_file_write(struct state_file *file, const struct kept *const *kept, bool *ret_new, unsigned count,
		      char ret_why[STATE_REASON_MAX])
{
	bool good = run(file, "BEGIN IMMEDIATE");
	for (unsigned i = 0; i < count && good; i++)
		good = write_one(file, kept[i], &ret_new[i]);
	good = good && run(file, "COMMIT");
	if (good)
		return true;
	(void)fail(file, ret_why);
	(void)sqlite3_exec(file->database, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static bool exchange_secret(struct state_file *file, unsigned char secret[SEAL_KEY_BYTES], bool replaced)
{
	sqlite3_stmt *read = file->statements[READ_SECRET], *write = file->statements[WRITE_SECRET];
	int code = sqlite3_step(read);
	bool has_one = code == SQLITE_ROW && sqlite3_column_bytes(read, 0) == SEAL_KEY_BYTES;
	if (has_one && !replaced)
		memcpy(secret, sqlite3_column_blob(read, 0), SEAL_KEY_BYTES);
	(void)sqlite3_reset(read);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return false;
	if (has_one && !replaced)
		return true;
	sqlite3_bind_blob(write, 1, secret, SEAL_KEY_BYTES, SQLITE_STATIC);
	return step_once(file, WRITE_SECRET);
}

bool state_file_secret(struct state_file *file, unsigned char secret[SEAL_KEY_BYTES], bool replaced,
		       char ret_why[STATE_REASON_MAX])
{
	if (run(file, "BEGIN IMMEDIATE") && exchange_secret(file, secret, replaced) && run(file, "COMMIT"))
		return true;
	(void)fail(file, ret_why);
	(void)sqlite3_exec(file->database, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

bool state_file_drop_old(struct state_file *file, int64_t now_s, char ret_why[STATE_REASON_MAX])
{
	sqlite3_bind_int64(file->statements[DROP], 1, now_s);
	return step_once(file, DROP) || fail(file, ret_why);
}
