#include "access/session.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { VERSION = 3, TEXTS = 7 };

// Of fixed size, in front of the texts.
struct record {
	uint16_t version, lengths[TEXTS];
	uint64_t id;
	int64_t created_s, seen_s;
	uint64_t proof;
};

struct slice session_write(const struct seal_key *key, const struct session *session, struct slice scope,
			   char room[SESSION_TEXT_MAX])
{
	char plain[SESSION_PLAIN_MAX];
	const struct slice texts[TEXTS] = {session->login, session->user,   session->groups,  session->email,
					   session->told,  session->claims, session->password};
	struct record record = {
		.version = VERSION,
		.id = session->id,
		.created_s = session->created_s,
		.seen_s = session->seen_s,
		.proof = session->proof,
	};
	size_t length = sizeof record;
	for (size_t i = 0; i < TEXTS; i++) {
		if (texts[i].length > sizeof plain - length)
			return SLICE_EMPTY;
		if (texts[i].length > 0)
			memcpy(plain + length, texts[i].data, texts[i].length);
		record.lengths[i] = (uint16_t)texts[i].length;
		length += texts[i].length;
	}
	memcpy(plain, &record, sizeof record);
	return seal_write(key, slice_from(plain, length), scope, room);
}

bool session_read(const struct seal_key *key, struct slice text, struct slice scope, char room[SESSION_TEXT_MAX],
		  struct session *ret_session)
{
	struct slice texts[TEXTS], plain = seal_read(key, text, scope, room);
	struct record record;
	if (plain.length < sizeof record)
		return false;
	memcpy(&record, plain.data, sizeof record);
	struct slice rest = slice_after(plain, sizeof record);
	for (size_t i = 0; i < TEXTS; i++) {
		texts[i] = slice_first(rest, record.lengths[i]);
		rest = slice_after(rest, texts[i].length);
	}
	*ret_session = (struct session){
		.id = record.id,
		.created_s = record.created_s,
		.seen_s = record.seen_s,
		.proof = record.proof,
		.login = texts[0],
		.user = texts[1],
		.groups = texts[2],
		.email = texts[3],
		.told = texts[4],
		.claims = texts[5],
		.password = texts[6],
	};
	return record.version == VERSION;
}

// --- Ended early

enum { SLOTS = 16384, WAYS = 4 };

struct ended {
	uint64_t key;	  // 0: free
	int64_t before_s; // what was created then or earlier
	uint64_t number;  // of the ending
};

static struct {
	pthread_mutex_t lock;
	_Atomic uint64_t count; // of endings
	struct ended slots[SLOTS / WAYS][WAYS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t user_key(struct slice login, struct slice user)
{
	return hash_number(hash_fast(login) + 1) ^ hash_fast(user) ^ 1;
}

static uint64_t session_key_of(const struct session *session)
{
	return hash_number(session->id) | 1;
}

static void put(uint64_t key, int64_t before_s)
{
	pthread_mutex_lock(&table.lock);
	struct ended *set = table.slots[hash_number(key) % (SLOTS / WAYS)], *place = set;
	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key || set[i].number < place->number) {
			place = &set[i];
			if (set[i].key == key)
				break;
		}
	uint64_t number = atomic_load(&table.count) + 1;
	*place = (struct ended){key, before_s, number};
	atomic_store(&table.count, number);
	pthread_mutex_unlock(&table.lock);
}

static bool has(uint64_t key, int64_t created_s)
{
	const struct ended *set = table.slots[hash_number(key) % (SLOTS / WAYS)];
	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key && created_s <= set[i].before_s)
			return true;
	return false;
}

void session_end(const struct session *session)
{
	put(session_key_of(session), INT64_MAX);
}

void session_end_all(struct slice login, struct slice user, int64_t now_s)
{
	put(user_key(login, user), now_s);
}

bool session_is_ended(const struct session *session)
{
	if (atomic_load(&table.count) == 0)
		return false;
	pthread_mutex_lock(&table.lock);
	bool is_ended = has(session_key_of(session), session->created_s) ||
			has(user_key(session->login, session->user), session->created_s);
	pthread_mutex_unlock(&table.lock);
	return is_ended;
}
