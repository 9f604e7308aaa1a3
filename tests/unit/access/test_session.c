// Sessions in cookies: in one where it has room, in several where not, which go together and with no others.
#include "access/password.h"
#include "access/session.h"
#include "access/source.h"
#include "cmocka_all.h"
#include "fail_alloc.h"

#include <string.h>

#define SCOPE SLICE("example.com")

static struct seal_key key;
static struct arena arena;
static char letters[SEAL_PLAIN_MAX + 1], room[SESSION_TEXT_MAX], more_room[SEAL_TEXT_MAX];

static int begin(void **state)
{
	memset(letters, 'x', sizeof letters);
	seal_key_make(SLICE("a secret of the test"), &key);
	arena_init(&arena, 4 << 20);
	return 0;
}

static int end(void **state)
{
	arena_fini(&arena);
	return 0;
}

static struct session with_groups(uint64_t id, size_t length)
{
	return (struct session){
		.id = id,
		.created_s = 7,
		.seen_s = 8,
		.ends_s = 9,
		.proof = 10,
		.login = SLICE("staff"),
		.user = SLICE("ann"),
		.groups = slice_from(letters, length),
		.email = SLICE("ann@example.com"),
		.told = SLICE("X-Team: red\n"),
		.claims = SLICE("team\tred\n"),
		.password = SLICE("secret"),
	};
}

static struct slice more_of(const struct session *session)
{
	return session_write_more(&key, session, SCOPE, &arena);
}

static bool read_first(const struct session *session, struct session *ret_read)
{
	struct slice text = session_write(&key, session, SCOPE, &arena);
	assert_in_range(text.length, 1, SESSION_TEXT_MAX);
	return session_read(&key, text, SCOPE, room, ret_read);
}

static void check_same(const struct session *read, const struct session *session)
{
	assert_true(read->id == session->id && read->created_s == 7 && read->seen_s == 8 && read->ends_s == 9 &&
		    read->proof == 10);
	assert_true(slice_equal(read->login, session->login) && slice_equal(read->user, session->user));
	assert_true(slice_equal(read->groups, session->groups) && slice_equal(read->email, session->email));
	assert_true(slice_equal(read->told, session->told) && slice_equal(read->claims, session->claims));
	assert_true(slice_equal(read->password, session->password));
}

static void in_one_where_it_fits(void **state)
{
	struct session read, session = with_groups(1, 2000);
	assert_true(read_first(&session, &read));
	assert_int_equal(read.more, 0);
	check_same(&read, &session);
	assert_true(more_of(&session).data && more_of(&session).length == 0);
}

// From each size to the next, the texts are as many as it takes, and what was written is read.
static void in_several_where_not(void **state)
{
	unsigned former = 0;
	for (size_t length = 0; length <= SOURCE_GROUPS_MAX; length += 64) {
		struct session read, session = with_groups(1, length);
		struct slice more = more_of(&session);
		assert_true(read_first(&session, &read));
		assert_int_equal(read.more, (more.length + SESSION_TEXT_MAX - 1) / SESSION_TEXT_MAX);
		assert_in_range(read.more, former, SESSION_MORE_MAX);
		assert_true(read.more == 0 || session_read_more(&key, more, SCOPE, more_room, &read));
		check_same(&read, &session);
		former = read.more;
		arena_fini(&arena);
	}
	assert_int_equal(former, SESSION_MORE_MAX);
}

// Beside the longest names of a login and a user, and the longest password.
static void all_that_a_source_says(void **state)
{
	struct session read, session = with_groups(1, SOURCE_GROUPS_MAX);
	session.login = session.user = slice_from(letters, USERS_NAME_MAX);
	session.email = slice_from(letters, SOURCE_EMAIL_MAX);
	session.password = slice_from(letters, PASSWORD_MAX);
	assert_true(read_first(&session, &read));
	assert_true(session_read_more(&key, more_of(&session), SCOPE, more_room, &read));
	check_same(&read, &session);
}

static void too_much(void **state)
{
	struct session session = with_groups(1, SEAL_PLAIN_MAX + 1);
	assert_int_equal(session_write(&key, &session, SCOPE, &arena).length, 0);
	assert_null(more_of(&session).data);
	// What has to be in the first one.
	session = with_groups(1, 5000);
	session.password = slice_from(letters, 2700);
	assert_int_equal(session_write(&key, &session, SCOPE, &arena).length, 0);
	assert_null(more_of(&session).data);
}

static void of_another_session(void **state)
{
	struct session read, session = with_groups(1, 5000), other = with_groups(2, 5000), later = with_groups(1, 5000);
	later.created_s = 8;
	assert_true(read_first(&session, &read));
	assert_true(session_read_more(&key, more_of(&session), SCOPE, more_room, &read));
	assert_false(session_read_more(&key, more_of(&other), SCOPE, more_room, &read));
	assert_false(session_read_more(&key, more_of(&later), SCOPE, more_room, &read));
	assert_false(session_read_more(&key, more_of(&session), SLICE("example.org"), more_room, &read));
	struct seal_key key2;
	seal_key_make(SLICE("another secret of the test"), &key2);
	assert_false(session_read_more(&key2, more_of(&session), SCOPE, more_room, &read));
}

static void one_kind_for_the_other(void **state)
{
	struct session read, session = with_groups(1, 5000), small = with_groups(1, 10);
	char *long_room = arena_alloc(&arena, SEAL_TEXT_MAX);
	assert_non_null(long_room);
	assert_false(session_read(&key, more_of(&session), SCOPE, long_room, &read));
	read = session;
	assert_false(session_read_more(&key, session_write(&key, &session, SCOPE, &arena), SCOPE, more_room, &read));
	assert_false(session_read_more(&key, session_write(&key, &small, SCOPE, &arena), SCOPE, more_room, &read));
	assert_false(session_read_more(&key, SLICE(""), SCOPE, more_room, &read));
}

static char whole[SEAL_TEXT_MAX + 1], others[SEAL_TEXT_MAX], mixed[SEAL_TEXT_MAX + 1];

static size_t write_whole(const struct session *session, char *to)
{
	struct slice more = more_of(session);
	assert_in_range(more.length, 3 * SESSION_TEXT_MAX + 1, SEAL_TEXT_MAX);
	memcpy(to, more.data, more.length);
	return more.length;
}

static bool reads(struct session *read, const char *text, size_t length)
{
	return session_read_more(&key, slice_from(text, length), SCOPE, more_room, read);
}

// A piece less, two in another order, a byte more, or one of a session that is the same but for its id.
static void pieces(void **state)
{
	struct session read, session = with_groups(1, 9000), other = with_groups(2, 9000);
	size_t length = write_whole(&session, whole);
	assert_int_equal(write_whole(&other, others), length);
	assert_true(read_first(&session, &read) && read.more == 4);
	assert_false(reads(&read, whole, 3 * SESSION_TEXT_MAX));
	assert_false(reads(&read, whole + SESSION_TEXT_MAX, length - SESSION_TEXT_MAX));
	memcpy(mixed, whole, sizeof mixed);
	memcpy(mixed, whole + SESSION_TEXT_MAX, SESSION_TEXT_MAX);
	memcpy(mixed + SESSION_TEXT_MAX, whole, SESSION_TEXT_MAX);
	assert_false(reads(&read, mixed, length));
	for (size_t from = 0; from < length; from += SESSION_TEXT_MAX) {
		size_t size = length - from < SESSION_TEXT_MAX ? length - from : SESSION_TEXT_MAX;
		memcpy(mixed, whole, sizeof mixed);
		memcpy(mixed + from, others + from, size);
		assert_false(reads(&read, mixed, length));
		memcpy(mixed, whole, sizeof mixed);
		mixed[from] = mixed[from] == 'A' ? 'B' : 'A';
		assert_false(reads(&read, mixed, length));
	}
	whole[length] = 'A';
	assert_false(reads(&read, whole, length + 1));
	assert_true(reads(&read, whole, length));
}

static void without_memory(void **state)
{
	const struct session session = with_groups(1, 9000);
	bool failed = true;
	for (unsigned i = 0; failed; i++) {
		arena_fini(&arena);
		fail_alloc_after(i);
		struct slice first = session_write(&key, &session, SCOPE, &arena), more = more_of(&session);
		failed = fail_alloc_stop();
		assert_true(failed || (first.length > 0 && more.length > 0));
		assert_true(first.length == 0 || first.data);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_one_where_it_fits),
		cmocka_unit_test(in_several_where_not),
		cmocka_unit_test(all_that_a_source_says),
		cmocka_unit_test(too_much),
		cmocka_unit_test(of_another_session),
		cmocka_unit_test(one_kind_for_the_other),
		cmocka_unit_test(pieces),
		cmocka_unit_test(without_memory),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
