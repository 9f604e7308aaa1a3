#include "control/control_path.h"

#include "base/hash.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fits(int written, size_t size)
{
	return written >= 0 && (size_t)written < size;
}

// A file's name alone would be the same for most, and its whole path too long for a socket.
static int default_path(const char *config, struct sockaddr_un *address)
{
	char *real = realpath(config, NULL);
	if (!real)
		return -errno;
	const char *name = strrchr(real, '/');
	name = name ? name + 1 : real;
	unsigned long long hash = hash_fast(slice_from_string(real));
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int written;
	if (geteuid() == 0)
		written = snprintf(address->sun_path, sizeof address->sun_path, "/run/usher/%.24s-%016llx", name, hash);
	else if (runtime && runtime[0] == '/')
		written = snprintf(address->sun_path, sizeof address->sun_path, "%s/usher/%.24s-%016llx", runtime, name,
				   hash);
	else
		written = snprintf(address->sun_path, sizeof address->sun_path, "/tmp/usher-%u/%.24s-%016llx",
				   (unsigned)geteuid(), name, hash);
	free(real);
	return fits(written, sizeof address->sun_path) ? 0 : -ENAMETOOLONG;
}

int control_path(const char *given, const char *config, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error = 0;
	if (!given)
		error = default_path(config, &address);
	else if (!fits(snprintf(address.sun_path, sizeof address.sun_path, "%s", given), sizeof address.sun_path))
		error = -ENAMETOOLONG;
	if (error == 0)
		*ret_address = address;
	return error;
}

// Anybody may make a directory in /tmp before us; one of somebody else's is not to be used.
static int check_owner(const char *directory)
{
	struct stat status;
	if (lstat(directory, &status) < 0)
		return -errno;
	bool is_ours = S_ISDIR(status.st_mode) && status.st_uid == geteuid() && (status.st_mode & 022) == 0;
	return is_ours ? 0 : -EPERM;
}

int control_path_prepare(const struct sockaddr_un *address)
{
	char directory[sizeof address->sun_path];
	memcpy(directory, address->sun_path, sizeof directory);
	char *slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	return check_owner(directory);
}
