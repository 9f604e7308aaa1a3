// A pool that no section describes: what the tables in pool_keys.c say when nothing is
// written. A test holds the two together.
#include "fiber/loop.h"
#include "upstream/pool_keys.h"

const struct pool_config pool_config_standard = {
	.tries = 5,
	.idle =
		{
			.connections = 512,
			.pool_connections = 4096,
			.timeout_ns = 55 * SECOND_NS,
			.age_ns = 3600 * SECOND_NS,
		},
	.rest = {.after = 3, .for_ns = 5 * SECOND_NS, .max_ns = 60 * SECOND_NS},
	.dns = {.min_ns = SECOND_NS, .max_ns = 3600 * SECOND_NS, .timeout_ns = 5 * SECOND_NS},
};
