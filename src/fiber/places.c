#include "fiber/places.h"

#include <errno.h>

void places_init(struct places *places, unsigned at_once, unsigned waiting_max)
{
	line_init(&places->line);
	atomic_init(&places->taken, 0);
	places->at_once = at_once;
	places->waiting_max = waiting_max;
}

void places_fini(struct places *places)
{
	line_fini(&places->line);
}

static bool try_to_take(struct places *places)
{
	unsigned now = atomic_load(&places->taken);
	while (now < places->at_once)
		if (atomic_compare_exchange_weak(&places->taken, &now, now + 1))
			return true;
	return false;
}

int places_take(struct places *places, const char *what, int64_t deadline_ns)
{
	struct line_place place = {0};
	while (!try_to_take(places)) {
		if (!line_enter(&places->line, &place, places->waiting_max))
			return -EAGAIN;
		if (try_to_take(places)) {
			(void)line_leave(&places->line, &place);
			return 0;
		}
		int error = line_wait(&places->line, &place, what, deadline_ns);
		if (error)
			return error;
	}
	return 0;
}

void places_give_back(struct places *places)
{
	atomic_fetch_sub(&places->taken, 1);
	if (!line_is_empty(&places->line))
		line_call_all(&places->line);
}
