// Sessions' cookies: what was written is read, and whatever else the bytes are, none is.
#include "access/session.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seal_key key;
	static bool is_made;
	char room[SESSION_TEXT_MAX], texts[SESSION_TEXT_MAX];
	struct session read;
	if (!is_made)
		seal_key_make(SLICE("a secret of the fuzzer"), &key);
	is_made = true;
	struct slice bytes = slice_from((const char *)data, size), scope = SLICE("example.com");
	check(!session_read(&key, bytes, scope, texts, &read));
	// The input as a user's name, and the cookie altered where it says.
	const struct session session = {
		.id = 1,
		.created_s = 2,
		.seen_s = 3,
		.proof = 4,
		.login = SLICE("staff"),
		.user = slice_first(bytes, USERS_NAME_MAX),
		.groups = slice_after(bytes, USERS_NAME_MAX),
		.email = SLICE("a@example.com"),
		.told = SLICE("X-Team: red\n"),
		.claims = SLICE("team\tred\n"),
		.password = SLICE("secret"),
	};
	struct slice text = session_write(&key, &session, scope, room);
	if (text.length == 0) {
		check(session.groups.length > SESSION_PLAIN_MAX / 2);
		return 0;
	}
	check(session_read(&key, text, scope, texts, &read));
	check(read.id == 1 && read.created_s == 2 && read.seen_s == 3 && read.proof == 4);
	check(slice_equal(read.user, session.user) && slice_equal(read.login, session.login));
	check(slice_equal(read.groups, session.groups) && slice_equal(read.email, session.email) &&
	      slice_equal(read.told, session.told) && slice_equal(read.claims, session.claims) &&
	      slice_equal(read.password, session.password));
	check(!session_read(&key, text, SLICE("example.org"), texts, &read));
	if (size == 0)
		return 0;
	char *at = &room[data[0] % text.length], was = *at;
	*at = (char)data[size - 1];
	check(*at == was || !session_read(&key, text, scope, texts, &read));
	return 0;
}
