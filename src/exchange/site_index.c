#include "exchange/site_index.h"

#include "base/check.h"
#include "base/hash.h"

#include <string.h>

enum { LABELS_MAX = 63 };

struct site_index {
	struct site_host *hosts;
	size_t count, capacity;
	uint32_t *slots; // index of a host plus 1; a power of two of them, half empty
	size_t mask;
	uint64_t wildcard_labels; // bit n: there is a wildcard of n labels (63: or more)
	const struct site *standard;
};

static uint64_t host_hash(struct slice host, bool wildcard)
{
	return hash_fast(host) ^ (wildcard ? UINT64_C(0x9e3779b97f4a7c15) : 0);
}

// The entry, or NULL and the free slot for it.
static const struct site_host *lookup(const struct site_index *index, struct slice host, bool wildcard, uint64_t hash,
				      size_t *ret_slot)
{
	for (size_t slot = hash & index->mask;; slot = (slot + 1) & index->mask) {
		if (index->slots[slot] == 0) {
			*ret_slot = slot;
			return NULL;
		}
		const struct site_host *entry = &index->hosts[index->slots[slot] - 1];
		if (entry->hash == hash && entry->wildcard == wildcard && slice_equal(entry->host, host))
			return entry;
	}
}

static unsigned count_labels(struct slice host)
{
	unsigned labels = 1;
	for (size_t i = 0; i < host.length; i++)
		labels += host.data[i] == '.';
	return labels;
}

static uint64_t labels_bit(unsigned labels)
{
	return UINT64_C(1) << (labels < LABELS_MAX ? labels : LABELS_MAX);
}

// From the longest suffix to the shortest; only suffixes of a length that some wildcard has
// are looked up.
static const struct site *find_wildcard(const struct site_index *index, struct slice host)
{
	unsigned labels = count_labels(host);
	size_t slot;
	struct slice label;
	while (slice_cut(host, '.', &label, &host)) {
		labels--;
		if (!(index->wildcard_labels & labels_bit(labels)))
			continue;
		const struct site_host *entry = lookup(index, host, true, host_hash(host, true), &slot);
		if (entry)
			return entry->site;
	}
	return NULL;
}

const struct site *site_index_find(const struct site_index *index, struct slice host)
{
	if (index->count == 0)
		return index->standard;
	size_t slot;
	const struct site_host *entry = lookup(index, host, false, host_hash(host, false), &slot);
	if (entry)
		return entry->site;
	const struct site *site = index->wildcard_labels ? find_wildcard(index, host) : NULL;
	return site ? site : index->standard;
}

struct site_index *site_index_new(struct arena *arena, size_t hosts)
{
	size_t slots = 4;
	while (slots < hosts * 2)
		slots *= 2;
	struct site_index *index = arena_zalloc(arena, sizeof *index);
	if (!index)
		return NULL;
	*index = (struct site_index){
		.hosts = arena_alloc(arena, (hosts > 0 ? hosts : 1) * sizeof *index->hosts),
		.capacity = hosts,
		.slots = arena_zalloc(arena, slots * sizeof *index->slots),
		.mask = slots - 1,
	};
	return index->hosts && index->slots ? index : NULL;
}

const struct site_host *site_index_add(struct site_index *index, const struct site_host *host)
{
	struct site_host entry = *host;
	size_t slot;
	entry.hash = host_hash(host->host, host->wildcard);
	const struct site_host *before = lookup(index, host->host, host->wildcard, entry.hash, &slot);
	if (before)
		return before;
	check(index->count < index->capacity);
	index->hosts[index->count++] = entry;
	index->slots[slot] = (uint32_t)index->count;
	if (host->wildcard)
		index->wildcard_labels |= labels_bit(count_labels(host->host));
	return NULL;
}

void site_index_set_default(struct site_index *index, const struct site *site)
{
	index->standard = site;
}

const struct site_host *site_index_hosts(const struct site_index *index, size_t *ret_count)
{
	*ret_count = index->count;
	return index->hosts;
}
