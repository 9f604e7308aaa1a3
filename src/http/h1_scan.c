#include "http/h1.h"

#include <string.h>

ssize_t h1_scan_head(struct h1_scanner *scanner, const char *data, size_t length)
{
	while (scanner->scanned < length) {
		const char *line_feed = memchr(data + scanner->scanned, '\n', length - scanner->scanned);
		if (line_feed == NULL) {
			// A CR alone may be half of an empty line before the message: as long as
			// nothing counts as looked at, the caller may still skip it.
			scanner->scanned = length == 1 && data[0] == '\r' ? 0 : length;
			return 0;
		}
		size_t at = (size_t)(line_feed - data);
		// RFC 9112 section 2.2 lets a recipient take a bare LF for a line's end; one that
		// does not reads another message then.
		if (at == 0 || data[at - 1] != '\r')
			return -1;
		if (at - 1 == scanner->line_start)
			return (ssize_t)at + 1;
		scanner->line_start = scanner->scanned = at + 1;
	}
	return 0;
}

size_t h1_skip_empty_line(const char *data, size_t length)
{
	return length >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0;
}
