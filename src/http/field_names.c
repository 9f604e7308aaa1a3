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
	[0] = FIELD_AUTHORIZATION,
	[8] = FIELD_IF_MATCH,
	[14] = FIELD_IF_MODIFIED_SINCE,
	[17] = FIELD_ALLOW,
	[19] = FIELD_LOCATION,
	[20] = FIELD_ORIGIN,
	[21] = FIELD_TE,
	[28] = FIELD_TRANSFER_ENCODING,
	[32] = FIELD_DATE,
	[35] = FIELD_PROXY_AUTHENTICATE,
	[36] = FIELD_ETAG,
	[39] = FIELD_FORWARDED,
	[41] = FIELD_UPGRADE,
	[43] = FIELD_X_FORWARDED_PROTO,
	[44] = FIELD_EXPECT,
	[45] = FIELD_HOST,
	[47] = FIELD_RETRY_AFTER,
	[52] = FIELD_PRIORITY,
	[53] = FIELD_VARY,
	[54] = FIELD_ACCEPT_LANGUAGE,
	[56] = FIELD_SERVER,
	[57] = FIELD_VIA,
	[59] = FIELD_COOKIE,
	[63] = FIELD_CONNECTION,
	[66] = FIELD_AGE,
	[67] = FIELD_PRAGMA,
	[69] = FIELD_EXPIRES,
	[74] = FIELD_PROXY_AUTHORIZATION,
	[75] = FIELD_LAST_MODIFIED,
	[77] = FIELD_IF_NONE_MATCH,
	[84] = FIELD_X_FORWARDED_FOR,
	[87] = FIELD_RANGE,
	[90] = FIELD_USER_AGENT,
	[91] = FIELD_WWW_AUTHENTICATE,
	[93] = FIELD_HTTP2_SETTINGS,
	[94] = FIELD_REFERER,
	[95] = FIELD_PROXY_AUTHENTICATION_INFO,
	[99] = FIELD_PROXY_STATUS,
	[100] = FIELD_X_REAL_IP,
	[102] = FIELD_CACHE_CONTROL,
	[105] = FIELD_CONTENT_RANGE,
	[106] = FIELD_SET_COOKIE,
	[108] = FIELD_ACCEPT_ENCODING,
	[109] = FIELD_PROXY_CONNECTION,
	[110] = FIELD_CONTENT_LENGTH,
	[116] = FIELD_ACCEPT,
	[117] = FIELD_CONTENT_TYPE,
	[118] = FIELD_IF_UNMODIFIED_SINCE,
	[119] = FIELD_IF_RANGE,
	[121] = FIELD_MAX_FORWARDS,
	[122] = FIELD_TRAILER,
	[123] = FIELD_KEEP_ALIVE,
	[124] = FIELD_CONTENT_ENCODING,
	[125] = FIELD_X_REQUEST_ID,
	[126] = FIELD_X_FORWARDED_HOST,
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
