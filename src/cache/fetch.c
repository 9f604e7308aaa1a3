#include "cache/fetch.h"

#include "base/check.h"
#include "cache/claims.h"
#include "cache/fetch_local.h"
#include "cache/vary.h"
#include "fiber/fiber.h"
#include "fiber/offload.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 64 };

static struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct cache_fetch *first;
} shards[SHARDS] = {[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

// Of what is being fetched.
static struct cache_claims filling;

static struct shard *shard_of(uint64_t hash)
{
	return &shards[hash % SHARDS];
}

// --- Making and finding

static struct cache_fetch *fetch_new(const struct cache_wanted *wanted)
{
	struct cache_fetch *fetch = calloc(1, sizeof *fetch + wanted->key.length);
	if (!fetch)
		return NULL;
	// One is the maker's, one the first reader's.
	atomic_init(&fetch->references, 2);
	fetch->readers = 1;
	fetch->hash = wanted->hash;
	fetch->variant = wanted->variant;
	memcpy(fetch + 1, wanted->key.data, wanted->key.length);
	fetch->key = slice_from(fetch + 1, wanted->key.length);
	line_init(&fetch->readers_line);
	line_init(&fetch->fetcher_line);
	pthread_mutex_init(&fetch->lock, NULL);
	return fetch;
}

void cache_fetch_unref(struct cache_fetch *fetch)
{
	if (atomic_fetch_sub_explicit(&fetch->references, 1, memory_order_acq_rel) > 1)
		return;
	line_fini(&fetch->readers_line);
	line_fini(&fetch->fetcher_line);
	pthread_mutex_destroy(&fetch->lock);
	cache_interims_clear(&fetch->interims);
	cache_object_unref(fetch->object);
	cache_file_unref(fetch->file);
	free(fetch);
}

// Those that have an answer serve only whom it suits.
static bool join(struct cache_fetch *fetch, const struct cache_wanted *wanted)
{
	if (!fetch->is_shared || fetch->hash != wanted->hash || fetch->variant != wanted->variant ||
	    !slice_equal(fetch->key, wanted->key))
		return false;
	pthread_mutex_lock(&fetch->lock);
	bool suits = !fetch->object || cache_object_matches(fetch->object, wanted->request);
	if (suits)
		fetch->readers++;
	pthread_mutex_unlock(&fetch->lock);
	if (suits)
		atomic_fetch_add_explicit(&fetch->references, 1, memory_order_relaxed);
	return suits;
}

bool cache_fetch_join(struct cache_reader *reader, const struct cache_wanted *wanted, bool is_shared,
		      bool *ret_is_first)
{
	struct shard *shard = shard_of(wanted->hash);
	struct cache_fetch *fetch = NULL;
	pthread_mutex_lock(&shard->lock);
	if (is_shared)
		for (fetch = shard->first; fetch && !join(fetch, wanted);)
			fetch = fetch->next;
	*ret_is_first = !fetch;
	if (!fetch && (fetch = fetch_new(wanted))) {
		fetch->is_shared = is_shared;
		fetch->next = shard->first;
		shard->first = fetch;
		fetch->is_listed = true;
	}
	pthread_mutex_unlock(&shard->lock);
	*reader = (struct cache_reader){.fetch = fetch};
	return fetch != NULL;
}

// With the shard's lock held.
static void unlist(struct shard *shard, struct cache_fetch *fetch)
{
	struct cache_fetch **at = &shard->first;
	if (!fetch->is_listed)
		return;
	while (*at != fetch)
		at = &(*at)->next;
	*at = fetch->next;
	fetch->is_listed = false;
}

void cache_fetch_hide(struct cache_fetch *fetch)
{
	struct shard *shard = shard_of(fetch->hash);
	pthread_mutex_lock(&shard->lock);
	unlist(shard, fetch);
	pthread_mutex_unlock(&shard->lock);
}

void cache_fetch_forget(struct slice key, uint64_t hash)
{
	struct shard *shard = shard_of(hash);
	struct cache_fetch *next;
	pthread_mutex_lock(&shard->lock);
	for (struct cache_fetch *fetch = shard->first; fetch; fetch = next) {
		next = fetch->next;
		if (fetch->hash != hash || !slice_equal(fetch->key, key))
			continue;
		atomic_store(&fetch->is_forgotten, true);
		unlist(shard, fetch);
	}
	pthread_mutex_unlock(&shard->lock);
}

bool cache_fetch_is_forgotten(const struct cache_fetch *fetch)
{
	return atomic_load(&fetch->is_forgotten);
}

unsigned cache_fetch_readers(struct cache_fetch *fetch)
{
	pthread_mutex_lock(&fetch->lock);
	unsigned readers = fetch->readers;
	pthread_mutex_unlock(&fetch->lock);
	return readers;
}

// --- Waiting for each other

int cache_fetch_wait_until(struct cache_fetch *fetch, struct line *line, bool (*holds)(struct cache_fetch *, void *),
			   void *argument, const char *what, int64_t deadline_ns)
{
	for (;;) {
		struct line_place place = {0};
		check(line_enter(line, &place, UINT32_MAX));
		pthread_mutex_lock(&fetch->lock);
		bool done = holds(fetch, argument);
		pthread_mutex_unlock(&fetch->lock);
		if (done) {
			(void)line_leave(line, &place);
			return 0;
		}
		int error = line_wait(line, &place, what, deadline_ns);
		if (error)
			return error;
	}
}

// --- The one who fetches

void cache_fetch_inform(struct cache_fetch *fetch, const struct response *interim)
{
	pthread_mutex_lock(&fetch->lock);
	cache_interims_add(&fetch->interims, interim);
	pthread_mutex_unlock(&fetch->lock);
	cache_fetch_call(&fetch->readers_line);
}

void cache_fetch_answer(struct cache_fetch *fetch, struct cache_object *object, int64_t length,
			const struct cache_fetch_bounds *bounds)
{
	bool is_for_memory = length >= 0 && (uint64_t)length <= bounds->memory_bytes;
	check(!is_for_memory || (size_t)length <= object->room_bytes);
	check(bounds->disk || bounds->most_bytes == bounds->memory_bytes);
	if (is_for_memory)
		object->body.length = (size_t)length;
	fetch->bounds = *bounds;
	pthread_mutex_lock(&fetch->lock);
	fetch->object = object;
	fetch->length = length;
	fetch->state = CACHE_FETCH_FILLS;
	pthread_mutex_unlock(&fetch->lock);
	cache_fetch_call(&fetch->readers_line);
}

// Only the fetcher does, so it may read the object without the lock.
static void replace_object(struct cache_fetch *fetch, struct cache_object *object)
{
	struct cache_object *former = fetch->object;
	pthread_mutex_lock(&fetch->lock);
	fetch->object = object;
	pthread_mutex_unlock(&fetch->lock);
	cache_object_unref(former);
}

bool cache_fetch_claim(struct cache_fetch *fetch, uint64_t room_bytes, uint64_t most_bytes)
{
	uint64_t more = room_bytes > fetch->claimed ? room_bytes - fetch->claimed : 0;
	if (!cache_claims_take(&filling, more, most_bytes))
		return false;
	fetch->claimed += more;
	return true;
}

static int make_room(struct cache_fetch *fetch, uint64_t more)
{
	uint64_t room = fetch->object->room_bytes, most = fetch->bounds.memory_bytes;
	if (room >= fetch->filled + more)
		return 0;
	while (room < fetch->filled + more)
		room = room * 2 > most ? most : room * 2 + 1;
	if (!cache_fetch_claim(fetch, room, fetch->bounds.filling_bytes))
		return -ENOSPC;
	struct slice so_far = slice_from(fetch->object->body.data, fetch->filled);
	struct cache_object *grown = cache_object_with(fetch->object, so_far, room);
	if (!grown)
		return -ENOMEM;
	replace_object(fetch, grown);
	return 0;
}

static int fill_memory(struct cache_fetch *fetch, struct slice bytes)
{
	int error = make_room(fetch, bytes.length);
	if (error)
		return error;
	memcpy(cache_object_room(fetch->object) + fetch->filled, bytes.data, bytes.length);
	pthread_mutex_lock(&fetch->lock);
	fetch->in_memory = fetch->filled += bytes.length;
	pthread_mutex_unlock(&fetch->lock);
	return 0;
}

struct spooling {
	struct cache_fetch *fetch;
	struct slice bytes;
	struct cache_object *whole;
	int error;
};

// The file has all of the content: what is in memory, too.
static int begin_spool(struct cache_fetch *fetch)
{
	int error = cache_spool_new(fetch->bounds.disk, &fetch->spool);
	if (error == 0 && fetch->filled > 0)
		error = cache_spool_append(fetch->spool, slice_from(fetch->object->body.data, fetch->filled));
	return error;
}

static void append(void *argument)
{
	struct spooling *spooling = argument;
	struct cache_fetch *fetch = spooling->fetch;
	spooling->error = fetch->spool ? 0 : begin_spool(fetch);
	if (spooling->error == 0)
		spooling->error = cache_spool_append(fetch->spool, spooling->bytes);
}

static int fill_file(struct cache_fetch *fetch, struct slice bytes)
{
	struct spooling spooling = {.fetch = fetch, .bytes = bytes};
	offload_surely(append, &spooling);
	if (spooling.error)
		return spooling.error;
	pthread_mutex_lock(&fetch->lock);
	if (!fetch->file) {
		fetch->file = cache_spool_file(fetch->spool);
		cache_file_ref(fetch->file);
	}
	fetch->filled += bytes.length;
	pthread_mutex_unlock(&fetch->lock);
	return 0;
}

static bool is_given_back(struct cache_fetch *fetch, void *argument)
{
	return fetch->pending == 0;
}

// The bytes are the fetcher's only until it goes on: it waits even when cancelled, since who holds them does not
// see that. Readers have deadlines of their own.
static int lend(struct cache_fetch *fetch, struct slice bytes)
{
	pthread_mutex_lock(&fetch->lock);
	bool read = fetch->readers > 0;
	if (read) {
		fetch->piece = bytes;
		fetch->piece_number++;
		fetch->pending = fetch->readers;
	}
	pthread_mutex_unlock(&fetch->lock);
	if (!read)
		return -EPIPE;
	cache_fetch_call(&fetch->readers_line);
	int error, outcome = 0;
	while ((error = cache_fetch_wait_until(fetch, &fetch->fetcher_line, is_given_back, NULL, "readers of a fetch",
					       FIBER_NEVER)) != 0) {
		outcome = error;
		(void)fiber_clear_cancel();
	}
	return outcome;
}

// Once some of it was not stored, or the disk failed, nothing is.
static bool may_store(const struct cache_fetch *fetch, struct slice bytes)
{
	return fetch->piece_number == 0 && bytes.length <= fetch->bounds.most_bytes - fetch->filled;
}

int cache_fetch_fill(struct cache_fetch *fetch, struct slice bytes)
{
	bool is_stored = may_store(fetch, bytes);
	bool is_for_memory = !fetch->spool && bytes.length <= fetch->bounds.memory_bytes - fetch->filled;
	int error = is_stored && is_for_memory ? fill_memory(fetch, bytes) : 0;
	if (error == -ENOMEM)
		return error;
	if (error == -ENOSPC)
		is_for_memory = false;
	if (is_stored && !is_for_memory)
		is_stored = fetch->bounds.disk && fill_file(fetch, bytes) == 0;
	if (!is_stored) {
		cache_fetch_hide(fetch);
		return lend(fetch, bytes);
	}
	cache_fetch_call(&fetch->readers_line);
	return 0;
}

static void put_spool(void *argument)
{
	struct spooling *spooling = argument;
	struct cache_fetch *fetch = spooling->fetch;
	spooling->whole = cache_spool_put(fetch->spool, fetch->object, fetch->object->asked_after);
}

void cache_fetch_trail(struct cache_fetch *fetch, const struct fields *trailers)
{
	struct slice so_far = slice_from(fetch->object->body.data, fetch->in_memory);
	struct cache_object *object = cache_object_with_trailers(fetch->object, so_far, trailers);
	if (object)
		replace_object(fetch, object);
}

struct cache_object *cache_fetch_take(struct cache_fetch *fetch)
{
	if (fetch->piece_number > 0)
		return NULL;
	if (fetch->spool) {
		struct spooling spooling = {.fetch = fetch};
		offload_surely(put_spool, &spooling);
		return spooling.whole;
	}
	if (fetch->object->body.length == fetch->filled && fetch->object->room_bytes == fetch->filled) {
		cache_object_ref(fetch->object);
		return fetch->object;
	}
	struct slice content = slice_from(fetch->object->body.data, fetch->filled);
	return cache_object_with(fetch->object, content, 0);
}

const struct cache_object *cache_fetch_beginning(const struct cache_fetch *fetch, struct slice *ret_content)
{
	if (fetch->piece_number > 0 || fetch->spool || !fetch->object)
		return NULL;
	*ret_content = slice_from(fetch->object->body.data, fetch->filled);
	return fetch->object;
}

// The text may be of the fetcher's memory.
static void note_outcome(struct cache_fetch *fetch, const struct cache_outcome *outcome)
{
	fetch->outcome = *outcome;
	if (!outcome->fault.detail)
		return;
	struct slice detail = slice_first(slice_from_string(outcome->fault.detail), CACHE_FETCH_DETAIL_BYTES - 1);
	memcpy(fetch->detail, detail.data, detail.length);
	fetch->outcome.fault.detail = fetch->detail;
}

void cache_fetch_end(struct cache_fetch *fetch, enum cache_fetch_state state, struct cache_object *object,
		     const struct cache_outcome *outcome)
{
	check(state != CACHE_FETCH_ASKS && state != CACHE_FETCH_FILLS);
	cache_fetch_hide(fetch);
	cache_spool_free(fetch->spool);
	fetch->spool = NULL;
	cache_claims_give(&filling, fetch->claimed);
	pthread_mutex_lock(&fetch->lock);
	if (object && object != fetch->object) {
		cache_object_unref(fetch->object);
		fetch->object = object;
		cache_object_ref(object);
		fetch->filled = fetch->in_memory = object->file ? 0 : object->body.length;
	}
	if (state == CACHE_FETCH_WHOLE && fetch->piece_number == 0)
		fetch->length = (int64_t)(object ? object->body.length : fetch->filled);
	if (outcome)
		note_outcome(fetch, outcome);
	fetch->state = state;
	pthread_mutex_unlock(&fetch->lock);
	cache_fetch_call(&fetch->readers_line);
	cache_fetch_unref(fetch);
}
