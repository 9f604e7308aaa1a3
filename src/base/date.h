// Dates as HTTP and logs write them. All but date_log are in UTC.
//
// Seconds count from 1970-01-01 UTC, leap seconds left out. What is outside of the years 0
// to 9999 is formatted as the nearest second inside.
#ifndef USHER_BASE_DATE_H
#define USHER_BASE_DATE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { DATE_HTTP_LENGTH = 29, DATE_LOG_LENGTH = 26, DATE_RFC3339_LENGTH = 24 };

// "Sun, 06 Nov 1994 08:49:37 GMT": the IMF-fixdate of RFC 9110 section 5.6.7, without NUL.
void date_format_http(int64_t seconds, char ret_text[DATE_HTTP_LENGTH]);

// The same from a cache that each thread keeps for the last second asked for: good until
// the thread's next call.
struct slice date_http(int64_t seconds);

// "06/Nov/1994:08:49:37 +0000": the time of the combined log format, in local time, from a
// cache as above.
struct slice date_log(int64_t seconds);

// "1994-11-06T08:49:37.123Z", from nanoseconds, without NUL.
void date_format_rfc3339(int64_t nanoseconds, char ret_text[DATE_RFC3339_LENGTH]);

// Any of the three forms of RFC 9110 section 5.6.7; false for anything else. The two digits
// of an RFC 850 year mean a year that is at most 50 years after `now_seconds`.
bool date_parse_http(struct slice text, int64_t now_seconds, int64_t *ret_seconds);

#endif
