#include "control/log_files.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct log_file {
	struct log_file *next;
	int descriptor;
	char path[];
};

// The thread that writes logs opens them, too.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_file *files;

static struct log_file *find(struct slice path)
{
	for (struct log_file *file = files; file; file = file->next) {
		if (slice_equal(slice_from_string(file->path), path))
			return file;
	}
	return NULL;
}

int log_files_put(struct slice path, int descriptor)
{
	check(path.length > 0 && descriptor > STDERR_FILENO);
	pthread_mutex_lock(&lock);
	struct log_file *file = find(path);
	int error = 0;
	if (file) {
		close(file->descriptor);
		file->descriptor = descriptor;
	} else if ((file = malloc(sizeof *file + path.length + 1))) {
		memcpy(file->path, path.data, path.length);
		file->path[path.length] = '\0';
		file->descriptor = descriptor;
		file->next = files;
		files = file;
	} else {
		close(descriptor);
		error = -ENOMEM;
	}
	pthread_mutex_unlock(&lock);
	return error;
}

int log_files_open(const char *path)
{
	pthread_mutex_lock(&lock);
	const struct log_file *file = find(slice_from_string(path));
	int descriptor = file ? fcntl(file->descriptor, F_DUPFD_CLOEXEC, 0) : -ENOENT;
	if (file && descriptor < 0)
		descriptor = -errno;
	pthread_mutex_unlock(&lock);
	return descriptor;
}

static bool is_among(const char *path, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (paths[i] && strcmp(paths[i], path) == 0)
			return true;
	}
	return false;
}

void log_files_keep(const char *const *paths, size_t count, unsigned spare)
{
	pthread_mutex_lock(&lock);
	for (struct log_file **at = &files, *file; (file = *at);) {
		bool named = is_among(file->path, paths, count);
		if (named || spare > 0) {
			spare -= named ? 0 : 1;
			at = &file->next;
			continue;
		}
		*at = file->next;
		close(file->descriptor);
		free(file);
	}
	pthread_mutex_unlock(&lock);
}

// --- The error log. Other threads write to its descriptor at any time, so that its number
// must stay: a new file takes the place of the old one under it.

static int error_log = -1;
static char *error_log_path;

void error_log_reopen(void)
{
	int fresh = error_log_path ? log_files_open(error_log_path) : -1;
	if (fresh < 0)
		return;
	if (error_log < 0) {
		error_log = fresh;
		log_set_descriptor(error_log);
		return;
	}
	if (dup3(fresh, error_log, O_CLOEXEC) < 0)
		log_warning("cannot reopen the error log: %m");
	close(fresh);
}

void error_log_use(const char *path)
{
	char *copy = path ? strdup(path) : NULL;
	free(error_log_path);
	error_log_path = copy;
	if (copy) {
		error_log_reopen();
	} else if (error_log >= 0 && dup3(STDERR_FILENO, error_log, O_CLOEXEC) < 0) {
		log_warning("cannot take the error log back to standard error: %m");
	}
}

static void drop_all(bool are_open)
{
	pthread_mutex_lock(&lock);
	for (struct log_file *file; (file = files);) {
		files = file->next;
		if (are_open)
			close(file->descriptor);
		free(file);
	}
	pthread_mutex_unlock(&lock);
	free(error_log_path);
	error_log_path = NULL;
}

void log_files_close(void)
{
	drop_all(true);
}

void log_files_forget(void)
{
	drop_all(false);
	error_log = -1;
	log_set_descriptor(STDERR_FILENO);
}
