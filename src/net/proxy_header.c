#include "net/proxy_header.h"

#include <string.h>

enum {
	V1_MAX = 107, // with its line end (section 2.1)
	V2_FIXED = 16,
	V2_INET = 12, // of addresses and ports
	V2_INET6 = 36,
};

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

// --- Version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

static bool read_port(struct slice text, uint16_t *ret_port)
{
	uint64_t number;
	bool has_zeros = text.length > 1 && text.data[0] == '0';
	if (has_zeros || !slice_to_number(text, &number) || number > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)number;
	return true;
}

static enum proxy_header_result read_line(struct slice line, struct address *ret_client)
{
	struct slice words[6], rest = line;
	size_t count = 0;
	struct address client, server;
	uint16_t client_port, server_port;
	bool more = true;
	for (; more && count < 6; count++)
		more = slice_cut(rest, ' ', &words[count], &rest);
	if (count >= 2 && slice_equal(words[1], SLICE("UNKNOWN")))
		return PROXY_HEADER_LOCAL; // whatever follows
	bool is_v6 = count == 6 && slice_equal(words[1], SLICE("TCP6"));
	if (count != 6 || more || (!is_v6 && !slice_equal(words[1], SLICE("TCP4"))) ||
	    !read_port(words[4], &client_port) || !read_port(words[5], &server_port) ||
	    !address_parse_ip(words[2], client_port, &client) || !address_parse_ip(words[3], server_port, &server))
		return PROXY_HEADER_WRONG;
	// An IPv4 address may stand within IPv6, where it is one.
	if (!is_v6 && (client.any.sa_family != AF_INET || server.any.sa_family != AF_INET))
		return PROXY_HEADER_WRONG;
	*ret_client = client;
	return PROXY_HEADER_CLIENT;
}

// The line's length is not known: it is taken byte by byte, so that nothing behind it is.
static enum proxy_header_result read_v1(struct slice bytes, size_t *ret_needed, struct address *ret_client)
{
	size_t end = slice_find(bytes, '\n');
	*ret_needed = 1;
	if (end == bytes.length)
		return bytes.length < V1_MAX ? PROXY_HEADER_MORE : PROXY_HEADER_WRONG;
	if (end + 1 != bytes.length || end + 1 > V1_MAX || bytes.data[end - 1] != '\r')
		return PROXY_HEADER_WRONG;
	return read_line(slice_first(bytes, end - 1), ret_client);
}

// --- Version 2

static enum proxy_header_result read_v2(struct slice bytes, size_t *ret_needed, struct address *ret_client)
{
	const unsigned char *b = (const unsigned char *)bytes.data;
	if (bytes.length < V2_FIXED) {
		*ret_needed = V2_FIXED - bytes.length;
		return PROXY_HEADER_MORE;
	}
	size_t length = (size_t)b[14] << 8 | b[15], whole = V2_FIXED + length;
	unsigned version = b[12] >> 4, command = b[12] & 15, family = b[13] >> 4, transport = b[13] & 15;
	if (version != 2 || command > 1 || family > 3 || transport > 2 || whole > PROXY_HEADER_MAX ||
	    bytes.length > whole)
		return PROXY_HEADER_WRONG;
	if (bytes.length < whole) {
		*ret_needed = whole - bytes.length;
		return PROXY_HEADER_MORE;
	}
	if (command == 0 || family == 0 || family == 3 || transport != 1)
		return PROXY_HEADER_LOCAL;
	if (length < (family == 1 ? V2_INET : V2_INET6))
		return PROXY_HEADER_WRONG;
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	if (family == 1) {
		memcpy(&v4.sin_addr, b + V2_FIXED, 4);
		memcpy(&v4.sin_port, b + V2_FIXED + 8, 2);
		address_from_sockaddr((const struct sockaddr *)&v4, sizeof v4, ret_client);
	} else {
		memcpy(&v6.sin6_addr, b + V2_FIXED, 16);
		memcpy(&v6.sin6_port, b + V2_FIXED + 32, 2);
		address_from_sockaddr((const struct sockaddr *)&v6, sizeof v6, ret_client);
	}
	return PROXY_HEADER_CLIENT;
}

enum proxy_header_result proxy_header_read(struct slice bytes, size_t *ret_needed, struct address *ret_client)
{
	if (memcmp(bytes.data, v2_signature, sizeof v2_signature) == 0)
		return read_v2(bytes, ret_needed, ret_client);
	if (slice_starts_with(bytes, SLICE("PROXY ")))
		return read_v1(bytes, ret_needed, ret_client);
	return PROXY_HEADER_WRONG;
}
