// What clients would say of a certificate, said while the configuration is loaded.
#ifndef USHER_TLS_CERTIFICATE_CHECK_H
#define USHER_TLS_CERTIFICATE_CHECK_H

#include "tls/certificate.h"

// Whether it can be shown to clients: its key fits, the chain is in order, its algorithms are
// not broken ones; reported otherwise. What clients will refuse although it can be shown (it
// has expired) is a warning, since a proxy that runs must not refuse all of a configuration
// for it; so is what ends within three weeks.
bool certificate_check(struct config_load *load, const struct certificate *certificate);

#endif
