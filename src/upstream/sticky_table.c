#include "upstream/sticky_table.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SETS = 16 * 1024, WAYS = 4 };

// What two threads write at once may be mixed: then `check` does not fit, and nothing is known.
struct entry {
	_Atomic uint64_t check; // session ^ token
	_Atomic uint64_t token; // 0: empty
};

// One cache line.
struct entry_set {
	_Alignas(64) struct entry entries[WAYS];
};

struct sticky_table {
	struct entry_set sets[SETS];
	_Atomic uint32_t turn;
};

struct sticky_table *sticky_table_new(void)
{
	struct sticky_table *table = aligned_alloc(64, sizeof *table);
	if (!table)
		return NULL;
	for (unsigned i = 0; i < SETS; i++)
		for (unsigned j = 0; j < WAYS; j++)
			atomic_init(&table->sets[i].entries[j].token, 0);
	atomic_init(&table->turn, 0);
	return table;
}

void sticky_table_free(struct sticky_table *table)
{
	free(table);
}

static uint64_t token_of(const struct entry *entry, uint64_t session)
{
	uint64_t token = atomic_load_explicit(&entry->token, memory_order_relaxed);
	uint64_t check = atomic_load_explicit(&entry->check, memory_order_relaxed);
	return token != 0 && (check ^ token) == session ? token : 0;
}

uint64_t sticky_table_get(const struct sticky_table *table, uint64_t session)
{
	const struct entry_set *set = &table->sets[session % SETS];
	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t token = token_of(&set->entries[i], session);
		if (token != 0)
			return token;
	}
	return 0;
}

// The session's own entry, an empty one, or one whose turn it is.
static struct entry *entry_for(struct sticky_table *table, uint64_t session)
{
	struct entry_set *set = &table->sets[session % SETS];
	struct entry *empty = NULL;
	for (unsigned i = 0; i < WAYS; i++) {
		if (token_of(&set->entries[i], session) != 0)
			return &set->entries[i];
		if (atomic_load_explicit(&set->entries[i].token, memory_order_relaxed) == 0)
			empty = &set->entries[i];
	}
	uint32_t turn = atomic_fetch_add_explicit(&table->turn, 1, memory_order_relaxed);
	return empty ? empty : &set->entries[turn % WAYS];
}

void sticky_table_put(struct sticky_table *table, uint64_t session, uint64_t token)
{
	struct entry *entry = entry_for(table, session);
	atomic_store_explicit(&entry->check, session ^ token, memory_order_relaxed);
	atomic_store_explicit(&entry->token, token, memory_order_relaxed);
}
