#include "http/preference.h"

// RFC 9110 section 12.4.2: 0 to 1 with at most three decimals; false for anything else.
static bool parse_quality(struct slice text, unsigned *ret_thousandths)
{
	if (text.length == 0 || text.length > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
	    (text.length > 1 && text.data[1] != '.'))
		return false;
	unsigned value = (unsigned)(text.data[0] - '0') * 1000, unit = 100;
	for (size_t i = 2; i < text.length; i++, unit /= 10) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value += (unsigned)(text.data[i] - '0') * unit;
	}
	*ret_thousandths = value;
	return value <= 1000;
}

bool preference_read(struct slice member, struct slice *ret_value, unsigned *ret_quality)
{
	struct slice parameters, parameter, name, value;
	*ret_quality = PREFERENCE_WHOLE;
	bool more = slice_cut(member, ';', &member, &parameters);
	*ret_value = slice_trim(member);
	while (more) {
		more = slice_cut(parameters, ';', &parameter, &parameters);
		if (slice_cut(slice_trim(parameter), '=', &name, &value) && slice_equal_nocase(name, SLICE("q")))
			return parse_quality(value, ret_quality);
	}
	return true;
}
