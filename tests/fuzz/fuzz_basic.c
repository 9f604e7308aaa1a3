// Basic credentials: whatever the bytes, a name and a password within the room, without control characters.
#include "access/basic.h"
#include "support.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct basic basic;
	char *exact = malloc(size ? size : 1); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	if (basic_read(slice_from(exact, size), &basic)) {
		check(basic.user.length > 0 && basic.user.length + basic.password.length + 2 <= sizeof basic.room);
		check(basic.user.data == basic.room && basic.user.data[basic.user.length] == '\0');
		check(basic.password.data[basic.password.length] == '\0');
		check(slice_find(basic.user, ':') == basic.user.length);
		for (size_t i = 0; i < basic.user.length; i++)
			check((unsigned char)basic.user.data[i] >= ' ');
		for (size_t i = 0; i < basic.password.length; i++)
			check((unsigned char)basic.password.data[i] >= ' ');
	}
	free(exact);
	return 0;
}
