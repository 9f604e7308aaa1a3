#include "policies.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- Lists of ids, newest first; an id may be in one list of each table

struct list {
	uint32_t count;
	uint32_t end; // the link that stands for the list itself: before its newest and behind its oldest
};

struct table {
	uint32_t *newer, *older; // by id, the lists' own ends behind them
	char *list_of;		 // which list an id is in: its number, from 1
	struct list lists[8];	 // [0] is none
};

static void *zeroes(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (!memory)
		abort();
	return memory;
}

static struct table table_new(unsigned id_count)
{
	struct table table = {
		.newer = zeroes(id_count + 8, sizeof(uint32_t)),
		.older = zeroes(id_count + 8, sizeof(uint32_t)),
		.list_of = zeroes(id_count, 1),
	};
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t end = id_count + i;
		table.lists[i].end = table.newer[end] = table.older[end] = end;
	}
	return table;
}

static void table_free(struct table *table)
{
	free(table->newer);
	free(table->older);
	free(table->list_of);
}

static void leave(struct table *table, uint32_t id)
{
	if (!table->list_of[id])
		return;
	table->newer[table->older[id]] = table->newer[id];
	table->older[table->newer[id]] = table->older[id];
	table->lists[(int)table->list_of[id]].count--;
	table->list_of[id] = 0;
}

// As the newest, out of the list that it is in.
static void enter(struct table *table, uint32_t id, int number)
{
	leave(table, id);
	struct list *list = &table->lists[number];
	table->older[id] = table->older[list->end];
	table->newer[id] = list->end;
	table->newer[table->older[id]] = id;
	table->older[list->end] = id;
	table->list_of[id] = (char)number;
	list->count++;
}

static uint32_t oldest(const struct table *table, int number)
{
	return table->newer[table->lists[number].end];
}

static void tell(char *is_hit, unsigned at, bool hit, unsigned *hits)
{
	*hits += hit;
	if (is_hit)
		is_hit[at] = hit;
}

// --- LRU

unsigned policy_lru(const uint32_t *ids, unsigned count, unsigned id_count, unsigned capacity, char *is_hit)
{
	enum { KEPT = 1 };
	struct table table = table_new(id_count);
	unsigned hits = 0;
	for (unsigned at = 0; at < count; at++) {
		tell(is_hit, at, table.list_of[ids[at]] == KEPT, &hits);
		enter(&table, ids[at], KEPT);
		if (table.lists[KEPT].count > capacity)
			leave(&table, oldest(&table, KEPT));
	}
	table_free(&table);
	return hits;
}

// --- ARC

enum { T1 = 1, B1, T2, B2 };

struct arc {
	struct table table;
	unsigned capacity;
	double target; // of T1's length: p in the paper
};

static unsigned length(const struct arc *arc, int number)
{
	return arc->table.lists[number].count;
}

static void arc_replace(struct arc *arc, bool was_in_b2)
{
	unsigned recent = length(arc, T1);
	bool from_recent = recent > 0 && (recent > arc->target || (was_in_b2 && recent == arc->target));
	int from = from_recent || length(arc, T2) == 0 ? T1 : T2;
	enter(&arc->table, oldest(&arc->table, from), from == T1 ? B1 : B2);
}

static void arc_adapt(struct arc *arc, bool was_in_b2)
{
	double few = was_in_b2 ? length(arc, B2) : length(arc, B1),
	       many = was_in_b2 ? length(arc, B1) : length(arc, B2);
	double step = many > few ? many / few : 1;
	arc->target += was_in_b2 ? -step : step;
	if (arc->target < 0)
		arc->target = 0;
	if (arc->target > arc->capacity)
		arc->target = arc->capacity;
}

static void arc_make_room(struct arc *arc)
{
	unsigned recent = length(arc, T1) + length(arc, B1), all = recent + length(arc, T2) + length(arc, B2);
	if (recent == arc->capacity) {
		if (length(arc, T1) == arc->capacity) {
			leave(&arc->table, oldest(&arc->table, T1));
			return;
		}
		leave(&arc->table, oldest(&arc->table, B1));
		arc_replace(arc, false);
	} else if (all >= arc->capacity) {
		if (all == 2 * arc->capacity)
			leave(&arc->table, oldest(&arc->table, B2));
		arc_replace(arc, false);
	}
}

unsigned policy_arc(const uint32_t *ids, unsigned count, unsigned id_count, unsigned capacity, char *is_hit)
{
	struct arc arc = {table_new(id_count), capacity, 0};
	unsigned hits = 0;
	for (unsigned at = 0; at < count; at++) {
		uint32_t id = ids[at];
		int list = arc.table.list_of[id];
		tell(is_hit, at, list == T1 || list == T2, &hits);
		if (list == B1 || list == B2) {
			arc_adapt(&arc, list == B2);
			arc_replace(&arc, list == B2);
		} else if (!list) {
			arc_make_room(&arc);
		}
		enter(&arc.table, id, list ? T2 : T1);
	}
	table_free(&arc.table);
	return hits;
}

// --- LIRS
//
// The stack S of those used of late, resident or not, the queue Q of the resident ones of high recency, and those in S
// that are not resident.

enum { STACK = 1, QUEUE = 1, GONE = 1 };

struct lirs {
	struct table stack, queue, gone;
	char *is_low; // of low recency: resident, and in the stack
	unsigned low_count, low_most, capacity;
};

static void lirs_forget(struct lirs *lirs, uint32_t id)
{
	leave(&lirs->stack, id);
	leave(&lirs->gone, id);
}

// The last one in the stack is of low recency.
static void lirs_prune(struct lirs *lirs)
{
	while (lirs->stack.lists[STACK].count > 0 && !lirs->is_low[oldest(&lirs->stack, STACK)])
		lirs_forget(lirs, oldest(&lirs->stack, STACK));
}

static void lirs_make_low(struct lirs *lirs, uint32_t id)
{
	lirs->is_low[id] = 1;
	leave(&lirs->queue, id);
	if (++lirs->low_count <= lirs->low_most)
		return;
	uint32_t last = oldest(&lirs->stack, STACK);
	lirs->is_low[last] = 0;
	lirs->low_count--;
	enter(&lirs->queue, last, QUEUE);
	lirs_prune(lirs);
}

// Of those that are not resident, twice as many are remembered as are.
static void lirs_evict(struct lirs *lirs)
{
	uint32_t gone = oldest(&lirs->queue, QUEUE);
	leave(&lirs->queue, gone);
	if (lirs->stack.list_of[gone])
		enter(&lirs->gone, gone, GONE);
	if (lirs->gone.lists[GONE].count > 2 * lirs->capacity)
		lirs_forget(lirs, oldest(&lirs->gone, GONE));
}

unsigned policy_lirs(const uint32_t *ids, unsigned count, unsigned id_count, unsigned capacity, char *is_hit)
{
	unsigned high = capacity / 100 > 0 ? capacity / 100 : 1, hits = 0;
	struct lirs lirs = {
		.stack = table_new(id_count),
		.queue = table_new(id_count),
		.gone = table_new(id_count),
		.is_low = zeroes(id_count, 1),
		.low_most = capacity - high,
		.capacity = capacity,
	};
	for (unsigned at = 0; at < count; at++) {
		uint32_t id = ids[at];
		bool was_low = lirs.is_low[id], was_queued = lirs.queue.list_of[id];
		tell(is_hit, at, was_low || was_queued, &hits);
		if (!was_low && !was_queued && lirs.low_count + lirs.queue.lists[QUEUE].count == capacity)
			lirs_evict(&lirs);
		bool was_stacked = lirs.stack.list_of[id];
		leave(&lirs.gone, id);
		enter(&lirs.stack, id, STACK);
		if (was_low)
			lirs_prune(&lirs);
		else if (was_stacked || lirs.low_count < lirs.low_most)
			lirs_make_low(&lirs, id);
		else
			enter(&lirs.queue, id, QUEUE);
	}
	table_free(&lirs.stack);
	table_free(&lirs.queue);
	table_free(&lirs.gone);
	free(lirs.is_low);
	return hits;
}

// --- W-TinyLFU

enum { WINDOW = 1, PROBATION, PROTECTED, ROWS = 4, COUNT_MOST = 15 };

struct sketch {
	uint8_t *counts; // ROWS times so many as mask tells
	uint32_t mask;
	unsigned added, sample;
};

static uint8_t *sketch_at(const struct sketch *sketch, uint32_t id, unsigned row)
{
	uint64_t hash = (id + 1) * UINT64_C(0x9e3779b97f4a7c15) * (2 * row + 3);
	return &sketch->counts[row * (sketch->mask + UINT64_C(1)) + ((hash ^ hash >> 29) >> 17 & sketch->mask)];
}

static unsigned frequency(const struct sketch *sketch, uint32_t id)
{
	unsigned least = COUNT_MOST;
	for (unsigned row = 0; row < ROWS; row++)
		least = *sketch_at(sketch, id, row) < least ? *sketch_at(sketch, id, row) : least;
	return least;
}

static void sketch_add(struct sketch *sketch, uint32_t id)
{
	for (unsigned row = 0; row < ROWS; row++)
		if (*sketch_at(sketch, id, row) < COUNT_MOST)
			++*sketch_at(sketch, id, row);
	if (++sketch->added < sketch->sample)
		return;
	for (uint64_t i = 0; i < ROWS * (sketch->mask + UINT64_C(1)); i++)
		sketch->counts[i] /= 2;
	sketch->added /= 2;
}

// The window's oldest against the first to go of the rest: who was asked for more often stays.
static void admit(struct table *table, const struct sketch *sketch, unsigned rest)
{
	uint32_t candidate = oldest(table, WINDOW);
	if (table->lists[PROBATION].count + table->lists[PROTECTED].count < rest) {
		enter(table, candidate, PROBATION);
		return;
	}
	uint32_t victim = oldest(table, table->lists[PROBATION].count > 0 ? PROBATION : PROTECTED);
	if (frequency(sketch, candidate) > frequency(sketch, victim)) {
		leave(table, victim);
		enter(table, candidate, PROBATION);
	} else {
		leave(table, candidate);
	}
}

unsigned policy_tinylfu(const uint32_t *ids, unsigned count, unsigned id_count, unsigned capacity, char *is_hit)
{
	struct table table = table_new(id_count);
	struct sketch sketch = {.mask = 15, .sample = 10 * capacity};
	unsigned window = capacity / 100 > 0 ? capacity / 100 : 1, rest = capacity - window, hits = 0;
	while (sketch.mask < 4 * capacity)
		sketch.mask = sketch.mask * 2 + 1;
	sketch.counts = zeroes(ROWS, sketch.mask + (size_t)1);
	for (unsigned at = 0; at < count; at++) {
		int list = table.list_of[ids[at]];
		tell(is_hit, at, list != 0, &hits);
		sketch_add(&sketch, ids[at]);
		enter(&table, ids[at], list == 0 || list == WINDOW ? WINDOW : PROTECTED);
		if (table.lists[PROTECTED].count > rest * 4 / 5)
			enter(&table, oldest(&table, PROTECTED), PROBATION);
		if (table.lists[WINDOW].count > window)
			admit(&table, &sketch, rest);
	}
	table_free(&table);
	free(sketch.counts);
	return hits;
}

// --- S3-FIFO

enum { SMALL = 1, MAIN, GHOST, FREQUENCY_MOST = 3 };

static void s3fifo_leave_small(struct table *table, char *uses, unsigned ghosts)
{
	uint32_t id = oldest(table, SMALL);
	if (uses[id] > 1) {
		uses[id] = 0;
		enter(table, id, MAIN);
		return;
	}
	enter(table, id, GHOST);
	if (table->lists[GHOST].count > ghosts)
		leave(table, oldest(table, GHOST));
}

static void s3fifo_leave_main(struct table *table, char *uses)
{
	uint32_t id = oldest(table, MAIN);
	if (uses[id] > 0) {
		uses[id]--;
		enter(table, id, MAIN);
	} else {
		leave(table, id);
	}
}

unsigned policy_s3fifo(const uint32_t *ids, unsigned count, unsigned id_count, unsigned capacity, char *is_hit)
{
	struct table table = table_new(id_count);
	char *uses = zeroes(id_count, 1);
	unsigned small = capacity / 10 > 0 ? capacity / 10 : 1, hits = 0;
	for (unsigned at = 0; at < count; at++) {
		uint32_t id = ids[at];
		int list = table.list_of[id];
		bool hit = list == SMALL || list == MAIN;
		tell(is_hit, at, hit, &hits);
		if (hit) {
			if (uses[id] < FREQUENCY_MOST)
				uses[id]++;
			continue;
		}
		while (table.lists[SMALL].count + table.lists[MAIN].count >= capacity) {
			if (table.lists[SMALL].count >= small || table.lists[MAIN].count == 0)
				s3fifo_leave_small(&table, uses, capacity - small);
			else
				s3fifo_leave_main(&table, uses);
		}
		uses[id] = 0;
		enter(&table, id, list == GHOST ? MAIN : SMALL);
	}
	table_free(&table);
	free(uses);
	return hits;
}
