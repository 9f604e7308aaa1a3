// Outliers: servers whose answers take far longer than the others' are set aside for a while
// (HOLD_SLOW).
//
// One thread of the process looks every ten seconds at what came meanwhile. Means of many answers
// are compared, so that one slow page is nothing to a server. Only pools with rest.latency have it.
#ifndef USHER_UPSTREAM_OUTLIER_H
#define USHER_UPSTREAM_OUTLIER_H

#include <stdbool.h>
#include <stdint.h>

struct server;

// Makes this thread the one that looks; and ends that, on the same thread.
void outliers_start(void);
void outliers_stop(void);

// --- For the files of this folder.

// Whether one server more of its pool may be set aside although it answers: rest.share. Takes the
// registry's lock.
bool outlier_may_rest(const struct server *server);

#endif
