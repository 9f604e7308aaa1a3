// What deciding who gets in costs a request:
//
//	ninja -C build bench/bench_access && build/bench/bench_access
#include "access/rate.h"
#include "access/remembered.h"
#include "access/session.h"
#include "net/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 20, NETWORKS = 100000, CALLS = 200000 };

static int64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static uint64_t state = 1;

static uint32_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static struct network_set set;
static struct address addresses[1024];
static struct session_key key;
static struct slice cookie;
static unsigned found;

static void contains(unsigned call)
{
	found += network_set_contains(&set, &addresses[call % 1024]);
}

static void read_session(unsigned call)
{
	char room[SESSION_TEXT_MAX];
	struct session session;
	found += session_read(&key, cookie, SLICE("intranet.example.com"), room, &session) &&
		 !session_is_ended(&session);
}

static void take_rate(unsigned call)
{
	static const struct rate rate = {100000000, 2000000000};
	unsigned char room[16];
	struct slice who = address_client_bytes(&addresses[call % 1024], room);
	found += rate_take(&rate, rate_key(7, who), (int64_t)call * 1000).is_within;
}

static void remember(unsigned call)
{
	const struct remembered_login login = {7, SLICE("ann"), SLICE("correct horse battery staple")};
	found += remembered_has(&login, 1);
}

// The shortest of many rounds counts: other programs disturb the rest.
static void measure(const char *what, void (*call)(unsigned))
{
	int64_t best_ns = INT64_MAX;
	for (unsigned round = 0; round < ROUNDS; round++) {
		int64_t began_ns = now_ns();
		for (unsigned i = 0; i < CALLS; i++)
			call(i);
		int64_t took_ns = now_ns() - began_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	printf("%-45s %7.1f ns\n", what, (double)best_ns / CALLS);
}

int main(void)
{
	static char room[SESSION_TEXT_MAX];
	set.networks = calloc(NETWORKS, sizeof *set.networks);
	if (!set.networks)
		abort();
	int64_t began_ns = now_ns();
	for (unsigned i = 0; i < NETWORKS; i++) {
		char text[64];
		uint32_t number = next_random();
		size_t length = (size_t)snprintf(text, sizeof text, "%u.%u.%u.0/24", number >> 24, number >> 16 & 255,
						 number >> 8 & 255);
		set.count += network_parse(slice_from(text, length), &set.networks[set.count]);
	}
	network_set_freeze(&set);
	printf("%u networks: read in %.0f ms\n", NETWORKS, (double)(now_ns() - began_ns) / 1e6);
	for (unsigned i = 0; i < 1024; i++) {
		char text[64];
		uint32_t number = next_random();
		size_t length = (size_t)snprintf(text, sizeof text, "%u.%u.%u.%u", number >> 24, number >> 16 & 255,
						 number >> 8 & 255, number & 255);
		if (!address_parse_ip(slice_from(text, length), 0, &addresses[i]))
			abort();
	}
	session_key_make(SLICE("a secret of this benchmark"), &key);
	const struct session session = {1, 2, 3, 4, SLICE("staff"), SLICE("ann")};
	cookie = session_write(&key, &session, SLICE("intranet.example.com"), room);
	const struct remembered_login login = {7, SLICE("ann"), SLICE("correct horse battery staple")};
	remembered_put(&login, INT64_MAX);
	measure("an address among 100,000 networks", contains);
	measure("a session's cookie", read_session);
	measure("a rate", take_rate);
	measure("a password that is remembered", remember);
	return found > 0 ? 0 : 1;
}
