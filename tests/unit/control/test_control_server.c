// The control socket: locks, stale sockets, commands and their answers.
#include "cmocka_all.h"
#include "control/control_client.h"
#include "control/control_server.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sockaddr_un address;
static char directory[64];

static int make_directory(void **state)
{
	memcpy(directory, "/tmp/usher-test-XXXXXX", sizeof "/tmp/usher-test-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	address.sun_family = AF_UNIX;
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/control", directory);
	return 0;
}

static int remove_directory(void **state)
{
	// Nothing may be left in it.
	return rmdir(directory);
}

static void open_server(struct control_server *server)
{
	control_server_init(server);
	assert_int_equal(control_server_open(server, &address), 0);
}

// --- Who may listen

static void test_only_one_listens(void **state)
{
	struct control_server one, other;
	open_server(&one);
	control_server_init(&other);
	assert_int_equal(control_server_open(&other, &address), -EADDRINUSE);
	control_server_close(&other);
	// The one that was there first is still there.
	assert_int_equal(access(address.sun_path, F_OK), 0);
	control_server_close(&one);
	open_server(&other);
	control_server_close(&other);
}

static void test_only_this_user_may_talk(void **state)
{
	struct control_server server;
	struct stat status;
	open_server(&server);
	assert_int_equal(stat(address.sun_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	control_server_close(&server);
}

static void test_replaces_what_was_left_behind(void **state)
{
	struct control_server server;
	int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(left, (struct sockaddr *)&address, sizeof address), 0);
	close(left);
	assert_int_equal(control_ask(&address, "status", NULL), CONTROL_NOBODY);
	open_server(&server);
	control_server_close(&server);
}

static void test_leaves_other_files_alone(void **state)
{
	struct control_server server;
	char lock[sizeof address.sun_path + 8];
	FILE *file = fopen(address.sun_path, "w");
	assert_non_null(file);
	fclose(file);
	control_server_init(&server);
	assert_int_equal(control_server_open(&server, &address), -EEXIST);
	control_server_close(&server);
	assert_int_equal(unlink(address.sun_path), 0);
	(void)snprintf(lock, sizeof lock, "%s.lock", address.sun_path);
	(void)unlink(lock);
}

// --- Commands

struct asking {
	const char *command;
	char *text;
	size_t length;
	enum control_answer answer;
};

static void *ask(void *argument)
{
	struct asking *asking = argument;
	FILE *to = open_memstream(&asking->text, &asking->length);
	asking->answer = control_ask(&address, asking->command, to);
	fclose(to);
	return NULL;
}

static enum control_command commands_seen[8];
static unsigned command_count;

static void see_command(void *argument, struct control_client *client)
{
	commands_seen[command_count++] = client->command;
}

// Turns until `count` commands were seen.
static void take_commands(struct control_server *server, unsigned count)
{
	for (command_count = 0; command_count < count;) {
		struct pollfd waits[CONTROL_POLLS];
		control_server_poll(server, waits);
		assert_true(poll(waits, CONTROL_POLLS, 10000) > 0);
		control_server_take(server, waits, see_command, NULL);
	}
}

static void expect_answer(struct control_server *server, const char *words, enum control_command command, bool well)
{
	struct asking asking = {.command = words};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
	take_commands(server, 1);
	assert_int_equal(commands_seen[0], command);
	assert_true(control_is_awaited(server, command));
	control_say(server, command, SLICE("one\ntwo\n"));
	control_answer(server, command, well);
	assert_false(control_is_awaited(server, command));
	pthread_join(thread, NULL);
	assert_int_equal(asking.answer, well ? CONTROL_OK : CONTROL_FAILED);
	assert_string_equal(asking.text, "one\ntwo\n");
	free(asking.text);
}

static void test_commands(void **state)
{
	struct control_server server;
	open_server(&server);
	expect_answer(&server, "status", CONTROL_STATUS, true);
	expect_answer(&server, "reload", CONTROL_RELOAD, true);
	expect_answer(&server, "reload", CONTROL_RELOAD, false);
	expect_answer(&server, "stop", CONTROL_STOP, true);
	expect_answer(&server, "stop now", CONTROL_ABORT, true);
	expect_answer(&server, "reopen", CONTROL_REOPEN, true);
	control_server_close(&server);
}

static void test_several_wait_for_the_same(void **state)
{
	struct control_server server;
	struct asking asking[3] = {{.command = "reload"}, {.command = "reload"}, {.command = "reload"}};
	pthread_t threads[3];
	open_server(&server);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &asking[i]), 0);
	take_commands(&server, 3);
	control_answer(&server, CONTROL_STATUS, true); // not theirs
	control_answer(&server, CONTROL_RELOAD, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(asking[i].answer, CONTROL_OK);
		free(asking[i].text);
	}
	control_server_close(&server);
}

static int connect_to_it(void)
{
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
	return descriptor;
}

// Turns until nothing has been there for a moment.
static void take_all(struct control_server *server)
{
	struct pollfd waits[CONTROL_POLLS];
	control_server_poll(server, waits);
	while (poll(waits, CONTROL_POLLS, 50) > 0) {
		control_server_take(server, waits, see_command, NULL);
		control_server_poll(server, waits);
	}
}

static void expect_dropped(struct control_server *server, const void *bytes, size_t size)
{
	char byte;
	int descriptor = connect_to_it();
	command_count = 0;
	assert_int_equal(send(descriptor, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
	take_all(server);
	assert_int_equal(command_count, 0);
	assert_true(recv(descriptor, &byte, 1, MSG_DONTWAIT) <= 0);
	assert_int_not_equal(errno, EAGAIN);
	close(descriptor);
}

static void test_drops_who_talks_nonsense(void **state)
{
	static char endless[CONTROL_LINE_MAX];
	struct control_server server;
	open_server(&server);
	memset(endless, 'x', sizeof endless);
	expect_dropped(&server, "nonsense\n", 9);
	expect_dropped(&server, "\n", 1);
	expect_dropped(&server, "reload\nreload\n", 14);
	expect_dropped(&server, "rel\0oad\n", 8);
	expect_dropped(&server, endless, sizeof endless);
	expect_answer(&server, "status", CONTROL_STATUS, true);
	control_server_close(&server);
}

static void test_line_may_come_in_pieces(void **state)
{
	struct control_server server;
	open_server(&server);
	int descriptor = connect_to_it();
	command_count = 0;
	for (const char *byte = "reload"; *byte; byte++) {
		assert_int_equal(send(descriptor, byte, 1, 0), 1);
		take_all(&server);
		assert_int_equal(command_count, 0);
	}
	assert_int_equal(send(descriptor, "\n", 1, 0), 1);
	take_all(&server);
	assert_int_equal(command_count, 1);
	assert_int_equal(commands_seen[0], CONTROL_RELOAD);
	close(descriptor);
	take_all(&server); // it has gone, and nobody waits
	assert_false(control_is_awaited(&server, CONTROL_RELOAD));
	control_answer(&server, CONTROL_RELOAD, true);
	control_server_close(&server);
}

static void test_bounded_number_of_clients(void **state)
{
	struct control_server server;
	int descriptors[CONTROL_CLIENTS_MAX + 2];
	open_server(&server);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX + 2; i++) {
		descriptors[i] = connect_to_it();
		take_all(&server);
	}
	struct pollfd waits[CONTROL_POLLS];
	control_server_poll(&server, waits);
	assert_int_equal(waits[0].fd, -1); // the rest wait in the queue
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX + 2; i++)
		close(descriptors[i]);
	take_all(&server);
	expect_answer(&server, "status", CONTROL_STATUS, true);
	control_server_close(&server);
}

static void test_client_is_told_when_nobody_answers(void **state)
{
	struct control_server server;
	struct asking asking = {.command = "reload"};
	pthread_t thread;
	assert_int_equal(control_ask(&address, "status", NULL), CONTROL_NOBODY);
	open_server(&server);
	assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
	take_commands(&server, 1);
	control_server_close(&server);
	pthread_join(thread, NULL);
	assert_int_equal(asking.answer, CONTROL_LOST);
	free(asking.text);
}

int main(void)
{
#define SERVER_TEST(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
		SERVER_TEST(test_only_one_listens),
		SERVER_TEST(test_only_this_user_may_talk),
		SERVER_TEST(test_replaces_what_was_left_behind),
		SERVER_TEST(test_leaves_other_files_alone),
		SERVER_TEST(test_commands),
		SERVER_TEST(test_several_wait_for_the_same),
		SERVER_TEST(test_drops_who_talks_nonsense),
		SERVER_TEST(test_line_may_come_in_pieces),
		SERVER_TEST(test_bounded_number_of_clients),
		SERVER_TEST(test_client_is_told_when_nobody_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
