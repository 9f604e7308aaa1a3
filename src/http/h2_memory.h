// The memory of nghttp2's sessions: from lists of each thread, so that streams come and go
// without malloc in steady state.
#ifndef USHER_HTTP_H2_MEMORY_H
#define USHER_HTTP_H2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

// For nghttp2_session_..._new3. Sessions stay on the thread that made them.
nghttp2_mem *h2_memory(void);

// Whether memory was out since the last call, and pieces were taken that are set aside for that.
// Sessions do not take its end well: one that was refused memory may free a piece twice (nghttp2
// 1.52, when the data of a response is queued). So they are not refused; whoever called a session
// asks here afterwards, and ends the connection.
bool h2_memory_was_short(void);

// Frees what this thread keeps for use again; before it ends.
void h2_memory_trim(void);

#endif
