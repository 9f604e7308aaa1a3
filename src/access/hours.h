// Hours of the week, by the clock on the wall: "Mon-Fri 08:00-18:00".
#ifndef USHER_ACCESS_HOURS_H
#define USHER_ACCESS_HOURS_H

#include "base/slice.h"
#include "base/time_zone.h"

#include <stdbool.h>
#include <stdint.h>

enum { HOURS_MINUTES = 7 * 24 * 60 };

// Zeroed, it has no minute.
struct hours {
	uint8_t minutes[HOURS_MINUTES / 8]; // of a week, from Monday 00:00 on
};

// Adds what a text says: days (Mon-Fri, or Mon,Wed,Sat-Sun; every day without them), and from when to when. The end is
// not in it any more; one that is not after the beginning is on the day after. 24:00 ends a day. NULL, or what is wrong
// (a literal that follows the text in a message).
const char *hours_add(struct hours *hours, struct slice text);

// Whether a time since 1970 is in them, in a zone. An hour that clocks go back is in them twice, one that they leave
// out is not.
bool hours_have(const struct hours *hours, const struct time_zone *zone, int64_t time_s);

#endif
