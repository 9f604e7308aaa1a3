// The hit ratio of usher's store beside that of published policies, told a trace:
//
//	bench_policies TRACE   a file of ids, 32 bits each. Prints for 1% and for 10% of those that there are, as
// objects of 	                       one size: PERCENT CAPACITY, and the hits of each policy in percent
// bench_policies check   whether the policies do what their papers say, by sequences worked out by hand
//
// bench/run --only traces makes the traces.
#include "cache/store.h"
#include "policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENT = 1024 };

static const struct {
	const char *name;
	policy_run *run;
} policies[] = {{"lru", policy_lru},
		{"arc", policy_arc},
		{"lirs", policy_lirs},
		{"tinylfu", policy_tinylfu},
		{"s3fifo", policy_s3fifo}};

enum { POLICIES = sizeof policies / sizeof *policies };

// --- usher's

static const struct fields none;
static const struct cache_directives silent = {.max_age = CACHE_ABSENT, .s_maxage = CACHE_ABSENT};

static struct cache_object *object_new(struct cache_store *store, struct slice key)
{
	static char content[CONTENT];
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = key,
		.hash = cache_store_hash(store, key),
		.status = 200,
		.response = &none,
		.request = &none,
		.says = &silent,
		.body = slice_from(content, sizeof content),
		.times = {.lifetime_s = 600},
	});
	if (!object)
		abort();
	return object;
}

// Keys are all as long.
static struct slice write_key(char room[16], uint32_t id)
{
	int length = snprintf(room, 16, "%010u", (unsigned)id);
	return slice_from(room, (size_t)length);
}

static unsigned store_hits(const uint32_t *ids, unsigned count, unsigned capacity)
{
	char room[16];
	unsigned hits = 0;
	struct cache_store *store = cache_store_new(1 << 30);
	if (!store)
		abort();
	struct cache_object *probe = object_new(store, write_key(room, 0));
	uint64_t budget_bytes = (uint64_t)capacity * probe->size_bytes;
	cache_object_unref(probe);
	cache_store_free(store);
	store = cache_store_new(budget_bytes); // which decides how many shards there are
	if (!store)
		abort();
	for (unsigned at = 0; at < count; at++) {
		struct slice key = write_key(room, ids[at]);
		struct cache_object *object = cache_store_find(store, key, cache_store_hash(store, key), 0, &none);
		hits += object != NULL;
		if (!object) {
			object = object_new(store, key);
			(void)cache_store_put(store, object, &none);
		}
		cache_object_unref(object);
	}
	cache_store_free(store);
	return hits;
}

// --- A trace

static uint32_t *read_trace(const char *path, unsigned *ret_count)
{
	FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END) < 0)
		return NULL;
	long size = ftell(file);
	rewind(file);
	uint32_t *ids = malloc((size_t)size + 1);
	*ret_count = (unsigned)((size_t)size / sizeof *ids);
	if (ids && fread(ids, sizeof *ids, *ret_count, file) != *ret_count) {
		free(ids);
		ids = NULL;
	}
	fclose(file);
	return ids;
}

static int compare(const char *path)
{
	unsigned count, id_count = 0;
	uint32_t *ids = read_trace(path, &count);
	if (!ids) {
		perror(path);
		return 1;
	}
	for (unsigned at = 0; at < count; at++)
		id_count = ids[at] >= id_count ? ids[at] + 1 : id_count;
	for (unsigned percent = 1; percent <= 10; percent += 9) {
		unsigned capacity = id_count * percent / 100;
		if (capacity < 2)
			continue;
		printf("%u %u usher %.2f", percent, capacity, 100.0 * store_hits(ids, count, capacity) / count);
		for (int i = 0; i < POLICIES; i++)
			printf(" %s %.2f", policies[i].name,
			       100.0 * policies[i].run(ids, count, id_count, capacity, NULL) / count);
		printf("\n");
	}
	free(ids);
	return 0;
}

// --- The policies themselves

static int check_one(const char *name, policy_run *run, unsigned capacity, const char *asked, const char *expected)
{
	uint32_t ids[64];
	char is_hit[64];
	unsigned count = (unsigned)strlen(asked), hits = 0;
	for (unsigned at = 0; at < count; at++)
		ids[at] = (uint32_t)(asked[at] - 'a');
	unsigned told = run(ids, count, 26, capacity, is_hit);
	for (unsigned at = 0; at < count; at++) {
		hits += is_hit[at] != 0;
		if ((is_hit[at] != 0) != (expected[at] == '+')) {
			printf("%s, %u: %s: request %u should %sbe a hit\n", name, capacity, asked, at + 1,
			       expected[at] == '+' ? "" : "not ");
			return 1;
		}
	}
	return told != hits;
}

static int check(void)
{
	int wrong = 0;
	// The one that was not used for longest goes.
	wrong += check_one("lru", policy_lru, 2, "abacbab", "--+---+");
	wrong += check_one("lru", policy_lru, 3, "abcdabc", "-------");
	// a, asked for twice, survives c, for which b goes. b back: as the share of the recent grows to one, a goes,
	// not c. a back: the share shrinks to none, and c goes, not b.
	wrong += check_one("arc", policy_arc, 2, "aabcabacb", "-+--+----");
	wrong += check_one("arc", policy_arc, 2, "aabcabab", "-+--+--+");
	wrong += check_one("arc", policy_arc, 2, "aabcabc", "-+--+-+");
	// A loop over more than fits: those of low recency stay.
	wrong += check_one("lirs", policy_lirs, 3, "abcdabcdabcd", "----++--++--");
	// c takes the place of b, and d that of a, when they come again before these do.
	wrong += check_one("lirs", policy_lirs, 3, "abcacdbdac", "---++---++");
	// What comes once does not push out a and b, of many uses.
	wrong += check_one("tinylfu", policy_tinylfu, 3, "aabbabcdefab", "-+-+++----++");
	wrong += check_one("lru", policy_lru, 3, "aabbabcdefab", "-+-+++------");
	// a stays, asked for twice while it was new; b comes and goes, and stays when it comes again.
	wrong += check_one("s3fifo", policy_s3fifo, 2, "aaabcabb", "-++--+-+");
	printf("%d wrong\n", wrong);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: bench_policies TRACE | check\n");
		return 2;
	}
	return strcmp(argv[1], "check") == 0 ? check() : compare(argv[1]);
}
