// A directory that nobody answers for: what is said without asking, and what is not. (With a real one:
// tests/blackbox/test_access_directory.py.)
#include "access/directory.h"
#include "cmocka_all.h"
#include "fail_alloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct slice server;
static char server_text[64];
static int held = -1;

// A port at which nobody listens.
static int hold_port(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	held = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(held, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(held, (struct sockaddr *)&address, &length), 0);
	snprintf(server_text, sizeof server_text, "ldap://127.0.0.1:%u", ntohs(address.sin_port));
	server = slice_from_string(server_text);
	return 0;
}

static int release_port(void **state)
{
	return close(held);
}

static struct directory_settings settings_with(struct slice bind)
{
	return (struct directory_settings){
		.servers = &server,
		.server_count = 1,
		.connect_ns = INT64_C(1000000000),
		.answer_ns = INT64_C(1000000000),
		.bind = bind,
	};
}

static enum source_verdict ask(struct directory *directory, struct slice user, struct slice password)
{
	struct source_answer answer;
	return directory_verify(directory, &(struct source_question){user, password}, &answer);
}

static void what_is_wrong_without_asking(void **state)
{
	struct slice wrong;
	const char *why;
	struct directory_settings settings = settings_with(SLICE("$user@example.com"));
	struct directory *directory = directory_new(&settings, &wrong, &why);
	assert_non_null(directory);
	assert_int_equal(ask(directory, SLICE("ann"), SLICE("")), SOURCE_WRONG);
	assert_int_equal(ask(directory, SLICE(" ann"), SLICE("secret")), SOURCE_WRONG);
	assert_int_equal(ask(directory, SLICE("cn=ann,dc=x"), SLICE("secret")), SOURCE_WRONG);
	assert_int_equal(ask(directory, SLICE("ann"), SLICE("secret")), SOURCE_ABSENT);
	// It rests now, and an empty password is still wrong.
	assert_int_equal(ask(directory, SLICE("ann"), SLICE("secret")), SOURCE_ABSENT);
	assert_int_equal(ask(directory, SLICE("ann"), SLICE("")), SOURCE_WRONG);
	directory_free(directory);
}

static void templates_that_are_wrong(void **state)
{
	struct slice wrong;
	const char *why;
	struct directory_settings settings = settings_with(SLICE("uid=$name,dc=x"));
	assert_null(directory_new(&settings, &wrong, &why));
	assert_true(wrong.data >= settings.bind.data && wrong.data < settings.bind.data + settings.bind.length);
	assert_non_null(why);
}

static void without_memory_there_is_none(void **state)
{
	struct slice wrong;
	const char *why;
	struct directory_settings settings = settings_with(SLICE("uid=$user,dc=x"));
	settings.authorities = SLICE("any bytes");
	bool failed = true;
	for (unsigned i = 0; failed; i++) {
		fail_alloc_after(i);
		struct directory *directory = directory_new(&settings, &wrong, &why);
		failed = fail_alloc_stop();
		// The library's own copies, for a look at the template, may fail unnoticed.
		if (directory)
			directory_free(directory);
		else
			assert_true(failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_without_asking),
		cmocka_unit_test(templates_that_are_wrong),
		cmocka_unit_test(without_memory_there_is_none),
	};
	return cmocka_run_group_tests(tests, hold_port, release_port);
}
