#include "fiber/line.h"

#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/fiber_internal.h"

#include <errno.h>

void line_init(struct line *line)
{
	atomic_init(&line->waiting, 0);
	pthread_mutex_init(&line->lock, NULL);
	list_init(&line->places);
	line->last_ticket = 0;
}

void line_fini(struct line *line)
{
	check(list_is_empty(&line->places));
	pthread_mutex_destroy(&line->lock);
}

// --- Who waits

static void call_arrived(struct loop_message *message)
{
	struct line_place *place = LIST_ENTRY(message, struct line_place, message);
	place->arrived = true;
	fiber_wake(place->fiber);
}

// Those that come again stand near the front: it is looked for from there.
static void insert_by_ticket(struct line *line, struct line_place *place)
{
	struct list_link *behind = line->places.next;
	while (behind != &line->places && LIST_ENTRY(behind, struct line_place, link)->ticket < place->ticket)
		behind = behind->next;
	list_push_back(behind, &place->link);
}

bool line_enter(struct line *line, struct line_place *place, uint32_t at_most)
{
	place->message = (struct loop_message){.run = call_arrived};
	place->loop = loop_current();
	place->fiber = fiber_current();
	place->called = place->arrived = false;
	check(place->fiber != NULL);
	pthread_mutex_lock(&line->lock);
	bool is_new = place->ticket == 0;
	bool enters = !is_new || atomic_load_explicit(&line->waiting, memory_order_relaxed) < at_most;
	if (enters && is_new) {
		place->ticket = ++line->last_ticket;
		list_push_back(&line->places, &place->link);
	} else if (enters) {
		insert_by_ticket(line, place);
	}
	if (enters)
		atomic_fetch_add_explicit(&line->waiting, 1, memory_order_seq_cst);
	pthread_mutex_unlock(&line->lock);
	return enters;
}

// With the lock held.
static void take_out(struct line *line, struct line_place *place)
{
	list_remove(&place->link);
	atomic_fetch_sub_explicit(&line->waiting, 1, memory_order_relaxed);
}

bool line_leave(struct line *line, struct line_place *place)
{
	pthread_mutex_lock(&line->lock);
	bool called = place->called;
	if (!called)
		take_out(line, place);
	pthread_mutex_unlock(&line->lock);
	// The message is on its way, and refers to the place.
	while (called && !place->arrived)
		fiber_wait_steadfast("call");
	return called;
}

int line_wait(struct line *line, struct line_place *place, const char *what, int64_t deadline_ns)
{
	int outcome = 0;
	while (!place->arrived && outcome == 0)
		outcome = fiber_wait(what, deadline_ns);
	if (place->arrived || line_leave(line, place))
		return 0;
	return outcome;
}

// --- Who calls

// With the lock held.
static void call(struct line *line, struct line_place *place)
{
	take_out(line, place);
	place->called = true;
	loop_post(place->loop, &place->message);
}

bool line_call(struct line *line, line_suits *suits, void *argument)
{
	bool found = false;
	pthread_mutex_lock(&line->lock);
	for (struct list_link *link = line->places.next; link != &line->places && !found; link = link->next) {
		struct line_place *place = LIST_ENTRY(link, struct line_place, link);
		found = suits(place, argument);
		if (found) {
			call(line, place);
			break;
		}
	}
	pthread_mutex_unlock(&line->lock);
	return found;
}

void line_call_all(struct line *line)
{
	pthread_mutex_lock(&line->lock);
	while (!list_is_empty(&line->places))
		call(line, LIST_ENTRY(line->places.next, struct line_place, link));
	pthread_mutex_unlock(&line->lock);
}
