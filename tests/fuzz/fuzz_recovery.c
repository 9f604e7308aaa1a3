// Recovery codes and their lists: whatever the bytes are, they are no code; and a list that is one is read to its end.
#include "access/recovery.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char list[] = "1:0123456789abcdef0123456789abcdef";
	static const struct totp_secret secret = {.bytes = {1, 2, 3}, .length = 16};
	struct slice bytes = slice_from((const char *)data, size);
	unsigned left;
	check(!recovery_take(&secret, slice_from_string(list), SLICE("staff"), SLICE("ann"), bytes, &left));
	if (recovery_is_list(bytes))
		check(!recovery_take(&secret, bytes, SLICE("staff"), SLICE("ann"), SLICE("00000-00000"), &left));
	return 0;
}
