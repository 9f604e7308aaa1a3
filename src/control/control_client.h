// Talks to a running usher, for the commands that do.
#ifndef USHER_CONTROL_CONTROL_CLIENT_H
#define USHER_CONTROL_CONTROL_CLIENT_H

#include "base/slice.h"

#include <stdio.h>
#include <sys/un.h>

enum control_answer { CONTROL_OK, CONTROL_FAILED, CONTROL_NOBODY, CONTROL_LOST };

// Sends the command ("reload") and waits for the end of its answer, whose lines before the
// last go to `to` (NULL: nowhere). CONTROL_NOBODY: no usher listens there. CONTROL_LOST: it
// went without an answer.
enum control_answer control_ask(const struct sockaddr_un *address, const char *command, FILE *to);

#endif
