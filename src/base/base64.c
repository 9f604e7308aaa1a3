#include "base/base64.h"

static const char alphabets[][65] = {
	[BASE64_PADDED] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	[BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_encode(enum base64_kind kind, struct slice bytes, char *to)
{
	size_t written = 0;
	for (size_t i = 0; i < bytes.length; i += 3) {
		unsigned group = 0;
		size_t given = bytes.length - i < 3 ? bytes.length - i : 3;
		for (size_t j = 0; j < 3; j++)
			group = group << 8 | (j < given ? (unsigned char)bytes.data[i + j] : 0);
		for (size_t j = 0; j <= given; j++)
			to[written++] = alphabets[kind][group >> (18 - 6 * j) & 63];
		for (size_t j = given; j < 3 && kind == BASE64_PADDED; j++)
			to[written++] = '=';
	}
	return written;
}

static int digit_of(enum base64_kind kind, char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == alphabets[kind][62] ? 62 : c == alphabets[kind][63] ? 63 : -1;
}

static bool take_padding(struct slice *text)
{
	size_t padding = 0;
	for (; padding < 2 && text->length > 0 && text->data[text->length - 1] == '='; padding++)
		text->length--;
	return (text->length + padding) % 4 == 0;
}

int base64_decode(enum base64_kind kind, struct slice text, void *to, size_t size)
{
	unsigned bits = 0, count = 0;
	unsigned char *bytes = to;
	size_t length = 0;
	if (kind == BASE64_PADDED && !take_padding(&text))
		return -1;
	for (size_t i = 0; i < text.length; i++) {
		int digit = digit_of(kind, text.data[i]);
		if (digit < 0)
			return -1;
		bits = bits << 6 | (unsigned)digit;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (length == size)
			return -1;
		bytes[length++] = (unsigned char)(bits >> count);
		bits &= (1U << count) - 1;
	}
	return bits == 0 && count < 6 ? (int)length : -1;
}
