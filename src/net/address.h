// Network addresses, networks, and sets of networks.
#ifndef USHER_NET_ADDRESS_H
#define USHER_NET_ADDRESS_H

#include "base/slice.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

// An address of a socket. IPv4-mapped IPv6 addresses are turned into IPv4 where they come
// in, so that a rule for 10.0.0.0/8 means the same on a socket for both.
struct address {
	socklen_t length; // 0: none
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	};
};

enum { ADDRESS_TEXT_MAX = 128 };

void address_from_sockaddr(const struct sockaddr *from, socklen_t length, struct address *ret_address);

// "192.0.2.1", "2001:db8::1", "[2001:db8::1]", with a port of its own; no names.
bool address_parse_ip(struct slice text, uint16_t port, struct address *ret_address);

// The address without its port ("192.0.2.1", "2001:db8::1", "unix:"), and with it
// ("192.0.2.1:80", "[2001:db8::1]:80", "unix:/run/app.sock"). The text is in `buffer`.
struct slice address_format_ip(const struct address *address, char buffer[ADDRESS_TEXT_MAX]);
struct slice address_format(const struct address *address, char buffer[ADDRESS_TEXT_MAX]);

uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);
bool address_equal(const struct address *a, const struct address *b);
bool address_equal_ip(const struct address *a, const struct address *b);

// Who a client is, for counting: IPv6 clients by their /64, of which anyone has as many
// addresses as he likes. False for those of UNIX sockets, who are nobody in particular.
bool address_client_key(const struct address *client, uint64_t ret_key[2]);

// What a configuration may name: "host:port", ":port" (every address), "10.0.0.1:80",
// "[::1]:80", "unix:/path", and where default_port is not 0 also a host alone.
struct endpoint {
	struct slice host; // empty for ":port"; a name or an address without brackets
	uint16_t port;
	struct slice path; // of a UNIX socket, else empty
};

bool endpoint_parse(struct slice text, uint16_t default_port, struct endpoint *ret_endpoint);

// The endpoint's address when no name has to be resolved for it. ":port" gives [::]:port.
bool endpoint_to_address(const struct endpoint *endpoint, struct address *ret_address);

struct network {
	uint8_t bytes[16]; // IPv4 as IPv4-mapped
	uint8_t prefix;	   // 0 to 128
};

// "10.0.0.0/8", "192.0.2.1", "2001:db8::/32". Bits set beyond the prefix are an error.
bool network_parse(struct slice text, struct network *ret_network);
bool network_contains(const struct network *network, const struct address *address);

// A frozen set of networks, sorted for lookups in logarithmic time.
struct network_set {
	struct network *networks;
	size_t count;
	bool local; // UNIX socket peers count as members
};

// Sorts, and drops what others contain.
void network_set_freeze(struct network_set *set);
bool network_set_contains(const struct network_set *set, const struct address *address);

#endif
