// Exchanges from their beginning to their end: who the client is, and which snapshot they hold.
#include "exchange/life.h"
#include "exchange/service.h"
#include "stubs.h"

static struct snapshot *load(const char *more)
{
	char text[512];
	(void)snprintf(text, sizeof text, "listen: \":8080\"\n%sroutes:\n  - answer: x\n", more);
	return test_load_good(text, &stub_registry);
}

// --- Who the client is

struct row {
	const char *peer;
	const char *fields[4][2];
	const char *client, *scheme, *host, *id; // id NULL: one is made
	bool is_refused;
};

#define ID "X-Request-Id"
#define FOR "X-Forwarded-For"

static const struct row rows[] = {
	// Not a trusted proxy: its word counts for nothing.
	{"192.0.2.1", {{NULL}}, "192.0.2.1", "http", "", NULL},
	{"192.0.2.1", {{FOR, "1.1.1.1"}, {"X-Forwarded-Proto", "https"}, {ID, "mine"}}, "192.0.2.1", "http", "", NULL},
	{"192.0.2.1", {{FOR, "nonsense"}}, "192.0.2.1", "http", "", NULL},
	// A trusted one: the nearest that is not trusted is the client.
	{"10.0.0.1", {{NULL}}, "10.0.0.1", "http", "", NULL},
	{"10.0.0.1", {{FOR, "1.1.1.1"}}, "1.1.1.1", "http", "", NULL},
	{"10.0.0.1", {{FOR, "6.6.6.6, 1.1.1.1"}}, "1.1.1.1", "http", "", NULL},
	{"10.0.0.1", {{FOR, "6.6.6.6, 1.1.1.1, 10.0.0.2"}}, "1.1.1.1", "http", "", NULL},
	{"10.0.0.1", {{FOR, "6.6.6.6"}, {FOR, "1.1.1.1"}, {FOR, "10.0.0.2, 10.0.0.3"}}, "1.1.1.1", "http", "", NULL},
	{"10.0.0.1", {{FOR, "10.0.0.3, 10.0.0.2"}}, "10.0.0.3", "http", "", NULL},
	{"10.0.0.1", {{FOR, "2001:db8::1"}}, "2001:db8::1", "http", "", NULL},
	{"10.0.0.1",
	 {{FOR, "1.1.1.1"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "a.example"}},
	 "1.1.1.1",
	 "https",
	 "a.example",
	 NULL},
	{"10.0.0.1",
	 {{"Forwarded", "for=6.6.6.6, for=1.1.1.1;proto=https;host=a.example"}},
	 "1.1.1.1",
	 "https",
	 "a.example",
	 NULL},
	{"10.0.0.1", {{"Forwarded", "for=\"[2001:db8::1]:99\""}}, "2001:db8::1", "http", "", NULL},
	{"10.0.0.1", {{"Forwarded", "for=1.1.1.1"}, {FOR, "1.1.1.1"}}, "1.1.1.1", "http", "", NULL},
	// Spoilt beyond the client: hearsay, not looked at. Spoilt before anybody is named: refused.
	{"10.0.0.1", {{"Forwarded", "nonsense, for=1.1.1.1"}}, "1.1.1.1", "http", "", NULL},
	{"10.0.0.1", {{"Forwarded", "for=1.1.1.1"}, {FOR, "2.2.2.2"}}, "10.0.0.1", "http", "", NULL, true},
	{"10.0.0.1", {{"Forwarded", "for=\"1.1.1.1"}}, "10.0.0.1", "http", "", NULL, true},
	{"10.0.0.1", {{"Forwarded", "for=unknown"}}, "10.0.0.1", "http", "", NULL},
	// Request ids.
	{"10.0.0.1", {{ID, "abc-123"}}, "10.0.0.1", "http", "", "abc-123"},
	{"10.0.0.1", {{ID, "a b"}}, "10.0.0.1", "http", "", NULL},
	{"10.0.0.1", {{ID, "a\"b"}}, "10.0.0.1", "http", "", NULL},
	{"10.0.0.1", {{ID, ""}}, "10.0.0.1", "http", "", NULL},
};

static void identify(struct exchange *exchange, struct client *client, const struct snapshot *snapshot,
		     const struct row *row)
{
	memset(exchange, 0, sizeof *exchange);
	arena_init(exchange_arena(exchange), 100000);
	*client = (struct client){.scheme = SLICE("http")};
	assert_true(address_parse_ip(slice_from_string(row->peer), 1, &client->peer));
	exchange->snapshot = snapshot;
	exchange->transaction.client = client;
	for (size_t i = 0; i < COUNT(row->fields) && row->fields[i][0]; i++)
		assert_true(fields_add_name(&exchange_request(exchange)->fields, exchange_arena(exchange),
					    slice_from_string(row->fields[i][0]),
					    slice_from_string(row->fields[i][1])));
}

static void test_clients(void **state)
{
	struct snapshot *snapshot = load("trusted_proxies: [10.0.0.0/8]\n");
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct exchange exchange;
		struct client client;
		identify(&exchange, &client, snapshot, row);
		assert_true(exchange_identify(&exchange));
		if (exchange_failed(&exchange) != row->is_refused)
			print_error("row %zu\n", i);
		assert_int_equal(exchange_failed(&exchange), row->is_refused);
		assert_slice(exchange.client_text, row->client);
		assert_slice(exchange.scheme, row->scheme);
		assert_slice(exchange.forwarded_host, row->host);
		assert_int_equal(exchange.peer_is_trusted, row->peer[0] == '1' && row->peer[1] == '0');
		if (row->id)
			assert_slice(exchange.request_id, row->id);
		else
			assert_int_equal(exchange.request_id.length, 32);
		test_exchange_end(&exchange);
	}
	snapshot_unref(snapshot);
}

// TLS makes it https; but a trusted proxy may have got it otherwise.
static void test_scheme_by_tls(void **state)
{
	static const struct row by_tls[] = {
		{"192.0.2.1", {{NULL}}, "", "https"},
		{"192.0.2.1", {{FOR, "1.1.1.1"}, {"X-Forwarded-Proto", "http"}}, "", "https"},
		{"10.0.0.1", {{FOR, "1.1.1.1"}, {"X-Forwarded-Proto", "http"}}, "", "http"},
	};
	struct snapshot *snapshot = load("trusted_proxies: [10.0.0.0/8]\n");
	static const struct tls_peer peer = {.version = "TLSv1.3"};
	for (size_t i = 0; i < COUNT(by_tls); i++) {
		struct exchange exchange;
		struct client client;
		identify(&exchange, &client, snapshot, &by_tls[i]);
		client.tls = &peer;
		assert_true(exchange_identify(&exchange));
		assert_slice(exchange.scheme, by_tls[i].scheme);
		test_exchange_end(&exchange);
	}
	snapshot_unref(snapshot);
}

static void test_made_ids_differ(void **state)
{
	struct snapshot *snapshot = load("");
	struct exchange exchanges[2];
	struct client client;
	for (int i = 0; i < 2; i++) {
		identify(&exchanges[i], &client, snapshot, &rows[0]);
		assert_true(exchange_identify(&exchanges[i]));
	}
	assert_false(slice_equal(exchanges[0].request_id, exchanges[1].request_id));
	test_exchange_end(&exchanges[0]);
	test_exchange_end(&exchanges[1]);
	snapshot_unref(snapshot);
}

static void test_identify_without_memory(void **state)
{
	struct snapshot *snapshot = load("");
	struct exchange exchange;
	struct client client;
	identify(&exchange, &client, snapshot, &rows[0]);
	exchange_arena(&exchange)->limit_bytes = exchange_arena(&exchange)->taken_bytes;
	assert_false(exchange_identify(&exchange));
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// --- Snapshots are held as long as an exchange needs them, and released once

static size_t references(const struct snapshot *snapshot)
{
	return atomic_load(&snapshot->references);
}

static void test_holds(void **state)
{
	struct snapshot *old = load(""), *new = load("");
	struct exchange_service *service = exchange_service_new(old);
	assert_non_null(service);
	struct http_service *http = exchange_service_http(service);
	struct client client = {.scheme = SLICE("http")};
	assert_int_equal(references(old), 2);

	struct transaction *first = http->begin(http, &client), *second = http->begin(http, &client);
	assert_ptr_equal(((struct exchange *)first)->snapshot, old);
	assert_int_equal(references(old), 2); // one for all exchanges
	assert_true(exchange_service_set_snapshot(service, new));
	struct transaction *third = http->begin(http, &client);
	assert_ptr_equal(((struct exchange *)third)->snapshot, new);
	assert_int_equal(exchange_service_running(service), 3);
	assert_int_equal(references(old), 2);
	http->end(first);
	assert_int_equal(references(old), 2);
	http->end(second);
	assert_int_equal(references(old), 1);
	assert_int_equal(references(new), 2);
	// One that nobody holds goes at once.
	assert_true(exchange_service_set_snapshot(service, old));
	assert_int_equal(references(new), 2);
	http->end(third);
	assert_int_equal(references(new), 1);
	assert_true(exchange_service_set_snapshot(service, new));
	assert_int_equal(references(old), 1);
	assert_int_equal(exchange_service_running(service), 0);
	exchange_service_free(service);
	assert_int_equal(references(new), 1);
	snapshot_unref(old);
	snapshot_unref(new);
}

// --- Answers

static struct {
	unsigned responses, status;
	int failures; // how many responses fail before a byte
	char ends[8];
} saw;

static int respond(struct transaction *transaction)
{
	saw.responses++;
	saw.status = transaction->response.status;
	if (saw.failures-- > 0) {
		fault_set(&transaction->fault, FAULT_RESPONSE_TRUNCATED, "test", NULL);
		return -1;
	}
	transaction->response_started = true;
	return 0;
}

static const struct transaction_operations operations = {.respond = respond};

struct noted_end {
	struct exchange_end end;
	char letter;
};

static void note_end(struct exchange *exchange, struct exchange_end *end)
{
	saw.ends[strlen(saw.ends)] = ((struct noted_end *)end)->letter;
}

static struct transaction *begin(struct http_service *http, const struct client *client, const char *target)
{
	struct transaction *transaction = http->begin(http, client);
	const char *detail;
	memset(&saw, 0, sizeof saw);
	transaction->operations = &operations;
	struct request *request = &transaction->request;
	request->method = METHOD_GET;
	request->method_name = SLICE("GET");
	request->target = slice_from_string(target);
	request->host = request->authority = SLICE("a.example");
	request->body = body_empty();
	assert_true(uri_parse_target(request, &detail));
	return transaction;
}

static void test_answers(void **state)
{
	struct snapshot *snapshot = load("");
	struct exchange_service *service = exchange_service_new(snapshot);
	struct http_service *http = exchange_service_http(service);
	struct client client = {.scheme = SLICE("http")};
	assert_true(address_parse_ip(SLICE("192.0.2.1"), 1, &client.peer));
	static const struct {
		enum method method;
		enum fault_kind fault;
		int failures;
		unsigned status, responses;
	} cases[] = {
		{METHOD_GET, FAULT_NONE, 0, 500, 1}, // no handler answers
		{METHOD_CONNECT, FAULT_NONE, 0, 501, 1},    {METHOD_TRACE, FAULT_NONE, 0, 501, 1},
		{METHOD_GET, FAULT_BAD_REQUEST, 0, 400, 1}, {METHOD_GET, FAULT_CLIENT_GONE, 0, 0, 0},
		{METHOD_GET, FAULT_NONE, 1, 500, 2},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct transaction *transaction = begin(http, &client, "/");
		struct exchange *exchange = (struct exchange *)transaction;
		transaction->request.method = cases[i].method;
		transaction->fault.kind = cases[i].fault;
		saw.failures = cases[i].failures;
		struct noted_end a = {.letter = 'a'}, b = {.letter = 'b'};
		exchange_at_end(exchange, &a.end, note_end);
		exchange_at_end(exchange, &b.end, note_end);
		http->serve(transaction);
		assert_int_equal(saw.responses, cases[i].responses);
		assert_int_equal(saw.status, cases[i].status);
		assert_string_equal(saw.ends, "ba"); // the last first, before the connection goes on
		http->end(transaction);
		assert_string_equal(saw.ends, "ba"); // once
	}
	exchange_service_free(service);
	snapshot_unref(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),		cmocka_unit_test(test_scheme_by_tls),
		cmocka_unit_test(test_made_ids_differ), cmocka_unit_test(test_identify_without_memory),
		cmocka_unit_test(test_holds),		cmocka_unit_test(test_answers),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
