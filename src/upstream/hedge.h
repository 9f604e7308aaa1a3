// When a request that is slow to be answered is sent to a second server as well: the key `hedge` of a
// pool.
//
// After a fixed time; or after what a share of the pool's answers of late take less than, which is
// followed by one number: each answer moves it up a little when it took longer, and down less when it
// did not, so that it rests where the wished share is below (Ma, Muthukrishnan and Sandler, "Frugal
// Streaming for Estimating Quantiles", 2013; with steps in proportion).
#ifndef USHER_UPSTREAM_HEDGE_H
#define USHER_UPSTREAM_HEDGE_H

#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct pool_family;

struct hedge_config {
	struct config_text text; // "off", "p95", "200ms"
	int64_t after_ns;	 // 0: not after a fixed time
	uint32_t percent;	 // 50 to 99; 0: by no share of the answers
};

#define HEDGE_FORM "off, a share of the answers from p50 to p99, or a duration such as 200ms"

// Completes it. False after config_error.
bool hedge_load(struct config_load *load, struct hedge_config *hedge);

// How long to wait for the first server; 0: for ever. On the hot path.
int64_t hedge_after_ns(const struct pool *pool);

// An answer of a server of the pool came after so long. On the hot path; threads may overwrite each
// other's step, one of many.
void hedge_note(struct pool_family *family, int64_t response_ns);

#endif
