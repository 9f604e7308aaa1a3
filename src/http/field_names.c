// The well-known field names: from name to id by a perfect hash, and back.
#include "base/check.h"
#include "http/field_hash.h"
#include "http/fields.h"

static const struct slice names[FIELD_COUNT] = {
#define FIELD_NAME(id, name, lower) [FIELD_##id] = {name, sizeof(name) - 1},
	WELL_KNOWN_FIELDS(FIELD_NAME)
#undef FIELD_NAME
};

static const struct slice lower_names[FIELD_COUNT] = {
#define FIELD_LOWER(id, name, lower) [FIELD_##id] = {lower, sizeof(lower) - 1},
	WELL_KNOWN_FIELDS(FIELD_LOWER)
#undef FIELD_LOWER
};

// The only id that a name with this hash can have. tests/unit/http/test_fields.c checks the
// table against WELL_KNOWN_FIELDS, and prints a new one when it does not fit any more.
static const uint8_t slots[FIELD_HASH_SLOTS] = {
	[0] = FIELD_PROXY_STATUS,
	[3] = FIELD_SET_COOKIE,
	[4] = FIELD_PROXY_AUTHORIZATION,
	[5] = FIELD_UPGRADE,
	[6] = FIELD_CONTENT_LENGTH,
	[12] = FIELD_IF_UNMODIFIED_SINCE,
	[13] = FIELD_ETAG,
	[14] = FIELD_AGE,
	[16] = FIELD_HOST,
	[18] = FIELD_VARY,
	[23] = FIELD_X_FORWARDED_FOR,
	[24] = FIELD_TRAILER,
	[26] = FIELD_ALLOW,
	[28] = FIELD_IF_NONE_MATCH,
	[30] = FIELD_SURROGATE_KEY,
	[31] = FIELD_VIA,
	[32] = FIELD_EXPECT,
	[35] = FIELD_KEEP_ALIVE,
	[38] = FIELD_X_FORWARDED_HOST,
	[39] = FIELD_USER_AGENT,
	[40] = FIELD_RETRY_AFTER,
	[42] = FIELD_SERVER,
	[43] = FIELD_CONTENT_ENCODING,
	[44] = FIELD_PRAGMA,
	[46] = FIELD_CACHE_TAG,
	[47] = FIELD_X_REAL_IP,
	[48] = FIELD_ACCEPT,
	[49] = FIELD_PRIORITY,
	[51] = FIELD_EXPIRES,
	[52] = FIELD_DATE,
	[53] = FIELD_AUTHORIZATION,
	[54] = FIELD_LAST_MODIFIED,
	[55] = FIELD_CONNECTION,
	[63] = FIELD_X_FORWARDED_PROTO,
	[64] = FIELD_ORIGIN,
	[67] = FIELD_IF_MATCH,
	[68] = FIELD_HTTP2_SETTINGS,
	[70] = FIELD_FORWARDED,
	[71] = FIELD_IF_RANGE,
	[77] = FIELD_RANGE,
	[78] = FIELD_PROXY_CONNECTION,
	[79] = FIELD_LOCATION,
	[80] = FIELD_TE,
	[89] = FIELD_TRANSFER_ENCODING,
	[94] = FIELD_WWW_AUTHENTICATE,
	[96] = FIELD_REFERER,
	[98] = FIELD_ACCEPT_ENCODING,
	[100] = FIELD_ACCEPT_LANGUAGE,
	[103] = FIELD_CONTENT_TYPE,
	[104] = FIELD_IF_MODIFIED_SINCE,
	[108] = FIELD_MAX_FORWARDS,
	[110] = FIELD_PROXY_AUTHENTICATION_INFO,
	[111] = FIELD_CACHE_CONTROL,
	[116] = FIELD_X_REQUEST_ID,
	[120] = FIELD_CONTENT_RANGE,
	[123] = FIELD_COOKIE,
	[126] = FIELD_PROXY_AUTHENTICATE,
};

_Static_assert(FIELD_COUNT <= UINT8_MAX, "an id fits a slot");

// Whether `bytes` and the same number of `known` ones are the same letters, digits and
// hyphens. `known` has no others; bit 0x20 makes the difference of case, and is set in
// digits and hyphens already. A control character would pass for a hyphen or a digit
// but for the second condition.
static inline bool same_8(const char *bytes, const char *known)
{
	const uint64_t case_bits = 0x2020202020202020;
	uint64_t a, b;
	memcpy(&a, bytes, sizeof(a));
	memcpy(&b, known, sizeof(b));
	return (a | case_bits) == (b | case_bits) && ((a | a >> 1) & case_bits) == case_bits;
}

static bool same_name(const char *bytes, const char *known, size_t length)
{
	if (length < 8) {
		for (size_t i = 0; i < length; i++) {
			if (ascii_lower(bytes[i]) != ascii_lower(known[i]))
				return false;
		}
		return true;
	}
	for (size_t i = 0; i + 8 < length; i += 8) {
		if (!same_8(bytes + i, known + i))
			return false;
	}
	return same_8(bytes + length - 8, known + length - 8);
}

enum field_id field_id_of(struct slice name)
{
	if (name.length == 0)
		return FIELD_OTHER;
	enum field_id id = slots[field_hash(name, FIELD_HASH_MULTIPLIER)];
	if (names[id].length != name.length || !same_name(name.data, names[id].data, name.length))
		return FIELD_OTHER;
	return id;
}

struct slice field_name(enum field_id id)
{
	check(id > FIELD_OTHER && id < FIELD_COUNT);
	return names[id];
}

struct slice field_name_lower(enum field_id id)
{
	check(id > FIELD_OTHER && id < FIELD_COUNT);
	return lower_names[id];
}
