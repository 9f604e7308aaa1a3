#include "access/session.h"

#include "access/state.h"

#include <string.h>

// Both kinds of texts are told apart by their versions.
enum { VERSION = 4, MORE_VERSION = 0x104, TEXTS = 7, MORE_TEXTS = 3 };

// Of fixed size, in front of the texts.
struct record {
	uint16_t version, lengths[TEXTS];
	uint64_t id;
	int64_t created_s, seen_s, ends_s;
	uint64_t proof;
	uint64_t more;
};

struct more_record {
	uint16_t version, lengths[MORE_TEXTS];
	uint64_t id;
	int64_t created_s;
};

// --- Writing

static size_t lengths_of(const struct slice *texts, size_t count)
{
	size_t length = 0;
	for (size_t i = 0; i < count; i++)
		length += texts[i].length;
	return length;
}

// How many more texts it takes; SESSION_MORE_MAX + 1: too many.
static unsigned count_more(const struct session *session)
{
	const struct slice texts[] = {session->login, session->user,   session->email, session->password,
				      session->told,  session->claims, session->groups};
	size_t few = lengths_of(texts, 4), many = lengths_of(texts + 4, MORE_TEXTS);
	if (SEAL_TEXT_LENGTH(sizeof(struct record) + few + many) <= SESSION_TEXT_MAX)
		return 0;
	if (SEAL_TEXT_LENGTH(sizeof(struct record) + few) > SESSION_TEXT_MAX ||
	    sizeof(struct more_record) + many > SEAL_PLAIN_MAX)
		return SESSION_MORE_MAX + 1;
	return (unsigned)((SEAL_TEXT_LENGTH(sizeof(struct more_record) + many) + SESSION_TEXT_MAX - 1) /
			  SESSION_TEXT_MAX);
}

// A record and the texts behind it, sealed.
static struct slice write(const struct seal_key *key, struct slice record, const struct slice *texts, size_t count,
			  struct slice scope, struct arena *arena)
{
	size_t length = record.length;
	char *plain = arena_alloc(arena, length + lengths_of(texts, count));
	if (!plain)
		return SLICE_EMPTY;
	memcpy(plain, record.data, length);
	for (size_t i = 0; i < count; i++) {
		if (texts[i].length > 0)
			memcpy(plain + length, texts[i].data, texts[i].length);
		length += texts[i].length;
	}
	return seal_write(key, slice_from(plain, length), scope, arena);
}

struct slice session_write(const struct seal_key *key, const struct session *session, struct slice scope,
			   struct arena *arena)
{
	unsigned more = count_more(session);
	bool has_all = more == 0;
	const struct slice texts[TEXTS] = {
		session->login,
		session->user,
		has_all ? session->groups : SLICE_EMPTY,
		session->email,
		has_all ? session->told : SLICE_EMPTY,
		has_all ? session->claims : SLICE_EMPTY,
		session->password,
	};
	struct record record = {
		.version = VERSION,
		.id = session->id,
		.created_s = session->created_s,
		.seen_s = session->seen_s,
		.ends_s = session->ends_s,
		.proof = session->proof,
		.more = more,
	};
	for (size_t i = 0; i < TEXTS; i++)
		record.lengths[i] = (uint16_t)texts[i].length;
	return more <= SESSION_MORE_MAX ? write(key, slice_from(&record, sizeof record), texts, TEXTS, scope, arena)
					: SLICE_EMPTY;
}

struct slice session_write_more(const struct seal_key *key, const struct session *session, struct slice scope,
				struct arena *arena)
{
	const struct slice texts[MORE_TEXTS] = {session->groups, session->told, session->claims};
	struct more_record record = {
		.version = MORE_VERSION,
		.id = session->id,
		.created_s = session->created_s,
	};
	unsigned more = count_more(session);
	if (more == 0)
		return SLICE("");
	for (size_t i = 0; i < MORE_TEXTS; i++)
		record.lengths[i] = (uint16_t)texts[i].length;
	return more <= SESSION_MORE_MAX
		       ? write(key, slice_from(&record, sizeof record), texts, MORE_TEXTS, scope, arena)
		       : SLICE_EMPTY;
}

// --- Reading

// The record in front of the texts; false for what was not sealed so, or is too short.
static bool open_record(const struct seal_key *key, struct slice text, struct slice scope, char *room, void *record,
			size_t size, struct slice *ret_texts)
{
	struct slice plain = seal_read(key, text, scope, room);
	if (plain.length < size)
		return false;
	memcpy(record, plain.data, size);
	*ret_texts = slice_after(plain, size);
	return true;
}

static void split(struct slice rest, const uint16_t *lengths, size_t count, struct slice *texts)
{
	for (size_t i = 0; i < count; i++) {
		texts[i] = slice_first(rest, lengths[i]);
		rest = slice_after(rest, texts[i].length);
	}
}

bool session_read(const struct seal_key *key, struct slice text, struct slice scope, char *room,
		  struct session *ret_session)
{
	struct slice texts[TEXTS], rest;
	struct record record;
	if (!open_record(key, text, scope, room, &record, sizeof record, &rest))
		return false;
	split(rest, record.lengths, TEXTS, texts);
	*ret_session = (struct session){
		.id = record.id,
		.created_s = record.created_s,
		.seen_s = record.seen_s,
		.ends_s = record.ends_s,
		.proof = record.proof,
		.login = texts[0],
		.user = texts[1],
		.groups = texts[2],
		.email = texts[3],
		.told = texts[4],
		.claims = texts[5],
		.password = texts[6],
		.more = (unsigned)record.more,
	};
	return record.version == VERSION && record.more <= SESSION_MORE_MAX;
}

bool session_read_more(const struct seal_key *key, struct slice text, struct slice scope, char *room,
		       struct session *session)
{
	struct slice texts[MORE_TEXTS], rest;
	struct more_record record;
	if (!open_record(key, text, scope, room, &record, sizeof record, &rest))
		return false;
	if (record.version != MORE_VERSION || record.id != session->id || record.created_s != session->created_s)
		return false;
	split(rest, record.lengths, MORE_TEXTS, texts);
	session->groups = texts[0];
	session->told = texts[1];
	session->claims = texts[2];
	return true;
}

// --- Ended early

void session_end(const struct session *session)
{
	struct kept kept = {.kind = KEPT_SESSION, .value = session->created_s, .until_s = session->ends_s};
	kept_set_session(&kept, session->id);
	(void)state_note(&kept);
}

void session_end_all(struct slice login, struct slice user, int64_t now_s)
{
	struct kept kept = {.kind = KEPT_USER, .value = now_s, .until_s = now_s + SESSION_LIFETIME_MAX_S};
	kept_set_user(&kept, login, user, SLICE_EMPTY);
	(void)state_note(&kept);
}

bool session_is_ended(const struct session *session)
{
	struct kept kept = {.kind = KEPT_SESSION, .value = session->created_s};
	kept_set_session(&kept, session->id);
	if (kept_covers(&kept))
		return true;
	kept.kind = KEPT_USER;
	kept_set_user(&kept, session->login, session->user, SLICE_EMPTY);
	return kept_covers(&kept);
}
