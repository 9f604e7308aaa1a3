// The master's ear for commands: `usher reload`, `usher stop`, `usher status`.
//
// A UNIX socket for this user alone. A client sends one line; it gets lines back, the last
// of which is "ok" or "failed". A lock beside the socket tells a living usher from what a
// dead one left behind.
#ifndef USHER_CONTROL_CONTROL_SERVER_H
#define USHER_CONTROL_CONTROL_SERVER_H

#include "base/slice.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

enum { CONTROL_CLIENTS_MAX = 8, CONTROL_LINE_MAX = 256 };

enum control_command { CONTROL_NONE, CONTROL_STATUS, CONTROL_RELOAD, CONTROL_STOP, CONTROL_ABORT, CONTROL_REOPEN };

struct control_client {
	int descriptor;		      // -1: free
	enum control_command command; // that is to be answered, once it was read
	char line[CONTROL_LINE_MAX];
	size_t length;
};

struct control_server {
	int listener; // -1: there is none
	int lock;
	struct sockaddr_un address;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

void control_server_init(struct control_server *server);

// Listens: 0; -EADDRINUSE when another usher does; or -errno.
int control_server_open(struct control_server *server, const struct sockaddr_un *address);

// Ends, dropping the clients.
void control_server_close(struct control_server *server);

// What to poll for: fills in 1 + CONTROL_CLIENTS_MAX entries.
enum { CONTROL_POLLS = 1 + CONTROL_CLIENTS_MAX };
void control_server_poll(const struct control_server *server, struct pollfd ret_waits[CONTROL_POLLS]);

// Takes connections and lines; calls `run` for each command that came in. It is to be
// answered by control_answer, then or later.
void control_server_take(struct control_server *server, const struct pollfd waits[CONTROL_POLLS],
			 void (*run)(void *argument, struct control_client *client), void *argument);

// Sends text to each client that waits for the answer to the command.
void control_say(struct control_server *server, enum control_command command, struct slice text);

// Ends the answer to each of those with "ok" or "failed".
void control_answer(struct control_server *server, enum control_command command, bool well);

// Whether somebody waits for the answer to the command.
bool control_is_awaited(const struct control_server *server, enum control_command command);

#endif
