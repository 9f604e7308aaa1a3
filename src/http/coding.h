// Content codings (RFC 9110 section 8.4.1): which one content has, and which ones a client accepts.
#ifndef USHER_HTTP_CODING_H
#define USHER_HTTP_CODING_H

#include "base/slice.h"
#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

enum coding {
	CODING_IDENTITY, // none
	CODING_GZIP,	 // RFC 1952; x-gzip is the same
	CODING_BROTLI,	 // RFC 7932
	CODING_ZSTD,	 // RFC 8878
	CODING_OTHER,	 // one that usher cannot undo, or several
};

// By the value of Content-Encoding; .data NULL: it is not there.
enum coding coding_read(struct slice value);

static inline uint32_t coding_bit(enum coding coding)
{
	return UINT32_C(1) << coding;
}

// The codings that Accept-Encoding accepts (section 12.5.3), as bits; CODING_OTHER: one of those that usher does not
// know. Where the field is not there, or says nothing against it, content without a coding is accepted; where it is not
// there, nothing else is taken to be, since who sends none seldom decodes.
uint32_t coding_accepted(const struct fields *fields);

// The same of one value of the field; .data NULL: it is not there.
uint32_t coding_accepted_by(struct slice value);

#endif
