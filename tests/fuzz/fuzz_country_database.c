// Databases of countries: whatever the bytes, one that knows any address's country or none, or a reason why not.
#include "net/country_database.h"
#include "support.h"

static void find_some(const struct country_database *database, unsigned first)
{
	struct address address = {.length = sizeof(struct sockaddr_in), .v4 = {.sin_family = AF_INET}};
	address.v4.sin_addr.s_addr = htonl(first << 24 | 1);
	check(country_database_find(database, &address) < COUNTRY_COUNT);
	address = (struct address){.length = sizeof(struct sockaddr_in6), .v6 = {.sin6_family = AF_INET6}};
	memset(&address.v6.sin6_addr, (int)first, sizeof address.v6.sin6_addr);
	check(country_database_find(database, &address) < COUNTRY_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct country_database *database = country_database_read(slice_from(data, size), &why);
	check(!database == (why != NULL));
	for (unsigned first = 0; database && first < 256; first++)
		find_some(database, first);
	country_database_free(database);
	return 0;
}
