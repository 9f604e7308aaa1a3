// SRV answers of DNS (RFC 2782), read from the wire: where a service is served.
//
// Pure: bytes in, services out. c-ares reads them as well, but keeps their time to live to itself.
#ifndef USHER_NET_DNS_SRV_H
#define USHER_NET_DNS_SRV_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { DNS_NAME_MAX = 255, SERVICES_MAX = 128 };

struct service {
	char host[DNS_NAME_MAX + 1]; // without the last dot; letters, digits, '-', '_' and '.'
	uint16_t port, priority, weight;
};

struct services {
	struct service items[SERVICES_MAX]; // of more, those that came first
	unsigned count;
	uint32_t ttl_s; // the least of all answers'; 0 where there is none
};

// Reads a whole DNS message. False for one that is malformed; records that name no host, or none that
// can be connected to (the target "."), are left out.
bool dns_srv_read(struct slice message, struct services *ret_services);

#endif
