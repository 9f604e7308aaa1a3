#include "base/hash.h"

#include "base/random.h"

#include <endian.h>

void hash_key_make(struct hash_key *ret_key)
{
	random_secret(ret_key->words, sizeof ret_key->words);
}

static uint64_t load_64(const char *from)
{
	uint64_t word;
	memcpy(&word, from, sizeof word);
	return le64toh(word);
}

// The last 0 to 7 bytes as a number, the first of them lowest.
static uint64_t load_rest(const char *from, size_t count)
{
	uint64_t word = 0;
	for (size_t i = 0; i < count; i++)
		word |= (uint64_t)(unsigned char)from[i] << (8 * i);
	return word;
}

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

// SipHash (Aumasson and Bernstein, 2012) with one round for each word and three at the
// end: Aumasson's own advice for hash tables.
static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate_left(v[1], 13) ^ v[0];
	v[3] = rotate_left(v[3], 16) ^ v[2];
	v[0] = rotate_left(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate_left(v[1], 17) ^ v[2];
	v[3] = rotate_left(v[3], 21) ^ v[0];
	v[2] = rotate_left(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

uint64_t hash_keyed(const struct hash_key *key, struct slice bytes)
{
	uint64_t v[4] = {
		key->words[0] ^ UINT64_C(0x736f6d6570736575),
		key->words[1] ^ UINT64_C(0x646f72616e646f6d),
		key->words[0] ^ UINT64_C(0x6c7967656e657261),
		key->words[1] ^ UINT64_C(0x7465646279746573),
	};
	size_t at = 0;
	for (; bytes.length - at >= 8; at += 8)
		sip_word(v, load_64(bytes.data + at));
	sip_word(v, (uint64_t)bytes.length << 56 | load_rest(bytes.data + at, bytes.length - at));

	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_fast(struct slice bytes)
{
	uint64_t hash = hash_number(bytes.length);
	size_t at = 0;
	for (; bytes.length - at >= 8; at += 8)
		hash = hash_number(hash ^ load_64(bytes.data + at));
	return hash_number(hash ^ load_rest(bytes.data + at, bytes.length - at));
}
