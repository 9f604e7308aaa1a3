// Those who read from a fetch.
#include "base/check.h"
#include "cache/fetch_local.h"
#include "fiber/fiber.h"
#include "fiber/offload.h"

#include <errno.h>
#include <stdlib.h>

// With the lock held: true when the fetcher waits for this one and need not any more.
static bool give_back_piece(struct cache_reader *reader)
{
	if (!reader->holds_piece)
		return false;
	reader->holds_piece = false;
	return --reader->fetch->pending == 0;
}

static bool is_told(struct cache_fetch *fetch, void *argument)
{
	const struct cache_reader *reader = argument;
	return fetch->state != CACHE_FETCH_ASKS || reader->interims < fetch->interims.count;
}

// With the lock held.
static void look_again(struct cache_reader *reader)
{
	struct cache_fetch *fetch = reader->fetch;
	reader->state = fetch->state;
	reader->length = fetch->length;
	if (reader->object == fetch->object)
		return;
	cache_object_unref(reader->object);
	reader->object = fetch->object;
	cache_object_ref(reader->object);
}

int cache_reader_wait(struct cache_reader *reader, int64_t deadline_ns)
{
	struct cache_fetch *fetch = reader->fetch;
	int error =
		cache_fetch_wait_until(fetch, &fetch->readers_line, is_told, reader, "answer of a fetch", deadline_ns);
	if (error)
		return error;
	pthread_mutex_lock(&fetch->lock);
	look_again(reader);
	pthread_mutex_unlock(&fetch->lock);
	return 0;
}

const struct response *cache_reader_interim(struct cache_reader *reader)
{
	struct cache_fetch *fetch = reader->fetch;
	pthread_mutex_lock(&fetch->lock);
	bool has_next = reader->interims < fetch->interims.count;
	const struct response *interim = has_next ? fetch->interims.items[reader->interims++] : NULL;
	pthread_mutex_unlock(&fetch->lock);
	return interim;
}

static bool has_more(struct cache_fetch *fetch, void *argument)
{
	const struct cache_reader *reader = argument;
	return reader->position < fetch->filled || reader->piece != fetch->piece_number ||
	       fetch->state != CACHE_FETCH_FILLS;
}

struct file_read {
	const struct cache_file *file;
	uint64_t position, written;
	char *block;
	struct slice bytes;
	int error;
};

static void read_waiting(void *argument)
{
	struct file_read *read = argument;
	read->error =
		cache_file_read_written(read->file, read->position, read->written, read->block, false, &read->bytes);
}

// What was written a moment ago is in the system's memory, as a rule.
static int read_file(struct cache_reader *reader, const struct cache_file *file, uint64_t written,
		     struct slice *ret_bytes)
{
	if (!reader->block && !(reader->block = malloc(CACHE_BLOCK_SIZE)))
		return -EIO;
	struct file_read read = {
		.file = file, .position = reader->position, .written = written, .block = reader->block};
	read.error = cache_file_read_written(file, reader->position, written, reader->block, true, &read.bytes);
	if (read.error == -EAGAIN)
		offload_surely(read_waiting, &read);
	if (read.error)
		return -EIO;
	*ret_bytes = read.bytes;
	reader->position += read.bytes.length;
	return 0;
}

// What is there, when has_more told that something is.
static int take_bytes(struct cache_reader *reader, struct slice *ret_bytes)
{
	struct cache_fetch *fetch = reader->fetch;
	*ret_bytes = SLICE_EMPTY;
	pthread_mutex_lock(&fetch->lock);
	look_again(reader);
	uint64_t filled = fetch->filled;
	bool is_in_file = reader->position >= fetch->in_memory && reader->position < filled;
	if (reader->position < fetch->in_memory) {
		*ret_bytes =
			slice_from(reader->object->body.data + reader->position, fetch->in_memory - reader->position);
		reader->position = fetch->in_memory;
	} else if (!is_in_file && reader->piece != fetch->piece_number) {
		*ret_bytes = fetch->piece;
		reader->piece = fetch->piece_number;
		reader->holds_piece = true;
	}
	bool is_cut = !is_in_file && ret_bytes->length == 0 && fetch->state != CACHE_FETCH_WHOLE;
	pthread_mutex_unlock(&fetch->lock);
	if (is_in_file)
		return read_file(reader, fetch->file, filled, ret_bytes);
	return is_cut ? -EPIPE : 0;
}

int cache_reader_read(struct cache_reader *reader, struct slice *ret_bytes)
{
	struct cache_fetch *fetch = reader->fetch;
	pthread_mutex_lock(&fetch->lock);
	bool fetcher_may_go_on = give_back_piece(reader);
	bool waits = !has_more(fetch, reader);
	pthread_mutex_unlock(&fetch->lock);
	if (fetcher_may_go_on)
		cache_fetch_call(&fetch->fetcher_line);
	int error = waits ? cache_fetch_wait_until(fetch, &fetch->readers_line, has_more, reader, "content of a fetch",
						   FIBER_NEVER)
			  : 0;
	return error ? error : take_bytes(reader, ret_bytes);
}

int cache_reader_look(struct cache_reader *reader)
{
	struct cache_fetch *fetch = reader->fetch;
	pthread_mutex_lock(&fetch->lock);
	bool has_bytes = reader->position < fetch->filled || reader->piece != fetch->piece_number;
	bool has_ended = fetch->state == CACHE_FETCH_WHOLE;
	pthread_mutex_unlock(&fetch->lock);
	return has_bytes ? 1 : has_ended ? -1 : 0;
}

const struct cache_outcome *cache_reader_outcome(const struct cache_reader *reader)
{
	return &reader->fetch->outcome;
}

void cache_reader_leave(struct cache_reader *reader)
{
	struct cache_fetch *fetch = reader->fetch;
	if (!fetch)
		return;
	pthread_mutex_lock(&fetch->lock);
	fetch->readers--;
	// A piece that was lent to all, and that this one has not come to take, is given back unread.
	bool is_owed = reader->holds_piece || reader->piece != fetch->piece_number;
	reader->holds_piece = false;
	bool fetcher_may_go_on = is_owed && --fetch->pending == 0;
	pthread_mutex_unlock(&fetch->lock);
	if (fetcher_may_go_on)
		cache_fetch_call(&fetch->fetcher_line);
	cache_object_unref(reader->object);
	free(reader->block);
	cache_fetch_unref(fetch);
	*reader = (struct cache_reader){0};
}
