// The configuration that `usher proxy LISTEN TARGET...` stands for.
#ifndef USHER_CLI_PROXY_TEXT_H
#define USHER_CLI_PROXY_TEXT_H

#include "base/text.h"

#include <stdbool.h>

// Writes it. A port alone stands for all addresses of this host as LISTEN, and for this host
// as TARGET; a target may be a URL, host:port, or unix:/path. False, with the argument at
// fault, when one cannot be written in a configuration, or when there is no room.
bool proxy_text(struct text *text, const char *listen, char *const *targets, int target_count, const char *access_log,
		const char **ret_wrong);

#endif
