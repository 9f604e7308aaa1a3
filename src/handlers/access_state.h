// Where logins keep what must not be forgotten, as the configuration's `state` says (access/state.h). For whoever puts
// configurations to work.
#ifndef USHER_HANDLERS_ACCESS_STATE_H
#define USHER_HANDLERS_ACCESS_STATE_H

#include "exchange/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

// The directory that a configuration names, and where it does so; NULL.
const char *access_state_path(const struct snapshot *snapshot, const struct config_place **ret_place);

// Opens the store (its directory: exchange/directories.h), where the configuration names one for the first time. False
// with words of what is wrong. Another one, or none, is taken at a restart only. Not on a loop.
bool access_state_use(const struct snapshot *snapshot, char *ret_failure, size_t size);

// Writes what is to be written, and closes it; once nothing runs any more.
void access_state_end(void);

#endif
