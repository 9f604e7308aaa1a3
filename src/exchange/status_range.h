// Statuses as a configuration lists them: [500, "502-504"].
#ifndef USHER_EXCHANGE_STATUS_RANGE_H
#define USHER_EXCHANGE_STATUS_RANGE_H

#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct status_range {
	uint16_t first, last;
};

// What is expected, for keys.
#define STATUS_RANGE_FORM "a status such as 503, or a range such as \"502-504\""

// Reads at most `most` ranges; statuses are `lowest` to 599. False after config_error.
bool status_ranges_load(struct config_load *load, const struct config_texts *texts, unsigned lowest,
			struct status_range *ret_ranges, uint32_t most, uint32_t *ret_count);

static inline bool status_is_in(unsigned status, const struct status_range *ranges, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (status >= ranges[i].first && status <= ranges[i].last)
			return true;
	return false;
}

#endif
