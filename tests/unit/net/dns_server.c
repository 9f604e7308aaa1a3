#include "dns_server.h"

#include "support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, NXDOMAIN = 3, SERVFAIL = 2, TRUNCATED = 0x02, CLIENTS_MAX = 8 };

struct message {
	unsigned char bytes[4096];
	size_t length, question_end;
	unsigned answers;
};

struct question {
	char name[256];
	unsigned type;
};

static void put16(struct message *message, unsigned value)
{
	message->bytes[message->length++] = (unsigned char)(value >> 8);
	message->bytes[message->length++] = (unsigned char)value;
}

static void put_record(struct message *message, unsigned name, unsigned type, uint32_t ttl, const void *data,
		       size_t size)
{
	put16(message, 0xc000 | name); // a pointer to the name
	put16(message, type);
	put16(message, 1);
	put16(message, ttl >> 16);
	put16(message, ttl & 0xffff);
	put16(message, (unsigned)size);
	memcpy(message->bytes + message->length, data, size);
	message->length += size;
	message->answers++;
}

static void put_ip(struct message *message, const struct question *question, unsigned name, const char *text,
		   uint32_t ttl)
{
	unsigned char ip[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(family, text, ip), 1);
	if (question->type == (family == AF_INET ? TYPE_A : TYPE_AAAA))
		put_record(message, name, question->type, ttl, ip, family == AF_INET ? 4 : 16);
}

static void read_question(const unsigned char *query, size_t length, struct question *ret_question, size_t *ret_end)
{
	size_t at = 12, to = 0;
	while (at < length && query[at] != 0) {
		if (to > 0)
			ret_question->name[to++] = '.';
		memcpy(ret_question->name + to, query + at + 1, query[at]);
		to += query[at];
		at += query[at] + 1u;
	}
	ret_question->name[to] = '\0';
	ret_question->type = (unsigned)query[at + 1] << 8 | query[at + 2];
	*ret_end = at + 5;
}

static void put_alias(struct message *message, const struct question *question)
{
	static const unsigned char target[] = "\4four\4test"; // with its final zero
	unsigned name = (unsigned)message->length + 12;
	put_record(message, 12, TYPE_CNAME, 7, target, sizeof(target));
	put_ip(message, question, name, "127.0.0.7", 60);
}

// The code of the answer; -1 for none at all.
static int put_answers(struct message *message, const struct question *question, bool over_tcp)
{
	const char *name = question->name;
	if (strcmp(name, "four.test") == 0) {
		put_ip(message, question, 12, "127.0.0.7", 60);
	} else if (strcmp(name, "six.test") == 0) {
		put_ip(message, question, 12, "::1", 60);
	} else if (strcmp(name, "both.test") == 0) {
		put_ip(message, question, 12, "127.0.0.7", 60);
		put_ip(message, question, 12, "::1", 30);
	} else if (strcmp(name, "far.test") == 0) {
		put_ip(message, question, 12, "127.0.0.8", 60);
		put_ip(message, question, 12, "2001:db8::1", 60);
	} else if (strcmp(name, "alias.test") == 0) {
		put_alias(message, question);
	} else if (strncmp(name, "ttl-", 4) == 0) {
		put_ip(message, question, 12, "127.0.0.9", (uint32_t)strtoul(name + 4, NULL, 10));
	} else if (strcmp(name, "many.test") == 0) {
		for (int i = 0; over_tcp && i < 100; i++) {
			char text[32];
			snprintf(text, sizeof(text), "127.0.1.%d", i);
			put_ip(message, question, 12, text, 60);
		}
		if (!over_tcp)
			message->bytes[2] |= TRUNCATED;
	} else if (strcmp(name, "broken.test") == 0) {
		return SERVFAIL;
	} else if (strcmp(name, "silent.test") == 0) {
		return -1;
	} else if (strcmp(name, "empty.test") != 0) {
		return NXDOMAIN;
	}
	return 0;
}

// False when nothing is to be sent.
static bool answer(struct dns_server *server, const unsigned char *query, size_t length, bool over_tcp,
		   struct message *message)
{
	struct question question;
	server->questions++;
	server->over_tcp += over_tcp;
	read_question(query, length, &question, &message->question_end);
	message->answers = 0;
	message->length = message->question_end;
	memcpy(message->bytes, query, message->length);
	if (strcmp(question.name, "garbage.test") == 0) {
		for (size_t i = 2; i < 64; i++)
			message->bytes[i] = (unsigned char)(i * 73);
		message->length = 64;
		return true;
	}
	message->bytes[2] = 0x81; // a response, recursion desired
	int code = put_answers(message, &question, over_tcp);
	message->bytes[3] = (unsigned char)(0x80 | (code & 15));
	message->bytes[6] = 0;
	message->bytes[7] = (unsigned char)message->answers;
	memset(message->bytes + 8, 0, 4);
	return code >= 0;
}

static void serve_udp(struct dns_server *server)
{
	unsigned char query[512];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	struct message message;
	ssize_t length = recvfrom(server->udp, query, sizeof(query), 0, (struct sockaddr *)&from, &size);
	if (length >= 17 && answer(server, query, (size_t)length, false, &message))
		sendto(server->udp, message.bytes, message.length, 0, (struct sockaddr *)&from, size);
}

// One question, read and answered in one go; false when the client is done.
static bool serve_tcp(struct dns_server *server, int client)
{
	unsigned char query[514];
	struct message message;
	ssize_t length = recv(client, query, 2, MSG_WAITALL);
	if (length != 2)
		return false;
	size_t size = (size_t)(query[0] << 8 | query[1]);
	if (size > 512 || recv(client, query + 2, size, MSG_WAITALL) != (ssize_t)size)
		return false;
	if (!answer(server, query + 2, size, true, &message))
		return true;
	// In pieces, as a network may bring it.
	unsigned char head[2] = {(unsigned char)(message.length >> 8), (unsigned char)message.length};
	send(client, head, 1, MSG_NOSIGNAL);
	send(client, head + 1, 1, MSG_NOSIGNAL);
	send(client, message.bytes, message.length / 2, MSG_NOSIGNAL);
	send(client, message.bytes + message.length / 2, message.length - message.length / 2, MSG_NOSIGNAL);
	return true;
}

static void *serve(void *argument)
{
	struct dns_server *server = argument;
	struct pollfd watched[3 + CLIENTS_MAX] = {
		{server->stop[0], POLLIN, 0}, {server->udp, POLLIN, 0}, {server->tcp, POLLIN, 0}};
	nfds_t count = 3;
	while (poll(watched, count, -1) >= 0 && watched[0].revents == 0) {
		if (watched[1].revents)
			serve_udp(server);
		if (watched[2].revents && count < 3 + CLIENTS_MAX)
			watched[count++] = (struct pollfd){accept4(server->tcp, NULL, NULL, SOCK_CLOEXEC), POLLIN, 0};
		for (nfds_t i = 3; i < count; i++) {
			if (watched[i].revents == 0 || serve_tcp(server, watched[i].fd))
				continue;
			close(watched[i].fd);
			watched[i--] = watched[--count];
		}
	}
	while (count > 3)
		close(watched[--count].fd);
	return NULL;
}

// A UDP and a TCP socket on the same port of loopback.
static bool bind_both(struct dns_server *server)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(name);
	server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->udp, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(server->udp, (struct sockaddr *)&name, &length), 0);
	server->port = ntohs(name.sin_port);
	if (bind(server->tcp, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(server->tcp, 16) == 0)
		return true;
	close(server->udp);
	close(server->tcp);
	return false;
}

void dns_server_start(struct dns_server *server)
{
	*server = (struct dns_server){0};
	while (!bind_both(server))
		;
	assert_int_equal(pipe(server->stop), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

void dns_server_stop(struct dns_server *server)
{
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->udp);
	close(server->tcp);
}
