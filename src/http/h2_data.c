#include "http/h2_data.h"

#include "base/block.h"
#include "base/check.h"

#include <stdint.h>

struct h2_data_block {
	struct h2_data_block *next;
	uint32_t start, end; // what waits: bytes[start, end)
	char bytes[];
};

enum { ROOM = BLOCK_SIZE - sizeof(struct h2_data_block) };

static struct h2_data_block *add_block(struct h2_data *data)
{
	struct h2_data_block *block = block_take();
	if (!block)
		return NULL;
	block->next = NULL;
	block->start = block->end = 0;
	if (data->last)
		data->last->next = block;
	else
		data->first = block;
	data->last = block;
	return block;
}

static void drop_block(struct h2_data *data)
{
	struct h2_data_block *block = data->first;
	data->first = block->next;
	if (!data->first)
		data->last = NULL;
	block_give(block);
}

bool h2_data_put(struct h2_data *data, struct slice bytes)
{
	while (bytes.length > 0) {
		struct h2_data_block *block = data->last;
		if ((!block || block->end == ROOM) && !(block = add_block(data)))
			return false;
		struct slice part = slice_first(bytes, ROOM - block->end);
		memcpy(block->bytes + block->end, part.data, part.length);
		block->end += (uint32_t)part.length;
		data->bytes += part.length;
		bytes = slice_after(bytes, part.length);
	}
	return true;
}

struct slice h2_data_first(const struct h2_data *data)
{
	const struct h2_data_block *block = data->first;
	return block ? slice_from(block->bytes + block->start, block->end - block->start) : SLICE_EMPTY;
}

void h2_data_drop(struct h2_data *data, size_t count)
{
	if (count == 0)
		return;
	struct h2_data_block *block = data->first;
	check(block && count <= block->end - block->start);
	block->start += (uint32_t)count;
	data->bytes -= count;
	if (block->start == block->end)
		drop_block(data);
}

void h2_data_fini(struct h2_data *data)
{
	while (data->first)
		drop_block(data);
	data->bytes = 0;
}
