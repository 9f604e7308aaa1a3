#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>

enum { PORT_DIGITS = 5 };

static const uint8_t MAPPED_START[12] = {[10] = 0xff, [11] = 0xff}; // ::ffff:0:0/96

static void address_set_v4(struct address *address, struct in_addr ip, uint16_t port)
{
	*address = (struct address){.length = sizeof(struct sockaddr_in)};
	address->v4.sin_family = AF_INET;
	address->v4.sin_addr = ip;
	address->v4.sin_port = htons(port);
}

// IPv4-mapped addresses become IPv4 here.
static void address_set_v6(struct address *address, const struct in6_addr *ip, uint32_t scope, uint16_t port)
{
	if (IN6_IS_ADDR_V4MAPPED(ip)) {
		struct in_addr v4;
		memcpy(&v4, ip->s6_addr + 12, sizeof(v4));
		address_set_v4(address, v4, port);
		return;
	}
	*address = (struct address){.length = sizeof(struct sockaddr_in6)};
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_addr = *ip;
	address->v6.sin6_scope_id = scope;
	address->v6.sin6_port = htons(port);
}

// A path too long for a socket's name gives no address.
static bool address_set_path(struct address *address, struct slice path)
{
	*address = (struct address){0};
	if (path.length >= sizeof(address->local.sun_path))
		return false;
	address->local.sun_family = AF_UNIX;
	memcpy(address->local.sun_path, path.data, path.length);
	address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length + 1);
	return true;
}

void address_from_sockaddr(const struct sockaddr *from, socklen_t length, struct address *ret_address)
{
	if (from->sa_family == AF_INET && length >= (socklen_t)sizeof(struct sockaddr_in)) {
		struct sockaddr_in v4;
		memcpy(&v4, from, sizeof(v4));
		address_set_v4(ret_address, v4.sin_addr, ntohs(v4.sin_port));
	} else if (from->sa_family == AF_INET6 && length >= (socklen_t)sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 v6;
		memcpy(&v6, from, sizeof(v6));
		address_set_v6(ret_address, &v6.sin6_addr, v6.sin6_scope_id, ntohs(v6.sin6_port));
	} else if (from->sa_family == AF_UNIX && length <= (socklen_t)sizeof(struct sockaddr_un)) {
		const char *path = (const char *)from + offsetof(struct sockaddr_un, sun_path);
		size_t room = length > offsetof(struct sockaddr_un, sun_path)
				      ? length - offsetof(struct sockaddr_un, sun_path)
				      : 0;
		address_set_path(ret_address, slice_from(path, strnlen(path, room)));
	} else {
		*ret_address = (struct address){0};
	}
}

// The address in network order: how many bytes of it (4 or 16), or 0 when text is none.
static int ip_parse(struct slice text, uint8_t ret_bytes[16])
{
	char string[INET6_ADDRSTRLEN];
	if (text.length == 0 || text.length >= sizeof(string) || memchr(text.data, '\0', text.length))
		return 0;
	memcpy(string, text.data, text.length);
	string[text.length] = '\0';
	if (inet_pton(AF_INET, string, ret_bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, string, ret_bytes) == 1 ? 16 : 0;
}

bool address_parse_ip(struct slice text, uint16_t port, struct address *ret_address)
{
	bool bracketed = text.length >= 2 && text.data[0] == '[' && text.data[text.length - 1] == ']';
	if (bracketed)
		text = slice_from(text.data + 1, text.length - 2);
	uint8_t bytes[16];
	int length = ip_parse(text, bytes);
	if (length == 16) {
		struct in6_addr v6;
		memcpy(&v6, bytes, sizeof(v6));
		address_set_v6(ret_address, &v6, 0, port);
		return true;
	}
	if (length == 4 && !bracketed) {
		struct in_addr v4;
		memcpy(&v4, bytes, sizeof(v4));
		address_set_v4(ret_address, v4, port);
		return true;
	}
	return false;
}

// The text of a short piece of a fixed form; what snprintf cut off is not counted.
static struct slice formatted(const char *buffer, int length)
{
	return slice_from(buffer, length < 0 ? 0 : length < ADDRESS_TEXT_MAX ? (size_t)length : ADDRESS_TEXT_MAX - 1);
}

// Once for each request: worth more than inet_ntop, which goes through printf.
static struct slice format_v4(const struct in_addr *ip, char buffer[ADDRESS_TEXT_MAX])
{
	uint8_t bytes[4];
	memcpy(bytes, ip, sizeof bytes);
	char *at = buffer;
	for (int i = 0; i < 4; i++) {
		unsigned byte = bytes[i];
		if (i > 0)
			*at++ = '.';
		if (byte >= 100)
			*at++ = (char)('0' + byte / 100);
		if (byte >= 10)
			*at++ = (char)('0' + byte / 10 % 10);
		*at++ = (char)('0' + byte % 10);
	}
	*at = '\0';
	return slice_from(buffer, (size_t)(at - buffer));
}

struct slice address_format_ip(const struct address *address, char buffer[ADDRESS_TEXT_MAX])
{
	buffer[0] = '\0';
	if (address->length == 0)
		return slice_from(buffer, 0);
	if (address->any.sa_family == AF_UNIX)
		return formatted(buffer, snprintf(buffer, ADDRESS_TEXT_MAX, "unix:"));
	if (address->any.sa_family == AF_INET)
		return format_v4(&address->v4.sin_addr, buffer);
	inet_ntop(AF_INET6, &address->v6.sin6_addr, buffer, ADDRESS_TEXT_MAX);
	return slice_from_string(buffer);
}

struct slice address_format(const struct address *address, char buffer[ADDRESS_TEXT_MAX])
{
	char ip[ADDRESS_TEXT_MAX];
	struct slice text = address_format_ip(address, ip);
	if (address->length == 0) {
		buffer[0] = '\0';
		return slice_from(buffer, 0);
	}
	if (address->any.sa_family == AF_UNIX)
		return formatted(buffer, snprintf(buffer, ADDRESS_TEXT_MAX, "unix:%.*s",
						  (int)sizeof(address->local.sun_path), address->local.sun_path));
	const char *form = address->any.sa_family == AF_INET6 ? "[%.*s]:%u" : "%.*s:%u";
	return formatted(buffer,
			 snprintf(buffer, ADDRESS_TEXT_MAX, form, SLICE_ARGUMENTS(text), address_port(address)));
}

uint16_t address_port(const struct address *address)
{
	if (address->length == 0)
		return 0;
	if (address->any.sa_family == AF_INET)
		return ntohs(address->v4.sin_port);
	return address->any.sa_family == AF_INET6 ? ntohs(address->v6.sin6_port) : 0;
}

void address_set_port(struct address *address, uint16_t port)
{
	if (address->length == 0)
		return;
	if (address->any.sa_family == AF_INET)
		address->v4.sin_port = htons(port);
	else if (address->any.sa_family == AF_INET6)
		address->v6.sin6_port = htons(port);
}

bool address_equal_ip(const struct address *a, const struct address *b)
{
	if (a->length == 0 || b->length == 0)
		return a->length == b->length;
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	if (a->any.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr) &&
		       a->v6.sin6_scope_id == b->v6.sin6_scope_id;
	return strncmp(a->local.sun_path, b->local.sun_path, sizeof(a->local.sun_path)) == 0;
}

bool address_client_key(const struct address *client, uint64_t ret_key[2])
{
	ret_key[0] = ret_key[1] = 0;
	switch (client->any.sa_family) {
	case AF_INET:
		ret_key[1] = UINT64_C(1) << 32 | client->v4.sin_addr.s_addr;
		return true;
	case AF_INET6:
		memcpy(&ret_key[0], client->v6.sin6_addr.s6_addr, sizeof ret_key[0]);
		return true;
	}
	return false;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return address_equal_ip(a, b) && address_port(a) == address_port(b);
}

static bool port_parse(struct slice text, uint16_t *ret_port)
{
	uint64_t port;
	if (text.length > PORT_DIGITS || !slice_to_number(text, &port) || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

// RFC 1123 section 2.1, and underscores, which names inside of companies have.
static bool is_host_name(struct slice name)
{
	if (name.length == 0 || name.length >= NI_MAXHOST || name.data[0] == '.' || name.data[0] == '-')
		return false;
	for (size_t i = 0; i < name.length; i++) {
		char c = ascii_lower(name.data[i]);
		bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
		if (!allowed || (c == '.' && i > 0 && name.data[i - 1] == '.'))
			return false;
	}
	return true;
}

static bool is_digits_and_dots(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] != '.' && (text.data[i] < '0' || text.data[i] > '9'))
			return false;
	}
	return true;
}

// Splits "host:port", "[v6]:port" or a host alone; *ret_port_text has no .data then.
static bool split_port(struct slice text, struct slice *ret_host, struct slice *ret_port_text)
{
	*ret_port_text = SLICE_EMPTY;
	if (text.length > 0 && text.data[0] == '[') {
		size_t close = slice_find(text, ']');
		if (close == text.length)
			return false;
		*ret_host = slice_from(text.data + 1, close - 1);
		struct slice rest = slice_after(text, close + 1);
		if (rest.length == 0)
			return true;
		*ret_port_text = slice_after(rest, 1);
		return rest.data[0] == ':';
	}
	// More than one colon without brackets: an IPv6 address alone.
	size_t colon = slice_find(text, ':');
	*ret_host = slice_first(text, colon);
	if (colon == text.length)
		return true;
	*ret_port_text = slice_after(text, colon + 1);
	if (slice_find(*ret_port_text, ':') < ret_port_text->length) {
		*ret_host = text;
		*ret_port_text = SLICE_EMPTY;
	}
	return true;
}

bool endpoint_parse(struct slice text, uint16_t default_port, struct endpoint *ret_endpoint)
{
	struct endpoint endpoint = {.port = default_port};
	if (slice_starts_with(text, SLICE("unix:"))) {
		endpoint.path = slice_after(text, 5);
		endpoint.port = 0;
		struct address address;
		if (endpoint.path.length == 0 || memchr(endpoint.path.data, '\0', endpoint.path.length) ||
		    !address_set_path(&address, endpoint.path))
			return false;
		*ret_endpoint = endpoint;
		return true;
	}

	struct slice port_text;
	if (!split_port(text, &endpoint.host, &port_text))
		return false;
	if (port_text.data ? !port_parse(port_text, &endpoint.port) : default_port == 0)
		return false;

	uint8_t bytes[16];
	int ip_length = ip_parse(endpoint.host, bytes);
	bool bracketed = text.data[0] == '[';
	bool valid = ip_length == 16		 ? bracketed || !port_text.data
		     : bracketed		 ? false
		     : endpoint.host.length == 0 ? port_text.data != NULL
		     : ip_length == 4		 ? true
						 : is_host_name(endpoint.host) && !is_digits_and_dots(endpoint.host);
	if (!valid)
		return false;
	*ret_endpoint = endpoint;
	return true;
}

bool endpoint_to_address(const struct endpoint *endpoint, struct address *ret_address)
{
	if (endpoint->path.length)
		return address_set_path(ret_address, endpoint->path);
	if (endpoint->host.length == 0) {
		address_set_v6(ret_address, &in6addr_any, 0, endpoint->port);
		return true;
	}
	return address_parse_ip(endpoint->host, endpoint->port, ret_address);
}

static bool has_bits_beyond(const uint8_t bytes[16], unsigned prefix)
{
	for (unsigned i = prefix; i < 128; i++) {
		if (bytes[i / 8] & (0x80 >> (i % 8)))
			return true;
	}
	return false;
}

bool network_parse(struct slice text, struct network *ret_network)
{
	struct slice ip, length_text;
	bool has_length = slice_cut(text, '/', &ip, &length_text);
	struct network network = {.prefix = 128};
	uint8_t bytes[16];
	int length = ip_parse(ip, bytes);
	if (length == 0)
		return false;
	unsigned mapped_bits = length == 4 ? 96 : 0;
	memcpy(network.bytes, MAPPED_START, sizeof(MAPPED_START));
	memcpy(network.bytes + 16 - length, bytes, (size_t)length);

	uint64_t prefix = (uint64_t)length * 8;
	if (has_length && (length_text.length > 3 || !slice_to_number(length_text, &prefix)))
		return false;
	if (prefix > (uint64_t)length * 8)
		return false;
	network.prefix = (uint8_t)(prefix + mapped_bits);
	if (has_bits_beyond(network.bytes, network.prefix))
		return false;
	*ret_network = network;
	return true;
}
