#include "base/block.h"

#include "base/check.h"
#include "base/sanitizer.h"

#include <stdlib.h>

// What is written into a block while it is free; the rest of it is poisoned.
struct free_block {
	struct free_block *next;
};

static _Thread_local struct free_block *newest_;
static _Thread_local unsigned kept_;

void *block_take(void)
{
	struct free_block *block = newest_;
	if (block == NULL)
		return malloc(BLOCK_SIZE);
	check(kept_ > 0);
	sanitizer_unpoison(block, BLOCK_SIZE);
	newest_ = block->next;
	kept_--;
	return block;
}

void block_give(void *given)
{
	struct free_block *block = given;
	if (block == NULL)
		return;
	if (kept_ == BLOCKS_KEPT) {
		free(block);
		return;
	}
	block->next = newest_;
	newest_ = block;
	kept_++;
	sanitizer_poison(block, BLOCK_SIZE);
}

void block_trim(void)
{
	while (newest_ != NULL)
		free(block_take());
	check(kept_ == 0);
}
