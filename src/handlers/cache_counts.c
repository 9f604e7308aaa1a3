#include "handlers/cache_counts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS_MAX = 512 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct cache_counts *) first;

const char *cache_result_word(enum cache_result result)
{
	static const char *const words[] = {
		[CACHE_HIT] = "hit",
		[CACHE_STALE] = "stale",
		[CACHE_MISS] = "miss",
		[CACHE_PASS] = "pass",
	};
	return words[result];
}

const struct cache_counts *cache_counts_first(void)
{
	return atomic_load_explicit(&first, memory_order_acquire);
}

// A label's value has neither quotes nor backslashes (as hosts and paths, but for patterns, have none).
static void put_value(char *to, size_t size, const char *from)
{
	size_t length = 0;
	for (; *from && length + 3 < size; from++) {
		if (*from == '"' || *from == '\\')
			to[length++] = '\\';
		to[length++] = *from;
	}
	to[length] = '\0';
}

static struct cache_counts *make(const char *site, const char *route)
{
	struct cache_counts *counts = calloc(1, sizeof *counts);
	char site_value[LABELS_MAX / 3], route_value[LABELS_MAX / 3], labels[LABELS_MAX];
	if (!counts)
		return NULL;
	counts->site = strdup(site);
	counts->route = strdup(route);
	if (!counts->site || !counts->route) {
		free(counts->site);
		free(counts->route);
		free(counts);
		return NULL;
	}
	put_value(site_value, sizeof site_value, site);
	put_value(route_value, sizeof route_value, route);
	for (unsigned i = 0; i < CACHE_RESULTS; i++) {
		snprintf(labels, sizeof labels, "site=\"%s\",route=\"%s\",result=\"%s\"", site_value, route_value,
			 cache_result_word(i));
		counts->results[i] = metric_register(METRIC_COUNTER, "usher_cache_requests_total", labels,
						     "requests to routes with a cache, by what it did");
	}
	return counts;
}

struct cache_counts *cache_counts_of(const char *site, const char *route)
{
	pthread_mutex_lock(&lock);
	struct cache_counts *counts = atomic_load_explicit(&first, memory_order_relaxed);
	while (counts && !(strcmp(counts->site, site) == 0 && strcmp(counts->route, route) == 0))
		counts = counts->next;
	if (!counts && (counts = make(site, route))) {
		counts->next = atomic_load_explicit(&first, memory_order_relaxed);
		atomic_store_explicit(&first, counts, memory_order_release);
	}
	pthread_mutex_unlock(&lock);
	return counts;
}
