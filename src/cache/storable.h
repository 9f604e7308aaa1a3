// Whether a shared cache may store a response (RFC 9111 section 3), and by which rule it may not.
#ifndef USHER_CACHE_STORABLE_H
#define USHER_CACHE_STORABLE_H

#include "cache/directives.h"
#include "http/message.h"

#include <stdbool.h>

// name, the rule, words for whoever asks why
// clang-format off
#define CACHE_VERDICTS(row) \
	row(MAY_STORE, "RFC 9111 section 3", "it may be stored") \
	row(METHOD, "RFC 9111 section 3", "only answers to GET are stored") \
	row(STATUS, "RFC 9111 section 3", "answers with this status are not stored") \
	row(REQUEST_NO_STORE, "RFC 9111 section 5.2.1.5", "the request says no-store") \
	row(NO_STORE_SAID, "RFC 9111 section 5.2.2.5", "the answer says no-store") \
	row(NOT_UNDERSTOOD, "RFC 9111 section 5.2.2.3", "the answer says must-understand, and its status is not understood") \
	row(PRIVATE_SAID, "RFC 9111 section 5.2.2.7", "the answer is private: for one visitor alone") \
	row(AUTHORIZATION, "RFC 9111 section 3.5", "the request has Authorization, and the answer does not say that it is for all") \
	row(SET_COOKIE, "RFC 6265 section 3", "the answer sets a cookie: it is taken for one visitor's alone") \
	row(VARY_ANY, "RFC 9111 section 4.1", "the answer varies with everything (Vary: *)") \
	row(PART, "RFC 9111 section 3.4", "it is a part that cannot be combined with what is stored, or will be") \
	row(TOO_LARGE, "max_object", "the answer is larger than max_object") \
	row(ENDLESS, "HTML section 9.2", "the answer is a stream of events without an end") \
	row(NO_STORE_RULE, "no_store", "the operator's no_store means the request") \
	row(BYPASS_RULE, "bypass", "the operator's bypass means the request") \
	row(FEW_USES, "min_uses", "it was not asked for often enough yet") \
	row(NO_MEMORY, "cache_memory", "there was no memory for it") \
	row(OF_NO_USE, "RFC 9111 section 4.2", "the answer says neither how long it is fresh nor how it could be validated")
// clang-format on

enum cache_verdict {
#define CACHE_VERDICT_ENUM(name, rule, words) CACHE_##name,
	CACHE_VERDICTS(CACHE_VERDICT_ENUM)
#undef CACHE_VERDICT_ENUM
};

const char *cache_verdict_rule(enum cache_verdict verdict);
const char *cache_verdict_words(enum cache_verdict verdict);

struct cache_answer {
	enum method method;
	unsigned status;
	const struct fields *request, *response;
	const struct cache_directives *request_says, *response_says;
	int64_t lifetime_s;   // of freshness; 0: stale from the first moment
	bool ignores_cookies; // by the operator's word, Set-Cookie is no reason (and is not stored)
};

// Whether the status says that the server is away, or as good as that (RFC 5861 section 4).
bool cache_status_is_error(unsigned status);

// The first rule that speaks against storing; CACHE_MAY_STORE when none does.
enum cache_verdict cache_may_store(const struct cache_answer *answer);

#endif
