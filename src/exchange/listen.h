// Where clients come in: the key `listen`, and what stands when it is not written.
#ifndef USHER_EXCHANGE_LISTEN_H
#define USHER_EXCHANGE_LISTEN_H

#include "config/key.h"
#include "exchange/snapshot_load.h"

#include <stdbool.h>

extern const struct config_section listen_section;

// Makes the snapshot's listens, once its sites are made. False after config_error.
bool listens_load(struct snapshot_loading *loading);

// A listener with TLS needs a certificate, and certificates a listener. False after
// config_error.
bool listens_check_tls(struct snapshot_loading *loading);

#endif
