// The memory of nghttp2's sessions: from lists of each thread, so that streams come and go
// without malloc in steady state.
#ifndef USHER_HTTP_H2_MEMORY_H
#define USHER_HTTP_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

// For nghttp2_session_..._new3. Sessions stay on the thread that made them.
nghttp2_mem *h2_memory(void);

// Frees what this thread keeps for use again; before it ends.
void h2_memory_trim(void);

#endif
