// The few socket calls that the programs of the bench have in common; they end the
// program when something fails, because a bench that limps measures nothing.
#ifndef USHER_BENCH_TCP_H
#define USHER_BENCH_TCP_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

_Noreturn static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline struct sockaddr_in tcp_loopback(const char *port)
{
	char *end;
	unsigned long number = strtoul(port, &end, 10);
	if (*end != '\0' || number == 0 || number > 65535) {
		fprintf(stderr, "%s is not a port\n", port);
		exit(2);
	}
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// As many descriptors as the system lets one process have; and a write to a connection
// that is gone is an error, not the end.
static inline void tcp_prepare(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static inline int tcp_listen(const char *port)
{
	struct sockaddr_in address = tcp_loopback(port);
	int on = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 4096) < 0)
		die("listen");
	return listener;
}

// Connects, waiting for it (loopback answers at once); non-blocking from then on.
static inline int tcp_connect(const struct sockaddr_in *address)
{
	int on = 1;
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || connect(descriptor, (const struct sockaddr *)address, sizeof(*address)) < 0)
		die("connect");
	setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct timeval none = {0};
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	return descriptor;
}

static inline void tcp_watch(int poller, int descriptor, uint32_t events, void *what)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.ptr = what};
	if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0)
		die("epoll_ctl");
}

#endif
