// The key `access.times`: when visitors may come at all. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_TIMES_H
#define USHER_HANDLERS_ACCESS_TIMES_H

#include "access/hours.h"
#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct access_times {
	struct config_place place;
	struct config_texts at;
	struct config_text zone_name; // absent: the machine's
	// Made of these.
	struct hours hours;
	struct time_zone zone;
	struct slice words; // for people: "Mon-Fri 08:00-18:00 and Sat 09:00-12:00 (Europe/Zurich)"
};

extern const struct config_section access_times_section;

// False after config_error.
bool access_times_load(struct config_load *load, struct access_times *times);

#endif
