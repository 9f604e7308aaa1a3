// What is sent: frames are collected into a few blocks, and written by a fiber that lives as
// long as there is something to send.
#include "base/check.h"
#include "http/h2_connection.h"
#include "http/h2_memory.h"

#include <errno.h>

static struct h2_connection *connection_of_flush(struct deferred *deferred)
{
	return LIST_ENTRY((void *)deferred, struct h2_connection, flush);
}

// --- Collecting

size_t h2_output_room(const struct h2_connection *connection)
{
	const struct h2_output *output = &connection->output;
	size_t room = (size_t)(H2_OUTPUT_BLOCKS - output->count) * BLOCK_SIZE;
	return output->count > 0 ? room + BLOCK_SIZE - output->lengths[output->count - 1] : room;
}

size_t h2_output_put(struct h2_connection *connection, struct slice bytes)
{
	struct h2_output *output = &connection->output;
	size_t taken = 0;
	while (taken < bytes.length) {
		if (output->count == 0 || output->lengths[output->count - 1] == BLOCK_SIZE) {
			char *block = output->count < H2_OUTPUT_BLOCKS ? block_take() : NULL;
			if (!block)
				return taken;
			output->lengths[output->count] = 0;
			output->blocks[output->count++] = block;
		}
		uint32_t *length = &output->lengths[output->count - 1];
		struct slice part = slice_first(slice_after(bytes, taken), BLOCK_SIZE - *length);
		memcpy(output->blocks[output->count - 1] + *length, part.data, part.length);
		*length += (uint32_t)part.length;
		taken += part.length;
	}
	return taken;
}

void h2_output_drop(struct h2_connection *connection)
{
	struct h2_output *output = &connection->output;
	for (uint32_t i = 0; i < output->count; i++)
		block_give(output->blocks[i]);
	output->count = 0;
	connection->held = SLICE_EMPTY;
}

// Takes frames until there are no more, or no room. DATA comes by h2_lent_send.
static void fill(struct h2_connection *connection)
{
	const uint8_t *frame;
	ssize_t length = 0;
	connection->in_session = true;
	do {
		size_t taken = h2_output_put(connection, connection->held);
		connection->held = slice_after(connection->held, taken);
		if (connection->held.length > 0 || !nghttp2_session_want_write(connection->session))
			break;
		length = nghttp2_session_mem_send(connection->session, &frame);
		connection->held = length > 0 ? slice_from(frame, (size_t)length) : SLICE_EMPTY;
	} while (length > 0);
	connection->in_session = false;
	if (length < 0 || h2_memory_was_short())
		h2_connection_fail(connection);
}

bool h2_output_is_done(const struct h2_connection *connection)
{
	return connection->output.count == 0 && connection->held.length == 0 && !connection->writer &&
	       !connection->flushing && !nghttp2_session_want_write(connection->session);
}

// --- Writing

// One write of all that was collected.
static int write_out(struct h2_connection *connection)
{
	struct h2_output *output = &connection->output;
	struct iovec parts[H2_OUTPUT_BLOCKS];
	for (uint32_t i = 0; i < output->count; i++)
		parts[i] = (struct iovec){output->blocks[i], output->lengths[i]};
	uint32_t count = output->count;
	int error = stream_write_all(connection->stream, parts, (int)count, false, "send HTTP/2 frames",
				     connection->server->settings.send_timeout_ns);
	check(output->count == count); // nobody else fills it meanwhile
	for (uint32_t i = 0; i < count; i++)
		block_give(output->blocks[i]);
	output->count = 0;
	return error;
}

static void writer_run(void *argument)
{
	struct h2_connection *connection = argument;
	int error = 0;
	do {
		fill(connection);
		if (connection->failed || connection->output.count == 0)
			break;
		error = write_out(connection);
		h2_connection_read_on(connection);
	} while (error == 0);
	connection->writer = NULL;
	if (error)
		h2_connection_fail(connection);
	h2_connection_settle(connection);
}

static void start_writer(struct h2_connection *connection)
{
	connection->writer = fiber_spawn("HTTP/2 writer", writer_run, connection);
	if (!connection->writer)
		h2_connection_fail(connection);
}

static void flush_now(struct deferred *deferred)
{
	struct h2_connection *connection = connection_of_flush(deferred);
	connection->flushing = false;
	if (!connection->failed && !connection->writer)
		start_writer(connection);
	h2_connection_settle(connection);
}

void h2_output_soon(struct h2_connection *connection)
{
	if (connection->flushing || connection->writer || connection->failed)
		return;
	if (connection->output.count == 0 && connection->held.length == 0 &&
	    !nghttp2_session_want_write(connection->session))
		return;
	connection->flushing = true;
	loop_defer(&connection->flush, flush_now);
}

void h2_output_collect(struct h2_connection *connection)
{
	// What the writer is about to write must stay as it is.
	if (!connection->writer && !connection->failed)
		fill(connection);
	h2_output_soon(connection);
}
