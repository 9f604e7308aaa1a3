// Time zones: how far local time is from UTC, by what tzdata's files (RFC 8536) and POSIX's TZ texts say.
//
// The C library knows one zone, and changing it is not safe while other threads run.
#ifndef USHER_BASE_TIME_ZONE_H
#define USHER_BASE_TIME_ZONE_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A day of each year, and a time on it (POSIX.1-2017 section 8.3; RFC 8536 section 3.3.1 for hours up to 167).
struct time_zone_change {
	char kind; // 'M': a day of a week of a month; 'J': a day from 1 on without 29 February; 'D': one from 0 on with
		   // it
	int month, week, day;
	int32_t seconds; // from midnight, by the clock before the change
};

// A zone as a TZ text has it.
struct time_zone_rule {
	bool has_summer;
	int32_t standard_s, summer_s; // to be added to UTC
	struct time_zone_change begin, end;
};

struct time_zone {
	size_t count; // of changes that are listed
	const int64_t *times;
	const int32_t *offsets_s; // from that time on
	int32_t first_offset_s;	  // before all of them
	bool has_rule;		  // for what comes after them
	struct time_zone_rule rule;
};

// UTC.
static const struct time_zone time_zone_utc = {0};

// Reads a file of tzdata; what is kept is in the arena. False when it is no such file (zones that count leap seconds
// are none either), or memory is out.
bool time_zone_read(struct slice content, struct arena *arena, struct time_zone *ret_zone);

// Reads a TZ text such as CET-1CEST,M3.5.0,M10.5.0/3, whole.
bool time_zone_parse(struct slice text, struct time_zone *ret_zone);

// What is to be added to UTC, in seconds, at a time since 1970.
int32_t time_zone_offset_s(const struct time_zone *zone, int64_t time_s);

#endif
