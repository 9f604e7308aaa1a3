// Headers of the PROXY protocol, byte by byte as they are asked for: a result within bounds, whatever the bytes.
#include "net/proxy_header.h"
#include "support.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address client;
	size_t length = 0, needed = PROXY_HEADER_FIRST;
	enum proxy_header_result result = PROXY_HEADER_MORE;
	char *exact = malloc(size ? size : 1); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	while (result == PROXY_HEADER_MORE && size - length >= needed) {
		check(needed > 0);
		length += needed;
		check(length <= PROXY_HEADER_MAX);
		char *so_far = malloc(length);
		check(so_far != NULL);
		memcpy(so_far, exact, length);
		result = proxy_header_read(slice_from(so_far, length), &needed, &client);
		free(so_far);
	}
	if (result == PROXY_HEADER_CLIENT)
		check(client.any.sa_family == AF_INET || client.any.sa_family == AF_INET6);
	free(exact);
	return 0;
}
