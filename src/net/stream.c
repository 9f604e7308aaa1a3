#include "net/stream.h"

#include <errno.h>

// Passes over what was written: moves *parts on, and returns how many are left.
static int parts_after(struct iovec **parts, int count, size_t written)
{
	while (count > 0 && written >= (*parts)->iov_len) {
		written -= (*parts)->iov_len;
		(*parts)++;
		count--;
	}
	if (count > 0) {
		(*parts)->iov_base = (char *)(*parts)->iov_base + written;
		(*parts)->iov_len -= written;
	}
	return count;
}

int stream_write_all(struct stream *stream, struct iovec *parts, int count, bool more, const char *what,
		     int64_t idle_ns)
{
	count = parts_after(&parts, count, 0);
	while (count > 0) {
		ssize_t written = stream_write(stream, parts, count, more, what, stream_deadline(idle_ns));
		if (written < 0)
			return (int)written;
		count = parts_after(&parts, count, (size_t)written);
	}
	return 0;
}
