// Commands to a running usher: what reload, stop and status share.
#ifndef USHER_CLI_ASK_H
#define USHER_CLI_ASK_H

#include "cli/command.h"

#include <stdio.h>

// The first rows of such a command's options.
enum { ASK_CONFIG, ASK_CONTROL, ASK_OWN };

#define ASK_OPTIONS                                                                                                    \
	[ASK_CONFIG] = {"config", 'c', "FILE", "the configuration that usher runs with; as for `usher run`"},          \
	[ASK_CONTROL] = {"control", 0, "PATH", "the socket that usher was given with --control"}

// Sends the words to the usher that is meant, and prints what it says: the exit code.
int ask_running(const struct invocation *invocation, const char *words, FILE *to);

#endif
