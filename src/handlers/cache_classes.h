// Classes of visitors: of their devices and languages, which tell answers apart in the place of the countless values of
// User-Agent and Accept-Language. For the files of the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_CLASSES_H
#define USHER_HANDLERS_CACHE_CLASSES_H

#include "base/arena.h"
#include "config/key.h"
#include "http/fields.h"

#include <stdbool.h>

struct cache_vary_config {
	bool device;
	struct config_texts languages;
};

static inline bool cache_has_classes(const struct cache_vary_config *config)
{
	return config->device || config->languages.count > 0;
}

// "desktop", "mobile" or "tablet", by Sec-CH-UA-Mobile and User-Agent.
struct slice cache_device_of(const struct fields *request);

// The one of the languages (at least one) that Accept-Language prefers (RFC 4647 section 3.4, and ranges also as
// prefixes of languages, section 3.3.1); the first where none suits.
struct slice cache_language_of(const struct fields *request, const struct config_texts *languages);

// From here on a request has what servers are asked with: X-Device, and the language in the place of the visitor's
// Accept-Language. *ret_fields are those that tell answers apart: the same ones, or a copy. False when memory is out.
bool cache_classes_take(const struct cache_vary_config *config, struct arena *arena, struct fields *request,
			struct fields *ret_fields);

// Out of a copy of a request's fields: those that do not tell answers apart, as the classes do.
void cache_classes_take_out(const struct cache_vary_config *config, struct fields *copy);

#endif
