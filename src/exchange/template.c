#include "exchange/template.h"

#include "base/check.h"

#include <string.h>

static bool is_name_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
}

// The name of the variable at the "$" that `text` starts with, and how many bytes it takes
// in all; an empty name when there is none. "$1" is one digit: "$10" is "$1", then "0".
static struct slice variable_name(struct slice text, size_t *ret_length)
{
	size_t start = 1, end;
	bool parenthesis = text.length > 1 && text.data[1] == '(';
	if (parenthesis)
		start++;
	end = start;
	while (end < text.length && is_name_byte(text.data[end]))
		end++;
	if (!parenthesis && end > start && text.data[start] >= '0' && text.data[start] <= '9')
		end = start + 1;
	*ret_length = end;
	struct slice name = slice_from(text.data + start, end - start);
	if (!parenthesis)
		return name;
	if (end == text.length || text.data[end] != ')')
		return SLICE_EMPTY;
	*ret_length = end + 1;
	return name;
}

static int variable_find(const char *const *names, struct slice name)
{
	for (int i = 0; names[i]; i++)
		if (slice_equal(name, slice_from_string(names[i])))
			return i;
	return -1;
}

// Parts are made as the text is walked; there are at most as many as dollars, and one.
struct parsing {
	struct template_part *parts;
	struct template *template;
	char *literal; // where the next byte of the literals goes
	size_t literal_start;
	char *literals;
};

static void part_end(struct parsing *parsing, int variable)
{
	size_t end = (size_t)(parsing->literal - parsing->literals);
	struct template_part part = {
		.literal = slice_from(parsing->literals + parsing->literal_start, end - parsing->literal_start),
		.variable = variable,
	};
	parsing->literal_start = end;
	parsing->parts[parsing->template->count++] = part;
	if (variable >= 0)
		parsing->template->used |= UINT32_C(1) << variable;
}

// Takes what stands at the dollar at the start of `rest`: how many bytes of it, or 0 when it
// is wrong.
static size_t dollar_parse(struct parsing *parsing, struct slice rest, const char *const *names, bool keep_unknown,
			   struct slice *ret_wrong, const char **ret_detail)
{
	if (rest.length > 1 && rest.data[1] == '$') {
		*parsing->literal++ = '$';
		return 2;
	}
	size_t length;
	struct slice name = variable_name(rest, &length);
	int variable = name.length > 0 ? variable_find(names, name) : -1;
	if (variable >= 0) {
		part_end(parsing, variable);
		return length;
	}
	if (keep_unknown) {
		*parsing->literal++ = '$';
		return 1;
	}
	*ret_wrong = slice_first(rest, length);
	*ret_detail = name.length > 0 ? "is not a variable here" : "begins no variable; a dollar is written $$";
	return 0;
}

bool template_parse(struct slice text, const char *const *names, bool keep_unknown, struct arena *arena,
		    struct template *ret_template, struct slice *ret_wrong, const char **ret_detail)
{
	size_t dollars = 0;
	for (size_t i = 0; i < text.length; i++)
		dollars += text.data[i] == '$';
	struct template template = {0};
	struct parsing parsing = {.template = &template};
	parsing.parts = arena_alloc(arena, (dollars + 1) * sizeof *parsing.parts);
	parsing.literal = parsing.literals = arena_alloc(arena, text.length + 1);
	*ret_wrong = SLICE_EMPTY;
	*ret_detail = "";
	if (!parsing.parts || !parsing.literals)
		return false;
	for (size_t at = 0; at < text.length;) {
		if (text.data[at] != '$') {
			*parsing.literal++ = text.data[at++];
			continue;
		}
		size_t taken =
			dollar_parse(&parsing, slice_after(text, at), names, keep_unknown, ret_wrong, ret_detail);
		if (taken == 0)
			return false;
		at += taken;
	}
	if (parsing.literal != parsing.literals + parsing.literal_start || template.count == 0)
		part_end(&parsing, -1);
	template.parts = parsing.parts;
	template.literal_bytes = (size_t)(parsing.literal - parsing.literals);
	*ret_template = template;
	return true;
}

struct slice template_expand(const struct template *template, const struct slice *values, struct arena *arena)
{
	const struct template_part *parts = template->parts;
	check(template->count > 0);
	if (template->count == 1 && parts[0].variable < 0)
		return parts[0].literal;
	if (template->count == 1 && parts[0].literal.length == 0 && values[parts[0].variable].data)
		return values[parts[0].variable];
	size_t length = template->literal_bytes;
	for (size_t i = 0; i < template->count; i++)
		if (parts[i].variable >= 0)
			length += values[parts[i].variable].length;
	char *text = arena_alloc(arena, length + 1);
	if (!text)
		return SLICE_EMPTY;
	char *next = text;
	for (size_t i = 0; i < template->count; i++) {
		memcpy(next, parts[i].literal.data, parts[i].literal.length);
		next += parts[i].literal.length;
		if (parts[i].variable < 0 || values[parts[i].variable].length == 0)
			continue;
		memcpy(next, values[parts[i].variable].data, values[parts[i].variable].length);
		next += values[parts[i].variable].length;
	}
	return slice_from(text, length);
}
