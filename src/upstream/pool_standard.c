// A pool that no section describes: what the tables in pool_keys.c say when nothing is
// written. A test holds the two together.
#include "fiber/loop.h"
#include "upstream/pool_keys.h"

const struct pool_config pool_config_standard = {
	.tries = 5,
	.retry = {.causes = RETRY_CONNECT | RETRY_RESET | RETRY_TIMEOUT, .body_bytes = 64 * 1024},
	.retry_budget = {.text = {"20%", 3}},
	.retry_percent = 20,
	.protocol = SERVER_HTTP1,
	.h2 =
		{
			.connections = 16,
			.streams = 100,
			.queue = 10000,
			.window_bytes = 128 * 1024,
			.ping_ns = 20 * SECOND_NS,
			.ping_timeout_ns = 10 * SECOND_NS,
		},
	.idle =
		{
			.connections = 512,
			.pool_connections = 4096,
			.timeout_ns = 55 * SECOND_NS,
			.age_ns = 3600 * SECOND_NS,
		},
	.rest = {.after = 3,
		 .for_ns = 5 * SECOND_NS,
		 .max_ns = 60 * SECOND_NS,
		 .share = {.text = {"50%", 3}},
		 .share_percent = 50},
	.queue = {.requests = 1000, .timeout_ns = 5 * SECOND_NS},
	.dns = {.min_ns = SECOND_NS, .max_ns = 3600 * SECOND_NS, .timeout_ns = 5 * SECOND_NS},
};
