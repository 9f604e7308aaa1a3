// SRV answers of DNS: whatever the bytes, nothing is read beside them, and what comes out is a host.
#include "net/dns_srv.h"
#include "support.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct services services;
	char *exact = malloc(size ? size : 1); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	bool well = dns_srv_read(slice_from(exact, size), &services);
	free(exact);
	check(services.count <= SERVICES_MAX);
	for (unsigned i = 0; well && i < services.count; i++) {
		size_t length = strlen(services.items[i].host);
		check(length > 0 && length <= DNS_NAME_MAX && services.items[i].port > 0);
		for (size_t j = 0; j < length; j++)
			check((unsigned char)services.items[i].host[j] > ' ' && services.items[i].host[j] != '/');
	}
	return 0;
}
