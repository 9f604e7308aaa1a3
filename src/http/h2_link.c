// One HTTP/2 connection to a server: reading from the loop, writing by a fiber, and its end.
#include "http/h2_link.h"

#include "base/block.h"
#include "base/check.h"
#include "fiber/fiber.h"
#include "http/h2_client_stream.h"
#include "http/h2_memory.h"

#include <errno.h>
#include <stdlib.h>

enum {
	// A server that sends fast lets others have their turn after so many blocks.
	READS_A_VISIT = 2,
	// From this size on a frame is written from where it is; smaller ones are collected.
	LARGE_FRAME = 4 * 1024,
};

// --- Reading

// What the session does not want to be fed any more ends the link, once it has said why.
static void feed(struct h2_link *link, const char *bytes, size_t length)
{
	link->heard_ns = loop_now();
	link->pinged_ns = 0;
	ssize_t used = nghttp2_session_mem_recv(link->session, (const uint8_t *)bytes, length);
	if (h2_memory_was_short() || used == NGHTTP2_ERR_NOMEM || used == NGHTTP2_ERR_CALLBACK_FAILURE) {
		link->is_unusable = true;
		h2_link_break(link, FAULT_OUT_OF_MEMORY, NULL, 0);
	} else if (used < 0) {
		link->is_unusable = true;
		h2_link_break(link, FAULT_RESPONSE_BAD, nghttp2_strerror((int)used), 0);
	} else if (link->is_flooded) {
		(void)nghttp2_session_terminate_session(link->session, NGHTTP2_ENHANCE_YOUR_CALM);
		h2_link_break(link, FAULT_RESPONSE_BAD, "the server sends too many frames that serve nobody", 0);
	}
}

// Reads and feeds what is there: -EAGAIN when it is quiet again, more than 0 when there may
// be more, 0 at the end, or another -errno.
static ssize_t read_some(struct h2_link *link)
{
	char *block = block_take();
	if (!block)
		return -ENOMEM;
	ssize_t got = 1;
	for (unsigned reads = 0; got > 0 && reads < READS_A_VISIT && !link->is_broken; reads++) {
		got = stream_try_read(link->stream, block, BLOCK_SIZE);
		if (got > 0)
			feed(link, block, (size_t)got);
	}
	block_give(block);
	return got;
}

static void link_readable(struct stream *stream, void *argument)
{
	struct h2_link *link = argument;
	ssize_t got = read_some(link);
	if (got == 0)
		h2_link_break(link, FAULT_SERVER_CLOSED, "the server closed the connection", 0);
	else if (got == -ENOMEM)
		h2_link_break(link, FAULT_OUT_OF_MEMORY, NULL, 0);
	else if (got < 0 && got != -EAGAIN)
		h2_link_break(link, FAULT_SERVER_CLOSED, "the connection was lost", (int)-got);
	if (!link->is_broken) {
		stream_park(stream, link_readable, link);
		h2_link_write_soon(link);
	}
	h2_link_settle(link);
}

// --- Writing

static void free_link(struct deferred *deferred)
{
	struct h2_link *link = LIST_ENTRY((void *)deferred, struct h2_link, deferred);
	nghttp2_session_del(link->session);
	free(link);
}

static void free_when_over(struct h2_link *link)
{
	if (link->is_closed && link->exchanges == 0 && !link->writer)
		loop_defer(&link->deferred, free_link);
}

// The next frame, or what is left of the last one; empty when there is none.
static struct slice next_frame(struct h2_link *link)
{
	if (link->left.length == 0) {
		const uint8_t *frame = NULL;
		ssize_t size = nghttp2_session_mem_send(link->session, &frame);
		link->left = slice_from(frame, size > 0 ? (size_t)size : 0);
		if (size < 0 || h2_memory_was_short()) {
			link->is_unusable = true;
			h2_link_break(link, FAULT_OUT_OF_MEMORY, NULL, 0);
		}
	}
	return link->left;
}

// Collects frames for one write: small ones in the block, and a large one behind it from
// where it is. The number of parts.
static int collect(struct h2_link *link, char *block, struct iovec parts[2])
{
	size_t length = 0;
	int count = 0;
	struct slice frame;
	while (length < BLOCK_SIZE && (frame = next_frame(link)).length > 0 && frame.length < LARGE_FRAME) {
		struct slice part = slice_first(frame, BLOCK_SIZE - length);
		memcpy(block + length, part.data, part.length);
		length += part.length;
		link->left = slice_after(frame, part.length);
	}
	if (length > 0)
		parts[count++] = (struct iovec){block, length};
	if (link->left.length >= LARGE_FRAME) {
		parts[count++] = (struct iovec){(void *)link->left.data, link->left.length};
		link->left = SLICE_EMPTY;
	}
	return count;
}

static void write_all(struct h2_link *link, char *block)
{
	struct iovec parts[2];
	int count;
	int64_t idle_ns = link->settings.ping_after_ns + link->settings.ping_timeout_ns;
	while (!link->is_broken && (count = collect(link, block, parts)) > 0) {
		int error = stream_write_all(link->stream, parts, count, false, "send to server", idle_ns);
		link->is_unusable |= error != 0;
		if (error)
			h2_link_break(link, error == -ETIMEDOUT ? FAULT_SEND_TIMEOUT : FAULT_SEND_FAILED, NULL, -error);
		else if (link->is_terminated)
			h2_link_break(link, FAULT_RESPONSE_BAD, link->detail, 0);
	}
}

static void writer_run(void *argument)
{
	struct h2_link *link = argument;
	char *block = link->is_broken ? NULL : block_take();
	if (block)
		write_all(link, block);
	else
		h2_link_break(link, FAULT_OUT_OF_MEMORY, NULL, 0);
	block_give(block);
	link->writer = NULL;
	free_when_over(link);
	h2_link_settle(link);
}

void h2_link_write_soon(struct h2_link *link)
{
	if (link->writer || link->is_broken || !nghttp2_session_want_write(link->session))
		return;
	link->writer = fiber_spawn("HTTP/2 to server", writer_run, link);
	if (!link->writer)
		h2_link_break(link, FAULT_OUT_OF_MEMORY, "no fiber to write with", 0);
}

// --- Whether the server is there

// RFC 9113 section 6.5.3: the time for the server to acknowledge the settings.
static int64_t introduction_due(const struct h2_link *link)
{
	return link->opened_ns + link->settings.ping_after_ns + link->settings.ping_timeout_ns;
}

static int64_t ping_due(const struct h2_link *link)
{
	return link->pinged_ns ? link->pinged_ns + link->settings.ping_timeout_ns
			       : link->heard_ns + link->settings.ping_after_ns;
}

static void watch_on(struct h2_link *link)
{
	int64_t due = ping_due(link), introduction = introduction_due(link);
	if (!link->is_broken)
		timer_start(&link->watch, link->is_acknowledged || due < introduction ? due : introduction);
}

static void ask(struct h2_link *link)
{
	link->pinged_ns = loop_now();
	(void)nghttp2_submit_ping(link->session, NGHTTP2_FLAG_NONE, NULL);
	h2_link_write_soon(link);
}

static void watch_fired(struct timer *timer)
{
	struct h2_link *link = LIST_ENTRY((void *)timer, struct h2_link, watch);
	int64_t now = loop_now();
	if (link->exchanges == 0 && !link->writer)
		return;
	if (!link->is_acknowledged && now >= introduction_due(link)) {
		(void)nghttp2_session_terminate_session(link->session, NGHTTP2_SETTINGS_TIMEOUT);
		h2_link_break(link, FAULT_SERVER_CLOSED, "the server did not acknowledge the settings", ETIMEDOUT);
	} else if (now >= ping_due(link) && link->pinged_ns) {
		h2_link_break(link, FAULT_SERVER_CLOSED, "the server did not answer a PING", ETIMEDOUT);
	} else if (now >= ping_due(link)) {
		ask(link);
	}
	watch_on(link);
	h2_link_settle(link);
}

void h2_link_watch(struct h2_link *link)
{
	if (link->settings.ping_after_ns <= 0 || link->is_broken || timer_is_running(&link->watch))
		return;
	// What did not come while nobody waited for it says nothing.
	link->heard_ns = loop_now();
	watch_on(link);
}

int h2_link_meet(struct h2_link *link, int64_t deadline_ns)
{
	int error = 0;
	while (!error && !link->has_settings && !link->is_broken)
		error = wait_queue_wait(&link->introduced, "wait for the server's settings", deadline_ns);
	return error ? error : link->is_broken ? -ECONNRESET : 0;
}

// --- Its life

struct h2_link *h2_link_new(struct stream *stream, const struct h2_link_settings *settings,
			    void (*changed)(struct h2_link *link, void *argument), void *argument)
{
	struct h2_link *link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->stream = stream;
	link->settings = *settings;
	link->changed = changed;
	link->argument = argument;
	link->opened_ns = link->heard_ns = link->controls_since_ns = loop_now();
	list_init(&link->streams);
	list_init(&link->poked);
	wait_queue_init(&link->introduced);
	timer_init(&link->watch, watch_fired);
	if (!h2_link_session_new(link)) {
		free(link);
		return NULL;
	}
	stream_park(stream, link_readable, link);
	h2_link_write_soon(link);
	if (!link->is_broken)
		return link;
	nghttp2_session_del(link->session); // no fiber to write with
	free(link);
	return NULL;
}

bool h2_link_is_over(const struct h2_link *link)
{
	return link->is_broken || !nghttp2_session_check_request_allowed(link->session);
}

bool h2_link_can_open(const struct h2_link *link)
{
	if (h2_link_is_over(link) || link->exchanges >= link->settings.streams)
		return false;
	return link->exchanges <
	       nghttp2_session_get_remote_settings(link->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

uint32_t h2_link_streams(const struct h2_link *link)
{
	return link->exchanges;
}

bool h2_link_takes_upgrades(const struct h2_link *link)
{
	return link->has_settings &&
	       nghttp2_session_get_remote_settings(link->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void h2_link_hold(struct h2_link *link)
{
	link->exchanges++;
}

void h2_link_release(struct h2_link *link)
{
	check(link->exchanges > 0);
	link->exchanges--;
	link->has_news = true;
	free_when_over(link);
	h2_link_settle(link);
}

void h2_link_break(struct h2_link *link, enum fault_kind kind, const char *detail, int system_error)
{
	if (link->is_broken)
		return;
	link->is_broken = link->has_news = true;
	timer_stop(&link->watch);
	stream_unpark(link->stream);
	for (struct list_link *at = link->streams.next; at != &link->streams; at = at->next)
		client_stream_break(LIST_ENTRY(at, struct h2_client_stream, place), kind, detail, system_error);
	wait_queue_wake_all(&link->introduced);
}

void h2_link_settle(struct h2_link *link)
{
	client_stream_call_poked(link);
	if (!link->has_news || link->is_closed)
		return;
	link->has_news = false;
	link->changed(link, link->argument);
}

// GOAWAY with the reason where there is one, as far as it can be said without waiting.
static void say_goodbye(struct h2_link *link)
{
	char *block = block_take();
	if (!block)
		return;
	struct iovec parts[2];
	(void)nghttp2_session_terminate_session(link->session, NGHTTP2_NO_ERROR);
	if (collect(link, block, parts) > 0 && parts[0].iov_base == block)
		stream_say_last(link->stream, slice_from(block, parts[0].iov_len));
	block_give(block);
}

void h2_link_close(struct h2_link *link)
{
	check(!link->is_closed);
	link->is_closed = true;
	h2_link_break(link, FAULT_SERVER_CLOSED, "the connection was closed", 0);
	// A frame of which only a part was written cannot be followed by another.
	if (!link->writer && link->left.length == 0 && !link->is_unusable)
		say_goodbye(link);
	stream_close(link->stream);
	free_when_over(link);
	client_stream_call_poked(link);
}
