// Texts with variables: "https://$host$uri".
//
// Parsed once, when the configuration is loaded; expanding costs the copying. "$$" is a
// dollar; "$(name)" is the same as "$name", for where a letter follows. The variables are
// the caller's: a table of names, and their values in the same order.
#ifndef USHER_EXCHANGE_TEMPLATE_H
#define USHER_EXCHANGE_TEMPLATE_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEMPLATE_VARIABLES_MAX = 32 };

struct template_part {
	struct slice literal; // what stands before the variable
	int variable;	      // its index, or -1 at the end
};

struct template
{
	const struct template_part *parts;
	size_t count;
	size_t literal_bytes;
	uint32_t used; // bit i: variable i is in it
};

// Parses; names ends with NULL. With keep_unknown, a dollar that begins no variable stays
// what it is. Else false, with *ret_wrong (a part of the text) and *ret_detail (a literal):
// both empty when memory is out.
bool template_parse(struct slice text, const char *const *names, bool keep_unknown, struct arena *arena,
		    struct template *ret_template, struct slice *ret_wrong, const char **ret_detail);

// The text with values[i] for variable i. In the arena, or a value or literal itself where
// that is all there is. .data is NULL when memory is out.
struct slice template_expand(const struct template *template, const struct slice *values, struct arena *arena);

static inline bool template_is_literal(const struct template *template)
{
	return template->used == 0;
}

#endif
