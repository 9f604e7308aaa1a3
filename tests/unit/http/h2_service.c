#include "h2_service.h"

#include "http/h2_memory.h"
#include "support.h"

#include <stdlib.h>

struct service_saw service_saw;

static struct transaction *service_begin(struct http_service *http, const struct client *client)
{
	struct transaction *transaction = service_saw.no_memory ? NULL : calloc(1, sizeof *transaction);
	if (!transaction)
		return NULL;
	arena_init(&transaction->arena, 1024 * 1024);
	service_saw.begun++;
	return transaction;
}

static void service_end(struct transaction *transaction)
{
	service_saw.ended++;
	service_saw.fault = transaction->fault.kind;
	service_saw.detail = transaction->fault.detail;
	service_saw.setting = transaction->fault.setting;
	service_saw.request_body_bytes = transaction->request_body_bytes;
	service_saw.response_bytes = transaction->response_bytes;
	service_saw.response_body_bytes = transaction->response_body_bytes;
	arena_fini(&transaction->arena);
	free(transaction);
}

static void tunnel_done(struct transaction *transaction)
{
	service_saw.tunnels_done++;
	stream_close(&service_saw.tunnel_near.stream);
	transaction->tunnel.stream = NULL;
}

// --- Bodies

// So many pieces, with waits before them, and then trailers, or a fault.
struct pieces {
	struct body body;
	struct arena *arena;
	unsigned left;
	bool cut;
};

static int pieces_read(struct body *body, struct slice *ret_bytes)
{
	struct pieces *pieces = (struct pieces *)body;
	*ret_bytes = SLICE_EMPTY;
	if (pieces->left == 0 && pieces->cut)
		fault_set(&body->fault, FAULT_RESPONSE_TRUNCATED, "read response body", NULL);
	if (body->fault.kind || pieces->left == 0)
		return body->fault.kind ? -1 : 0;
	if (fiber_sleep("test", loop_now() + 3 * MILLISECOND_NS) < 0) {
		fault_set(&body->fault, FAULT_CLIENT_GONE, "read response body", NULL);
		return -1;
	}
	pieces->left--;
	*ret_bytes = SLICE("piece ");
	if (pieces->left == 0 && !pieces->cut)
		assert_true(fields_add_name(&body->trailers, pieces->arena, SLICE("X-Sum"), SLICE("abc")));
	return 0;
}

static const struct body_operations pieces_operations = {.read = pieces_read};

static struct body *pieces_new(struct transaction *transaction, unsigned count, bool cut)
{
	struct pieces *pieces = arena_zalloc(&transaction->arena, sizeof *pieces);
	assert_non_null(pieces);
	pieces->body = (struct body){.operations = &pieces_operations, .length = cut ? 100 : BODY_LENGTH_UNKNOWN};
	pieces->arena = &transaction->arena;
	pieces->left = count;
	pieces->cut = cut;
	return &pieces->body;
}

static struct body *bytes_new(struct transaction *transaction, struct slice bytes)
{
	struct body_bytes *body = arena_alloc(&transaction->arena, sizeof *body);
	assert_non_null(body);
	body_bytes_init(body, bytes);
	return &body->body;
}

static struct slice large(void)
{
	static char bytes[SERVICE_LARGE_BYTES];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)('a' + i % 23);
	return slice_from(bytes, sizeof bytes);
}

// --- Answers

static void note_head(const struct request *request)
{
	char *to = service_saw.head;
	int length =
		snprintf(to, sizeof service_saw.head, "%.*s %.*s %.*s HTTP/%u\n", SLICE_ARGUMENTS(request->method_name),
			 SLICE_ARGUMENTS(request->target), SLICE_ARGUMENTS(request->authority), request->version_major);
	for (uint32_t i = 0; i < request->fields.count; i++)
		length += snprintf(to + length, sizeof service_saw.head - (size_t)length, "%.*s: %.*s\n",
				   SLICE_ARGUMENTS(request->fields.items[i].name),
				   SLICE_ARGUMENTS(request->fields.items[i].value));
}

static bool read_all(struct transaction *transaction)
{
	struct slice bytes = SLICE("more");
	while (bytes.length > 0) {
		if (body_read(transaction->request.body, &bytes) < 0) {
			transaction->fault = transaction->request.body->fault;
			return false;
		}
	}
	return true;
}

// False where nothing can be answered.
static bool choose_answer(struct transaction *transaction)
{
	const struct request *request = &transaction->request;
	struct response *response = &transaction->response;
	struct arena *arena = &transaction->arena;
	struct slice path = request->path;
	if (slice_equal(path, SLICE("/echo"))) {
		response->body = request->body;
	} else if (slice_equal(path, SLICE("/read"))) {
		return read_all(transaction);
	} else if (slice_equal(path, SLICE("/wait"))) {
		if (fiber_sleep("test", loop_now() + 500 * SECOND_NS) < 0) {
			service_saw.cancelled++;
			fault_set(&transaction->fault, FAULT_CLIENT_GONE, "wait", NULL);
			return false;
		}
	} else if (slice_equal(path, SLICE("/large"))) {
		response->body = bytes_new(transaction, large());
	} else if (slice_equal(path, SLICE("/pieces"))) {
		response->body = pieces_new(transaction, 3, false);
	} else if (slice_equal(path, SLICE("/cut"))) {
		response->body = pieces_new(transaction, 2, true);
	} else if (slice_equal(path, SLICE("/trailers"))) {
		response->body = bytes_new(transaction, SLICE_EMPTY);
		response->body->length = BODY_LENGTH_UNKNOWN;
		assert_true(fields_add_name(&response->body->trailers, arena, SLICE("grpc-status"), SLICE("5")));
	} else if (slice_equal(path, SLICE("/interim"))) {
		struct response early = {.status = 103};
		assert_true(fields_add_name(&early.fields, arena, SLICE("Link"), SLICE("</a>")));
		assert_int_equal(transaction->operations->inform(transaction, &early), 0);
	} else if (slice_equal(path, SLICE("/none"))) {
		response->status = 204;
		response->body = body_empty();
	} else if (slice_equal(path, SLICE("/urgent"))) {
		assert_true(fields_add(&response->fields, arena, FIELD_PRIORITY, SLICE("u=0")));
		response->body = bytes_new(transaction, large());
	} else if (slice_equal(path, SLICE("/tunnel"))) {
		response->status = 101;
		response->body = body_empty();
		assert_true(fields_add_name(&response->fields, arena, SLICE("Sec-WebSocket-Accept"), SLICE("x")) &&
			    fields_add_name(&response->fields, arena, SLICE("Upgrade"), SLICE("websocket")));
		transaction->tunnel = (struct tunnel_end){.stream = &service_saw.tunnel_near.stream,
							  .early = SLICE("early"),
							  .idle_ns = 500 * SECOND_NS,
							  .done = tunnel_done};
	}
	return true;
}

static void service_serve(struct transaction *transaction)
{
	struct response *response = &transaction->response;
	int status = fault_status(transaction->fault.kind);
	service_saw.served++;
	note_head(&transaction->request);
	response->status = 200;
	response->body = bytes_new(transaction, SLICE("hi"));
	if (!transaction->fault.kind && choose_answer(transaction) &&
	    (transaction->operations->respond(transaction) == 0 || transaction->response_started))
		return;
	status = fault_status(transaction->fault.kind);
	if (!status)
		return;
	*response = (struct response){.status = (uint16_t)status, .body = bytes_new(transaction, SLICE("no"))};
	transaction->tunnel = (struct tunnel_end){0};
	(void)transaction->operations->respond(transaction);
}

struct http_service service = {service_begin, service_serve, service_end};

const struct h2_server_settings service_standard = {
	.header_bytes = 4096,
	.limits = {.fields = 20, .target_bytes = 100},
	.streams = 100,
	.stream_window = 64 * 1024,
	.window = 256 * 1024,
	.header_timeout_ns = 30 * SECOND_NS,
	.idle_timeout_ns = 60 * SECOND_NS,
	.body_timeout_ns = 30 * SECOND_NS,
	.send_timeout_ns = 30 * SECOND_NS,
	.resets = 50,
	.controls = 100,
};

struct h2_server *service_open(const struct h2_server_settings *settings)
{
	memset(&service_saw, 0, sizeof service_saw);
	struct h2_server *server = h2_server_new(&service, settings);
	assert_non_null(server);
	return server;
}

void service_close(struct h2_server *server)
{
	for (int i = 0; i < 1000 && h2_server_connections(server) > 0; i++)
		driver_settle();
	assert_int_equal(h2_server_connections(server), 0);
	assert_int_equal(h2_server_idle(server), 0);
	assert_int_equal(service_saw.begun, service_saw.ended);
	h2_server_free(server);
	driver_settle(); // the connections' memory goes
	h2_memory_trim();
}
