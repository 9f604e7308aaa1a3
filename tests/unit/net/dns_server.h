// A DNS server in a thread, which answers as the name asks it to:
//
//   four.test 127.0.0.7; six.test ::1; both.test both; far.test 127.0.0.8 and 2001:db8::1;
//   alias.test a CNAME (TTL 7) to four.test (TTL 60); ttl-N.test 127.0.0.9 with TTL N (decimal);
//   many.test 100 addresses, truncated over UDP and whole over TCP; empty.test nothing;
//   gone.test NXDOMAIN; broken.test SERVFAIL; garbage.test bytes that are no message;
//   silent.test no answer; others NXDOMAIN.
#ifndef USHER_TEST_NET_DNS_SERVER_H
#define USHER_TEST_NET_DNS_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct dns_server {
	pthread_t thread;
	int udp, tcp, stop[2];
	uint16_t port;
	atomic_uint questions, over_tcp;
};

void dns_server_start(struct dns_server *server);
void dns_server_stop(struct dns_server *server);

#endif
