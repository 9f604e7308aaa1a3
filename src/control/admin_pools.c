// The pools in the admin API: what they are and do, and what the operator changes of them.
//
//	GET    /pools
//	GET    /pools/NAME
//	POST   /pools/NAME/servers            {"address": "10.0.0.9:80", "weight": 1, ...}
//	PATCH  /pools/NAME/servers/ADDRESS    {"state": "draining"} and/or {"weight": 5}
//	DELETE /pools/NAME/servers/ADDRESS
#include "base/check.h"
#include "base/histogram.h"
#include "control/admin.h"
#include "fiber/loop.h"
#include "upstream/balancer.h"
#include "upstream/health.h"
#include "upstream/pool_change.h"
#include "upstream/pool_config.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MICROSECONDS_IN_MS 1000.0

enum { BACKUP = SERVER_PRIORITY_MAX + 1, DEPTH_MAX = 8 };

static json_t *text_of(struct slice text)
{
	return json_stringn(text.data ? text.data : "", text.length);
}

static json_t *milliseconds(int64_t duration_ns)
{
	return json_real((double)(duration_ns / 1000) / MICROSECONDS_IN_MS);
}

static json_t *bound_or_null(uint32_t bound)
{
	return bound == SERVER_REQUESTS_UNBOUNDED ? json_null() : json_integer(bound);
}

// --- What is

static const char *state_of(uint32_t holds)
{
	return holds & HOLD_DISABLED ? "disabled" : holds & HOLD_DRAINING ? "draining" : "ready";
}

// Why it gets no requests of its own accord; one word, the gravest first.
static const char *condition_of(const struct server_status *status, int64_t now_ns)
{
	if (status->unresolved)
		return "unresolved";
	if (status->holds & HOLD_ILL)
		return "ill";
	if (now_ns < status->rest_until_ns)
		return "resting";
	if (status->holds & HOLD_SLOW)
		return "slow";
	if (status->holds & HOLD_UNPROVEN)
		return "unproven";
	return status->holds & HOLD_WARMING ? "warming" : "well";
}

static void add_check(void *argument, const struct health_status *status)
{
	json_t *check = json_object();
	json_object_set_new(check, "name", text_of(status->check));
	json_object_set_new(check, "state",
			    json_string(status->unproven ? "unproven"
					: status->ill	 ? "fails"
							 : "passes"));
	json_object_set_new(check, "checks", json_integer((json_int_t)status->checks));
	json_object_set_new(check, "failed", json_integer((json_int_t)status->bad));
	json_object_set_new(check, "reason", status->reason[0] ? json_string(status->reason) : json_null());
	json_array_append_new(argument, check);
}

static json_t *checks_of(const struct server *server)
{
	json_t *checks = json_array();
	health_visit(server, add_check, checks);
	return checks;
}

static json_t *failures_of(const struct server_status *status)
{
	json_t *failures = json_object();
	for (unsigned kind = 0; kind < SERVER_FAULT_KINDS; kind++)
		if (status->failures[kind] > 0)
			json_object_set_new(failures, fault_word((enum fault_kind)kind),
					    json_integer((json_int_t)status->failures[kind]));
	return failures;
}

static json_t *latency_of(const struct server_status *status)
{
	static const struct {
		const char *name;
		unsigned per_mille;
	} quantiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}};
	json_t *latency = json_object();
	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
		json_object_set_new(latency, quantiles[i].name,
				    milliseconds(histogram_quantile_ns(status->latencies, quantiles[i].per_mille)));
	json_object_set_new(latency, "of_late", milliseconds(status->latency_ns));
	return latency;
}

static json_t *connections_of(const struct server_status *status)
{
	json_t *connections = json_object();
	json_object_set_new(connections, "made", json_integer((json_int_t)status->connects));
	json_object_set_new(connections, "reused", json_integer((json_int_t)status->reuses));
	json_object_set_new(connections, "stale", json_integer((json_int_t)status->stale));
	json_object_set_new(connections, "open", json_integer(status->open));
	json_object_set_new(connections, "idle", json_integer((json_int_t)status->idle));
	json_object_set_new(connections, "http2", json_integer((json_int_t)status->links));
	return connections;
}

static json_t *server_json(const struct pool_member *member, int64_t now_ns)
{
	struct server_status status;
	server_read_status(member->server, &status);
	int64_t rest_ns = status.rest_until_ns > now_ns ? status.rest_until_ns - now_ns : 0;
	json_t *server = json_object();
	json_object_set_new(server, "address", text_of(status.text));
	json_object_set_new(server, "state", json_string(state_of(status.holds)));
	json_object_set_new(server, "condition", json_string(condition_of(&status, now_ns)));
	json_object_set_new(server, "weight", json_integer(member->weight));
	json_object_set_new(server, "priority", json_integer(member->priority));
	json_object_set_new(server, "backup", json_boolean(member->priority == BACKUP));
	json_object_set_new(server, "addresses", json_integer(status.addresses));
	json_object_set_new(server, "in_flight", json_integer(status.in_flight));
	json_object_set_new(server, "max_requests", bound_or_null(status.max_requests));
	json_object_set_new(server, "requests", json_integer((json_int_t)status.requests));
	json_object_set_new(server, "answers", json_integer((json_int_t)status.answers));
	json_object_set_new(server, "failures", failures_of(&status));
	json_object_set_new(server, "failures_in_row", json_integer(status.failures_in_row));
	json_object_set_new(server, "rest_ms", milliseconds(rest_ns));
	json_object_set_new(server, "latency_ms", latency_of(&status));
	json_object_set_new(server, "connections", connections_of(&status));
	json_object_set_new(server, "checks", checks_of(member->server));
	return server;
}

struct listing {
	struct slice wanted; // a pool's name; .data NULL: all
	int64_t now_ns;
	json_t *pools;
};

static void add_pool(void *argument, const struct pool *pool)
{
	struct listing *listing = argument;
	if (listing->wanted.data && !slice_equal(listing->wanted, pool_name(pool)))
		return;
	struct pool_status status;
	pool_read_status(pool, &status);
	json_t *servers = json_array(), *entry = json_object();
	for (size_t i = 0; i < pool_server_count(pool); i++) {
		struct pool_member member = pool_member(pool, i);
		json_array_append_new(servers, server_json(&member, listing->now_ns));
	}
	json_object_set_new(entry, "name", text_of(pool_name(pool)));
	json_object_set_new(entry, "balance", json_string(pool_balancer(pool)->name));
	json_object_set_new(entry, "in_flight", json_integer(status.in_flight));
	json_object_set_new(entry, "max_requests", bound_or_null(status.max_requests));
	json_object_set_new(entry, "waiting", json_integer(status.waiting));
	json_object_set_new(entry, "requests", json_integer((json_int_t)status.requests));
	json_object_set_new(entry, "servers", servers);
	json_array_append_new(listing->pools, entry);
}

static void answer_json(struct admin_answer *answer, json_t *value)
{
	answer->text = json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	answer->status = answer->text ? 200 : 500;
}

static void list(const struct admin_request *request, struct admin_answer *answer)
{
	struct listing listing = {.now_ns = request->now_ns, .pools = json_array()};
	pools_visit(add_pool, &listing);
	json_t *whole = json_pack("{s:O}", "pools", listing.pools);
	answer_json(answer, whole);
	json_decref(whole);
	json_decref(listing.pools);
}

static void no_such_pool(const struct admin_request *request, struct admin_answer *answer)
{
	admin_refuse(answer, 404, "there is no pool \"%.*s\"", SLICE_ARGUMENTS(request->segments[1]));
}

static void show(const struct admin_request *request, struct admin_answer *answer)
{
	struct listing listing = {.wanted = request->segments[1], .now_ns = request->now_ns, .pools = json_array()};
	pools_visit(add_pool, &listing);
	if (json_array_size(listing.pools) == 0)
		no_such_pool(request, answer);
	else
		answer_json(answer, json_array_get(listing.pools, 0));
	json_decref(listing.pools);
}

// --- What the operator changes

static void refuse_change(const struct admin_request *request, struct slice server, int failed,
			  struct admin_answer *answer)
{
	switch (failed) {
	case -ENOENT:
		no_such_pool(request, answer);
		break;
	case -ESRCH:
		admin_refuse(answer, 404, "the pool \"%.*s\" has no server \"%.*s\"",
			     SLICE_ARGUMENTS(request->segments[1]), SLICE_ARGUMENTS(server));
		break;
	case -EEXIST:
		admin_refuse(answer, 409, "the server \"%.*s\" is in the pool already", SLICE_ARGUMENTS(server));
		break;
	case -EPROTO:
		admin_refuse(answer, 422, "the pool speaks TLS with none of its servers: \"%.*s\" cannot be added",
			     SLICE_ARGUMENTS(server));
		break;
	case -ENOSPC:
		admin_refuse(answer, 422, "a pool has at most %d servers", POOL_SERVERS_MAX);
		break;
	case -EINVAL:
		admin_refuse(answer, 422, "\"%.*s\" is not the address of a server", SLICE_ARGUMENTS(server));
		break;
	default:
		admin_refuse(answer, 503, "memory is out");
	}
}

// The parser calls itself for each level: what is deeper than any request is has to stop here.
static bool is_shallow(struct slice text)
{
	unsigned depth = 0;
	for (size_t i = 0; i < text.length; i++) {
		depth += text.data[i] == '[' || text.data[i] == '{';
		if (depth > DEPTH_MAX)
			return false;
	}
	return true;
}

// The body, an object with no other members than `known` (ends with NULL). NULL after a refusal.
static json_t *read_object(const struct admin_request *request, const char *const *known, struct admin_answer *answer)
{
	json_error_t error = {.text = "too deep"};
	json_t *object = is_shallow(request->body) ? json_loadb(request->body.data ? request->body.data : "",
								request->body.length, JSON_REJECT_DUPLICATES, &error)
						   : NULL;
	if (!json_is_object(object)) {
		admin_refuse(answer, 400, "the body is no JSON object: %s",
			     object ? "it is something else" : error.text);
		json_decref(object);
		return NULL;
	}
	const char *name;
	json_t *value;
	json_object_foreach(object, name, value)
	{
		size_t i = 0;
		while (known[i] && strcmp(known[i], name) != 0)
			i++;
		if (!known[i]) {
			admin_refuse(answer, 422, "there is no member \"%s\" here", name);
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

// A whole number from 0 to `most`; *number stays where there is none. False after a refusal.
static bool take_number(const json_t *object, const char *name, uint32_t most, uint32_t *number,
			struct admin_answer *answer)
{
	const json_t *value = json_object_get(object, name);
	if (!value)
		return true;
	json_int_t given = json_is_integer(value) ? json_integer_value(value) : -1;
	if (given < 0 || given > most) {
		admin_refuse(answer, 422, "\"%s\" is a whole number from 0 to %u", name, most);
		return false;
	}
	*number = (uint32_t)given;
	return true;
}

static bool take_flag(const json_t *object, const char *name, bool *flag, struct admin_answer *answer)
{
	const json_t *value = json_object_get(object, name);
	if (value && !json_is_boolean(value)) {
		admin_refuse(answer, 422, "\"%s\" is true or false", name);
		return false;
	}
	*flag = value ? json_is_true(value) : *flag;
	return true;
}

static void add_server(const struct admin_request *request, const json_t *object, struct admin_answer *answer)
{
	struct server_addition addition = {.weight = 1};
	bool backup = false;
	const char *address = json_string_value(json_object_get(object, "address"));
	if (!address) {
		admin_refuse(answer, 422, "\"address\" is missing, such as \"10.0.0.9:80\"");
		return;
	}
	addition.address = slice_from_string(address);
	if (!take_number(object, "weight", POOL_WEIGHT_MAX, &addition.weight, answer) ||
	    !take_number(object, "priority", SERVER_PRIORITY_MAX, &addition.priority, answer) ||
	    !take_number(object, "max_requests", 1000000, &addition.max_requests, answer) ||
	    !take_flag(object, "backup", &backup, answer))
		return;
	if (backup)
		addition.priority = BACKUP;
	int failed = pool_add_server(request->segments[1], &addition);
	if (failed)
		refuse_change(request, addition.address, failed, answer);
	else
		answer->status = 204;
}

static bool state_from(const char *word, enum server_state *ret_state)
{
	static const struct {
		const char *word;
		enum server_state state;
	} states[] = {{"ready", SERVER_READY}, {"draining", SERVER_DRAINING}, {"disabled", SERVER_DISABLED}};
	for (size_t i = 0; word && i < sizeof states / sizeof states[0]; i++)
		if (strcmp(states[i].word, word) == 0) {
			*ret_state = states[i].state;
			return true;
		}
	return false;
}

static void change_server(const struct admin_request *request, const json_t *object, struct admin_answer *answer)
{
	struct slice pool = request->segments[1], server = request->segments[3];
	enum server_state state = SERVER_READY;
	uint32_t weight = 0;
	const json_t *state_word = json_object_get(object, "state");
	if (state_word && !state_from(json_string_value(state_word), &state)) {
		admin_refuse(answer, 422, "\"state\" is \"ready\", \"draining\" or \"disabled\"");
		return;
	}
	if (!take_number(object, "weight", POOL_WEIGHT_MAX, &weight, answer))
		return;
	int failed = json_object_get(object, "weight") ? pool_set_weight(pool, server, weight) : 0;
	if (!failed && state_word)
		failed = pool_set_state(pool, server, state);
	if (failed)
		refuse_change(request, server, failed, answer);
	else
		answer->status = 204;
}

static void remove_server(const struct admin_request *request, struct admin_answer *answer)
{
	int failed = pool_remove_server(request->segments[1], request->segments[3]);
	if (failed)
		refuse_change(request, request->segments[3], failed, answer);
	else
		answer->status = 204;
}

// --- Which is meant

static void refuse_method(struct admin_answer *answer, const char *allow)
{
	answer->allow = allow;
	admin_refuse(answer, 405, "here go: %s", allow);
}

static void answer_servers(const struct admin_request *request, struct admin_answer *answer)
{
	static const char *const known[] = {"address", "weight", "priority", "backup", "max_requests", NULL};
	if (request->method != METHOD_POST) {
		refuse_method(answer, "POST");
		return;
	}
	json_t *object = read_object(request, known, answer);
	if (object)
		add_server(request, object, answer);
	json_decref(object);
}

static void answer_server(const struct admin_request *request, struct admin_answer *answer)
{
	static const char *const known[] = {"state", "weight", NULL};
	if (request->method == METHOD_DELETE) {
		remove_server(request, answer);
		return;
	}
	if (request->method != METHOD_PATCH) {
		refuse_method(answer, "PATCH, DELETE");
		return;
	}
	json_t *object = read_object(request, known, answer);
	if (object)
		change_server(request, object, answer);
	json_decref(object);
}

void admin_pools(const struct admin_request *request, struct admin_answer *ret_answer)
{
	bool below = request->count > 2 && slice_equal(request->segments[2], SLICE("servers"));
	if (request->count <= 2 && request->method != METHOD_GET && request->method != METHOD_HEAD)
		refuse_method(ret_answer, "GET, HEAD");
	else if (request->count == 1)
		list(request, ret_answer);
	else if (request->count == 2)
		show(request, ret_answer);
	else if (below && request->count == 3)
		answer_servers(request, ret_answer);
	else if (below && request->count == 4)
		answer_server(request, ret_answer);
	else
		admin_refuse(ret_answer, 404, "below a pool there is /servers and /servers/ADDRESS");
}
