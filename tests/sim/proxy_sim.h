// The whole proxy in the simulated kernel: what the parts of test_proxy share.
//
// Each request that a client sends is a struct ask with a number, its token, which travels in
// its target. Origins make each answer from the token and from how often it has arrived, and
// note here what they sent; clients compare what they got with that.
#ifndef USHER_TESTS_PROXY_SIM_H
#define USHER_TESTS_PROXY_SIM_H

#include "base/list.h"
#include "base/slice.h"
#include "fiber/loop.h"
#include "http/message.h"
#include "net/address.h"
#include "net/tcp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;
struct kernel;

enum {
	PROXY_ASKS_MAX = 512, // in one seed
	PROXY_ARRIVALS_MAX = 80,
	PROXY_ORIGINS = 3,
	PROXY_PORT = 80,
	PROXY_ORIGIN_PORT = 9000, // and those after it
	PROXY_WIRE_BUFFER = 8 * 1024,
	PROXY_HEAD_MAX = 4 * 1024,
};

// --- What was asked, and what came of it.

// What an origin sends for one arrival of a request.
struct answer {
	unsigned status;
	uint64_t size;	   // of its body, as the client is to see it
	bool has_body;	   // not to HEAD, nor with 204 and 304
	bool is_honest;	   // well-formed and sent to its end, so that the client may take it for whole
	unsigned interims; // 103s sent before it
};

struct ask {
	// As the client wants it.
	enum method method;
	unsigned version_minor;
	bool keeps_alive;
	enum body_framing framing; // of its body
	uint64_t size;
	bool expects_continue;
	bool has_trailers;
	bool upgrades;
	uint64_t tunnel_size; // of what it sends through one
	const char *bad;      // a request that no server may see; NULL: a good one
	bool is_bad_in_body;  // the head is good, the body never becomes whole
	unsigned arrivals;    // whole heads that origins have read
	struct answer answers[PROXY_ARRIVALS_MAX];
	bool body_is_sent;    // the client has written the last byte
	bool must_not_arrive; // an earlier answer closed the connection
	bool is_answered;     // whole
	// Why it may have failed: the first word that a part of the simulation said; NULL: it may not.
	const char *excuse;
	// The client stopped in the middle, or let the others wait too long.
	bool client_is_bad;
};

// --- A seed.

// How often a request passes through usher, and by what it passes on to itself.
enum proxy_passes { PASSES_ONCE, PASSES_BY_H2C, PASSES_BY_H2, PASSES_BY_HTTPS, PROXY_PASSES };

struct proxy_world {
	struct kernel *kernel;
	struct random *chance;
	uint64_t seed;
	uint64_t bytes_max; // of a body
	int64_t pause_ns;   // the longest of those that no one minds
	const char *excuse; // why any exchange may fail in this seed; NULL: none may without its own
	bool memory_fails;
	bool origins_close;   // idle connections
	bool origins_surplus; // send more than they said
	bool drains;	      // in the middle
	bool is_draining;     // has begun to
	unsigned tries;	      // that the pool allows
	enum proxy_passes passes;
	unsigned ask_count, origins_running, clients_running;
	struct ask asks[PROXY_ASKS_MAX];
};

extern struct proxy_world world;

// Over all seeds, to be sure that there was something to see.
struct proxy_counts {
	unsigned long whole, own_errors, cut, unanswered, given_up, bad_refused, retried, bodies_received, tunnels,
		reloads, continued, informed, failed_allocations, excused;
};

extern struct proxy_counts counts;

uint64_t draw(uint64_t bound);
bool one_in(uint64_t count);
void pause_sometimes(void);

// Remembers why this ask may fail; the first word stands.
void ask_excuse(struct ask *ask, const char *word);
// Whether usher may send it again: RFC 9110 section 9.2.2, and no body that may be gone.
bool ask_is_repeatable(const struct ask *ask);
bool ask_is_excused(const struct ask *ask);
uint64_t ask_token(const struct ask *ask);

// One line of what happened, for the report of a failure.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// A check that names the ask.
#define ask_check(ask, condition)                                                                                      \
	(__builtin_expect(!!(condition), 1) ? (void)0 : ask_failed(ask, #condition, __FILE__, __LINE__))
_Noreturn void ask_failed(const struct ask *ask, const char *condition, const char *file, int line);

// Tries until there is memory.
struct fiber *spawn_surely(const char *name, void (*run)(void *argument), void *argument);

// --- Connections of clients and origins.

struct wire {
	struct tcp_stream tcp;
	struct deferred deferred;
	size_t start, end; // of what was read and not used
	size_t piece;	   // at most so many bytes go out at once
	int64_t pause_ns;  // pauses between them, now and then
	int64_t patience_ns;
	char buffer[PROXY_WIRE_BUFFER];
	char head[PROXY_HEAD_MAX];
};

// The bodies' bytes: of a request (`part` 0), or of the answer to its arrival `part` - 1, or of a tunnel.
char wire_byte(uint64_t token, unsigned part, uint64_t position);

struct wire *wire_new(void);
void wire_free(struct wire *wire); // closes first, where that is due

// Until the free, which may be later. With `reset` the other side hears of it as of a loss.
void wire_close(struct wire *wire, bool reset);

// All that follow return 0, or -errno; -EPIPE when the other side ended too early.
int wire_write(struct wire *wire, const char *bytes, size_t size);
int wire_print(struct wire *wire, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A head, up to its empty line, into wire->head, NUL behind it. 1 when the connection ended before its first byte.
int wire_read_head(struct wire *wire);

// A field's value; .data is NULL without. The name as in the head but for case.
struct slice wire_field(const struct wire *wire, const char *name);

// The framing that the head announces; false when there is none (then a response's ends with the connection).
bool wire_framing(const struct wire *wire, enum body_framing *ret_framing, uint64_t *ret_length);

// Reads a body and checks each byte of it. *got is moved on; reading stops with -ECANCELED at `stop_at`.
int wire_read_body(struct wire *wire, enum body_framing framing, uint64_t length, uint64_t token, unsigned part,
		   uint64_t stop_at, uint64_t *got);

// Writes bytes from *sent up to `to` of a body.
int wire_write_body(struct wire *wire, enum body_framing framing, uint64_t token, unsigned part, uint64_t to,
		    uint64_t *sent);

// --- The parts.

// Origins, each a fiber that accepts. Ends when origins_stop was called and none is left.
void origins_start(void);
void origins_stop(void);

// Clients; world.clients_running tells how many are left.
void clients_start(void);

// usher itself.
void proxy_start(void);
void proxy_reload(void);
void proxy_drain(void);
void proxy_abort(void);
void proxy_stop(void); // waits until it is drained; in a fiber
void proxy_free(void); // after the loop's last turn

#endif
