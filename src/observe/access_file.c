#include "observe/access_file.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// A FIFO is opened for reading too: then nobody has to be there to read it, nor to stay.
static int open_path(const char *path)
{
	struct stat status;
	bool fifo = stat(path, &status) == 0 && S_ISFIFO(status.st_mode);
	int access = fifo ? O_RDWR : O_WRONLY | O_CREAT;
	int descriptor = open(path, access | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	return descriptor < 0 ? -errno : descriptor;
}

static int (*opener)(const char *path) = open_path;

void file_output_set_opener(int (*open)(const char *path))
{
	opener = open ? open : open_path;
}

static int open_output(const struct file_output *output)
{
	if (!output->standard)
		return opener(output->path);
	int standard = strcmp(output->path, "stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO;
	int descriptor = fcntl(standard, F_DUPFD_CLOEXEC, 3);
	return descriptor < 0 ? -errno : descriptor;
}

static void use(struct file_output *output, int descriptor)
{
	struct stat status;
	output->descriptor = descriptor;
	output->torn = false;
	output->gradual = fstat(descriptor, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

int file_output_init(struct file_output *output, const char *path)
{
	*output = (struct file_output){.descriptor = -1};
	output->standard = strcmp(path, "stdout") == 0 || strcmp(path, "stderr") == 0;
	output->path = strdup(path);
	if (output->path == NULL)
		return -ENOMEM;
	int descriptor = open_output(output);
	if (descriptor < 0) {
		file_output_fini(output);
		return descriptor;
	}
	use(output, descriptor);
	return 0;
}

void file_output_fini(struct file_output *output)
{
	if (output->descriptor >= 0)
		close(output->descriptor);
	output->descriptor = -1;
	free(output->path);
}

bool file_output_is_open(const struct file_output *output)
{
	return output->descriptor >= 0;
}

void file_output_close(struct file_output *output)
{
	if (output->standard || output->descriptor < 0)
		return;
	close(output->descriptor);
	output->descriptor = -1;
}

void file_output_reopen(struct file_output *output)
{
	if (output->standard && output->descriptor >= 0)
		return;
	int descriptor = open_output(output);
	if (descriptor < 0) {
		log_warning("access log %s: cannot be opened again: %s; goes on as it was", output->path,
			    strerror(-descriptor));
		return;
	}
	if (output->descriptor >= 0)
		close(output->descriptor);
	use(output, descriptor);
}

// How much of the data may be written without waiting; 0: nothing. A pipe that polls
// writable takes PIPE_BUF bytes (pipe(7)); whole lines where they fit, so that those of other
// writers do not come between.
static size_t allowed_now(const struct file_output *output, const char *data, size_t size)
{
	if (!output->gradual)
		return size;
	struct pollfd poll_for = {.fd = output->descriptor, .events = POLLOUT};
	if (poll(&poll_for, 1, 0) <= 0)
		return 0;
	if (size <= PIPE_BUF)
		return size;
	const char *newline = memrchr(data, '\n', PIPE_BUF);
	return newline ? (size_t)(newline - data) + 1 : PIPE_BUF;
}

// One write: how many bytes of the data went out, or -errno.
static ssize_t write_once(struct file_output *output, const char *data, size_t size)
{
	size = allowed_now(output, data, size);
	if (size == 0)
		return -EAGAIN;
	struct iovec parts[2] = {{"\n", 1}, {(char *)data, size}};
	unsigned skipped = output->torn ? 0 : 1;
	ssize_t written = writev(output->descriptor, parts + skipped, 2 - (int)skipped);
	if (written < 0)
		return -errno;
	if (!output->torn || written == 0)
		return written;
	output->torn = false;
	return written - 1;
}

int file_output_write(struct file_output *output, const char *data, size_t size, size_t *written)
{
	if (output->descriptor < 0) {
		int descriptor = open_output(output);
		if (descriptor < 0)
			return descriptor;
		use(output, descriptor);
	}
	while (*written < size) {
		ssize_t count = write_once(output, data + *written, size - *written);
		if (count >= 0) {
			*written += (size_t)count;
		} else if (count == -EAGAIN) {
			return -EAGAIN;
		} else if (count != -EINTR) {
			output->torn = output->torn || (*written > 0 && data[*written - 1] != '\n');
			return (int)count;
		}
	}
	return 0;
}
