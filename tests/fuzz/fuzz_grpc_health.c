// The answer of gRPC's health service: whatever the bytes, nothing is read beside them.
#include "support.h"
#include "upstream/check_grpc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t status = 0;
	char *exact = malloc(size ? size : 1); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	memcpy(exact, data, size);
	bool well = grpc_health_read(slice_from(exact, size), &status);
	free(exact);
	// The prefix alone is an answer without a status; a byte less is none.
	check(!well || size >= 5);
	check(!well || size > 5 || status == 0);
	return 0;
}
