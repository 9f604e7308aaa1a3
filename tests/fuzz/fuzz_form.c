// Forms: whatever the bytes, a value within the room, without NULs.
#include "access/form.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char room[64];
	struct slice value, form = slice_from((const char *)data, size);
	for (size_t i = 1; i <= sizeof room; i *= 2) {
		if (!form_find(form, SLICE("a"), room, i, &value))
			continue;
		check(value.data == room && value.length < i && room[value.length] == '\0');
		check(memchr(room, '\0', value.length) == NULL);
	}
	return 0;
}
