#include "exchange/subrequest.h"

#include "base/check.h"
#include "exchange/life.h"
#include "exchange/service_hold.h"
#include "fiber/fiber.h"
#include "http/body.h"
#include "tls/peer.h"

#include <string.h>

struct subrequest {
	struct exchange exchange; // first
	struct client client;
	struct tls_peer tls;
	struct tls_certificate certificate;
	struct service_fiber fiber;
	void (*run)(struct exchange *subrequest, void *argument);
	void *argument;
	void (*inform)(const struct response *interim, void *argument); // NULL: nobody is told
	void *inform_argument;
};

// --- Copying

// Copies what the slice lends into the arena.
static bool own(struct arena *arena, struct slice *slice)
{
	if (!slice->data)
		return true;
	*slice = arena_copy(arena, *slice);
	return slice->data != NULL;
}

static bool own_fields(struct arena *arena, struct fields *fields)
{
	struct field *items = arena_alloc(arena, (fields->count + 1) * sizeof *items);
	if (!items)
		return false;
	for (uint32_t i = 0; i < fields->count; i++) {
		items[i] = fields->items[i];
		if (!own(arena, &items[i].name) || !own(arena, &items[i].value))
			return false;
	}
	fields->items = items;
	fields->capacity = fields->count + 1;
	return true;
}

static bool own_request(struct arena *arena, struct request *request)
{
	struct slice *const slices[] = {&request->method_name, &request->target, &request->scheme, &request->host,
					&request->authority,   &request->path,	 &request->query};
	for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++)
		if (!own(arena, slices[i]))
			return false;
	request->framing = BODY_NONE;
	request->content_length = 0;
	request->body = body_empty();
	request->expects_continue = request->wants_upgrade = false;
	return own_fields(arena, &request->fields);
}

static bool own_captures(struct arena *arena, const struct slice **captures)
{
	if (!*captures)
		return true;
	struct slice *copy = arena_alloc(arena, 10 * sizeof *copy);
	if (!copy)
		return false;
	for (size_t i = 0; i < 10; i++) {
		copy[i] = (*captures)[i];
		if (!own(arena, &copy[i]))
			return false;
	}
	*captures = copy;
	return true;
}

static bool own_certificate(struct arena *arena, struct tls_certificate *certificate)
{
	return own(arena, &certificate->verification) && own(arena, &certificate->subject) &&
	       own(arena, &certificate->issuer) && own(arena, &certificate->names) &&
	       own(arena, &certificate->serial) && own(arena, &certificate->fingerprint) &&
	       own(arena, &certificate->der);
}

// The connection may end before the subrequest does.
static bool own_client(struct subrequest *subrequest, const struct client *client)
{
	struct arena *arena = exchange_arena(&subrequest->exchange);
	subrequest->client = *client;
	subrequest->exchange.transaction.client = &subrequest->client;
	if (!own(arena, &subrequest->client.scheme))
		return false;
	if (!client->tls)
		return true;
	subrequest->tls = *client->tls;
	subrequest->client.tls = &subrequest->tls;
	if (!own(arena, &subrequest->tls.server_name))
		return false;
	if (!client->tls->certificate)
		return true;
	subrequest->certificate = *client->tls->certificate;
	subrequest->tls.certificate = &subrequest->certificate;
	return own_certificate(arena, &subrequest->certificate);
}

static bool own_all(struct subrequest *subrequest, const struct exchange *parent)
{
	struct exchange *exchange = &subrequest->exchange;
	struct arena *arena = exchange_arena(exchange);
	struct slice *const slices[] = {&exchange->host,	&exchange->path,   &exchange->target,
					&exchange->client_text, &exchange->scheme, &exchange->forwarded_host,
					&exchange->request_id,	&exchange->user,   &exchange->groups,
					&exchange->email};
	for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++)
		if (!own(arena, slices[i]))
			return false;
	return own_request(arena, &exchange->transaction.request) && own_captures(arena, &exchange->captures) &&
	       own_client(subrequest, parent->transaction.client);
}

// --- No client is at the other end

static int inform_handler(struct transaction *transaction, const struct response *interim)
{
	struct exchange *exchange = LIST_ENTRY((void *)transaction, struct exchange, transaction);
	const struct subrequest *subrequest = (const struct subrequest *)exchange;
	if (subrequest->inform)
		subrequest->inform(interim, subrequest->inform_argument);
	return 0;
}

static int respond_to_nobody(struct transaction *transaction)
{
	return 0;
}

static const struct transaction_operations operations = {.inform = inform_handler, .respond = respond_to_nobody};

// --- Its life

static void end(struct subrequest *subrequest)
{
	exchange_run_ends(&subrequest->exchange);
	service_release(&subrequest->exchange);
}

static void run_subrequest(void *argument)
{
	struct subrequest *subrequest = argument;
	subrequest->run(&subrequest->exchange, subrequest->argument);
	service_forget(&subrequest->fiber);
	end(subrequest);
}

struct exchange *subrequest_new(const struct exchange *parent)
{
	struct subrequest *subrequest = (struct subrequest *)service_take(parent->hold, sizeof *subrequest);
	if (!subrequest)
		return NULL;
	struct exchange *exchange = &subrequest->exchange;
	const struct transaction *from = &parent->transaction;
	exchange->transaction.operations = &operations;
	exchange->transaction.request = from->request;
	exchange->transaction.body_timeout_ns = from->body_timeout_ns;
	exchange->transaction.send_timeout_ns = from->send_timeout_ns;
	exchange->transaction.started_ns = exchange->transaction.head_done_ns = loop_now();
	exchange->site = parent->site;
	exchange->route = parent->route;
	exchange->step = parent->step;
	exchange->host = parent->host;
	exchange->path = parent->path;
	exchange->captures = parent->captures;
	exchange->target = parent->target;
	exchange->client = parent->client;
	exchange->peer_is_trusted = parent->peer_is_trusted;
	exchange->client_text = parent->client_text;
	exchange->scheme = parent->scheme;
	exchange->forwarded_host = parent->forwarded_host;
	exchange->request_id = parent->request_id;
	exchange->user = parent->user;
	exchange->groups = parent->groups;
	trace_begin(&exchange->trace, loop_now());
	if (own_all(subrequest, parent))
		return exchange;
	end(subrequest);
	return NULL;
}

void subrequest_on_interim(struct exchange *exchange, void (*inform)(const struct response *interim, void *argument),
			   void *argument)
{
	struct subrequest *subrequest = (struct subrequest *)exchange;
	subrequest->inform = inform;
	subrequest->inform_argument = argument;
}

bool subrequest_start(struct exchange *exchange, void (*run)(struct exchange *subrequest, void *argument),
		      void *argument)
{
	struct subrequest *subrequest = (struct subrequest *)exchange;
	subrequest->run = run;
	subrequest->argument = argument;
	subrequest->fiber.fiber = fiber_spawn("subrequest", run_subrequest, subrequest);
	if (!subrequest->fiber.fiber) {
		end(subrequest);
		return false;
	}
	service_remember(exchange->hold, &subrequest->fiber);
	return true;
}

void subrequest_free(struct exchange *exchange)
{
	end((struct subrequest *)exchange);
}
