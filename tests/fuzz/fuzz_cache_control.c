// Cache-Control and CDN-Cache-Control: whatever the bytes, nothing is read beside them, and numbers stay in
// their bounds.
#include "base/arena.h"
#include "cache/directives.h"
#include "cache/structured.h"
#include "support.h"

#include <stdlib.h>

static void check_seconds(int64_t seconds)
{
	check(seconds >= CACHE_ABSENT && seconds <= CACHE_SECONDS_MAX);
}

static void check_all(const struct cache_directives *says)
{
	check_seconds(says->max_age);
	check_seconds(says->s_maxage);
	check_seconds(says->stale_while_revalidate);
	check_seconds(says->stale_if_error);
	check_seconds(says->min_fresh);
	check_seconds(says->max_stale);
	check(!cache_says(says, CACHE_NO_CACHE) || !says->no_cache_fields.data);
	check(!cache_says(says, CACHE_PRIVATE) || !says->private_fields.data);
	(void)cache_names_field(says->no_cache_fields, SLICE("set-cookie"));
	(void)cache_names_field(says->private_fields, SLICE("x"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cache_directives says;
	struct arena arena;
	char *exact = malloc(size ? size : 1); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	struct slice value = slice_from(exact, size);
	for (int targeted = 0; targeted < 2; targeted++) {
		struct fields fields = {0};
		arena_init(&arena, 1 << 20);
		check(fields_add_name(&fields, &arena, targeted ? SLICE("CDN-Cache-Control") : SLICE("Cache-Control"),
				      value));
		cache_directives_of_response(&fields, &says);
		check_all(&says);
		check(!says.targeted || structured_is_dictionary(value));
		cache_directives_of_request(&fields, &says);
		check_all(&says);
		arena_fini(&arena);
	}
	free(exact);
	return 0;
}
