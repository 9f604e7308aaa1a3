// UTF-8 (RFC 3629), as far as files and messages need it.
#ifndef USHER_CONFIG_UTF8_H
#define USHER_CONFIG_UTF8_H

#include "base/slice.h"

// The length of the character that the bytes begin with, 1 to 4; 0 when they begin with none
// (overlong forms, surrogates and what is beyond U+10FFFF are none).
static inline size_t utf8_length(struct slice bytes)
{
	if (bytes.length == 0)
		return 0;
	const unsigned char *b = (const unsigned char *)bytes.data;
	if (b[0] < 0x80)
		return 1;
	size_t length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
	if (b[0] < 0xc2 || b[0] > 0xf4 || bytes.length < length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf0 && b[1] < 0x90) ||
	    (b[0] == 0xf4 && b[1] > 0x8f))
		return 0;
	return length;
}

#endif
