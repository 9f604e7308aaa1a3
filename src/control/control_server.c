#include "control/control_server.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_TRIES = 10 };

void control_server_init(struct control_server *server)
{
	*server = (struct control_server){.listener = -1, .lock = -1};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		server->clients[i].descriptor = -1;
}

// --- Opening

static bool lock_path(const struct sockaddr_un *address, char ret_path[sizeof address->sun_path + 8])
{
	size_t size = sizeof address->sun_path + 8;
	int written = snprintf(ret_path, size, "%s.lock", address->sun_path);
	return written > 0 && (size_t)written < size;
}

// Locks a file at the path: its descriptor or -errno. The file may have been unlinked by
// whoever held the lock before; then it locks nothing.
static int take_lock(const char *path)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		struct stat locked, named;
		int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (descriptor < 0)
			return -errno;
		if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
			int error = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
			close(descriptor);
			return error;
		}
		if (fstat(descriptor, &locked) == 0 && stat(path, &named) == 0 && locked.st_ino == named.st_ino &&
		    locked.st_dev == named.st_dev)
			return descriptor;
		close(descriptor);
	}
	return -EAGAIN;
}

// The lock is held: what is at the path was left behind.
static int listen_at(const struct sockaddr_un *address)
{
	struct stat status;
	if (lstat(address->sun_path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return -EEXIST;
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return -errno;
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0)
		return -errno;
	mode_t before = umask(0177);
	int error = bind(descriptor, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
	umask(before);
	if (error == 0 && listen(descriptor, CONTROL_CLIENTS_MAX) < 0)
		error = -errno;
	if (error < 0)
		close(descriptor);
	return error < 0 ? error : descriptor;
}

int control_server_open(struct control_server *server, const struct sockaddr_un *address)
{
	char path[sizeof address->sun_path + 8];
	check(server->listener < 0);
	if (!lock_path(address, path))
		return -ENAMETOOLONG;
	int lock = take_lock(path);
	if (lock < 0)
		return lock;
	int listener = listen_at(address);
	if (listener < 0) {
		close(lock);
		return listener;
	}
	server->listener = listener;
	server->lock = lock;
	server->address = *address;
	return 0;
}

static void client_close(struct control_client *client)
{
	check(client->descriptor >= 0);
	close(client->descriptor);
	*client = (struct control_client){.descriptor = -1};
}

void control_server_close(struct control_server *server)
{
	char path[sizeof server->address.sun_path + 8];
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (server->clients[i].descriptor >= 0)
			client_close(&server->clients[i]);
	}
	if (server->listener < 0)
		return;
	(void)unlink(server->address.sun_path);
	if (lock_path(&server->address, path))
		(void)unlink(path);
	close(server->listener);
	close(server->lock);
	server->listener = server->lock = -1;
}

// --- Lines

void control_server_poll(const struct control_server *server, struct pollfd ret_waits[CONTROL_POLLS])
{
	bool full = true;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		full = full && server->clients[i].descriptor >= 0;
		ret_waits[i + 1] = (struct pollfd){.fd = server->clients[i].descriptor, .events = POLLIN};
	}
	ret_waits[0] = (struct pollfd){.fd = full ? -1 : server->listener, .events = POLLIN};
}

static enum control_command command_of(struct slice line)
{
	static const struct {
		struct slice word;
		enum control_command command;
	} words[] = {
		{{"status", 6}, CONTROL_STATUS},  {{"reload", 6}, CONTROL_RELOAD}, {{"stop", 4}, CONTROL_STOP},
		{{"stop now", 8}, CONTROL_ABORT}, {{"reopen", 6}, CONTROL_REOPEN},
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_equal(words[i].word, line))
			return words[i].command;
	}
	return CONTROL_NONE;
}

static void take_client(struct control_server *server)
{
	int descriptor = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (descriptor < 0)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (server->clients[i].descriptor < 0) {
			server->clients[i] = (struct control_client){.descriptor = descriptor};
			return;
		}
	}
	close(descriptor);
}

// A client that says something after its line, or goes, is not answered any more; what it
// asked for is done all the same.
static bool take_line(struct control_client *client)
{
	struct slice line, rest;
	ssize_t got = client->command == CONTROL_NONE ? read(client->descriptor, client->line + client->length,
							     sizeof client->line - client->length)
						      : 0;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got > 0)
		client->length += (size_t)got;
	if (got > 0 && slice_cut(slice_from(client->line, client->length), '\n', &line, &rest)) {
		client->command = command_of(line);
		if (client->command != CONTROL_NONE && rest.length == 0)
			return true;
	} else if (got > 0 && client->length < sizeof client->line) {
		return false;
	}
	client_close(client);
	return false;
}

void control_server_take(struct control_server *server, const struct pollfd waits[CONTROL_POLLS],
			 void (*run)(void *argument, struct control_client *client), void *argument)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &server->clients[i];
		if (waits[i + 1].revents && client->descriptor == waits[i + 1].fd && take_line(client))
			run(argument, client);
	}
	if (waits[0].revents)
		take_client(server);
}

// --- Answers

static void send_all(struct control_client *client, struct slice text)
{
	while (text.length > 0) {
		ssize_t sent = send(client->descriptor, text.data, text.length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		// Whoever does not read what it asked for gets no more of it.
		if (sent < 0) {
			client_close(client);
			return;
		}
		text = slice_after(text, (size_t)sent);
	}
}

void control_say(struct control_server *server, enum control_command command, struct slice text)
{
	check(command != CONTROL_NONE);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &server->clients[i];
		if (client->descriptor >= 0 && client->command == command)
			send_all(client, text);
	}
}

void control_answer(struct control_server *server, enum control_command command, bool well)
{
	control_say(server, command, well ? SLICE("ok\n") : SLICE("failed\n"));
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &server->clients[i];
		if (client->descriptor >= 0 && client->command == command)
			client_close(client);
	}
}

bool control_is_awaited(const struct control_server *server, enum control_command command)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (server->clients[i].descriptor >= 0 && server->clients[i].command == command)
			return true;
	}
	return false;
}
