#include "access/basic.h"

#include "base/base64.h"

bool basic_read(struct slice value, struct basic *ret_basic)
{
	struct slice scheme, credentials;
	if (!slice_cut(value, ' ', &scheme, &credentials) || !slice_equal_nocase(scheme, SLICE("Basic")))
		return false;
	int length = base64_decode(BASE64_PADDED, slice_trim(credentials), ret_basic->room, sizeof ret_basic->room - 1);
	if (length < 0)
		return false;
	ret_basic->room[length] = '\0';
	struct slice whole = slice_from(ret_basic->room, (size_t)length);
	if (!slice_is_printable(whole))
		return false;
	if (!slice_cut(whole, ':', &ret_basic->user, &ret_basic->password))
		return false;
	ret_basic->room[ret_basic->user.length] = '\0';
	return ret_basic->user.length > 0;
}
