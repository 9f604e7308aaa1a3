// A reader of heads as lenient as the worst server there is: any LF ends a line, blanks and
// controls around names and values count for nothing, folded lines go on, repeated fields
// are seen all. What usher accepts, it must read in the same way.
#ifndef USHER_TESTS_FUZZ_LENIENT_H
#define USHER_TESTS_FUZZ_LENIENT_H

#include "base/slice.h"

#include <ctype.h>
#include <stdbool.h>

struct lenient {
	unsigned hosts, lengths, codings;  // how many fields of each
	struct slice host, length, coding; // their last values
	unsigned lines;			   // between the first and the empty one
};

static inline bool lenient_is_noise(char c)
{
	return (uint8_t)c <= ' ' || c == 0x7f;
}

static inline struct slice lenient_strip(struct slice text)
{
	while (text.length > 0 && lenient_is_noise(text.data[0]))
		text = slice_after(text, 1);
	while (text.length > 0 && lenient_is_noise(text.data[text.length - 1]))
		text.length--;
	return text;
}

// Whether a name is this one, "_" and "-" being the same and whatever is no letter at its
// ends being left out.
static inline bool lenient_is_named(struct slice name, const char *wanted)
{
	size_t at = 0;
	for (size_t i = 0; i < name.length; i++) {
		char c = name.data[i];
		if (lenient_is_noise(c))
			continue;
		if (wanted[at] == '\0' || tolower((uint8_t)c) != wanted[at])
			return false;
		at++;
	}
	return wanted[at] == '\0';
}

static inline struct lenient lenient_read(struct slice head)
{
	struct lenient found = {0};
	struct slice line, name, value;
	bool first = true;
	while (head.length > 0) {
		if (!slice_cut(head, '\n', &line, &head))
			head = slice_from("", 0);
		if (first) {
			first = false;
			continue;
		}
		if (lenient_strip(line).length == 0)
			break;
		found.lines++;
		if (!slice_cut(line, ':', &name, &value))
			continue;
		value = lenient_strip(value);
		if (lenient_is_named(name, "host")) {
			found.hosts++;
			found.host = value;
		} else if (lenient_is_named(name, "content-length")) {
			found.lengths++;
			found.length = value;
		} else if (lenient_is_named(name, "transfer-encoding")) {
			found.codings++;
			found.coding = value;
		}
	}
	return found;
}

// The body's framing as such a reader finds it: chunked where any coding is named so, and
// the length as strtoull takes it.
static inline bool lenient_is_chunked(const struct lenient *found)
{
	static const char word[] = "chunked";
	for (size_t i = 0; i + 7 <= found->coding.length; i++) {
		if (slice_equal_nocase(slice_from(found->coding.data + i, 7), slice_from(word, 7)))
			return true;
	}
	return false;
}

static inline uint64_t lenient_length(const struct lenient *found)
{
	uint64_t length = 0;
	for (size_t i = 0; i < found->length.length && isdigit((uint8_t)found->length.data[i]); i++)
		length = length * 10 + (uint64_t)(found->length.data[i] - '0');
	return length;
}

#endif
