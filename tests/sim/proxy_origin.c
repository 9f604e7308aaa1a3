// Origins: some of what they do is right, and much is not. What they did is noted in the ask.
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "kernel_sim.h"
#include "proxy_sim.h"
#include "sim_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HUGE_HEAD = 100 * 1024, BACKLOG = 16 };

static struct io listeners[PROXY_ORIGINS];
static bool stopping;

// What an origin does with a request.
enum manner {
	HONEST,
	CLOSES,	 // instead of an answer
	RESETS,	 // instead of an answer
	STALLS,	 // longer than anyone waits
	GARBLES, // what it sends is no answer
	HUGE,	 // a header section without end
	CUTS_HEAD,
	CUTS_BODY,
	BAD_CHUNK,
	SURPLUS, // sends more than it said
	BABBLES, // interim answers without end
	MANNERS,
};

static const char *const manner_words[MANNERS] = {"honest",    "closes",    "resets",	 "stalls",  "garbles", "huge",
						  "cuts head", "cuts body", "bad chunk", "surplus", "babbles"};

struct visit {
	struct wire *wire;
	struct ask *ask;
	struct answer *answer;
	unsigned arrival; // from 0
	enum manner manner;
	enum body_framing framing; // of the answer
	bool early;		   // the answer goes out before the request's body was read
	bool is_old;		   // speaks HTTP/1.0
	bool persists;
	bool body_was_read;
};

// --- The request

// Finds out whose request this is, and whether it may be here.
static void arrive(struct visit *visit)
{
	const char *at = strstr(visit->wire->head, " /t/");
	check(at != NULL);
	uint64_t token = strtoull(at + 4, NULL, 10);
	check(token < world.ask_count);
	struct ask *ask = visit->ask = &world.asks[token];
	visit->arrival = ask->arrivals++;
	say("%u arrives for the %u. time", (unsigned)token, ask->arrivals);
	ask_check(ask, !ask->bad || ask->is_bad_in_body);
	ask_check(ask, !ask->must_not_arrive);
	unsigned sent_on = world.passes == PASSES_ONCE ? 1 : 4; // by the first pass
	ask_check(ask, ask->arrivals <= (ask_is_repeatable(ask) ? 2 * world.tries * sent_on : 1));
	ask_check(ask, ask->arrivals < PROXY_ARRIVALS_MAX);
	ask_check(ask, method_of(slice_from(visit->wire->head, strcspn(visit->wire->head, " "))) == ask->method);
	ask_check(ask, slice_equal(wire_field(visit->wire, "Host"), SLICE("sim.test")));
	visit->answer = &ask->answers[visit->arrival];
	counts.retried += ask->arrivals > 1;
}

// Reads the request's body and compares it; -errno when it does not come to its end.
static int read_request_body(struct visit *visit)
{
	enum body_framing framing;
	uint64_t length, got = 0;
	struct ask *ask = visit->ask;
	if (!wire_framing(visit->wire, &framing, &length))
		framing = BODY_NONE;
	if (framing == BODY_LENGTH)
		ask_check(ask, length == ask->size);
	int failed = wire_read_body(visit->wire, framing, length, ask_token(ask), 0, UINT64_MAX, &got);
	if (failed)
		return failed;
	ask_check(ask, got == ask->size);
	ask_check(ask, ask->body_is_sent && !ask->is_bad_in_body);
	visit->body_was_read = true;
	counts.bodies_received += got > 0;
	return 0;
}

// --- What will be answered

static enum manner choose_manner(void)
{
	if (!one_in(3))
		return HONEST;
	enum manner manner = (enum manner)draw(MANNERS);
	return manner == SURPLUS && !world.origins_surplus ? HONEST : manner;
}

static void choose_answer(struct visit *visit)
{
	static const unsigned statuses[] = {200, 200, 200, 200, 201, 404, 503, 204, 304, 302};
	struct answer *answer = visit->answer;
	struct ask *ask = visit->ask;
	visit->manner = choose_manner();
	visit->is_old = one_in(6);
	visit->framing = one_in(3) ? BODY_UNTIL_CLOSE : one_in(2) && !visit->is_old ? BODY_CHUNKED : BODY_LENGTH;
	visit->persists = visit->framing != BODY_UNTIL_CLOSE && !one_in(6);
	visit->early = ask->size > 0 && one_in(6);
	answer->status = statuses[draw(sizeof statuses / sizeof statuses[0])];
	answer->has_body = !response_has_no_content(ask->method, answer->status);
	answer->size = one_in(5) ? 0 : draw(one_in(3) ? world.bytes_max : world.bytes_max / 20 + 1);
	if (visit->framing == BODY_UNTIL_CLOSE && !answer->has_body)
		visit->framing = BODY_LENGTH;
	bool needs_body = visit->manner == CUTS_BODY || visit->manner == BAD_CHUNK || visit->manner == SURPLUS;
	if (needs_body && (!answer->has_body || answer->size == 0))
		visit->manner = HONEST;
	if (visit->manner == BAD_CHUNK && visit->framing != BODY_CHUNKED)
		visit->manner = HONEST;
	if (visit->manner == SURPLUS && visit->framing == BODY_UNTIL_CLOSE)
		visit->manner = HONEST;
	answer->is_honest = visit->manner == HONEST || visit->manner == SURPLUS;
	if (visit->manner != HONEST)
		ask_excuse(ask, manner_words[visit->manner]);
	if (visit->early)
		ask_excuse(ask, "answered early");
	// Over HTTP/2 a 2xx to a WebSocket's request says that it is one.
	if (ask->upgrades && (world.passes == PASSES_BY_H2C || world.passes == PASSES_BY_H2))
		ask_excuse(ask, "not a WebSocket");
	say("%u gets %s, status %u, %lu bytes, framing %d%s%s%s", (unsigned)ask_token(ask), manner_words[visit->manner],
	    answer->status, (unsigned long)answer->size, visit->framing, visit->early ? ", early" : "",
	    visit->is_old ? ", 1.0" : "", visit->persists ? ", persists" : "");
}

// --- Sending it

static int send_interims(struct visit *visit)
{
	struct wire *wire = visit->wire;
	bool awaited = wire_field(wire, "Expect").data != NULL;
	bool says_continue = !visit->is_old && ((awaited && !visit->early && !one_in(4)) || one_in(20));
	uint64_t left = visit->is_old || !one_in(5) ? 0 : 1 + draw(3);
	int failed = 0;
	// With buffers that hold less than what is sent first, both may wait for the other to read.
	if (visit->ask->framing != BODY_NONE && !awaited && left + says_continue > 0)
		ask_excuse(visit->ask, "spoken to before its body was read");
	if (visit->manner == BABBLES) {
		for (int i = 0; i < 200 && !failed; i++)
			failed = wire_print(wire, "HTTP/1.1 102 Processing\r\n\r\n");
		return failed ? failed : -EPROTO;
	}
	if (says_continue)
		failed = wire_print(wire, "HTTP/1.1 100 Continue\r\n\r\n");
	for (; left > 0 && !failed; left--) {
		visit->answer->interims++;
		failed = wire_print(wire, "HTTP/1.1 103 Early Hints\r\nLink: </%u>\r\n\r\n",
				    (unsigned)ask_token(visit->ask));
	}
	return failed;
}

static int send_head(struct visit *visit)
{
	struct answer *answer = visit->answer;
	char framing[64] = "";
	if (visit->framing == BODY_CHUNKED && answer->has_body)
		snprintf(framing, sizeof framing, "Transfer-Encoding: chunked\r\n");
	else if (visit->framing == BODY_LENGTH && (answer->has_body || answer->status != 204))
		snprintf(framing, sizeof framing, "Content-Length: %lu\r\n", (unsigned long)answer->size);
	const char *connection = visit->persists && visit->is_old   ? "Connection: keep-alive\r\n"
				 : visit->persists || visit->is_old ? ""
								    : "Connection: close\r\n";
	return wire_print(visit->wire, "HTTP/1.%d %u Some Reason\r\nX-Token: %u\r\nX-Arrival: %u\r\n%s%s%s",
			  !visit->is_old, answer->status, (unsigned)ask_token(visit->ask), visit->arrival, framing,
			  connection, visit->manner == CUTS_HEAD ? "X-Cut" : "\r\n");
}

static int send_bad_chunk(struct visit *visit, uint64_t sent)
{
	static const char *const chunks[] = {"xyz\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "\r\n", "0x5\r\nabcde\r\n"};
	struct wire *wire = visit->wire;
	if (!one_in(4))
		return wire_print(wire, "%s", chunks[draw(sizeof chunks / sizeof chunks[0])]);
	// Longer than it says.
	int failed = wire_print(wire, "3\r\n");
	if (!failed)
		failed = wire_write_body(wire, BODY_UNTIL_CLOSE, ask_token(visit->ask), visit->arrival + 1, sent + 3,
					 &sent);
	return failed ? failed : wire_print(wire, "zz\r\n");
}

static int send_body(struct visit *visit)
{
	struct answer *answer = visit->answer;
	struct wire *wire = visit->wire;
	uint64_t sent = 0, to = answer->size;
	if (!answer->has_body)
		return 0;
	if (visit->manner == CUTS_BODY || visit->manner == BAD_CHUNK)
		to = draw(answer->size);
	int failed = wire_write_body(wire, visit->framing, ask_token(visit->ask), visit->arrival + 1, to, &sent);
	if (!failed && visit->manner == BAD_CHUNK)
		failed = send_bad_chunk(visit, sent);
	if (!failed && visit->framing == BODY_CHUNKED && answer->is_honest)
		failed = wire_print(wire, one_in(4) ? "0\r\nX-Trailer: 1\r\n\r\n" : "0\r\n\r\n");
	if (!failed && visit->manner == SURPLUS)
		failed = wire_print(wire, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	return failed;
}

static int send_huge_head(struct visit *visit)
{
	int failed = wire_print(visit->wire, "HTTP/1.1 200 OK\r\n");
	for (size_t sent = 0; sent < HUGE_HEAD && !failed; sent += 1000)
		failed = wire_print(visit->wire, "X-Huge: %0980d\r\n", 1);
	return failed;
}

// An error where the connection is not to be used any more.
static int send_answer(struct visit *visit)
{
	int failed = 0;
	switch (visit->manner) {
	case CLOSES:
	case RESETS:
		return -EPROTO;
	case STALLS:
		(void)fiber_sleep("stall", loop_now() + 3000 * SECOND_NS);
		return -EPROTO;
	case GARBLES:
		(void)wire_print(visit->wire,
				 one_in(2) ? "HELO there\r\n\r\n" : "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\nx");
		return -EPROTO;
	case HUGE:
		(void)send_huge_head(visit);
		return -EPROTO;
	case HONEST:
	case CUTS_HEAD:
	case CUTS_BODY:
	case BAD_CHUNK:
	case SURPLUS:
	case BABBLES:
	case MANNERS:
		break;
	}
	pause_sometimes();
	failed = send_head(visit);
	if (!failed && visit->manner != CUTS_HEAD)
		failed = send_body(visit);
	return failed || visit->manner != HONEST ? -EPROTO : 0;
}

// --- A tunnel

struct tunnel_sending {
	struct wire *wire;
	uint64_t token, size, sent;
};

static void send_through_tunnel(void *argument)
{
	struct tunnel_sending *sending = argument;
	if (wire_write_body(sending->wire, BODY_UNTIL_CLOSE, sending->token, 30, sending->size, &sending->sent) == 0 &&
	    sending->wire->tcp.io.descriptor >= 0)
		(void)stream_shutdown(&sending->wire->tcp.stream);
}

static void be_tunnel(struct visit *visit)
{
	struct ask *ask = visit->ask;
	visit->answer->status = 101;
	visit->answer->has_body = true;
	visit->answer->is_honest = true;
	visit->answer->size = draw(world.bytes_max);
	if (wire_print(visit->wire,
		       "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\nX-Token: %u\r\n"
		       "X-Arrival: %u\r\n\r\n",
		       world.passes == PASSES_ONCE ? "sim" : "websocket", (unsigned)ask_token(ask), visit->arrival))
		return;
	struct tunnel_sending sending = {.wire = visit->wire, .token = ask_token(ask), .size = visit->answer->size};
	struct fiber *sender = spawn_surely("tunnel of origin", send_through_tunnel, &sending);
	uint64_t got = 0;
	visit->wire->patience_ns *= 10; // the client reads only when it has sent everything
	int failed = wire_read_body(visit->wire, BODY_UNTIL_CLOSE, 0, ask_token(ask), 31, UINT64_MAX, &got);
	if (failed)
		wire_close(visit->wire, true);
	fiber_join(sender);
	say("%u: the tunnel ends after %lu of %lu bytes, and sent %lu of %lu: %s", (unsigned)ask_token(ask),
	    (unsigned long)got, (unsigned long)ask->tunnel_size, (unsigned long)sending.sent,
	    (unsigned long)sending.size, strerror(-failed));
	if (!ask_is_excused(ask))
		ask_check(ask, !failed && got == ask->tunnel_size);
}

// --- Connections

// Answers one request; false when the connection is at its end.
static bool serve_one(struct visit *visit)
{
	int failed = wire_read_head(visit->wire);
	if (failed)
		return false;
	arrive(visit);
	if (visit->ask->upgrades && !one_in(3)) {
		be_tunnel(visit);
		return false;
	}
	choose_answer(visit);
	bool hasty = visit->manner != HONEST && one_in(3); // does it before the body was read
	failed = visit->manner == CLOSES && hasty ? -EPROTO : send_interims(visit);
	if (!failed && !visit->early && !hasty)
		failed = read_request_body(visit);
	if (!failed)
		failed = send_answer(visit);
	if (failed && visit->framing == BODY_UNTIL_CLOSE)
		visit->answer->is_honest = false;
	if (!failed && visit->early)
		failed = read_request_body(visit);
	// An end that comes too early must not look like one of a body that ends with it.
	if (failed && (visit->manner == RESETS || visit->framing == BODY_UNTIL_CLOSE || one_in(4)))
		wire_close(visit->wire, true);
	return !failed && visit->persists;
}

static void serve(void *argument)
{
	struct wire *wire = argument;
	bool goes_on = true;
	while (goes_on && wire->tcp.io.descriptor >= 0) {
		struct visit visit = {.wire = wire};
		goes_on = serve_one(&visit);
		if (!goes_on || !world.origins_close || !one_in(3))
			continue;
		if (one_in(2))
			(void)fiber_sleep("idle", loop_now() + (int64_t)draw((uint64_t)world.pause_ns + 1));
		goes_on = false;
	}
	wire_free(wire);
	world.origins_running--;
}

static void accept_one(int descriptor)
{
	struct wire *wire = wire_new();
	if (tcp_open(&wire->tcp, descriptor) < 0) {
		wire_free(wire);
		return;
	}
	world.origins_running++;
	if (fiber_spawn("origin", serve, wire) == NULL) {
		wire_close(wire, true);
		wire_free(wire);
		world.origins_running--;
	}
}

static void be_origin(void *argument)
{
	struct io *io = argument;
	while (io_wait_readable(io, "accept", FIBER_NEVER) == 0 && !stopping) {
		struct sockaddr_storage peer;
		socklen_t length;
		int descriptor = world.kernel->accept(world.kernel, io->descriptor, &peer, &length);
		if (descriptor >= 0)
			accept_one(descriptor);
		else if (descriptor == -EAGAIN)
			io_used_up_reading(io);
		else if (descriptor != -EINTR && descriptor != -ECONNABORTED)
			(void)fiber_sleep("accept again", loop_now() + MILLISECOND_NS);
	}
	world.origins_running--;
}

void origins_start(void)
{
	stopping = false;
	for (unsigned i = 0; i < PROXY_ORIGINS; i++) {
		struct address address;
		check(address_parse_ip(SLICE("127.0.0.1"), (uint16_t)(PROXY_ORIGIN_PORT + i), &address));
		int descriptor = kernel_sim_listen(world.kernel, &address.any, address.length, BACKLOG);
		check(descriptor >= 0 && io_open(&listeners[i], descriptor) == 0);
		world.origins_running++;
		check(fiber_spawn("origin's listener", be_origin, &listeners[i]) != NULL);
	}
}

void origins_stop(void)
{
	stopping = true;
	for (unsigned i = 0; i < PROXY_ORIGINS; i++)
		io_close(&listeners[i]);
}
