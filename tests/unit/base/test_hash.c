#include "base/hash.h"
#include "base/random.h"
#include "cmocka_all.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

// What CPython 3.11, whose hash of bytes is SipHash-1-3, answers for bytes(range(length)),
// with PYTHONHASHSEED=0 and 12345.
struct vector {
	struct hash_key key;
	size_t length;
	uint64_t hash;
};

#define ZERO                                                                                                           \
	{                                                                                                              \
		{                                                                                                      \
			0, 0                                                                                           \
		}                                                                                                      \
	}
#define SEED                                                                                                           \
	{                                                                                                              \
		{                                                                                                      \
			UINT64_C(0x25556dc46dc3dca0), UINT64_C(0xfc3ee4dbd06f6c90)                                     \
		}                                                                                                      \
	}

static const struct vector vectors[] = {
	{ZERO, 1, UINT64_C(0x68a914128e01e473)},  {ZERO, 3, UINT64_C(0x4d4c9a4a8ef6e0ad)},
	{ZERO, 7, UINT64_C(0x2f098ab0c751325a)},  {ZERO, 8, UINT64_C(0xead411e67ebe2eea)},
	{ZERO, 9, UINT64_C(0x75927f9d95124362)},  {ZERO, 15, UINT64_C(0xf30eb725bb91c9ea)},
	{ZERO, 16, UINT64_C(0x8972188433a5c5b7)}, {ZERO, 17, UINT64_C(0x4883c49a2c009c1d)},
	{ZERO, 31, UINT64_C(0x169739443111d49b)}, {ZERO, 63, UINT64_C(0x385d3e39e5f37359)},
	{SEED, 1, UINT64_C(0xddb5fc492fbdf63a)},  {SEED, 3, UINT64_C(0x6925b9482f3a5127)},
	{SEED, 7, UINT64_C(0x831edfe12fee6ffd)},  {SEED, 8, UINT64_C(0x354edb093928c942)},
	{SEED, 9, UINT64_C(0x09a5e47bf18abecc)},  {SEED, 15, UINT64_C(0xbe8dc664d017b99e)},
	{SEED, 16, UINT64_C(0x2e932605ea370595)}, {SEED, 17, UINT64_C(0x76887087110a4b41)},
	{SEED, 31, UINT64_C(0xcd12075a65e419ea)}, {SEED, 63, UINT64_C(0x171afa1ac779cd10)},
};

static void keyed_hash_is_siphash(void **state)
{
	char bytes[64];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		uint64_t hash = hash_keyed(&vectors[i].key, slice_from(bytes, vectors[i].length));
		assert_true(hash == vectors[i].hash);
	}
	struct hash_key one, other;
	hash_key_make(&one);
	hash_key_make(&other);
	assert_true(hash_keyed(&one, SLICE("x")) != hash_keyed(&other, SLICE("x")));
	assert_true(hash_keyed(&one, SLICE_EMPTY) == hash_keyed(&one, SLICE("")));
}

// Of 4096 similar keys about as many fall into each of 64 buckets, taken from either end of
// the hash: more than twice the mean would be far beyond chance.
static void fast_hashes_spread(void **state)
{
	unsigned low[64] = {0}, high[64] = {0}, numbers[64] = {0};
	for (int i = 0; i < 4096; i++) {
		char name[] = "site-0000.example.com";
		for (int digit = 0, rest = i; digit < 4; digit++, rest /= 10)
			name[8 - digit] = (char)('0' + rest % 10);
		uint64_t hash = hash_fast(slice_from_string(name));
		low[hash % 64]++;
		high[hash >> 58]++;
		numbers[hash_number((uint64_t)i) % 64]++;
	}
	for (int i = 0; i < 64; i++) {
		assert_in_range(low[i], 16, 128);
		assert_in_range(high[i], 16, 128);
		assert_in_range(numbers[i], 16, 128);
	}
	// Zeros at the end count.
	assert_true(hash_fast(slice_from("\0\0\0", 2)) != hash_fast(slice_from("\0\0\0", 3)));
	assert_true(hash_fast(SLICE_EMPTY) == hash_fast(SLICE("")));
}

static void a_seed_repeats(void **state)
{
	struct random one, same, other;
	random_seed(&one, 1);
	random_seed(&same, 1);
	random_seed(&other, 2);
	int different = 0;
	for (int i = 0; i < 100; i++) {
		uint64_t number = random_next(&one);
		assert_true(number == random_next(&same));
		different += number != random_next(&other);
	}
	assert_true(different > 98);
	// The first outputs of xoshiro256** from the state 1, 2, 3, 4, worked out by hand.
	struct random known = {.state = {1, 2, 3, 4}};
	assert_true(random_next(&known) == 11520);
	assert_true(random_next(&known) == 0);
	assert_true(random_next(&known) == 1509978240);
}

static void bounded_numbers_are_even(void **state)
{
	struct random random;
	random_seed(&random, 3);
	unsigned seen[6] = {0};
	for (int i = 0; i < 6000; i++)
		seen[random_below(&random, 6)]++;
	for (int i = 0; i < 6; i++)
		assert_in_range(seen[i], 800, 1200);
	// A bound for which one in three draws has to be drawn again.
	uint64_t bound = UINT64_C(3) << 62;
	for (int i = 0; i < 100; i++)
		assert_true(random_below(&random, bound) < bound);
	assert_true(random_below(&random, 1) == 0);
	assert_true(random_number_below(10) < 10);
}

static void *first_number(void *argument)
{
	*(uint64_t *)argument = random_number();
	return NULL;
}

static void threads_and_children_have_their_own(void **state)
{
	uint64_t numbers[2];
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, first_number, &numbers[i]), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	assert_true(numbers[0] != numbers[1]);

	int pipe_ends[2];
	assert_int_equal(pipe(pipe_ends), 0);
	random_number();
	pid_t child = fork();
	if (child == 0) {
		uint64_t number = random_number();
		_exit(write(pipe_ends[1], &number, sizeof number) == sizeof number ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	uint64_t childs;
	assert_int_equal(read(pipe_ends[0], &childs, sizeof childs), sizeof childs);
	assert_true(childs != random_number());
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

static void secrets_differ(void **state)
{
	char one[1000] = {0}, other[1000] = {0};
	random_secret(one, sizeof one);
	random_secret(other, sizeof other);
	assert_memory_not_equal(one, other, sizeof one);
	random_secret(one, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keyed_hash_is_siphash),
		cmocka_unit_test(fast_hashes_spread),
		cmocka_unit_test(a_seed_repeats),
		cmocka_unit_test(bounded_numbers_are_even),
		cmocka_unit_test(threads_and_children_have_their_own),
		cmocka_unit_test(secrets_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
