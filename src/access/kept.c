#include "access/kept.h"

#include "access/totp.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 1024, SLOTS_MAX = 1 << 20, FILTER_BITS = 1 << 20, PART_MAX = 128, PART_CUT = 100 };

struct entry {
	uint64_t key; // 0: free
	int64_t value, until_s;
	enum kept_kind kind;
};

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	struct hash_key key;
	struct entry *entries; // found by going on from the key's own slot; NULL at first
	size_t slots, count;
	size_t most;						// of entries
	_Atomic int64_t floors[KEPT_KINDS], doubts[KEPT_KINDS]; // 0: none
	// A bit for each key; one that is not set has no entry.
	_Atomic uint64_t filter[FILTER_BITS / 64];
} table = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .most = SLOTS_MAX / 4 * 3};

static void make_key(void)
{
	hash_key_make(&table.key);
}

// --- Subjects

struct slice kept_subject(const struct kept *kept)
{
	return slice_from(kept->subject, kept->subject_length);
}

void kept_set_session(struct kept *kept, uint64_t id)
{
	struct text text;
	text_init(&text, kept->subject, sizeof kept->subject);
	text_add_hex(&text, id, 16);
	kept->subject_length = (unsigned)text.length;
}

// With its length before it, so that no two names look like two others.
static void add_part(struct text *text, struct slice part)
{
	text_add_number(text, part.length);
	text_add_char(text, ':');
	text_add(text, slice_first(part, part.length > PART_MAX ? PART_CUT : PART_MAX));
	if (part.length > PART_MAX)
		text_add_hex(text, hash_fast(part), 16);
}

void kept_set_user(struct kept *kept, struct slice login, struct slice user, struct slice more)
{
	struct text text;
	text_init(&text, kept->subject, sizeof kept->subject);
	add_part(&text, login);
	add_part(&text, user);
	text_add(&text, more);
	check(!text.overflow);
	kept->subject_length = (unsigned)text.length;
}

// --- Finding

static uint64_t key_of(const struct kept *kept)
{
	(void)pthread_once(&table.once, make_key);
	return hash_number(hash_keyed(&table.key, kept_subject(kept)) + kept->kind) | 1;
}

static _Atomic uint64_t *filter_word(uint64_t key, uint64_t *ret_bit)
{
	uint64_t number = (key >> 1) % FILTER_BITS;
	*ret_bit = UINT64_C(1) << number % 64;
	return &table.filter[number / 64];
}

static bool may_have(uint64_t key)
{
	uint64_t bit;
	const _Atomic uint64_t *word = filter_word(key, &bit);
	return atomic_load_explicit(word, memory_order_acquire) & bit;
}

// With the lock held. The key's entry, or the free one that would be its own.
static struct entry *find(uint64_t key)
{
	size_t slot = (key >> 1) % table.slots;
	while (table.entries[slot].key != 0 && table.entries[slot].key != key)
		slot = (slot + 1) % table.slots;
	return &table.entries[slot];
}

static bool has(uint64_t key, int64_t value)
{
	pthread_mutex_lock(&table.lock);
	const struct entry *entry = table.entries ? find(key) : NULL;
	bool covered = entry && entry->key == key && value <= entry->value;
	pthread_mutex_unlock(&table.lock);
	return covered;
}

static bool is_below_floor(enum kept_kind kind, int64_t value)
{
	return value <= atomic_load_explicit(&table.floors[kind], memory_order_relaxed) ||
	       value <= atomic_load_explicit(&table.doubts[kind], memory_order_relaxed);
}

bool kept_covers(const struct kept *kept)
{
	uint64_t key = key_of(kept);
	return is_below_floor(kept->kind, kept->value) || (may_have(key) && has(key, kept->value));
}

// --- Changing, with the lock held

static void set_filter(uint64_t key)
{
	uint64_t bit;
	_Atomic uint64_t *word = filter_word(key, &bit);
	atomic_fetch_or_explicit(word, bit, memory_order_release);
}

// Bits of what is gone go; the others are there all the time.
static void renew_filter(void)
{
	static uint64_t fresh[FILTER_BITS / 64];
	memset(fresh, 0, sizeof fresh);
	for (size_t i = 0; i < table.slots; i++) {
		uint64_t number = (table.entries[i].key >> 1) % FILTER_BITS;
		if (table.entries[i].key != 0)
			fresh[number / 64] |= UINT64_C(1) << number % 64;
	}
	for (size_t i = 0; i < FILTER_BITS / 64; i++)
		atomic_store_explicit(&table.filter[i], fresh[i], memory_order_release);
}

static void raise_floor(enum kept_kind kind, int64_t value)
{
	if (value > atomic_load(&table.floors[kind]))
		atomic_store(&table.floors[kind], value);
}

// Moves what passes to a table with so many slots. False, and nothing changed, when memory is out.
static bool rebuild(size_t slots, int64_t now_s)
{
	struct entry *old = table.entries, *fresh = calloc(slots, sizeof *fresh);
	size_t old_slots = table.slots;
	if (!fresh)
		return false;
	table.entries = fresh;
	table.slots = slots;
	table.count = 0;
	for (size_t i = 0; i < old_slots; i++) {
		const struct entry *entry = &old[i];
		if (entry->key == 0 || entry->until_s <= now_s ||
		    entry->value <= atomic_load(&table.floors[entry->kind]))
			continue;
		*find(entry->key) = *entry;
		table.count++;
	}
	free(old);
	renew_filter();
	return true;
}

// The floor of the kind that has most of them rises to their mean value, which takes about half of them out.
static void make_room(void)
{
	size_t counts[KEPT_KINDS] = {0};
	__int128_t sums[KEPT_KINDS] = {0};
	unsigned fullest = 0;
	for (size_t i = 0; i < table.slots; i++) {
		if (table.entries[i].key == 0)
			continue;
		counts[table.entries[i].kind]++;
		sums[table.entries[i].kind] += table.entries[i].value;
	}
	for (unsigned kind = 1; kind < KEPT_KINDS; kind++)
		if (counts[kind] > counts[fullest])
			fullest = kind;
	raise_floor(fullest, (int64_t)(sums[fullest] / (__int128_t)counts[fullest]));
}

static bool grow(void)
{
	if (table.count < table.slots / 4 * 3)
		return true;
	size_t slots = table.slots == 0 ? SLOTS_FIRST : table.slots * 2;
	return rebuild(slots, INT64_MIN);
}

// One more entry: its place. NULL when there is none: memory is out, or the floor has risen over it.
static struct entry *make_entry(uint64_t key, const struct kept *kept)
{
	if (table.count >= table.most) {
		make_room();
		(void)rebuild(table.slots, INT64_MIN);
	}
	if (table.count >= table.most || !grow()) {
		raise_floor(kept->kind, kept->value);
		return NULL;
	}
	if (kept->value <= atomic_load(&table.floors[kept->kind]))
		return NULL;
	struct entry *entry = find(key);
	*entry = (struct entry){.key = key, .kind = kept->kind, .value = INT64_MIN};
	table.count++;
	return entry;
}

bool kept_put(const struct kept *kept)
{
	uint64_t key = key_of(kept);
	pthread_mutex_lock(&table.lock);
	struct entry *entry = table.entries ? find(key) : NULL;
	bool is_new = !is_below_floor(kept->kind, kept->value) &&
		      !(entry && entry->key == key && kept->value <= entry->value);
	if (kept->subject_length == 0) {
		raise_floor(kept->kind, kept->value);
	} else if (is_new || kept->value > atomic_load(&table.floors[kept->kind])) {
		if (!entry || entry->key != key)
			entry = make_entry(key, kept);
		if (entry && kept->value > entry->value) {
			entry->value = kept->value;
			entry->until_s = kept->until_s;
			set_filter(key);
		}
	}
	pthread_mutex_unlock(&table.lock);
	return is_new;
}

// --- Floors

// Codes of the step that comes are good already.
struct kept kept_floor(enum kept_kind kind, int64_t now_s)
{
	return (struct kept){
		.kind = kind,
		.value = kind == KEPT_STEP ? now_s / TOTP_STEP_S + 1 : now_s,
		.until_s = KEPT_FOREVER_S,
	};
}

void kept_doubt(int64_t now_s)
{
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++)
		atomic_store(&table.doubts[kind], kept_floor(kind, now_s).value);
}

void kept_trust(void)
{
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++)
		atomic_store(&table.doubts[kind], 0);
}

void kept_drop_old(int64_t now_s)
{
	pthread_mutex_lock(&table.lock);
	if (table.entries)
		(void)rebuild(table.slots, now_s);
	pthread_mutex_unlock(&table.lock);
}

size_t kept_count(void)
{
	pthread_mutex_lock(&table.lock);
	size_t count = table.count;
	pthread_mutex_unlock(&table.lock);
	return count;
}

void kept_forget_all(void)
{
	pthread_mutex_lock(&table.lock);
	free(table.entries);
	table.entries = NULL;
	table.slots = table.count = 0;
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++) {
		atomic_store(&table.floors[kind], 0);
		atomic_store(&table.doubts[kind], 0);
	}
	pthread_mutex_unlock(&table.lock);
}
