#include "cli/where.h"

#include <stdio.h>

static bool is_this_host(const struct address *address)
{
	if (address->any.sa_family == AF_INET)
		return address->v4.sin_addr.s_addr == htonl(INADDR_ANY) ||
		       address->v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
	return address->any.sa_family == AF_INET6 &&
	       (IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr) || IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr));
}

const char *where_url(const struct address *address, char ret_text[WHERE_MAX])
{
	char buffer[ADDRESS_TEXT_MAX];
	struct slice text = address_format(address, buffer);
	if (is_this_host(address))
		(void)snprintf(ret_text, WHERE_MAX, "http://localhost:%u", (unsigned)address_port(address));
	else if (address->any.sa_family == AF_UNIX)
		(void)snprintf(ret_text, WHERE_MAX, "%.*s", SLICE_ARGUMENTS(text));
	else
		(void)snprintf(ret_text, WHERE_MAX, "http://%.*s", SLICE_ARGUMENTS(text));
	return ret_text;
}
