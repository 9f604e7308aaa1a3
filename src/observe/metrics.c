#include "observe/metrics.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MAX = METRICS_CELLS_PER_CHUNK * METRICS_CHUNKS_MAX };

// What nobody reads: the metric that stands for those beyond the bound has its cells here.
enum { SINK_CELL = 0 };

enum { HASH_BUCKETS = 4096 };

struct entry {
	struct metric metric;
	struct entry *next;	 // in the order of registration
	struct entry *next_same; // in its hash bucket
};

static struct {
	pthread_mutex_t lock;
	struct entry *first, **last;
	struct entry *by_hash[HASH_BUCKETS];
	size_t count;
	uint32_t cells;			// handed out
	struct metrics_thread *threads; // that count
	struct metrics_thread *ended;	// what threads that ended had counted; NULL at first
	bool full;			// said so
} registry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cells = HISTOGRAM_CELLS, // the sink's
};

_Thread_local struct metrics_thread *metrics_here;

static struct metric sink = {.name = "", .labels = "", .help = "", .cell = SINK_CELL};

// Where a thread counts that gets no memory: written by all such threads, read by nobody.
static _Thread_local uint64_t nowhere[HISTOGRAM_CELLS];

// --- Registration

static struct entry **hash_bucket(const char *name, const char *labels)
{
	uint64_t hash = hash_fast(slice_from_string(name)) ^ hash_fast(slice_from_string(labels));
	return &registry.by_hash[hash % HASH_BUCKETS];
}

static struct entry *entry_find(const char *name, const char *labels)
{
	for (struct entry *entry = *hash_bucket(name, labels); entry; entry = entry->next_same) {
		if (strcmp(entry->metric.name, name) == 0 && strcmp(entry->metric.labels, labels) == 0)
			return entry;
	}
	return NULL;
}

// A histogram's cells lie in one chunk, so that one look finds them all. UINT32_MAX when all
// are taken.
static uint32_t cells_take(enum metric_kind kind)
{
	uint32_t count = kind == METRIC_HISTOGRAM ? HISTOGRAM_CELLS : 1;
	uint32_t first = registry.cells;
	if (first / METRICS_CELLS_PER_CHUNK != (first + count - 1) / METRICS_CELLS_PER_CHUNK)
		first += METRICS_CELLS_PER_CHUNK - first % METRICS_CELLS_PER_CHUNK;
	if (first + count > CELLS_MAX)
		return UINT32_MAX;
	registry.cells = first + count;
	return first;
}

static struct entry *entry_new(enum metric_kind kind, const char *name, const char *labels, const char *help)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	char *own_name = strdup(name), *own_labels = strdup(labels), *own_help = strdup(help);
	uint32_t cell = own_name && own_labels && own_help ? cells_take(kind) : UINT32_MAX;
	if (cell == UINT32_MAX) {
		free(own_name);
		free(own_labels);
		free(own_help);
		free(entry);
		return NULL;
	}
	entry->metric = (struct metric){own_name, own_labels, own_help, kind, cell};
	if (registry.first)
		*registry.last = entry;
	else
		registry.first = entry;
	registry.last = &entry->next;
	struct entry **bucket = hash_bucket(name, labels);
	entry->next_same = *bucket;
	*bucket = entry;
	registry.count++;
	return entry;
}

struct metric *metric_register(enum metric_kind kind, const char *name, const char *labels, const char *help)
{
	pthread_mutex_lock(&registry.lock);
	struct entry *entry = entry_find(name, labels);
	if (entry == NULL)
		entry = entry_new(kind, name, labels, help);
	bool say = entry == NULL && !registry.full;
	registry.full = registry.full || entry == NULL;
	pthread_mutex_unlock(&registry.lock);

	if (say)
		log_warning("no room for more metrics: %s{%s} and those after it are not counted", name, labels);
	if (entry == NULL)
		return &sink;
	check(entry->metric.kind == kind);
	return &entry->metric;
}

// --- Counting

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static uint64_t chunk_read(const struct metrics_thread *thread, uint32_t cell)
{
	uint64_t *chunk = __atomic_load_n(&thread->chunks[cell / METRICS_CELLS_PER_CHUNK], __ATOMIC_ACQUIRE);
	return chunk ? __atomic_load_n(&chunk[cell % METRICS_CELLS_PER_CHUNK], __ATOMIC_RELAXED) : 0;
}

static void add_chunks(struct metrics_thread *to, struct metrics_thread *from)
{
	for (unsigned i = 0; i < METRICS_CHUNKS_MAX; i++) {
		if (to->chunks[i] == NULL) {
			to->chunks[i] = from->chunks[i];
			continue;
		}
		for (unsigned j = 0; from->chunks[i] && j < METRICS_CELLS_PER_CHUNK; j++)
			to->chunks[i][j] += from->chunks[i][j];
		free(from->chunks[i]);
	}
}

// The thread ends: its counts go over to those of all that ended.
static void thread_ended(void *argument)
{
	struct metrics_thread *thread = argument;
	metrics_here = NULL;
	pthread_mutex_lock(&registry.lock);
	struct metrics_thread **link = &registry.threads;
	while (*link != thread)
		link = &(*link)->next;
	*link = thread->next;
	if (registry.ended == NULL) {
		registry.ended = thread;
		thread = NULL;
	} else {
		add_chunks(registry.ended, thread);
	}
	pthread_mutex_unlock(&registry.lock);
	free(thread);
}

static void key_make(void)
{
	check(pthread_key_create(&key, thread_ended) == 0);
}

static struct metrics_thread *thread_begin(void)
{
	pthread_once(&key_once, key_make);
	struct metrics_thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return NULL;
	if (pthread_setspecific(key, thread) != 0) {
		free(thread);
		return NULL;
	}
	pthread_mutex_lock(&registry.lock);
	thread->next = registry.threads;
	registry.threads = thread;
	pthread_mutex_unlock(&registry.lock);
	metrics_here = thread;
	return thread;
}

uint64_t *metrics_cells_new(uint32_t cell)
{
	check(cell < CELLS_MAX);
	struct metrics_thread *here = metrics_here ? metrics_here : thread_begin();
	uint64_t *chunk = here ? calloc(METRICS_CELLS_PER_CHUNK, sizeof(*chunk)) : NULL;
	if (chunk == NULL)
		return nowhere;
	__atomic_store_n(&here->chunks[cell / METRICS_CELLS_PER_CHUNK], chunk, __ATOMIC_RELEASE);
	return chunk + cell % METRICS_CELLS_PER_CHUNK;
}

void metric_observe(struct metric *metric, int64_t duration_ns)
{
	duration_ns = duration_ns < 0 ? 0 : duration_ns;
	uint64_t *cells = metric_cells(metric->cell);
	uint64_t *bucket = cells + histogram_bucket(duration_ns), *sum = cells + HISTOGRAM_BUCKETS;
	__atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
	__atomic_store_n(sum, *sum + (uint64_t)duration_ns, __ATOMIC_RELAXED);
}

// --- Reading

// Sums one cell over all threads; under the lock.
static uint64_t cell_sum(uint32_t cell)
{
	uint64_t sum = registry.ended ? chunk_read(registry.ended, cell) : 0;
	for (const struct metrics_thread *thread = registry.threads; thread; thread = thread->next)
		sum += chunk_read(thread, cell);
	return sum;
}

int64_t metric_read(const struct metric *metric)
{
	if (metric == &sink)
		return 0;
	if (metric->kind == METRIC_HISTOGRAM) {
		struct histogram histogram;
		metric_read_histogram(metric, &histogram);
		return (int64_t)histogram.count;
	}
	pthread_mutex_lock(&registry.lock);
	int64_t sum = (int64_t)cell_sum(metric->cell);
	pthread_mutex_unlock(&registry.lock);
	return sum;
}

void metric_read_histogram(const struct metric *metric, struct histogram *ret_histogram)
{
	*ret_histogram = (struct histogram){0};
	if (metric == &sink)
		return;
	check(metric->kind == METRIC_HISTOGRAM);
	pthread_mutex_lock(&registry.lock);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		ret_histogram->buckets[i] = cell_sum(metric->cell + i);
		ret_histogram->count += ret_histogram->buckets[i];
	}
	ret_histogram->sum_ns = (int64_t)cell_sum(metric->cell + HISTOGRAM_BUCKETS);
	pthread_mutex_unlock(&registry.lock);
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *const *a = left, *const *b = right;
	int order = strcmp((*a)->metric.name, (*b)->metric.name);
	return order ? order : (*a)->metric.cell < (*b)->metric.cell ? -1 : 1;
}

void metrics_visit(metric_visitor *visit, void *argument)
{
	pthread_mutex_lock(&registry.lock);
	size_t count = 0;
	struct entry **entries = malloc((registry.count + 1) * sizeof(struct entry *));
	for (struct entry *entry = registry.first; entries && entry; entry = entry->next)
		entries[count++] = entry;
	pthread_mutex_unlock(&registry.lock);
	if (entries == NULL)
		return;
	// Entries are never freed, so that nothing has to be locked from here on.
	qsort(entries, count, sizeof(struct entry *), compare_entries);
	for (size_t i = 0; i < count; i++)
		visit(argument, &entries[i]->metric);
	free(entries);
}
