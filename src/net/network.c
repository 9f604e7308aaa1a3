// Networks, and sets of them: membership by binary search among disjoint ranges.
#include "net/address.h"

#include <stdlib.h>

// An address as a number, so that networks compare and mask in registers.
struct number {
	uint64_t high, low;
};

static struct number number_from_bytes(const uint8_t bytes[16])
{
	uint64_t high, low;
	memcpy(&high, bytes, 8);
	memcpy(&low, bytes + 8, 8);
	return (struct number){be64toh(high), be64toh(low)};
}

// False for an address that is of no network (a UNIX socket, none).
static bool number_from_address(const struct address *address, struct number *ret_number)
{
	if (address->length == 0)
		return false;
	if (address->any.sa_family == AF_INET) {
		*ret_number = (struct number){0, UINT64_C(0xffff00000000) | ntohl(address->v4.sin_addr.s_addr)};
		return true;
	}
	if (address->any.sa_family != AF_INET6)
		return false;
	*ret_number = number_from_bytes(address->v6.sin6_addr.s6_addr);
	return true;
}

static bool number_is_below(struct number a, struct number b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

// A mask of the first `bits` (0 to 64) bits.
static uint64_t mask(unsigned bits)
{
	return bits == 0 ? 0 : ~UINT64_C(0) << (64 - bits);
}

static bool network_has(const struct network *network, struct number number)
{
	struct number start = number_from_bytes(network->bytes);
	unsigned prefix = network->prefix;
	if (prefix <= 64)
		return ((start.high ^ number.high) & mask(prefix)) == 0;
	return start.high == number.high && ((start.low ^ number.low) & mask(prefix - 64)) == 0;
}

bool network_contains(const struct network *network, const struct address *address)
{
	struct number number;
	return number_from_address(address, &number) && network_has(network, number);
}

// By start; of those that start together the widest comes first.
static int compare_networks(const void *left, const void *right)
{
	const struct network *a = left, *b = right;
	int order = memcmp(a->bytes, b->bytes, sizeof(a->bytes));
	return order ? order : (int)a->prefix - (int)b->prefix;
}

void network_set_freeze(struct network_set *set)
{
	if (set->count == 0)
		return;
	qsort(set->networks, set->count, sizeof(set->networks[0]), compare_networks);
	// Two networks either nest or are disjoint, so who is in any earlier one is in the last
	// that was kept.
	size_t kept = 1;
	for (size_t i = 1; i < set->count; i++) {
		if (!network_has(&set->networks[kept - 1], number_from_bytes(set->networks[i].bytes)))
			set->networks[kept++] = set->networks[i];
	}
	set->count = kept;
}

bool network_set_contains(const struct network_set *set, const struct address *address)
{
	if (address->length && address->any.sa_family == AF_UNIX)
		return set->local;
	struct number number;
	if (set->count == 0 || !number_from_address(address, &number))
		return false;

	// The last network that starts at the address or before it: halves without a branch,
	// whose outcome nobody could foresee.
	const struct network *at = set->networks;
	for (size_t left = set->count; left > 1;) {
		size_t half = left / 2;
		at += number_is_below(number, number_from_bytes(at[half].bytes)) ? 0 : half;
		left -= half;
	}
	return network_has(at, number);
}
