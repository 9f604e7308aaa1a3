// Content in a file: blocks of one size, each with a checksum behind its bytes, so that what a crash or a bad disk
// left is never taken for content.
//
// Nothing here suspends; what may wait for the disk says so, and is called off the loop.
#ifndef USHER_CACHE_FILE_H
#define USHER_CACHE_FILE_H

#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CACHE_BLOCK_SIZE = 64 * 1024, CACHE_BLOCK_BYTES = CACHE_BLOCK_SIZE - 8 };

// Open; shared by whoever holds a reference.
struct cache_file {
	_Atomic uint32_t references;
	int descriptor;
	uint64_t number; // of the file that its checksums were made for: no block is taken for another file's
	uint64_t length; // of the content, when it is known
};

// Takes the descriptor. NULL when memory is out; the descriptor is closed then, too.
struct cache_file *cache_file_new(int descriptor, uint64_t number, uint64_t length);
void cache_file_ref(struct cache_file *file);
void cache_file_unref(struct cache_file *file); // the last one closes; NULL is allowed

// The content from a position within it to the end of its block, read into `block` of CACHE_BLOCK_SIZE bytes. 0;
// -EAGAIN, only when it `must_not_wait`; -EBADMSG when it is not what was written; -errno.
int cache_file_read(const struct cache_file *file, uint64_t position, char *block, bool must_not_wait,
		    struct slice *ret_bytes);

// The same of a file that this process is writing, of which `written` bytes are there; nothing is checked.
int cache_file_read_written(const struct cache_file *file, uint64_t position, uint64_t written, char *block,
			    bool must_not_wait, struct slice *ret_bytes);

// One file being written, by one at a time.
struct cache_file_writer;

// NULL when memory is out. Takes a reference of its own.
struct cache_file_writer *cache_file_writer_new(struct cache_file *file);
void cache_file_writer_free(struct cache_file_writer *writer); // NULL is allowed

// May wait for the disk. 0 or -errno; nothing more can be written then.
int cache_file_append(struct cache_file_writer *writer, struct slice bytes);

// Ends the last block, and tells the file its length. May wait for the disk. 0 or -errno.
int cache_file_finish(struct cache_file_writer *writer);

// What so much content takes in a file.
static inline uint64_t cache_file_size(uint64_t length)
{
	return length + 8 * ((length + CACHE_BLOCK_BYTES - 1) / CACHE_BLOCK_BYTES);
}

// Writes all: 0 or -errno.
int cache_file_write_all(int descriptor, const void *bytes, size_t length, uint64_t at);

#endif
