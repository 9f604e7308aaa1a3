#include "net/resolver.h"

#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "net/resolver_socket.h"

#include <ares.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLASS_IN = 1, TYPE_SRV = 33 };

enum { NAME_MAX_LENGTH = 255, TRY_TIMEOUT_MS = 2000, TRIES = 3, SHORTEST_TTL_S = 1, LONGEST_TTL_S = 24 * 60 * 60 };

struct resolver {
	ares_channel channel;
	struct timer timeout; // of the queries in progress
	struct resolver_sockets sockets;
	struct list_link lookups;
	unsigned lookup_count;
};

// Of its own, on the heap: c-ares cannot take back a single query, so a lookup may have to
// outlive the fiber that wanted it.
struct lookup {
	struct list_link link; // in resolver->lookups until it is done
	struct resolver *resolver;
	struct deferred start;
	bool started, done;
	struct fiber *fiber; // NULL when nobody wants it any more
	int failed;
	struct resolution found;
	struct services *services; // malloced, of a lookup for them; else NULL
	char name[NAME_MAX_LENGTH + 1];
};

static void resolver_process(struct resolver *resolver, int readable, int writable);
static void lookup_start(struct deferred *deferred);

static void lookup_free(struct lookup *lookup)
{
	free(lookup->services);
	free(lookup);
}

// Takes out of a lookup what was found.
typedef void take_function(struct lookup *lookup, void *to);

// Waits for the lookup; when it gives up, the lookup frees itself later.
static int lookup_wait(struct lookup *lookup, int64_t deadline_ns, take_function *take, void *to)
{
	while (!lookup->done) {
		int failed = fiber_wait("dns", deadline_ns);
		if (failed && !lookup->done) {
			lookup->fiber = NULL;
			return failed;
		}
	}
	int failed = lookup->failed;
	if (!failed)
		take(lookup, to);
	lookup->fiber = NULL;
	if (lookup->started)
		lookup_free(lookup);
	return failed;
}

// Asks for the name's services where there is room for them, else for its addresses.
static int look_up(struct resolver *resolver, const char *name, struct services *services, int64_t deadline_ns,
		   take_function *take, void *to)
{
	size_t length = strlen(name);
	struct lookup *lookup = length == 0 || length > NAME_MAX_LENGTH ? NULL : malloc(sizeof(*lookup));
	if (!lookup || resolver->lookup_count == RESOLVER_LOOKUPS_MAX) {
		bool no_memory = !lookup && length > 0 && length <= NAME_MAX_LENGTH;
		free(lookup);
		free(services);
		return no_memory ? -ENOMEM : lookup ? -EAGAIN : -ENOENT;
	}
	lookup->resolver = resolver;
	lookup->started = lookup->done = false;
	lookup->fiber = fiber_current();
	lookup->failed = 0;
	lookup->services = services;
	memcpy(lookup->name, name, length + 1);
	list_push_back(&resolver->lookups, &lookup->link);
	resolver->lookup_count++;
	// c-ares reads files and is not written for small stacks: it runs on the loop's.
	loop_defer(&lookup->start, lookup_start);
	return lookup_wait(lookup, deadline_ns, take, to);
}

static void take_addresses(struct lookup *lookup, void *to)
{
	*(struct resolution *)to = lookup->found;
}

static void take_services(struct lookup *lookup, void *to)
{
	*(struct services **)to = lookup->services;
	lookup->services = NULL;
}

int resolver_services(struct resolver *resolver, const char *name, int64_t deadline_ns, struct services **ret_found)
{
	struct services *services = calloc(1, sizeof(*services));
	return services ? look_up(resolver, name, services, deadline_ns, take_services, ret_found) : -ENOMEM;
}

int resolver_lookup(struct resolver *resolver, const char *name, int64_t deadline_ns, struct resolution *ret_found)
{
	struct address address;
	if (address_parse_ip(slice_from_string(name), 0, &address)) {
		*ret_found = (struct resolution){.count = 1, .ttl_ns = LONGEST_TTL_S * SECOND_NS};
		ret_found->addresses[0] = address;
		return 0;
	}
	return look_up(resolver, name, NULL, deadline_ns, take_addresses, ret_found);
}

// The one end of each lookup.
static void lookup_done(struct lookup *lookup, int failed)
{
	check(!lookup->done);
	list_remove(&lookup->link);
	lookup->resolver->lookup_count--;
	lookup->failed = failed;
	lookup->done = true;
	if (lookup->fiber)
		fiber_wake(lookup->fiber);
	else if (lookup->started)
		lookup_free(lookup);
}

static int error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ECANCELED;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

// The first bit of a TTL set means 0 (RFC 2181 section 8): c-ares gives a negative number.
static void shorten_ttl(int64_t *ttl_s, int ttl)
{
	int64_t bounded = ttl < SHORTEST_TTL_S ? SHORTEST_TTL_S : ttl;
	if (bounded < *ttl_s)
		*ttl_s = bounded;
}

// Asks the kernel without sending anything: a UDP socket connects if there is a route.
static bool has_route(const struct address *address)
{
	struct address to = *address;
	address_set_port(&to, 53);
	int probe = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return errno != EAFNOSUPPORT;
	bool routed = connect(probe, &to.any, to.length) == 0 || (errno != ENETUNREACH && errno != EADDRNOTAVAIL);
	close(probe);
	return routed;
}

static const struct address *first_of_family(const struct resolution *found, int family)
{
	for (unsigned i = 0; i < found->count; i++) {
		if (found->addresses[i].any.sa_family == family)
			return &found->addresses[i];
	}
	return NULL;
}

static void drop_family(struct resolution *found, int family)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < found->count; i++) {
		if (found->addresses[i].any.sa_family != family)
			found->addresses[kept++] = found->addresses[i];
	}
	found->count = kept;
}

static void drop_unroutable(struct resolution *found)
{
	const struct address *v4 = first_of_family(found, AF_INET), *v6 = first_of_family(found, AF_INET6);
	if (v4 == NULL || v6 == NULL)
		return;
	if (!has_route(v6))
		drop_family(found, AF_INET6);
	else if (!has_route(v4))
		drop_family(found, AF_INET);
}

static bool holds(const struct resolution *found, const struct address *address)
{
	for (unsigned i = 0; i < found->count; i++) {
		if (address_equal(&found->addresses[i], address))
			return true;
	}
	return false;
}

static void collect(const struct ares_addrinfo *answer, struct resolution *ret_found)
{
	int64_t ttl_s = LONGEST_TTL_S;
	ret_found->count = 0;
	for (const struct ares_addrinfo_cname *cname = answer->cnames; cname; cname = cname->next)
		shorten_ttl(&ttl_s, cname->ttl);
	for (const struct ares_addrinfo_node *node = answer->nodes; node; node = node->ai_next) {
		shorten_ttl(&ttl_s, node->ai_ttl);
		struct address address;
		address_from_sockaddr(node->ai_addr, (socklen_t)node->ai_addrlen, &address);
		address_set_port(&address, 0);
		if (address.length && ret_found->count < RESOLVER_ADDRESSES_MAX && !holds(ret_found, &address))
			ret_found->addresses[ret_found->count++] = address;
	}
	ret_found->ttl_ns = ttl_s * SECOND_NS;
	drop_unroutable(ret_found);
}

static void lookup_answered(void *argument, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct lookup *lookup = argument;
	int failed = error_of(status);
	if (!failed) {
		collect(answer, &lookup->found);
		failed = lookup->found.count == 0 ? -ENOENT : 0;
	}
	if (answer)
		ares_freeaddrinfo(answer);
	lookup_done(lookup, failed);
}

static void services_answered(void *argument, int status, int timeouts, unsigned char *message, int length)
{
	struct lookup *lookup = argument;
	int failed = error_of(status);
	if (!failed && !dns_srv_read(slice_from((const char *)message, (size_t)length), lookup->services))
		failed = -EIO;
	else if (!failed && lookup->services->count == 0)
		failed = -ENOENT;
	lookup_done(lookup, failed);
}

static void lookup_start(struct deferred *deferred)
{
	struct lookup *lookup = LIST_ENTRY(deferred, struct lookup, start);
	lookup->started = true;
	if (lookup->done) { // the resolver went before it began
		if (lookup->fiber == NULL)
			lookup_free(lookup);
		return;
	}
	struct resolver *resolver = lookup->resolver;
	if (lookup->fiber == NULL) {
		lookup_done(lookup, -ECANCELED);
		return;
	}
	if (lookup->services) {
		ares_search(resolver->channel, lookup->name, CLASS_IN, TYPE_SRV, services_answered, lookup);
		resolver_process(resolver, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		return;
	}
	// The order is the server's: who balances does not want it sorted.
	struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT, .ai_socktype = SOCK_STREAM};
	ares_getaddrinfo(resolver->channel, lookup->name, NULL, &hints, lookup_answered, lookup);
	resolver_process(resolver, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

// Lets c-ares work, and sets the timer to when it wants to work next.
static void resolver_process(struct resolver *resolver, int readable, int writable)
{
	ares_process_fd(resolver->channel, readable, writable);
	struct timeval left;
	if (ares_timeout(resolver->channel, NULL, &left) == NULL)
		timer_stop(&resolver->timeout);
	else
		timer_start(&resolver->timeout, loop_now() + left.tv_sec * SECOND_NS + left.tv_usec * INT64_C(1000));
}

static void resolver_timed_out(struct timer *timer)
{
	resolver_process(LIST_ENTRY(timer, struct resolver, timeout), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void resolver_socket_ready(struct resolver_sockets *sockets, int readable, int writable)
{
	resolver_process(LIST_ENTRY(sockets, struct resolver, sockets), readable, writable);
}

static int use_server(ares_channel channel, const char *server)
{
	struct endpoint endpoint;
	struct address address;
	if (!endpoint_parse(slice_from_string(server), 53, &endpoint) || endpoint.host.length == 0 ||
	    !endpoint_to_address(&endpoint, &address))
		return -EINVAL;
	struct ares_addr_port_node node = {
		.family = address.any.sa_family,
		.udp_port = endpoint.port,
		.tcp_port = endpoint.port,
	};
	if (address.any.sa_family == AF_INET)
		node.addr.addr4 = address.v4.sin_addr;
	else
		memcpy(&node.addr.addr6, &address.v6.sin6_addr, sizeof(node.addr.addr6));
	return ares_set_servers_ports(channel, &node) == ARES_SUCCESS ? 0 : -ENOMEM;
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void start_library(void)
{
	ares_library_init(ARES_LIB_INIT_ALL);
}

struct resolver *resolver_new(const char *server)
{
	pthread_once(&library_once, start_library);
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (resolver == NULL)
		return NULL;
	struct ares_options options = {.timeout = TRY_TIMEOUT_MS, .tries = TRIES};
	int which = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
	resolver_sockets_init(&resolver->sockets, resolver_socket_ready, &options);
	if (server) {
		options.flags = ARES_FLAG_NOSEARCH;
		which |= ARES_OPT_FLAGS;
	}
	if (ares_init_options(&resolver->channel, &options, which) != ARES_SUCCESS) {
		free(resolver);
		return NULL;
	}
	if (server && use_server(resolver->channel, server) != 0) {
		ares_destroy(resolver->channel);
		free(resolver);
		return NULL;
	}
	resolver_sockets_use(&resolver->sockets, resolver->channel);
	list_init(&resolver->lookups);
	timer_init(&resolver->timeout, resolver_timed_out);
	return resolver;
}

void resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	timer_stop(&resolver->timeout);
	ares_destroy(resolver->channel);
	// Those that had not begun yet.
	while (!list_is_empty(&resolver->lookups))
		lookup_done(LIST_ENTRY(resolver->lookups.next, struct lookup, link), -ECANCELED);
	free(resolver);
}
