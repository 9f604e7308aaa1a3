// What the heads of requests and responses share: versions, field lines, and the fields
// that say where a message ends. Only for the h1_*.c files.
#ifndef USHER_HTTP_H1_HEAD_H
#define USHER_HTTP_H1_HEAD_H

#include "http/h1.h"

enum { H1_FIELD_SET_WORDS = 2 };
_Static_assert(FIELD_COUNT <= H1_FIELD_SET_WORDS * 64, "each id has a bit in a field set");

// A field section, which of the well-known fields are in it, and which of the connection
// options that matter here.
struct h1_section {
	struct fields fields;
	uint64_t seen[H1_FIELD_SET_WORDS];     // at least once
	uint64_t repeated[H1_FIELD_SET_WORDS]; // more than once
	bool close, keep_alive, upgrade;
};

static inline bool h1_section_has(const struct h1_section *section, enum field_id id)
{
	return (section->seen[id / 64] >> (id % 64) & 1) != 0;
}

static inline bool h1_section_repeats(const struct h1_section *section, enum field_id id)
{
	return (section->repeated[id / 64] >> (id % 64) & 1) != 0;
}

// Fills in the fault, but for its step, and returns false.
static inline bool h1_refuse(struct fault *fault, enum fault_kind kind, const char *detail)
{
	*fault = (struct fault){.kind = kind, .detail = detail};
	return false;
}

// Parses field lines and the empty line after them, which must be all of `lines`.
bool h1_parse_section(struct slice lines, const struct h1_limits *limits, struct arena *arena,
		      struct h1_section *ret_section, struct fault *ret_fault);

// What to say of a line that ends in neither CRLF nor a byte that fits it: `at` is the
// first byte that does not fit, of which there is at least one before `end`.
const char *h1_line_end_detail(const char *at, const char *end);

// Parses "HTTP/1.x" and moves *at behind it. A minor version above 1 counts as 1
// (RFC 9110 section 2.5: a message is processed as of the highest minor version known).
// FAULT_BAD_VERSION for another major version.
bool h1_parse_version(const char **at, const char *end, uint8_t *ret_minor, struct fault *ret_fault);

// What Content-Length and Transfer-Encoding say.
struct h1_framing {
	bool chunked;
	bool has_length;
	uint64_t length;
};

// RFC 9112 sections 6.1 to 6.3, with nothing repaired: whatever is malformed, repeated or
// contradictory is refused.
bool h1_parse_framing(const struct h1_section *section, uint8_t version_minor, struct h1_framing *ret_framing,
		      struct fault *ret_fault);

// RFC 9112 section 9.3: whether the connection may carry another message.
bool h1_is_persistent(const struct h1_section *section, uint8_t version_minor);

#endif
