#include "cli/admin_client.h"

#include "base/slice.h"
#include "control/plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TIMEOUT_S = 30, ANSWER_MAX = 64 * 1024 * 1024, HEAD_MAX = 16 * 1024 };

// --- Where

static char *path_in(const struct plan *plan)
{
	for (size_t i = 0; i < plan->listen_count; i++)
		if (plan->listens[i].for_owner)
			return strdup(plan->listens[i].address.local.sun_path);
	return NULL;
}

char *admin_client_path(const char *who, const char *config, const char *given)
{
	if (given)
		return strdup(strncmp(given, "unix:", 5) == 0 ? given + 5 : given);
	struct plan plan;
	char *path = NULL;
	if (!plan_load(config_source_disk(), config, stderr, false, &plan))
		fprintf(stderr, "usher %s: %s says nothing of an admin socket as it is; --admin PATH names one\n", who,
			config);
	else if (!(path = path_in(&plan)))
		fprintf(stderr,
			"usher %s: %s has no admin socket: write `admin: unix:/run/usher/admin.sock` at its top, and "
			"reload\n",
			who, config);
	plan_free(&plan);
	return path;
}

char *admin_client_target(const char *const *segments)
{
	char *target = NULL;
	size_t length = 0;
	FILE *text = open_memstream(&target, &length);
	if (!text)
		return NULL;
	for (size_t i = 0; segments[i]; i++) {
		fputc('/', text);
		for (const char *c = segments[i]; *c; c++)
			fprintf(text, isalnum((unsigned char)*c) || strchr("-._~", *c) ? "%c" : "%%%02X",
				(unsigned char)*c);
	}
	return fclose(text) == 0 ? target : NULL;
}

// --- Asking

static int connect_to(const char *who, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = TIMEOUT_S};
	if (strlen(path) >= sizeof address.sun_path) {
		fprintf(stderr, "usher %s: %s: the path is too long for a socket\n", who, path);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor >= 0) {
		(void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		(void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
		if (connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0)
			return descriptor;
	}
	fprintf(stderr, "usher %s: no usher can be reached at %s: %s\n", who, path, strerror(errno));
	if (descriptor >= 0)
		close(descriptor);
	return -1;
}

static bool send_all(int descriptor, struct slice text)
{
	while (text.length > 0) {
		ssize_t sent = send(descriptor, text.data, text.length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		text = slice_after(text, (size_t)sent);
	}
	return true;
}

static bool send_request(int descriptor, const char *method, const char *target, const char *body)
{
	char head[HEAD_MAX];
	int length = snprintf(head, sizeof head,
			      "%s %s HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Type: application/json\r\n"
			      "Content-Length: %zu\r\n\r\n",
			      method, target, strlen(body));
	return length > 0 && (size_t)length < sizeof head && send_all(descriptor, slice_from(head, (size_t)length)) &&
	       send_all(descriptor, slice_from_string(body));
}

// All that comes, up to the end of the connection: malloced; NULL when that fails.
static char *read_all(int descriptor)
{
	char *text = NULL, piece[16 * 1024];
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);
	ssize_t got = to ? 1 : -1;
	for (size_t all = 0; got > 0 && all < ANSWER_MAX; all += (size_t)got) {
		got = recv(descriptor, piece, sizeof piece, 0);
		if (got > 0)
			(void)fwrite(piece, 1, (size_t)got, to);
	}
	if (to && (fclose(to) != 0 || got < 0)) {
		free(text);
		return NULL;
	}
	return text;
}

// Of "HTTP/1.1 204 No Content"; 0 for what is no answer.
static int status_of(struct slice answer)
{
	uint64_t status;
	struct slice digits = slice_first(slice_after(answer, strlen("HTTP/1.1 ")), 3);
	bool well = slice_starts_with(answer, SLICE("HTTP/1.1 ")) && digits.length == 3 &&
		    slice_to_number(digits, &status) && status >= 100;
	return well ? (int)status : 0;
}

int admin_client_ask(const char *who, const char *path, const char *method, const char *target, json_t *body,
		     json_t **ret_answer)
{
	int descriptor = connect_to(who, path), status = 0;
	char *sent = body ? json_dumps(body, JSON_COMPACT) : NULL;
	char *answer = NULL;
	*ret_answer = NULL;
	if (descriptor >= 0 && send_request(descriptor, method, target, sent ? sent : ""))
		answer = read_all(descriptor);
	const char *end = answer ? strstr(answer, "\r\n\r\n") : NULL;
	if (end)
		status = status_of(slice_from_string(answer));
	if (status != 0)
		*ret_answer = json_loads(end + 4, 0, NULL);
	else if (descriptor >= 0)
		fprintf(stderr, "usher %s: what listens at %s gave no answer\n", who, path);
	if (descriptor >= 0)
		close(descriptor);
	free(sent);
	free(answer);
	return status;
}
