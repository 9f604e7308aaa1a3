// Clients: they ask, in every way that clients do, and compare what comes back with what an
// origin says that it sent.
#include "base/check.h"
#include "fiber/fiber.h"
#include "proxy_sim.h"
#include "sim_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 8, CONNECTIONS_MAX = 3, TALK_MAX = 5 };

// How a client leaves in the middle.
enum leaving { STAYS, LEAVES_SENDING, LEAVES_READING, STALLS_SENDING, STALLS_READING };

struct talk {
	struct wire *wire;
	struct ask *asks[TALK_MAX];
	unsigned count, sending, reading; // of asks; those that it is at
	bool pipelines, half_closes;
	bool is_over; // the receiver has read the last answer that comes
	bool closes;  // an answer closed the connection
	enum leaving leaving;
	unsigned leaves_at; // the ask
	bool goes_ahead;    // the body that waits for 100 may go out
	struct fiber *sender;
};

// --- What is asked

struct bad_request {
	const char *why, *text; // %u is the token
	bool in_body;
};

static const struct bad_request bad_requests[] = {
	{"two lengths", "GET /t/%u HTTP/1.1\r\nHost: sim.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"},
	{"length and coding",
	 "POST /t/%u HTTP/1.1\r\nHost: sim.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"bare LF", "GET /t/%u HTTP/1.1\nHost: sim.test\n\n"},
	{"blank before colon", "GET /t/%u HTTP/1.1\r\nHost : sim.test\r\n\r\n"},
	{"no host", "GET /t/%u HTTP/1.1\r\nX: y\r\n\r\n"},
	{"two hosts", "GET /t/%u HTTP/1.1\r\nHost: sim.test\r\nHost: b\r\n\r\n"},
	{"folded", "GET /t/%u HTTP/1.1\r\nHost: sim.test\r\nX: y\r\n z\r\n\r\n"},
	{"length", "POST /t/%u HTTP/1.1\r\nHost: sim.test\r\nContent-Length: +5\r\n\r\nhello"},
	{"coding", "POST /t/%u HTTP/1.1\r\nHost: sim.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
	{"coding of 1.0", "POST /t/%u HTTP/1.0\r\nHost: sim.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"version", "GET /t/%u HTTP/3.1\r\nHost: sim.test\r\n\r\n"},
	{"line", "GET /t/%u\r\nHost: sim.test\r\n\r\n"},
	{"NUL", "GET /t/%u HTTP/1.1\r\nHost: sim.test\r\nX: \x01\r\n\r\n"},
	{"trace", "TRACE /t/%u HTTP/1.1\r\nHost: sim.test\r\n\r\n"},
	{"expectation", "POST /t/%u HTTP/1.1\r\nHost: sim.test\r\nExpect: tea\r\nContent-Length: 2\r\n\r\nxy"},
	{"chunk",
	 "POST /t/%u HTTP/1.1\r\nHost: sim.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n", true},
	{"chunk size",
	 "POST /t/%u HTTP/1.1\r\nHost: sim.test\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n", true},
	{"chunk's LF",
	 "POST /t/%u HTTP/1.1\r\nHost: sim.test\r\nTransfer-Encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n", true},
};

static void choose_body(struct ask *ask)
{
	ask->framing = ask->version_minor == 0 || one_in(2) ? BODY_LENGTH : BODY_CHUNKED;
	ask->size = one_in(6) ? 0 : draw(one_in(3) ? world.bytes_max : world.bytes_max / 20 + 1);
	ask->expects_continue = ask->version_minor == 1 && ask->size > 0 && one_in(4);
	ask->has_trailers = ask->framing == BODY_CHUNKED && one_in(4);
}

static void choose_bad(struct ask *ask)
{
	const struct bad_request *bad = &bad_requests[draw(sizeof bad_requests / sizeof bad_requests[0])];
	ask->method = METHOD_POST;
	ask->version_minor = 1;
	ask->is_bad_in_body = bad->in_body;
	ask->bad = bad->text;
	ask_excuse(ask, bad->why);
}

static struct ask *ask_new(void)
{
	static const enum method methods[] = {METHOD_GET, METHOD_GET,  METHOD_HEAD, METHOD_DELETE,
					      METHOD_PUT, METHOD_POST, METHOD_POST, METHOD_PATCH};
	check(world.ask_count < PROXY_ASKS_MAX);
	struct ask *ask = &world.asks[world.ask_count++];
	*ask = (struct ask){.version_minor = 1, .keeps_alive = !one_in(8), .framing = BODY_NONE};
	ask->method = methods[draw(sizeof methods / sizeof methods[0])];
	if (one_in(8)) {
		ask->version_minor = 0;
		ask->keeps_alive = one_in(2);
	}
	if (ask->method == METHOD_PUT || ask->method == METHOD_POST || ask->method == METHOD_PATCH || one_in(10))
		choose_body(ask);
	if (one_in(16))
		choose_bad(ask);
	return ask;
}

static const char *method_text(enum method method)
{
	static const char *const texts[] = {"OTHER",  "GET",	 "HEAD",  "POST",  "PUT",
					    "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"};
	return texts[method];
}

static void plan(struct talk *talk)
{
	talk->count = 1 + (unsigned)draw(TALK_MAX);
	for (unsigned i = 0; i < talk->count; i++) {
		struct ask *ask = talk->asks[i] = ask_new();
		bool last = i + 1 == talk->count;
		if (last && !ask->bad && ask->framing == BODY_NONE && ask->version_minor == 1 && one_in(5)) {
			ask->upgrades = true;
			ask->method = METHOD_GET;
			ask->tunnel_size = draw(world.bytes_max);
		}
		if (!last && !one_in(4)) // most go on
			ask->keeps_alive = true;
	}
	talk->pipelines = one_in(3);
	talk->half_closes = one_in(6);
	talk->leaving = one_in(4) ? STAYS + 1 + (enum leaving)draw(4) : STAYS;
	talk->leaves_at = (unsigned)draw(talk->count);
}

// --- Sending

static void leave(struct talk *talk, struct ask *ask)
{
	say("%u: the client leaves", (unsigned)ask_token(ask));
	for (unsigned i = 0; i < talk->count; i++)
		ask_excuse(talk->asks[i], "the client left");
	ask->client_is_bad = true;
	counts.given_up++;
}

static int send_head(struct talk *talk, struct ask *ask)
{
	char framing[64] = "";
	if (ask->framing == BODY_LENGTH)
		snprintf(framing, sizeof framing, "Content-Length: %lu\r\n", (unsigned long)ask->size);
	else if (ask->framing == BODY_CHUNKED)
		snprintf(framing, sizeof framing, "Transfer-Encoding: chunked\r\n");
	const char *upgrade = world.passes == PASSES_ONCE
				      ? "Connection: Upgrade\r\nUpgrade: sim\r\n"
				      : "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
					"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
	const char *connection = ask->upgrades				       ? upgrade
				 : ask->keeps_alive && ask->version_minor == 0 ? "Connection: keep-alive\r\n"
				 : ask->keeps_alive || ask->version_minor == 0 ? ""
									       : "Connection: close\r\n";
	return wire_print(talk->wire, "%s /t/%u HTTP/1.%u\r\nHost: sim.test\r\n%s%s%s\r\n", method_text(ask->method),
			  (unsigned)ask_token(ask), ask->version_minor, framing, connection,
			  ask->expects_continue ? "Expect: 100-continue\r\n" : "");
}

static int send_rest(struct talk *talk, struct ask *ask)
{
	uint64_t sent = 0, most = ask->size > 0 ? ask->size - 1 : 0;
	bool leaves = (talk->leaving == LEAVES_SENDING || talk->leaving == STALLS_SENDING) &&
		      talk->asks[talk->leaves_at] == ask;
	uint64_t to = leaves ? draw(most + 1) : most;
	int failed = wire_write_body(talk->wire, ask->framing, ask_token(ask), 0, to, &sent);
	if (failed)
		return failed;
	if (leaves) {
		leave(talk, ask);
		if (talk->leaving == STALLS_SENDING)
			(void)fiber_sleep("client stalls", loop_now() + 2000 * SECOND_NS);
		wire_close(talk->wire, one_in(2));
		return -ECANCELED;
	}
	ask->body_is_sent = true;
	failed = wire_write_body(talk->wire, ask->framing, ask_token(ask), 0, ask->size, &sent);
	if (!failed && ask->framing == BODY_CHUNKED)
		failed = wire_print(talk->wire, ask->has_trailers ? "0\r\nX-Trail: t\r\n\r\n" : "0\r\n\r\n");
	return failed;
}

// Waits until the receiver says so, or for as long as a client waits for 100 (Continue).
static int await_go_ahead(struct talk *talk)
{
	int64_t deadline_ns = loop_now() + (int64_t)(1 + draw(20)) * SECOND_NS;
	while (!talk->goes_ahead && loop_now() < deadline_ns)
		if (fiber_wait("100", deadline_ns) == -ECANCELED)
			return -ECANCELED;
	return 0;
}

static int send_ask(struct talk *talk, struct ask *ask)
{
	if (ask->bad) {
		talk->is_over = true; // nothing that follows is a request any more
		return wire_print(talk->wire, ask->bad, (unsigned)ask_token(ask));
	}
	talk->goes_ahead = !ask->expects_continue;
	ask->body_is_sent = ask->framing == BODY_NONE || (ask->framing == BODY_LENGTH && ask->size == 0);
	int failed = send_head(talk, ask);
	if (!failed)
		failed = await_go_ahead(talk);
	return failed || ask->framing == BODY_NONE ? failed : send_rest(talk, ask);
}

static void send_all(void *argument)
{
	struct talk *talk = argument;
	for (; talk->sending < talk->count; talk->sending++) {
		while (!talk->pipelines && talk->reading < talk->sending)
			if (fiber_wait("answer before", FIBER_NEVER) == -ECANCELED)
				return;
		int failed = send_ask(talk, talk->asks[talk->sending]);
		if (failed == -ETIMEDOUT)
			leave(talk, talk->asks[talk->sending]);
		if (failed)
			return;
		if (talk->asks[talk->sending]->bad)
			break;
	}
	if (talk->half_closes && talk->wire->tcp.io.descriptor >= 0 && !talk->asks[talk->count - 1]->upgrades)
		(void)stream_shutdown(&talk->wire->tcp.stream);
}

// --- Receiving

// Reads heads up to the final one; counts 103s.
static int read_final_head(struct talk *talk, struct ask *ask, unsigned *ret_status, unsigned *ret_interims)
{
	*ret_interims = 0;
	for (;;) {
		int failed = wire_read_head(talk->wire);
		if (failed)
			return failed;
		struct slice head = slice_from_string(talk->wire->head);
		ask_check(ask, slice_starts_with(head, SLICE("HTTP/1.1 ")));
		*ret_status = (unsigned)strtoul(talk->wire->head + 9, NULL, 10);
		ask_check(ask, *ret_status >= 100 && *ret_status < 600);
		if (*ret_status >= 200 || *ret_status == 101)
			return 0;
		ask_check(ask, ask->version_minor == 1);
		if (*ret_status == 103) {
			++*ret_interims;
			counts.informed++;
			char link[32];
			snprintf(link, sizeof link, "</%u>", (unsigned)ask_token(ask));
			ask_check(ask, slice_equal(wire_field(talk->wire, "Link"), slice_from_string(link)));
		}
		if (*ret_status == 100) {
			ask_check(ask, ask->expects_continue);
			counts.continued++;
			talk->goes_ahead = true;
			if (talk->sender)
				fiber_wake(talk->sender);
		}
	}
}

// The connection ended, or the answer was cut off: only where something had gone wrong.
static void missed(struct talk *talk, struct ask *ask, const char *what)
{
	say("%u: %s", (unsigned)ask_token(ask), what);
	ask_check(ask, ask_is_excused(ask) || talk->closes || (world.is_draining && ask->arrivals == 0));
	talk->is_over = true;
}

static void read_own_answer(struct talk *talk, struct ask *ask, unsigned status, enum body_framing framing,
			    uint64_t length)
{
	say("%u: usher answers %u", (unsigned)ask_token(ask), status);
	ask_check(ask, status >= 400 && ask_is_excused(ask));
	ask_check(ask, status < 500 || status != 500);
	if (ask->bad || ask->is_bad_in_body) {
		ask_check(ask, ask->is_bad_in_body || status < 500 || status == 501 || status == 505 || world.excuse);
		counts.bad_refused++;
	}
	ask_check(ask, framing == BODY_LENGTH || length == 0);
	uint64_t left = ask->method == METHOD_HEAD ? 0 : length;
	while (left > 0) {
		if (talk->wire->start == talk->wire->end) {
			talk->wire->start = talk->wire->end = 0;
			ssize_t got = talk->wire->tcp.io.descriptor < 0
					      ? -ECANCELED
					      : stream_read(&talk->wire->tcp.stream, talk->wire->buffer,
							    sizeof talk->wire->buffer, "read",
							    loop_now() + talk->wire->patience_ns);
			if (got <= 0) {
				missed(talk, ask, "usher's own answer is cut");
				return;
			}
			talk->wire->end = (size_t)got;
		}
		size_t there = talk->wire->end - talk->wire->start;
		size_t taken = there < left ? there : (size_t)left;
		talk->wire->start += taken;
		left -= taken;
	}
	counts.own_errors++;
}

static struct answer *find_answer(struct talk *talk, struct ask *ask, unsigned status)
{
	uint64_t token = 0, arrival = 0;
	ask_check(ask, slice_to_number(wire_field(talk->wire, "X-Token"), &token) && token == ask_token(ask));
	// What was sent first and lost may arrive after what was sent next.
	ask_check(ask, slice_to_number(wire_field(talk->wire, "X-Arrival"), &arrival) && arrival < ask->arrivals);
	struct answer *answer = &ask->answers[arrival];
	ask_check(ask, answer->status == status);
	return answer;
}

static void talk_through_tunnel(struct talk *talk, struct ask *ask, struct answer *answer)
{
	uint64_t sent = 0, got = 0;
	// Small enough on both sides that it does not matter who writes first, or the buffers take turns:
	// origins have a fiber for each way.
	int failed = wire_write_body(talk->wire, BODY_UNTIL_CLOSE, ask_token(ask), 31, ask->tunnel_size, &sent);
	if (!failed)
		failed = stream_shutdown(&talk->wire->tcp.stream);
	if (!failed)
		failed = wire_read_body(talk->wire, BODY_UNTIL_CLOSE, 0, ask_token(ask), 30, UINT64_MAX, &got);
	if (failed || got != answer->size)
		missed(talk, ask, "the tunnel is cut");
	counts.tunnels += !failed;
	talk->is_over = true;
}

static bool says_close(const struct talk *talk, const struct ask *ask)
{
	struct slice connection = wire_field(talk->wire, "Connection");
	if (slice_equal_nocase(connection, SLICE("close")))
		return true;
	return ask->version_minor == 0 && !slice_equal_nocase(connection, SLICE("keep-alive"));
}

static void read_body(struct talk *talk, struct ask *ask, struct answer *answer, enum body_framing framing,
		      uint64_t length, unsigned interims)
{
	uint64_t got = 0, stop_at = UINT64_MAX;
	bool leaves = (talk->leaving == LEAVES_READING || talk->leaving == STALLS_READING) &&
		      talk->asks[talk->leaves_at] == ask && answer->has_body && answer->size > 0;
	if (leaves)
		stop_at = draw(answer->size);
	if (!answer->has_body)
		framing = BODY_NONE;
	int failed = wire_read_body(talk->wire, framing, length, ask_token(ask), (unsigned)(answer - ask->answers) + 1,
				    stop_at, &got);
	if (leaves && failed == -ECANCELED && got == stop_at) {
		leave(talk, ask);
		if (talk->leaving == STALLS_READING)
			(void)fiber_sleep("client stalls", loop_now() + (int64_t)draw(2000 * SECOND_NS));
		// One that is back finds the rest, or that it was cut off; never an end before the end.
		if (talk->leaving == STALLS_READING && framing != BODY_CHUNKED && one_in(2)) {
			uint64_t left = framing == BODY_LENGTH ? length - got : 0;
			failed = wire_read_body(talk->wire, framing, left, ask_token(ask),
						(unsigned)(answer - ask->answers) + 1, UINT64_MAX, &got);
		} else {
			wire_close(talk->wire, one_in(2));
			talk->is_over = true;
			return;
		}
	}
	if (failed) {
		counts.cut++;
		missed(talk, ask, "the answer is cut");
		return;
	}
	ask_check(ask, answer->is_honest || (answer->has_body == false && got == 0));
	ask_check(ask, got == (answer->has_body ? answer->size : 0));
	// Those for which there is no memory are left out.
	unsigned due = ask->version_minor == 0 ? 0 : answer->interims;
	ask_check(ask, interims == due || (interims < due && world.memory_fails));
	ask->is_answered = true;
	counts.whole++;
	counts.excused += ask->excuse != NULL;
}

// True when another answer may follow.
static bool receive_one(struct talk *talk, struct ask *ask)
{
	unsigned status, interims;
	enum body_framing framing;
	uint64_t length;
	int failed = read_final_head(talk, ask, &status, &interims);
	if (failed) {
		counts.unanswered++;
		missed(talk, ask, failed == 1 ? "the connection ends before the answer" : "there is no answer");
		return false;
	}
	// The sender of a body that waited need not wait any more, nor send it.
	bool was_held = ask->expects_continue && !talk->goes_ahead;
	bool closes = says_close(talk, ask);
	if (!wire_framing(talk->wire, &framing, &length))
		ask_check(ask, closes || status == 204 || status == 304 || status == 101 || ask->method == METHOD_HEAD);
	if (!wire_field(talk->wire, "X-Token").data) {
		read_own_answer(talk, ask, status, framing, length);
	} else {
		struct answer *answer = find_answer(talk, ask, status);
		if (status == 101) {
			ask_check(ask, ask->upgrades);
			talk_through_tunnel(talk, ask, answer);
			return false;
		}
		read_body(talk, ask, answer, framing, length, interims);
	}
	talk->closes = closes;
	if (was_held && !closes) {
		talk->goes_ahead = true;
		if (talk->sender)
			fiber_wake(talk->sender);
	}
	return !closes && !talk->is_over;
}

static void receive_all(struct talk *talk)
{
	bool goes_on = true;
	while (goes_on && talk->reading < talk->count) {
		goes_on = receive_one(talk, talk->asks[talk->reading]);
		if (goes_on)
			talk->reading++;
		if (talk->sender)
			fiber_wake(talk->sender);
		pause_sometimes();
	}
	for (unsigned i = talk->reading + 1; i < talk->count && talk->closes; i++) {
		ask_check(talk->asks[i], talk->asks[i]->arrivals == 0);
		talk->asks[i]->must_not_arrive = true;
	}
}

// --- Connections

static void converse(void)
{
	struct talk *talk = sim_alloc(sizeof *talk);
	struct address address;
	talk->wire = wire_new();
	plan(talk);
	check(address_parse_ip(SLICE("127.0.0.1"), PROXY_PORT, &address));
	if (tcp_connect(&talk->wire->tcp, &address, loop_now() + 1000 * SECOND_NS) == 0) {
		talk->sender = spawn_surely("client's sender", send_all, talk);
		receive_all(talk);
		// A sender that stalls has its own reasons.
		fiber_cancel(talk->sender);
		struct fiber *sender = talk->sender;
		talk->sender = NULL;
		fiber_join(sender);
	} else {
		check(world.excuse || world.is_draining);
	}
	// What it sent through a tunnel may be on its way still.
	wire_close(talk->wire, !talk->asks[talk->count - 1]->upgrades && one_in(3));
	wire_free(talk->wire);
	free(talk);
}

static void be_client(void *argument)
{
	for (uint64_t left = 1 + draw(CONNECTIONS_MAX); left > 0; left--) {
		pause_sometimes();
		converse();
	}
	world.clients_running--;
}

void clients_start(void)
{
	uint64_t count = 1 + draw(CLIENTS_MAX);
	for (uint64_t i = 0; i < count; i++) {
		world.clients_running++;
		check(fiber_spawn("client", be_client, NULL) != NULL);
	}
}
