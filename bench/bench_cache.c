// What the memory store costs, and what it keeps:
//
//	ninja -C build bench/bench_cache && build/bench/bench_cache
//
// bytes for each stored answer beyond its own; finding one among a thousand and a million; finding one and the same
// from one and two threads; a purge of a tag that 100,000 have, while another thread finds; and the hit ratio on made
// traces beside that of LRU.
#include "cache/store.h"
#include "measure.h"

#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	FINDS = 2000000,
	HOT_FINDS = 4000000,
	CONTENT = 1024,
	REQUESTS = 2000000,
	IDS = 200000,
	KEY_MAX = 64,
	TAGGED = 100000
};

static const struct fields none;
static const struct cache_directives silent = {.max_age = CACHE_ABSENT, .s_maxage = CACHE_ABSENT};

static uint64_t state = 1;

// As a request makes it: in memory that is at hand.
static struct slice write_key(char room[KEY_MAX], unsigned id)
{
	static const char start[] = "http://www.example.com/path/to/";
	memcpy(room, start, sizeof start - 1);
	char *to = room + sizeof start - 1;
	for (unsigned unit = 1000000; unit > 0; unit /= 10)
		*to++ = (char)('0' + id / unit % 10);
	return slice_from(room, (size_t)(to - room));
}

// As a server with a few fields answers.
static struct fields usual_fields(void)
{
	static struct field items[] = {
		{{"Server", sizeof "Server" - 1}, {"nginx/1.22.1", sizeof "nginx/1.22.1" - 1}, FIELD_SERVER},
		{{"Date", sizeof "Date" - 1},
		 {"Sun, 29 Nov 2026 12:00:00 GMT", sizeof "Sun, 29 Nov 2026 12:00:00 GMT" - 1},
		 FIELD_DATE},
		{{"Content-Type", sizeof "Content-Type" - 1},
		 {"text/html; charset=utf-8", sizeof "text/html; charset=utf-8" - 1},
		 FIELD_CONTENT_TYPE},
		{{"Last-Modified", sizeof "Last-Modified" - 1},
		 {"Sun, 22 Nov 2026 12:00:00 GMT", sizeof "Sun, 22 Nov 2026 12:00:00 GMT" - 1},
		 FIELD_LAST_MODIFIED},
		{{"ETag", sizeof "ETag" - 1}, {"\"6560a1c0-400\"", sizeof "\"6560a1c0-400\"" - 1}, FIELD_ETAG},
		{{"Cache-Control", sizeof "Cache-Control" - 1},
		 {"max-age=600", sizeof "max-age=600" - 1},
		 FIELD_CACHE_CONTROL},
	};
	return (struct fields){items, 6, 6};
}

static size_t put(struct cache_store *store, unsigned id, const struct fields *fields, struct slice content)
{
	char room[KEY_MAX];
	struct slice key = write_key(room, id);
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = key,
		.hash = cache_store_hash(store, key),
		.status = 200,
		.response = fields,
		.request = &none,
		.says = &silent,
		.body = content,
		.times = {.lifetime_s = 600},
	});
	if (!object)
		abort();
	(void)cache_store_put(store, object, &none);
	size_t size = object->size_bytes;
	cache_object_unref(object);
	return size;
}

static bool find(struct cache_store *store, struct slice key)
{
	struct cache_object *object = cache_store_find(store, key, cache_store_hash(store, key), 0, &none);
	cache_object_unref(object);
	return object != NULL;
}

// --- Bytes, and finding one of many

static size_t text_of(const struct fields *fields)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		bytes += fields->items[i].name.length + fields->items[i].value.length;
	return bytes;
}

static double measure(unsigned count)
{
	static char content[CONTENT];
	char room[KEY_MAX];
	struct fields fields = usual_fields();
	size_t before = mallinfo2().uordblks;
	struct cache_store *store = cache_store_new(UINT64_C(8) << 30);
	if (!store)
		abort();
	size_t empty = mallinfo2().uordblks - before;
	for (unsigned i = 0; i < count; i++)
		put(store, i, &fields, slice_from(content, sizeof content));
	double taken = (double)(mallinfo2().uordblks - before - empty) / count;
	double own = (double)(CONTENT + text_of(&fields) + write_key(room, 1).length);
	unsigned found = 0;
	int64_t best_ns = INT64_MAX;
	for (unsigned round = 0; round < 5; round++) {
		int64_t began_ns = now_ns();
		for (unsigned i = 0; i < FINDS; i++)
			found += find(store, write_key(room, (unsigned)(next_random(&state) % count)));
		int64_t took_ns = now_ns() - began_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	double find_ns = (double)best_ns / FINDS;
	printf("%8u answers: %.0f bytes each beyond their own %.0f (text and content); %.0f ns to find one%s\n", count,
	       taken - own, own, find_ns, found == 5 * FINDS ? "" : " (NOT ALL WERE FOUND)");
	cache_store_free(store);
	return find_ns;
}

// --- One and the same, from several threads

static struct cache_store *hot;

static void *find_hot(void *argument)
{
	char room[KEY_MAX];
	struct slice key = write_key(room, 1);
	for (unsigned i = 0; i < HOT_FINDS; i++)
		if (!find(hot, key))
			abort();
	return NULL;
}

static double finds_per_second(unsigned threads)
{
	pthread_t started[8];
	int64_t began_ns = now_ns();
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&started[i], NULL, find_hot, NULL) != 0)
			abort();
	for (unsigned i = 0; i < threads; i++)
		pthread_join(started[i], NULL);
	return (double)threads * HOT_FINDS * 1e9 / (double)(now_ns() - began_ns);
}

static void measure_threads(void)
{
	struct fields fields = usual_fields();
	hot = cache_store_new(UINT64_C(1) << 30);
	if (!hot)
		abort();
	put(hot, 1, &fields, SLICE_EMPTY);
	double one = finds_per_second(1), two = finds_per_second(2);
	printf("the same answer: %.1f million finds a second from one thread, %.1f from two (%.2f times)\n", one / 1e6,
	       two / 1e6, two / one);
	cache_store_free(hot);
}

// --- Hit ratios

struct trace {
	const char *name;
	double exponent;
	unsigned scan_every, scan_length; // whole runs of what is never asked for again
};

static unsigned *make_trace(const struct trace *trace, unsigned *ret_distinct)
{
	double *sums = malloc(IDS * sizeof *sums), sum = 0;
	unsigned *ids = malloc(REQUESTS * sizeof *ids), once = IDS;
	char *seen = calloc(1, IDS);
	if (!sums || !ids || !seen)
		abort();
	for (unsigned i = 0; i < IDS; i++)
		sums[i] = sum += 1 / pow(i + 1, trace->exponent);
	unsigned distinct = 0;
	for (unsigned at = 0; at < REQUESTS; at++) {
		if (trace->scan_every && at % trace->scan_every < trace->scan_length) {
			ids[at] = once++;
			distinct++;
			continue;
		}
		double wanted = (double)(next_random(&state) >> 11) / (double)(UINT64_C(1) << 53) * sum;
		unsigned low = 0, high = IDS - 1;
		while (low < high) {
			unsigned middle = (low + high) / 2;
			if (sums[middle] < wanted)
				low = middle + 1;
			else
				high = middle;
		}
		ids[at] = low;
		distinct += !seen[low];
		seen[low] = 1;
	}
	free(sums);
	free(seen);
	*ret_distinct = distinct;
	return ids;
}

// A list by last use, in arrays.
static double lru_hits(const unsigned *ids, unsigned capacity)
{
	enum { HEAD = IDS + REQUESTS };
	unsigned *previous = calloc(HEAD + 1, sizeof *previous), *next = calloc(HEAD + 1, sizeof *next);
	char *is_in = calloc(1, HEAD + 1);
	unsigned count = 0, hits = 0;
	if (!previous || !next || !is_in)
		abort();
	previous[HEAD] = next[HEAD] = HEAD;
	for (unsigned at = 0; at < REQUESTS; at++) {
		unsigned id = ids[at];
		hits += is_in[id] != 0;
		unsigned gone = is_in[id] ? id : count == capacity ? previous[HEAD] : HEAD;
		if (gone != HEAD) {
			next[previous[gone]] = next[gone];
			previous[next[gone]] = previous[gone];
			is_in[gone] = 0;
			count--;
		}
		next[id] = next[HEAD];
		previous[id] = HEAD;
		previous[next[HEAD]] = id;
		next[HEAD] = id;
		is_in[id] = 1;
		count++;
	}
	free(previous);
	free(next);
	free(is_in);
	return (double)hits / REQUESTS;
}

static double store_hits(const unsigned *ids, unsigned capacity)
{
	char room[KEY_MAX];
	static char content[CONTENT];
	unsigned hits = 0;
	struct cache_store *probe = cache_store_new(1 << 30);
	size_t size = put(probe, 100000, &none, slice_from(content, sizeof content));
	cache_store_free(probe);
	struct cache_store *store = cache_store_new((uint64_t)capacity * size);
	for (unsigned at = 0; at < REQUESTS; at++) {
		if (find(store, write_key(room, 1000000 + ids[at])))
			hits++;
		else
			put(store, 1000000 + ids[at], &none, slice_from(content, sizeof content - 1));
	}
	cache_store_free(store);
	return (double)hits / REQUESTS;
}

static void compare(const struct trace *trace)
{
	unsigned distinct;
	unsigned *ids = make_trace(trace, &distinct);
	for (unsigned percent = 1; percent <= 10; percent += 9) {
		unsigned capacity = distinct / 100 * percent;
		printf("%-22s %2u%% of %u answers: %5.2f%% hits, LRU %5.2f%%\n", trace->name, percent, distinct,
		       100 * store_hits(ids, capacity), 100 * lru_hits(ids, capacity));
	}
	free(ids);
}

// --- A purge

struct finder {
	struct cache_store *store;
	_Atomic bool is_done;
	uint64_t finds, slow; // slow: longer than 100 us
};

static void *find_meanwhile(void *argument)
{
	struct finder *finder = argument;
	uint64_t random = 7;
	char room[KEY_MAX];
	for (; !atomic_load(&finder->is_done); finder->finds++) {
		int64_t began_ns = now_ns();
		(void)find(finder->store, write_key(room, (unsigned)(next_random(&random) % TAGGED)));
		int64_t took_ns = now_ns() - began_ns;
		finder->slow += took_ns > 100000;
	}
	return NULL;
}

static void measure_purge(void)
{
	struct field items[7];
	struct fields usual = usual_fields(), fields = {items, 7, 7};
	memcpy(items, usual.items, 6 * sizeof *items);
	items[6] = (struct field){SLICE("Surrogate-Key"), SLICE("page product-1834 all"), FIELD_SURROGATE_KEY};
	struct finder finder = {.store = cache_store_new(UINT64_C(8) << 30)};
	pthread_t thread;
	char room[KEY_MAX];
	if (!finder.store)
		abort();
	for (unsigned i = 0; i < TAGGED; i++)
		put(finder.store, i, &fields, SLICE("content"));
	if (pthread_create(&thread, NULL, find_meanwhile, &finder) != 0)
		abort();
	const struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};
	(void)nanosleep(&moment, NULL);
	int64_t began_ns = now_ns();
	const struct cache_purge purge = {CACHE_PURGE_TAG, SLICE("product-1834"), false};
	if (!cache_purges_add(cache_store_purges(finder.store), &purge))
		abort();
	int64_t added_ns = now_ns() - began_ns;
	unsigned found = 0;
	for (unsigned i = 0; i < TAGGED; i += 1000)
		found += find(finder.store, write_key(room, i));
	int64_t swept = cache_store_sweep(finder.store), swept_ns = now_ns() - began_ns;
	atomic_store(&finder.is_done, true);
	pthread_join(thread, NULL);
	printf("a purge of %d by tag: in force after %.1f us (%u found then), swept after %.1f ms (%lld of them by the "
	       "sweep); of %llu finds of another thread meanwhile %llu took longer than 100 us\n",
	       TAGGED, (double)added_ns / 1e3, found, (double)swept_ns / 1e6, (long long)swept,
	       (unsigned long long)finder.finds, (unsigned long long)finder.slow);
	cache_store_free(finder.store);
}

int main(void)
{
	static const struct trace traces[] = {
		{"Zipf 0.8", 0.8, 0, 0},
		{"Zipf 1.0", 1.0, 0, 0},
		{"Zipf 0.8 and scans", 0.8, 100000, 30000},
		{"Zipf 1.0 and scans", 1.0, 100000, 30000},
	};
	double few_ns = measure(1000), many_ns = measure(1000000);
	printf("a million to a thousand: %.2f\n", many_ns / few_ns);
	measure_threads();
	measure_purge();
	for (size_t i = 0; i < sizeof traces / sizeof *traces; i++)
		compare(&traces[i]);
	return 0;
}
