// Formats of the access log, compiled once, and the lines that they make. For access_log.c.
#ifndef USHER_OBSERVE_ACCESS_FORMAT_H
#define USHER_OBSERVE_ACCESS_FORMAT_H

#include "observe/access_log.h"

struct access_format;

// No format makes a longer line, its newline included.
enum { ACCESS_LINE_MAX = 64 * 1024 };

// 0, -EINVAL with the part at fault in *ret_wrong, or -ENOMEM. `format` must live as long.
int access_format_new(struct slice format, struct access_format **ret_format, struct slice *ret_wrong);
void access_format_free(struct access_format *format);

// Whether $country is in it.
bool access_format_has_country(const struct access_format *format);

// Writes one line, newline included, of at most ACCESS_LINE_MAX bytes; returns its length.
size_t access_format_line(const struct access_format *format, const struct access_record *record, char *to);

#endif
