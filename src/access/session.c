#include "access/session.h"

#include "access/state.h"

#include <string.h>

enum { VERSION = 3, TEXTS = 7 };

// Of fixed size, in front of the texts.
struct record {
	uint16_t version, lengths[TEXTS];
	uint64_t id;
	int64_t created_s, seen_s, ends_s;
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
		.ends_s = session->ends_s,
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
		.ends_s = record.ends_s,
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
