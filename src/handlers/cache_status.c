#include "handlers/cache_status.h"

void cache_status_note(struct exchange *exchange, const char *told)
{
	trace_note(&exchange->trace, "cache", slice_from_string(told), NULL, 0, TRACE_NO_VALUE);
}

void cache_status_tell(struct exchange *exchange, const char *told)
{
	struct arena *arena = exchange_arena(exchange);
	const struct fields *fields = &exchange_response(exchange)->fields;
	struct slice status = SLICE_EMPTY;
	for (uint32_t i = 0; i < fields->count && !exchange_failed(exchange); i++)
		if (slice_equal_nocase(fields->items[i].name, SLICE("Cache-Status")))
			status = arena_printf(arena, "%.*s%.*s, ", SLICE_ARGUMENTS(status),
					      SLICE_ARGUMENTS(fields->items[i].value));
	status = arena_printf(arena, "%.*susher; %s", SLICE_ARGUMENTS(status), told);
	if (status.data)
		exchange_always(exchange, SLICE("Cache-Status"), status);
}
