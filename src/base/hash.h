// Hashes of bytes: keyed for tables whose keys strangers choose, fast for the others.
#ifndef USHER_BASE_HASH_H
#define USHER_BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

struct hash_key {
	uint64_t words[2];
};

// A key that nobody outside can guess, from the kernel.
void hash_key_make(struct hash_key *ret_key);

// SipHash-1-3: who does not know the key cannot find keys that collide. For hosts, paths,
// client addresses, header names: whatever comes from the network.
uint64_t hash_keyed(const struct hash_key *key, struct slice bytes);

// Several times faster; anybody can make collisions. For tables that the program or the
// configuration fills.
uint64_t hash_fast(struct slice bytes);

// Spreads a number over all 64 bits.
static inline uint64_t hash_number(uint64_t number)
{
	__uint128_t product = (__uint128_t)(number ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd1342543de82ef95);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
