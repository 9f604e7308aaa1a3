// The disk and the environment as a source of configurations.
#include "config/loading.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_AT_FIRST = 16 * 1024 };

// Reads until the end: what stat says of a size is not true of pipes and /proc.
static int read_all(int descriptor, size_t expected, struct slice *ret_content)
{
	size_t limit = expected > 0 ? FILE_BYTES_MAX : UNSIZED_BYTES_MAX, length = 0;
	if (expected > limit)
		return -EFBIG;
	size_t capacity = expected > 0 ? expected + 1 : READ_AT_FIRST;
	char *data = malloc(capacity);
	int error = data == NULL ? -ENOMEM : 0;
	while (error == 0) {
		ssize_t got = read(descriptor, data + length, capacity - length);
		if (got == 0)
			break;
		if (got < 0) {
			error = errno == EINTR ? 0 : -errno;
			continue;
		}
		length += (size_t)got;
		if (length > limit) {
			error = -EFBIG;
		} else if (length == capacity) {
			char *larger = realloc(data, 2 * capacity);
			error = larger == NULL ? -ENOMEM : 0;
			data = larger != NULL ? larger : data;
			capacity *= larger != NULL ? 2 : 1;
		}
	}
	if (error != 0) {
		free(data);
		return error;
	}
	*ret_content = (struct slice){data, length};
	return 0;
}

static int disk_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (descriptor < 0)
		return -errno;
	struct stat status;
	int error = fstat(descriptor, &status) != 0 ? -errno : 0;
	if (error == 0) {
		bool has_size = S_ISREG(status.st_mode) && status.st_size > 0;
		error = read_all(descriptor, has_size ? (size_t)status.st_size : 0, ret_content);
	}
	close(descriptor);
	return error;
}

static int disk_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	glob_t found = {0};
	int result = glob(pattern, GLOB_ERR, NULL, &found);
	if (result != 0 && result != GLOB_NOMATCH) {
		int error = result == GLOB_NOSPACE ? -ENOMEM : errno != 0 ? -errno : -EIO;
		globfree(&found);
		return error;
	}
	size_t length = 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		length += strlen(found.gl_pathv[i]) + 1;
	char *names = malloc(length > 0 ? length : 1);
	char *to = names;
	for (size_t i = 0; names != NULL && i < found.gl_pathc; i++) {
		size_t size = strlen(found.gl_pathv[i]) + 1;
		memcpy(to, found.gl_pathv[i], size);
		to += size;
	}
	globfree(&found);
	if (names == NULL)
		return -ENOMEM;
	*ret_names = (struct slice){names, length};
	return 0;
}

static const char *disk_environment(struct config_source *source, const char *name)
{
	return getenv(name);
}

static bool disk_is_open_to_others(struct config_source *source, const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0;
}

struct config_source *config_source_disk(void)
{
	static struct config_source disk = {
		.read_file = disk_read_file,
		.glob = disk_glob,
		.environment = disk_environment,
		.is_open_to_others = disk_is_open_to_others,
	};
	return &disk;
}
