#include "access/basic.h"

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648 section 4, whole groups of four. The length, or -1.
static int decode(struct slice text, char *to, size_t size)
{
	size_t length = 0;
	while (text.length > 0 && text.data[text.length - 1] == '=' && length++ < 2)
		text.length--;
	if ((text.length + length) % 4 != 0)
		return -1;
	unsigned bits = 0, count = 0;
	length = 0;
	for (size_t i = 0; i < text.length; i++) {
		int digit = digit_of(text.data[i]);
		if (digit < 0)
			return -1;
		bits = bits << 6 | (unsigned)digit;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (length + 1 >= size)
			return -1;
		to[length++] = (char)(bits >> count);
		bits &= (1U << count) - 1;
	}
	to[length] = '\0';
	return bits == 0 ? (int)length : -1;
}

bool basic_read(struct slice value, struct basic *ret_basic)
{
	struct slice scheme, credentials;
	if (!slice_cut(value, ' ', &scheme, &credentials) || !slice_equal_nocase(scheme, SLICE("Basic")))
		return false;
	int length = decode(slice_trim(credentials), ret_basic->room, sizeof ret_basic->room);
	if (length < 0)
		return false;
	struct slice whole = slice_from(ret_basic->room, (size_t)length);
	for (size_t i = 0; i < whole.length; i++)
		if ((unsigned char)whole.data[i] < ' ' || whole.data[i] == 0x7f)
			return false;
	if (!slice_cut(whole, ':', &ret_basic->user, &ret_basic->password))
		return false;
	ret_basic->room[ret_basic->user.length] = '\0';
	return ret_basic->user.length > 0;
}
