// Sessions' cookies: what was written is read, and whatever else the bytes are, none is.
#include "access/session.h"
#include "support.h"

static bool is_same(const struct session *read, const struct session *session)
{
	return read->id == 1 && read->created_s == 2 && read->seen_s == 3 && read->proof == 4 &&
	       slice_equal(read->user, session->user) && slice_equal(read->login, session->login) &&
	       slice_equal(read->groups, session->groups) && slice_equal(read->email, session->email) &&
	       slice_equal(read->told, session->told) && slice_equal(read->claims, session->claims) &&
	       slice_equal(read->password, session->password);
}

// Altered where the input says, it is none.
static void alter(const struct seal_key *key, struct slice bytes, struct slice text, const struct session *session)
{
	static char room[SEAL_TEXT_MAX];
	const struct slice scope = SLICE("example.com");
	struct session read = *session;
	char *at = (char *)&text
			   .data[(bytes.length > 1 ? (unsigned char)bytes.data[0] * 256 + (unsigned char)bytes.data[1]
						   : 0) %
				 text.length],
	     was = *at;
	*at = bytes.data[bytes.length - 1];
	check(*at == was ||
	      (!session_read(key, text, scope, room, &read) && !session_read_more(key, text, scope, room, &read)));
	*at = was;
}

static void write_and_read(const struct seal_key *key, struct slice bytes, struct arena *arena)
{
	static char room[SEAL_TEXT_MAX], more_room[SEAL_TEXT_MAX];
	const struct slice scope = SLICE("example.com");
	struct session read;
	// The input as a user's name, and as his groups; the last byte says how many times.
	struct slice groups = slice_after(bytes, USERS_NAME_MAX);
	unsigned times = bytes.length > 0 ? (unsigned char)bytes.data[bytes.length - 1] % 32 : 0;
	for (unsigned i = 0; i < times && groups.length < 8000; i++)
		groups = arena_printf(arena, "%.*s,%u", SLICE_ARGUMENTS(groups), i);
	const struct session session = {
		.id = 1,
		.created_s = 2,
		.seen_s = 3,
		.proof = 4,
		.login = SLICE("staff"),
		.user = slice_first(bytes, USERS_NAME_MAX),
		.groups = groups,
		.email = SLICE("a@example.com"),
		.told = SLICE("X-Team: red\n"),
		.claims = SLICE("team\tred\n"),
		.password = SLICE("secret"),
	};
	struct slice text = session_write(key, &session, scope, arena),
		     more = session_write_more(key, &session, scope, arena);
	check((text.length == 0) == !more.data);
	if (text.length == 0) {
		check(session.groups.length > SEAL_PLAIN_MAX - 64);
		return;
	}
	check(text.length <= SESSION_TEXT_MAX && more.length <= SESSION_MORE_MAX * SESSION_TEXT_MAX);
	check(session_read(key, text, scope, room, &read));
	check(read.more == (more.length + SESSION_TEXT_MAX - 1) / SESSION_TEXT_MAX);
	check(read.more == 0 || session_read_more(key, more, scope, more_room, &read));
	check(is_same(&read, &session));
	check(!session_read(key, text, SLICE("example.org"), room, &read));
	if (bytes.length > 0)
		alter(key, bytes, text, &session);
	if (bytes.length > 0 && more.length > 0)
		alter(key, bytes, more, &session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seal_key key;
	static bool is_made;
	struct arena arena;
	struct session read = {.id = 1};
	if (size > 16384)
		return 0;
	if (!is_made)
		seal_key_make(SLICE("a secret of the fuzzer"), &key);
	is_made = true;
	arena_init(&arena, 16 << 20);
	struct slice bytes = slice_from((const char *)data, size);
	char *room = arena_alloc(&arena, size + 1);
	check(!session_read(&key, bytes, SLICE("example.com"), room, &read));
	check(!session_read_more(&key, bytes, SLICE("example.com"), room, &read));
	write_and_read(&key, bytes, &arena);
	arena_fini(&arena);
	return 0;
}
