#include "http/coding.h"

#include "http/preference.h"

static const struct {
	struct slice name;
	enum coding coding;
} names[] = {
	{{"identity", 8}, CODING_IDENTITY}, {{"gzip", 4}, CODING_GZIP}, {{"x-gzip", 6}, CODING_GZIP},
	{{"br", 2}, CODING_BROTLI},	    {{"zstd", 4}, CODING_ZSTD},
};

enum { NAMES = sizeof names / sizeof names[0], KNOWN = (1 << CODING_OTHER) - 1 };

static enum coding coding_of(struct slice name)
{
	for (unsigned i = 0; i < NAMES; i++)
		if (slice_equal_nocase(name, names[i].name))
			return names[i].coding;
	return CODING_OTHER;
}

enum coding coding_read(struct slice value)
{
	struct slice rest = value, member, other;
	if (!slice_next_member(&rest, &member))
		return CODING_IDENTITY;
	return slice_next_member(&rest, &other) ? CODING_OTHER : coding_of(member);
}

// What the members say: a coding may be named with a weight of 0, which refuses it, and "*" means all that are not
// named.
struct said {
	uint32_t accepted, refused;
	bool has_star, star_accepts;
};

static void note(struct said *said, struct slice member)
{
	struct slice name;
	unsigned quality;
	if (!preference_read(member, &name, &quality))
		return;
	if (slice_equal(name, SLICE("*"))) {
		said->has_star = true;
		said->star_accepts = quality > 0;
		return;
	}
	*(quality > 0 ? &said->accepted : &said->refused) |= coding_bit(coding_of(name));
}

static uint32_t conclude(const struct said *said)
{
	uint32_t named = said->accepted | said->refused, accepted = said->accepted;
	if (said->has_star && said->star_accepts)
		accepted |= (KNOWN | coding_bit(CODING_OTHER)) & ~named;
	bool refuses_plain = said->refused & coding_bit(CODING_IDENTITY) ||
			     (said->has_star && !said->star_accepts && !(named & coding_bit(CODING_IDENTITY)));
	return refuses_plain ? accepted & ~coding_bit(CODING_IDENTITY) : accepted | coding_bit(CODING_IDENTITY);
}

static void note_list(struct said *said, struct slice value)
{
	struct slice member;
	while (slice_next_member(&value, &member))
		note(said, member);
}

uint32_t coding_accepted_by(struct slice value)
{
	struct said said = {0};
	note_list(&said, value);
	return conclude(&said);
}

uint32_t coding_accepted(const struct fields *fields)
{
	struct said said = {0};
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->items[i].id == FIELD_ACCEPT_ENCODING)
			note_list(&said, fields->items[i].value);
	return conclude(&said);
}
