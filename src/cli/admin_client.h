// A client of the admin API: one request on a UNIX socket, and its JSON.
#ifndef USHER_CLI_ADMIN_CLIENT_H
#define USHER_CLI_ADMIN_CLIENT_H

#include <jansson.h>

// Where the usher that runs with the configuration at `config` has its admin socket; `given`, when it
// is not NULL. Malloced; NULL after a message on standard error that begins with `who`.
char *admin_client_path(const char *who, const char *config, const char *given);

// Sends the request (`body` may be NULL) and returns the status: 2xx to 5xx; or 0 when nobody listens,
// or what came is no answer, after a message on standard error. *ret_answer is the answer's JSON, the
// caller's; NULL when it has none.
int admin_client_ask(const char *who, const char *path, const char *method, const char *target, json_t *body,
		     json_t **ret_answer);

// A target: the segments (ends with NULL), percent-encoded. Malloced; NULL when memory is out.
char *admin_client_target(const char *const *segments);

#endif
