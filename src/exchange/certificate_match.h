// What a client's certificate must say: for a route to take its requests (match.client_certificate), and for a rule to
// let it in (access.certificate).
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

// Whether it may hold for a client that shows no certificate.
bool certificate_match_takes_none(const struct certificate_match *match);

// For people: "a verified certificate with the subject \"CN=ann\"". .data is NULL when memory is out.
struct slice certificate_match_words(const struct certificate_match_config *config, struct arena *arena);

enum match_result certificate_match_holds(const struct certificate_match *match, const struct exchange *exchange);

#endif
