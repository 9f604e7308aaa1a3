// Countries: their two-letter codes (ISO 3166-1 alpha-2), and sets of them.
//
// A country is a small number, so that sets are bits; COUNTRY_NONE stands for one that is not known, and is in no set.
#ifndef USHER_NET_COUNTRY_H
#define USHER_NET_COUNTRY_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { COUNTRY_NONE, COUNTRY_COUNT = 1 + 26 * 26 };

// Any two capital letters, whether ISO gave them to a country or not: databases have codes of their own. COUNTRY_NONE
// for anything else.
unsigned country_of_letters(struct slice code);

// "CH", good for ever; empty for COUNTRY_NONE.
struct slice country_code(unsigned country);

// "Switzerland"; empty for a code that is neither in ISO 3166-1 nor XK (Kosovo), which databases use.
struct slice country_name(unsigned country);

struct country_set {
	uint64_t bits[(COUNTRY_COUNT + 63) / 64];
};

static inline void country_set_add(struct country_set *set, unsigned country)
{
	set->bits[country / 64] |= UINT64_C(1) << country % 64;
}

static inline bool country_set_has(const struct country_set *set, unsigned country)
{
	return country != COUNTRY_NONE && (set->bits[country / 64] >> country % 64 & 1);
}

// What is in `more` is in `set` as well.
void country_set_join(struct country_set *set, const struct country_set *more);
bool country_set_is_empty(const struct country_set *set);

#endif
