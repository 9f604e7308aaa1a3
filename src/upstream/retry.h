// When a request is tried at another server: the section `retry` of a pool, which a route may
// replace, and what a pool spends on it.
#ifndef USHER_UPSTREAM_RETRY_H
#define USHER_UPSTREAM_RETRY_H

#include "config/key.h"
#include "config/load.h"
#include "exchange/status_range.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;

// After what.
enum retry_cause {
	RETRY_CONNECT = 1 << 0, // no connection could be made
	RETRY_RESET = 1 << 1,	// the connection ended before a byte of the answer
	RETRY_TIMEOUT = 1 << 2, // timeouts.try was over
};

enum { RETRY_STATUS_RANGES_MAX = 16 };

struct retry_config {
	struct config_place place;
	struct config_texts on;
	struct config_texts status_texts;
	struct config_texts methods;
	int64_t body_bytes; // kept of a request's body, so that it can be sent again
	// Made of the above.
	uint32_t causes;  // bits of enum retry_cause
	uint32_t allowed; // bits by enum method; 0: those that are idempotent
	struct status_range statuses[RETRY_STATUS_RANGES_MAX];
	uint32_t status_count;
};

extern const struct config_section retry_section;

// What stands when nothing is written.
extern const struct retry_config retry_standard;

// Whether a request with the method may be sent again though a server may have acted on it:
// RFC 9110 section 9.2.2, unless the configuration names the methods.
bool retry_allows_method(const struct retry_config *retry, enum method method);

// Takes one retry from what the pool may spend: a share of the requests of the last seconds and
// a few more, so that retries do not make an overload worse. False when it is spent. From any
// thread; no locks.
bool pool_spend_retry(struct pool *pool);

// Gives back one that was not made after all.
void pool_return_retry(struct pool *pool);

#endif
