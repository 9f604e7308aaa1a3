#include "control/pid_file.h"

#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PID_TEXT_MAX = 32 };

// A reader must never see half a number, so the file is written beside and renamed.
int pid_file_write(const char *path)
{
	char beside[PATH_MAX], text[PID_TEXT_MAX];
	int written = snprintf(beside, sizeof beside, "%s.%d", path, (int)getpid());
	if (written < 0 || (size_t)written >= sizeof beside)
		return -ENAMETOOLONG;
	int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
	int descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (descriptor < 0)
		return -errno;
	int error = write(descriptor, text, (size_t)length) == length ? 0 : -EIO;
	if (close(descriptor) < 0 && error == 0)
		error = -errno;
	if (error == 0 && rename(beside, path) < 0)
		error = -errno;
	if (error < 0)
		(void)unlink(beside);
	return error;
}

void pid_file_remove(const char *path)
{
	char text[PID_TEXT_MAX];
	uint64_t number;
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return;
	ssize_t got = read(descriptor, text, sizeof text);
	close(descriptor);
	if (got > 1 && slice_to_number(slice_from(text, (size_t)got - 1), &number) && number == (uint64_t)getpid())
		(void)unlink(path);
}
