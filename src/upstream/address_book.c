#include "upstream/address_book.h"

#include "base/check.h"

#include <string.h>

// Readers load words with acquire and the version behind them; the writer makes the version
// odd before it stores words with release. So who sees one new word also sees that the
// version changed, and reads again.

enum { FAMILY_V4 = 4, FAMILY_V6 = 6 };

struct packed {
	uint64_t words[3];
};

static bool pack(const struct address *address, struct packed *ret_packed)
{
	struct packed packed = {0};
	switch (address->any.sa_family) {
	case AF_INET:
		memcpy(packed.words, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
		packed.words[2] = FAMILY_V4;
		break;
	case AF_INET6:
		memcpy(packed.words, &address->v6.sin6_addr, sizeof(address->v6.sin6_addr));
		packed.words[2] = FAMILY_V6 | (uint64_t)address->v6.sin6_scope_id << 32;
		break;
	default:
		return false;
	}
	*ret_packed = packed;
	return true;
}

static void unpack(const struct packed *packed, uint16_t port, struct address *ret_address)
{
	*ret_address = (struct address){0};
	if ((uint32_t)packed->words[2] == FAMILY_V4) {
		ret_address->length = sizeof(ret_address->v4);
		ret_address->v4.sin_family = AF_INET;
		memcpy(&ret_address->v4.sin_addr, packed->words, sizeof(ret_address->v4.sin_addr));
	} else {
		ret_address->length = sizeof(ret_address->v6);
		ret_address->v6.sin6_family = AF_INET6;
		ret_address->v6.sin6_scope_id = (uint32_t)(packed->words[2] >> 32);
		memcpy(&ret_address->v6.sin6_addr, packed->words, sizeof(ret_address->v6.sin6_addr));
	}
	address_set_port(ret_address, port);
}

static struct packed load(const struct address_book *book, unsigned index)
{
	struct packed packed;
	for (unsigned i = 0; i < 3; i++)
		packed.words[i] = atomic_load_explicit(&book->entries[index].words[i], memory_order_acquire);
	return packed;
}

static bool find(const struct address_book *book, const struct packed *packed, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct packed there = load(book, i);
		if (memcmp(&there, packed, sizeof(there)) == 0)
			return true;
	}
	return false;
}

static bool is_same(const struct address_book *book, const struct packed *packed, unsigned count)
{
	if (count != atomic_load_explicit(&book->count, memory_order_relaxed))
		return false;
	for (unsigned i = 0; i < count; i++)
		if (!find(book, &packed[i], count))
			return false;
	return true;
}

// Each address once, so that two sets of the same size are the same when one holds the
// other.
static unsigned pack_all(const struct address *addresses, unsigned count, struct packed packed[ADDRESS_BOOK_MAX])
{
	unsigned kept = 0;
	for (unsigned i = 0; i < count && kept < ADDRESS_BOOK_MAX; i++) {
		if (!pack(&addresses[i], &packed[kept]))
			continue;
		unsigned before = 0;
		while (before < kept && memcmp(&packed[before], &packed[kept], sizeof(packed[0])) != 0)
			before++;
		kept += before == kept;
	}
	return kept;
}

bool address_book_write(struct address_book *book, const struct address *addresses, unsigned count)
{
	struct packed packed[ADDRESS_BOOK_MAX];
	unsigned kept = pack_all(addresses, count, packed);
	if (is_same(book, packed, kept))
		return false;

	uint32_t version = atomic_load_explicit(&book->version, memory_order_relaxed);
	check((version & 1) == 0);
	atomic_store_explicit(&book->version, version + 1, memory_order_relaxed);
	for (unsigned i = 0; i < kept; i++)
		for (unsigned j = 0; j < 3; j++)
			atomic_store_explicit(&book->entries[i].words[j], packed[i].words[j], memory_order_release);
	atomic_store_explicit(&book->count, kept, memory_order_release);
	atomic_store_explicit(&book->version, version + 2, memory_order_release);
	return true;
}

unsigned address_book_count(const struct address_book *book)
{
	return atomic_load_explicit(&book->count, memory_order_acquire);
}

uint32_t address_book_version(const struct address_book *book)
{
	return atomic_load_explicit(&book->version, memory_order_acquire);
}

// Whether what was read since `version` was read belongs together.
static bool is_settled(const struct address_book *book, uint32_t version)
{
	return (version & 1) == 0 && version == atomic_load_explicit(&book->version, memory_order_relaxed);
}

bool address_book_read(const struct address_book *book, uint32_t index, uint16_t port, struct address *ret_address,
		       uint32_t *ret_index, uint32_t *ret_version)
{
	uint32_t version;
	unsigned count;
	struct packed packed = {0};
	do {
		version = address_book_version(book);
		count = address_book_count(book);
		if (count > 0)
			packed = load(book, index % count);
	} while (!is_settled(book, version));
	if (count == 0)
		return false;
	unpack(&packed, port, ret_address);
	*ret_index = index % count;
	*ret_version = version;
	return true;
}

bool address_book_has(const struct address_book *book, const struct address *address)
{
	struct packed packed;
	if (!pack(address, &packed))
		return false;
	uint32_t version;
	bool has;
	do {
		version = address_book_version(book);
		has = find(book, &packed, address_book_count(book));
	} while (!is_settled(book, version));
	return has;
}
