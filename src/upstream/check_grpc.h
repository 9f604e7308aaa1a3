// The answer of gRPC's health service.
#ifndef USHER_UPSTREAM_CHECK_GRPC_H
#define USHER_UPSTREAM_CHECK_GRPC_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

// Reads one message with its prefix, not compressed: its field 1, the status; 0 where it is not
// written. Other fields are passed over. False when it is malformed.
bool grpc_health_read(struct slice bytes, uint64_t *ret_status);

#endif
