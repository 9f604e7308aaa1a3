#include "tls/output.h"

#include "base/block.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

// One block.
struct tls_piece {
	struct tls_piece *next;
	uint32_t begin, end;
	char bytes[BLOCK_SIZE - 16];
};

_Static_assert(sizeof(struct tls_piece) == BLOCK_SIZE, "a piece fills its block");

// A write of 64 KiB is four records and what they add.
enum { PIECES_A_CALL = 8 };

static size_t piece_room(const struct tls_piece *piece)
{
	return piece ? sizeof piece->bytes - piece->end : 0;
}

static struct tls_piece *piece_new(void)
{
	struct tls_piece *piece = block_take();
	if (!piece)
		return NULL;
	piece->next = NULL;
	piece->begin = piece->end = 0;
	return piece;
}

// A chain of pieces with at least so much room in all; NULL when memory is out.
static struct tls_piece *pieces_new(size_t size)
{
	struct tls_piece *chain = NULL;
	for (size_t room = 0; room < size; room += sizeof chain->bytes) {
		struct tls_piece *piece = piece_new();
		if (!piece) {
			for (struct tls_piece *next; chain; chain = next) {
				next = chain->next;
				block_give(chain);
			}
			return NULL;
		}
		piece->next = chain;
		chain = piece;
	}
	return chain;
}

bool tls_output_put(struct tls_output *output, const void *bytes, size_t size)
{
	size_t room = piece_room(output->last);
	if (size > room) {
		struct tls_piece *chain = pieces_new(size - room);
		if (!chain)
			return false;
		*(output->last ? &output->last->next : &output->first) = chain;
		if (!output->last)
			output->last = chain;
	}
	const char *from = bytes;
	for (size_t left = size; left > 0;) {
		if (piece_room(output->last) == 0)
			output->last = output->last->next;
		struct tls_piece *piece = output->last;
		size_t count = left < piece_room(piece) ? left : piece_room(piece);
		memcpy(piece->bytes + piece->end, from, count);
		piece->end += (uint32_t)count;
		from += count;
		left -= count;
	}
	output->size += size;
	return true;
}

static void drop_first(struct tls_output *output)
{
	struct tls_piece *first = output->first;
	output->first = first->next;
	if (!output->first)
		output->last = NULL;
	block_give(first);
}

static void pass_over(struct tls_output *output, size_t sent)
{
	output->size -= sent;
	while (output->first && sent >= output->first->end - output->first->begin) {
		sent -= output->first->end - output->first->begin;
		drop_first(output);
	}
	if (output->first)
		output->first->begin += (uint32_t)sent;
}

int tls_output_send(struct tls_output *output, struct io *io, bool more)
{
	while (output->size > 0) {
		struct iovec parts[PIECES_A_CALL];
		int count = 0;
		for (struct tls_piece *piece = output->first; piece && count < PIECES_A_CALL; piece = piece->next)
			parts[count++] = (struct iovec){piece->bytes + piece->begin, piece->end - piece->begin};
		ssize_t sent = io_try_write(io, parts, count, more ? MSG_MORE : 0);
		if (sent < 0)
			return (int)sent;
		pass_over(output, (size_t)sent);
	}
	return 0;
}

void tls_output_clear(struct tls_output *output)
{
	while (output->first)
		drop_first(output);
	output->size = 0;
}
