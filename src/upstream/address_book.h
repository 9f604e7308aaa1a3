// An address book: IP addresses that one thread writes and all others read, without locks.
//
// A sequence lock over atomic words: readers never hold anything, so nothing has to be
// freed later; a reader that meets a writer reads again.
#ifndef USHER_UPSTREAM_ADDRESS_BOOK_H
#define USHER_UPSTREAM_ADDRESS_BOOK_H

#include "net/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { ADDRESS_BOOK_MAX = 64 };

struct address_book {
	_Atomic uint32_t version; // odd while being written
	_Atomic uint32_t count;
	struct {
		_Atomic uint64_t words[3]; // 16 bytes of address; family and scope
	} entries[ADDRESS_BOOK_MAX];
};

// One writer at a time. Nothing is written, and false returned, when the addresses are the
// same, in whatever order. Only IPv4 and IPv6, at most ADDRESS_BOOK_MAX.
bool address_book_write(struct address_book *book, const struct address *addresses, unsigned count);

// How many there are now.
unsigned address_book_count(const struct address_book *book);

// The address at `index` modulo their count, with the port. Its version and index come
// along; false when the book is empty.
bool address_book_read(const struct address_book *book, uint32_t index, uint16_t port, struct address *ret_address,
		       uint32_t *ret_index, uint32_t *ret_version);

// Changes whenever the addresses do.
uint32_t address_book_version(const struct address_book *book);

// Whether the address (its port aside) is in the book.
bool address_book_has(const struct address_book *book, const struct address *address);

#endif
