// match.client_certificate: what a client's certificate must say for a route to take its
// requests.
#ifndef USHER_EXCHANGE_CERTIFICATE_MATCH_H
#define USHER_EXCHANGE_CERTIFICATE_MATCH_H

#include "exchange/route_match.h"

#include <stdbool.h>

struct certificate_match;
struct certificate_match_config;

extern const struct config_section certificate_match_section;

// NULL after config_error, or when memory is out.
const struct certificate_match *certificate_match_load(struct config_load *load,
						       const struct certificate_match_config *config);

enum match_result certificate_match_holds(const struct certificate_match *match, const struct exchange *exchange);

#endif
