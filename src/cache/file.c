#include "cache/file.h"

#include "base/check.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

enum { SUM = sizeof(uint64_t) };

struct cache_file_writer {
	struct cache_file *file;
	XXH3_state_t *sum; // of the block that is being written
	uint64_t length;   // of the content so far
};

struct cache_file *cache_file_new(int descriptor, uint64_t number, uint64_t length)
{
	struct cache_file *file = malloc(sizeof *file);
	if (file)
		*file = (struct cache_file){1, descriptor, number, length};
	else
		close(descriptor);
	return file;
}

void cache_file_ref(struct cache_file *file)
{
	atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
}

void cache_file_unref(struct cache_file *file)
{
	if (!file || atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) > 1)
		return;
	close(file->descriptor);
	free(file);
}

// Each block's checksum is its own, as well as its file's.
static uint64_t seed_of(const struct cache_file *file, uint64_t block)
{
	return hash_number(file->number) + block;
}

static uint64_t place_of(uint64_t position)
{
	return position / CACHE_BLOCK_BYTES * CACHE_BLOCK_SIZE + position % CACHE_BLOCK_BYTES;
}

// --- Reading

// Fewer bytes than were asked for are none that can be used. Without waiting, a file system that cannot tell waits.
static int read_all(int descriptor, char *to, size_t length, uint64_t at, bool must_not_wait)
{
	while (length > 0) {
		const struct iovec part = {to, length};
		ssize_t got = preadv2(descriptor, &part, 1, (off_t)at, must_not_wait ? RWF_NOWAIT : 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return must_not_wait && errno == EOPNOTSUPP ? -EAGAIN : -errno;
		if (got == 0)
			return -EBADMSG;
		to += got;
		at += (uint64_t)got;
		length -= (size_t)got;
	}
	return 0;
}

int cache_file_read(const struct cache_file *file, uint64_t position, char *block, bool must_not_wait,
		    struct slice *ret_bytes)
{
	check(position < file->length);
	uint64_t number = position / CACHE_BLOCK_BYTES, from = number * CACHE_BLOCK_BYTES, sum;
	size_t length = file->length - from < CACHE_BLOCK_BYTES ? file->length - from : CACHE_BLOCK_BYTES;
	int error = read_all(file->descriptor, block, length + SUM, number * CACHE_BLOCK_SIZE, must_not_wait);
	if (error)
		return error;
	memcpy(&sum, block + length, SUM);
	if (sum != XXH3_64bits_withSeed(block, length, seed_of(file, number)))
		return -EBADMSG;
	*ret_bytes = slice_after(slice_from(block, length), position - from);
	return 0;
}

int cache_file_read_written(const struct cache_file *file, uint64_t position, uint64_t written, char *block,
			    bool must_not_wait, struct slice *ret_bytes)
{
	check(position < written);
	uint64_t room = CACHE_BLOCK_BYTES - position % CACHE_BLOCK_BYTES;
	size_t length = written - position < room ? written - position : room;
	int error = read_all(file->descriptor, block, length, place_of(position), must_not_wait);
	if (error)
		return error;
	*ret_bytes = slice_from(block, length);
	return 0;
}

// --- Writing

struct cache_file_writer *cache_file_writer_new(struct cache_file *file)
{
	struct cache_file_writer *writer = malloc(sizeof *writer);
	XXH3_state_t *sum = XXH3_createState();
	if (!writer || !sum) {
		free(writer);
		XXH3_freeState(sum);
		return NULL;
	}
	*writer = (struct cache_file_writer){file, sum, 0};
	cache_file_ref(file);
	return writer;
}

void cache_file_writer_free(struct cache_file_writer *writer)
{
	if (!writer)
		return;
	cache_file_unref(writer->file);
	XXH3_freeState(writer->sum);
	free(writer);
}

int cache_file_write_all(int descriptor, const void *bytes, size_t length, uint64_t at)
{
	const char *from = bytes;
	while (length > 0) {
		ssize_t put = pwrite(descriptor, from, length, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		from += put;
		at += (uint64_t)put;
		length -= (size_t)put;
	}
	return 0;
}

static int end_block(struct cache_file_writer *writer)
{
	uint64_t sum = XXH3_64bits_digest(writer->sum);
	uint64_t at = place_of(writer->length - 1) + 1;
	return cache_file_write_all(writer->file->descriptor, &sum, SUM, at);
}

int cache_file_append(struct cache_file_writer *writer, struct slice bytes)
{
	while (bytes.length > 0) {
		uint64_t in_block = writer->length % CACHE_BLOCK_BYTES;
		struct slice part = slice_first(bytes, CACHE_BLOCK_BYTES - in_block);
		if (in_block == 0)
			XXH3_64bits_reset_withSeed(writer->sum,
						   seed_of(writer->file, writer->length / CACHE_BLOCK_BYTES));
		XXH3_64bits_update(writer->sum, part.data, part.length);
		int error = cache_file_write_all(writer->file->descriptor, part.data, part.length,
						 place_of(writer->length));
		writer->length += part.length;
		if (error == 0 && writer->length % CACHE_BLOCK_BYTES == 0)
			error = end_block(writer);
		if (error)
			return error;
		bytes = slice_after(bytes, part.length);
	}
	return 0;
}

int cache_file_finish(struct cache_file_writer *writer)
{
	int error = writer->length % CACHE_BLOCK_BYTES > 0 ? end_block(writer) : 0;
	writer->file->length = writer->length;
	return error;
}
