#include "control/control_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static int connect_to(const struct sockaddr_un *address)
{
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -1;
	if (connect(descriptor, (const struct sockaddr *)address, sizeof *address) == 0)
		return descriptor;
	close(descriptor);
	return -1;
}

static bool send_line(int descriptor, const char *command)
{
	struct iovec parts[] = {{(char *)command, strlen(command)}, {"\n", 1}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	return sendmsg(descriptor, &message, MSG_NOSIGNAL) == (ssize_t)(parts[0].iov_len + 1);
}

enum control_answer control_ask(const struct sockaddr_un *address, const char *command, FILE *to)
{
	int descriptor = connect_to(address);
	if (descriptor < 0)
		return CONTROL_NOBODY;
	if (!send_line(descriptor, command)) {
		close(descriptor);
		return CONTROL_LOST;
	}
	FILE *from = fdopen(descriptor, "r");
	if (!from) {
		close(descriptor);
		return CONTROL_LOST;
	}
	enum control_answer answer = CONTROL_LOST;
	char *line = NULL;
	size_t size = 0;
	while (answer == CONTROL_LOST && getline(&line, &size, from) >= 0) {
		if (strcmp(line, "ok\n") == 0)
			answer = CONTROL_OK;
		else if (strcmp(line, "failed\n") == 0)
			answer = CONTROL_FAILED;
		else if (to)
			fputs(line, to);
	}
	free(line);
	fclose(from);
	return answer;
}
