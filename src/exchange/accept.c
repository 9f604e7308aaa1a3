// Which type of page a visitor prefers (RFC 9110 section 12.5.1).
#include "exchange/error_page.h"
#include "http/fields.h"
#include "http/preference.h"

#include <stdint.h>

// How much one type is wanted: by the most specific media range that has it.
struct preference {
	unsigned quality;     // in thousandths
	unsigned specificity; // 3: the type, 2: type/*, 1: */*, 0: not named
	unsigned position;
};

static unsigned specificity_of(struct slice range, enum page_type type)
{
	static const struct slice suffix = {"+json", 5};
	struct slice major, minor;
	if (!slice_cut(range, '/', &major, &minor))
		return 0;
	bool any = slice_equal(minor, SLICE("*"));
	if (any && slice_equal(major, SLICE("*")))
		return 1;
	if (!slice_equal_nocase(major, type == PAGE_JSON ? SLICE("application") : SLICE("text")))
		return 0;
	if (any)
		return 2;
	switch (type) {
	case PAGE_TEXT:
		return slice_equal_nocase(minor, SLICE("plain")) ? 3 : 0;
	case PAGE_HTML:
		return slice_equal_nocase(minor, SLICE("html")) ? 3 : 0;
	case PAGE_JSON:
		return slice_equal_nocase(minor, SLICE("json")) || slice_ends_with(minor, suffix) ? 3 : 0;
	}
	return 0;
}

static bool is_preferred(const struct preference *one, const struct preference *other)
{
	if (one->quality != other->quality)
		return one->quality > other->quality;
	if (one->specificity != other->specificity)
		return one->specificity > other->specificity;
	return one->position < other->position;
}

enum page_type page_type_accepted(const struct fields *fields)
{
	struct preference preferences[PAGE_TYPES] = {0};
	unsigned position = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct slice rest = fields->items[i].value, member, range;
		unsigned quality;
		if (fields->items[i].id != FIELD_ACCEPT)
			continue;
		for (; slice_next_member(&rest, &member); position++) {
			if (!preference_read(member, &range, &quality))
				continue;
			for (size_t type = 0; type < PAGE_TYPES; type++) {
				unsigned specificity = specificity_of(range, (enum page_type)type);
				if (specificity > preferences[type].specificity)
					preferences[type] = (struct preference){quality, specificity, position};
			}
		}
	}
	enum page_type best = PAGE_TEXT;
	for (enum page_type type = PAGE_HTML; type <= PAGE_JSON; type++)
		if (is_preferred(&preferences[type], &preferences[best]))
			best = type;
	return best;
}
