// Base64 (RFC 4648): the common alphabet with padding (section 4), and that for URLs without (section 5).
#ifndef USHER_BASE_BASE64_H
#define USHER_BASE_BASE64_H

#include "base/slice.h"

#include <stddef.h>

enum base64_kind { BASE64_PADDED, BASE64_URL };

// Room for the text of so many bytes, of either kind.
#define BASE64_LENGTH(length) (((length) + 2) / 3 * 4)

// Writes up to BASE64_LENGTH characters, without a NUL behind them; returns how many.
size_t base64_encode(enum base64_kind kind, struct slice bytes, char *to);

// How many bytes it wrote; -1 for what is no such text, or has more than `size` bytes. Each text of bytes is taken in
// one form alone (RFC 4648 section 3.5).
int base64_decode(enum base64_kind kind, struct slice text, void *to, size_t size);

#endif
