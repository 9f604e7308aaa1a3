#include "tls/acceptor.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "fiber/kernel.h"
#include "net/connection_count.h"
#include "net/rate.h"
#include "observe/metrics.h"

#include <stdlib.h>

// How a handshake ended, as metrics tell it.
enum outcome {
	OUTCOME_FULL,
	OUTCOME_RESUMED,
	OUTCOME_TIMEOUT,
	OUTCOME_CANCELLED,
	OUTCOME_GONE,
	OUTCOME_NOT_TLS,
	OUTCOME_FAILED,
	OUTCOME_NO_MEMORY,
	OUTCOMES,
};

struct tls_acceptor {
	struct tls_acceptor_settings settings;
	tls_accepted *accepted;
	void *argument;
	struct list_link all;
	struct list_link waiting; // they have begun to speak, and wait for their turn
	uint32_t connections;
	uint32_t under_way; // handshakes with a fiber
	struct metric *outcomes[OUTCOMES];
	struct metric *refused_rate, *refused_connections, *open;
};

// One that has not finished its handshake: parked, then maybe waiting, then with a fiber.
struct accepting {
	struct tls_acceptor *acceptor;
	struct tls_server_source *source;
	struct tls_stream *tls;
	const char *listener;
	struct fiber *fiber;
	struct timer timer; // while there is no fiber
	struct list_link link, waiting_link;
	struct deferred deferred;
	struct address peer;
};

// --- The end of one

static void accepting_free(struct deferred *deferred)
{
	free(LIST_ENTRY((void *)deferred, struct accepting, deferred));
}

// The connection goes on without it, or was closed.
static void accepting_end(struct accepting *accepting)
{
	timer_stop(&accepting->timer);
	list_remove(&accepting->link);
	list_remove(&accepting->waiting_link);
	accepting->acceptor->connections--;
	metric_add(accepting->acceptor->open, -1);
	loop_defer(&accepting->deferred, accepting_free);
}

// Closes one without fiber.
static void accepting_drop(struct accepting *accepting)
{
	struct tcp_stream *tcp = tls_stream_tcp(accepting->tls);
	stream_unpark(&tcp->stream);
	stream_close(&tcp->stream);
	tls_stream_free(accepting->tls);
	connection_count_remove(&accepting->peer);
	accepting_end(accepting);
}

// --- The handshake

static void accepting_begin(struct accepting *accepting);

static void begin_waiting(struct tls_acceptor *acceptor)
{
	struct list_link *first = list_pop_front(&acceptor->waiting);
	if (!first)
		return;
	struct accepting *accepting = LIST_ENTRY(first, struct accepting, waiting_link);
	timer_start(&accepting->timer, loop_now() + acceptor->settings.timeout_ns);
	accepting_begin(accepting);
}

// Its own time begins with its turn. Those before it end by theirs: twice that is enough for who stands
// near the front, however little later than they he came.
static void wait_for_turn(struct accepting *accepting)
{
	struct tls_acceptor *acceptor = accepting->acceptor;
	list_push_back(&acceptor->waiting, &accepting->waiting_link);
	timer_start(&accepting->timer, loop_now() + 2 * acceptor->settings.timeout_ns);
}

static enum outcome outcome_of(enum tls_result result, const struct tls_stream *tls)
{
	switch (result) {
	case TLS_DONE:
		return tls_stream_peer(tls)->resumed ? OUTCOME_RESUMED : OUTCOME_FULL;
	case TLS_TIMEOUT:
		return OUTCOME_TIMEOUT;
	case TLS_CANCELLED:
		return OUTCOME_CANCELLED;
	case TLS_GONE:
		return OUTCOME_GONE;
	case TLS_NOT_TLS:
		return OUTCOME_NOT_TLS;
	case TLS_FAILED:
		return OUTCOME_FAILED;
	case TLS_NO_MEMORY:
		return OUTCOME_NO_MEMORY;
	}
	return OUTCOME_FAILED;
}

// Those who came to see whether the port is open are no news.
static void log_failure(const struct accepting *accepting, enum tls_result result)
{
	char buffer[ADDRESS_TEXT_MAX];
	struct slice client = address_format_ip(&accepting->peer, buffer);
	const char *reason = tls_stream_reason(accepting->tls);
	if (result == TLS_GONE || result == TLS_CANCELLED)
		log_debug("TLS handshake with %.*s on %s: %s", SLICE_ARGUMENTS(client), accepting->listener, reason);
	else
		log_info("TLS handshake with %.*s on %s failed: %s", SLICE_ARGUMENTS(client), accepting->listener,
			 reason);
}

// Most often a browser that was given http:// for https://.
static void answer_plain(struct tls_stream *tls)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
				     "Content-Type: text/plain; charset=utf-8\r\n"
				     "Content-Length: 59\r\n"
				     "Connection: close\r\n"
				     "\r\n"
				     "This port speaks HTTPS: write https:// instead of http://.\n";
	stream_say_last(&tls_stream_tcp(tls)->stream, slice_from_string(answer));
}

static enum tls_result shake_hands(struct accepting *accepting)
{
	struct tls_server_source *source = accepting->source;
	void *hold;
	const struct tls_server *server = source->borrow(source, &hold);
	// Without a server: a reload has taken TLS away meanwhile.
	enum tls_result result =
		server ? tls_stream_accept(accepting->tls, server, accepting->timer.due_ns) : TLS_CANCELLED;
	source->give_back(source, hold);
	return result;
}

static void accepting_run(void *argument)
{
	struct accepting *accepting = argument;
	struct tls_acceptor *acceptor = accepting->acceptor;
	enum tls_result result = shake_hands(accepting);
	metric_count(acceptor->outcomes[outcome_of(result, accepting->tls)]);
	acceptor->under_way--;
	begin_waiting(acceptor);
	accepting_end(accepting);
	if (result == TLS_DONE) {
		acceptor->accepted(acceptor->argument, accepting->tls, &accepting->peer, accepting->listener);
		return;
	}
	log_failure(accepting, result);
	if (result == TLS_NOT_TLS)
		answer_plain(accepting->tls);
	connection_count_remove(&accepting->peer);
	stream_close(tls_stream_stream(accepting->tls));
}

static void accepting_begin(struct accepting *accepting)
{
	struct tls_acceptor *acceptor = accepting->acceptor;
	accepting->fiber = fiber_spawn("tls handshake", accepting_run, accepting);
	if (accepting->fiber) {
		acceptor->under_way++;
		timer_stop(&accepting->timer); // the handshake has the same deadline
		return;
	}
	log_warning("no memory for another fiber (%zu in use): closing a connection", fiber_count());
	metric_count(acceptor->outcomes[OUTCOME_NO_MEMORY]);
	accepting_drop(accepting);
}

// --- Before the handshake

// Clients of UNIX sockets have no bound.
static bool keeps_to_rate(const struct tls_acceptor_settings *settings, const struct address *client)
{
	uint64_t key[2];
	if (!settings->client_rate || !address_client_key(client, key))
		return true;
	int64_t each_ns = SECOND_NS / settings->client_rate;
	const struct rate rate = {each_ns, each_ns * (settings->client_burst - 1)};
	return rate_take(&rate, rate_key(RATE_OF_HANDSHAKES, slice_from(key, sizeof key)), loop_now()).is_within;
}

static bool may_begin(struct accepting *accepting)
{
	const struct tls_acceptor_settings *settings = &accepting->acceptor->settings;
	char buffer[ADDRESS_TEXT_MAX];
	if (keeps_to_rate(settings, &accepting->peer))
		return true;
	struct slice client = address_format_ip(&accepting->peer, buffer);
	log_warning("%.*s begins more than %u TLS handshakes a second: refusing others (limits.handshake_rate)",
		    SLICE_ARGUMENTS(client), settings->client_rate);
	metric_count(accepting->acceptor->refused_rate);
	return false;
}

static void first_byte(struct stream *stream, void *argument)
{
	struct accepting *accepting = argument;
	struct tls_acceptor *acceptor = accepting->acceptor;
	uint32_t limit = acceptor->settings.handshakes;
	if (!may_begin(accepting))
		accepting_drop(accepting);
	else if (limit && acceptor->under_way >= limit)
		wait_for_turn(accepting);
	else
		accepting_begin(accepting);
}

static void accepting_timeout(struct timer *timer)
{
	struct accepting *accepting = LIST_ENTRY((void *)timer, struct accepting, timer);
	metric_count(accepting->acceptor->outcomes[OUTCOME_TIMEOUT]);
	accepting_drop(accepting);
}

static struct tls_stream *open_stream(int descriptor)
{
	struct tls_stream *tls = tls_stream_new();
	if (!tls) {
		struct kernel *kernel = loop_kernel();
		kernel->close(kernel, descriptor);
		return NULL;
	}
	if (tcp_open(tls_stream_tcp(tls), descriptor) == 0)
		return tls;
	tls_stream_free(tls);
	return NULL;
}

void tls_acceptor_accept(struct tls_acceptor *acceptor, struct tls_server_source *source, int descriptor,
			 const struct address *peer, const char *listener)
{
	const struct tls_acceptor_settings *settings = &acceptor->settings;
	struct tls_stream *tls = open_stream(descriptor);
	if (!tls)
		return;
	struct accepting *accepting = calloc(1, sizeof *accepting);
	if (!accepting || !connection_admit(peer, settings->connections, settings->connections_per_client)) {
		metric_count(accepting ? acceptor->refused_connections : acceptor->outcomes[OUTCOME_NO_MEMORY]);
		free(accepting);
		stream_close(&tls_stream_tcp(tls)->stream);
		tls_stream_free(tls);
		return;
	}
	accepting->acceptor = acceptor;
	accepting->source = source;
	accepting->tls = tls;
	accepting->listener = listener;
	accepting->peer = *peer;
	list_init(&accepting->link);
	list_init(&accepting->waiting_link);
	list_push_back(&acceptor->all, &accepting->link);
	acceptor->connections++;
	metric_add(acceptor->open, 1);
	timer_init(&accepting->timer, accepting_timeout);
	timer_start(&accepting->timer, loop_now() + settings->timeout_ns);
	stream_park(&tls_stream_tcp(tls)->stream, first_byte, accepting);
}

// --- All of a thread

static void register_metrics(struct tls_acceptor *acceptor)
{
	static const char *const labels[OUTCOMES] = {
		[OUTCOME_FULL] = "result=\"full\"",	  [OUTCOME_RESUMED] = "result=\"resumed\"",
		[OUTCOME_TIMEOUT] = "result=\"timeout\"", [OUTCOME_CANCELLED] = "result=\"cancelled\"",
		[OUTCOME_GONE] = "result=\"gone\"",	  [OUTCOME_NOT_TLS] = "result=\"not_tls\"",
		[OUTCOME_FAILED] = "result=\"failed\"",	  [OUTCOME_NO_MEMORY] = "result=\"no_memory\"",
	};
	for (int i = 0; i < OUTCOMES; i++)
		acceptor->outcomes[i] = metric_register(METRIC_COUNTER, "usher_tls_handshakes_total", labels[i],
							"TLS handshakes with clients that have ended, by how.");
	static const char refused[] = "TLS connections that were closed before their handshake, by reason.";
	acceptor->refused_rate = metric_register(METRIC_COUNTER, "usher_tls_refused_total", "reason=\"rate\"", refused);
	acceptor->refused_connections =
		metric_register(METRIC_COUNTER, "usher_tls_refused_total", "reason=\"connections\"", refused);
	acceptor->open = metric_register(METRIC_GAUGE, "usher_tls_handshakes_open", "",
					 "TLS connections of clients whose handshake has not ended.");
}

struct tls_acceptor *tls_acceptor_new(const struct tls_acceptor_settings *settings, tls_accepted *accepted,
				      void *argument)
{
	struct tls_acceptor *acceptor = calloc(1, sizeof *acceptor);
	if (!acceptor)
		return NULL;
	acceptor->settings = *settings;
	acceptor->accepted = accepted;
	acceptor->argument = argument;
	list_init(&acceptor->all);
	list_init(&acceptor->waiting);
	register_metrics(acceptor);
	return acceptor;
}

void tls_acceptor_set(struct tls_acceptor *acceptor, const struct tls_acceptor_settings *settings)
{
	acceptor->settings = *settings;
}

uint32_t tls_acceptor_connections(const struct tls_acceptor *acceptor)
{
	return acceptor->connections;
}

void tls_acceptor_drain(struct tls_acceptor *acceptor)
{
	for (struct list_link *link = acceptor->all.next, *next; link != &acceptor->all; link = next) {
		next = link->next;
		struct accepting *accepting = LIST_ENTRY(link, struct accepting, link);
		if (!accepting->fiber && list_is_empty(&accepting->waiting_link))
			accepting_drop(accepting);
	}
}

void tls_acceptor_abort(struct tls_acceptor *acceptor)
{
	for (struct list_link *link = acceptor->all.next, *next; link != &acceptor->all; link = next) {
		next = link->next;
		struct accepting *accepting = LIST_ENTRY(link, struct accepting, link);
		if (accepting->fiber)
			fiber_cancel(accepting->fiber);
		else
			accepting_drop(accepting);
	}
}

void tls_acceptor_free(struct tls_acceptor *acceptor)
{
	check(acceptor->connections == 0);
	free(acceptor);
}
