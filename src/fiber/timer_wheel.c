#include "fiber/timer_wheel.h"

#include "base/check.h"

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ns)
{
	*wheel = (struct timer_wheel){.tick = now_ns / MILLISECOND_NS};
	list_init(&wheel->due);
	for (int level = 0; level < WHEEL_LEVELS; level++) {
		for (int slot = 0; slot < WHEEL_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
}

// The first whole millisecond that is not before due_ns, so that nothing fires early.
static int64_t tick_of(int64_t due_ns)
{
	if (due_ns <= 0)
		return 0;
	return due_ns / MILLISECOND_NS + (due_ns % MILLISECOND_NS != 0);
}

static void place(struct timer_wheel *wheel, struct timer *timer)
{
	int64_t due_tick = tick_of(timer->due_ns);
	if (due_tick <= wheel->tick) {
		list_push_back(&wheel->due, &timer->link);
		return;
	}
	// The highest bit in which the two differ tells the level.
	int bit = 63 - __builtin_clzll((uint64_t)(due_tick ^ wheel->tick));
	int level = bit / WHEEL_SLOT_BITS;
	check(level < WHEEL_LEVELS);
	int slot = (int)(due_tick >> (level * WHEEL_SLOT_BITS)) & (WHEEL_SLOTS - 1);
	list_push_back(&wheel->slots[level][slot], &timer->link);
	wheel->occupied[level] |= UINT64_C(1) << slot;
}

void timer_wheel_start(struct timer_wheel *wheel, struct timer *timer, int64_t due_ns)
{
	// One that runs and is only put off stays where it is, and is placed anew when its old
	// time comes: deadlines are put off at each request, and seldom reached, and the
	// neighbours on its list are in nobody's cache.
	if (timer_is_running(timer) && due_ns >= timer->due_ns) {
		timer->due_ns = due_ns;
		return;
	}
	timer_wheel_stop(wheel, timer);
	timer->due_ns = due_ns;
	place(wheel, timer);
	wheel->running++;
}

void timer_wheel_stop(struct timer_wheel *wheel, struct timer *timer)
{
	if (!timer_is_running(timer))
		return;
	struct list_link *first = &wheel->slots[0][0];
	struct list_link *neighbour = timer->link.next;
	bool alone = neighbour == timer->link.previous;
	list_remove(&timer->link);
	check(wheel->running > 0);
	wheel->running--;
	// A timer alone on its list has only the list's head beside it, which tells the slot.
	if (alone && neighbour >= first && neighbour < first + WHEEL_LEVELS * WHEEL_SLOTS) {
		size_t index = (size_t)(neighbour - first);
		wheel->occupied[index / WHEEL_SLOTS] &= ~(UINT64_C(1) << index % WHEEL_SLOTS);
	}
}

// The first slot with timers: its level, or -1; *ret_slot, and the tick at which it begins.
// All timers of a level lie before those of the next one.
static int first_slot(const struct timer_wheel *wheel, int *ret_slot, int64_t *ret_tick)
{
	for (int level = 0; level < WHEEL_LEVELS; level++) {
		if (wheel->occupied[level] == 0)
			continue;
		int slot = __builtin_ctzll(wheel->occupied[level]);
		int shift = level * WHEEL_SLOT_BITS;
		*ret_slot = slot;
		*ret_tick = (wheel->tick >> shift & ~(int64_t)(WHEEL_SLOTS - 1)) + slot;
		*ret_tick <<= shift;
		return level;
	}
	return -1;
}

static void fire_due(struct timer_wheel *wheel)
{
	// Those that are set for now meanwhile go to wheel->due, and have to wait.
	struct list_link firing;
	list_init(&firing);
	list_move_all(&wheel->due, &firing);
	struct list_link *link;
	while ((link = list_pop_front(&firing)) != NULL) {
		struct timer *timer = LIST_ENTRY(link, struct timer, link);
		if (tick_of(timer->due_ns) > wheel->tick) {
			place(wheel, timer); // put off meanwhile
			continue;
		}
		check(wheel->running > 0);
		wheel->running--;
		timer->fire(timer);
	}
}

void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_ns)
{
	int64_t now_tick = now_ns / MILLISECOND_NS;
	int level, slot;
	int64_t start;
	while ((level = first_slot(wheel, &slot, &start)) >= 0 && start <= now_tick) {
		check(start > wheel->tick);
		wheel->tick = start;
		wheel->occupied[level] &= ~(UINT64_C(1) << slot);
		// Each goes to a lower level, or is due.
		struct list_link *link;
		while ((link = list_pop_front(&wheel->slots[level][slot])) != NULL)
			place(wheel, LIST_ENTRY(link, struct timer, link));
	}
	if (now_tick > wheel->tick)
		wheel->tick = now_tick;
	if (!list_is_empty(&wheel->due))
		fire_due(wheel);
}

int64_t timer_wheel_next(const struct timer_wheel *wheel)
{
	int slot;
	int64_t start;
	if (!list_is_empty(&wheel->due))
		return wheel->tick * MILLISECOND_NS;
	if (first_slot(wheel, &slot, &start) < 0 || start > INT64_MAX / MILLISECOND_NS)
		return INT64_MAX;
	return start * MILLISECOND_NS;
}
