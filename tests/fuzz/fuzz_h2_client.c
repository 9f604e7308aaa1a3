// What a server sends over HTTP/2, to a link with four exchanges: a GET, a POST whose body
// has trailers, a WebSocket, and one that goes away. The first byte says how the bytes are cut.
#include "base/block.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "http/body.h"
#include "http/h2_client_stream.h"
#include "support.h"

#include <errno.h>

enum { EXCHANGES = 4, WINDOW = 1000, HEADER_BYTES = 2000, FIELDS = 20 };

static const struct client_settings settings = {
	.header_bytes = HEADER_BYTES,
	.limits = {.fields = FIELDS, .target_bytes = 100},
	.send_timeout_ns = 1000 * SECOND_NS,
	.response_timeout_ns = 1000 * SECOND_NS,
	.read_timeout_ns = 1000 * SECOND_NS,
};

static const struct h2_link_settings link_settings = {
	.header_bytes = HEADER_BYTES,
	.stream_window = WINDOW,
	.window = 100000,
	.streams = EXCHANGES,
	.ping_after_ns = 1000 * SECOND_NS,
	.ping_timeout_ns = 1000 * SECOND_NS,
};

// --- A connection that the input is the other end of

struct wire {
	struct stream stream; // first
	struct slice left;
	size_t piece; // so many bytes at a time
	bool is_parked, is_closed;
};

static ssize_t wire_try_read(struct stream *stream, void *to, size_t size)
{
	struct wire *wire = (struct wire *)stream;
	check(!wire->is_closed);
	struct slice part = slice_first(wire->left, size < wire->piece ? size : wire->piece);
	if (part.length > 0)
		memcpy(to, part.data, part.length);
	wire->left = slice_after(wire->left, part.length);
	return (ssize_t)part.length;
}

static ssize_t wire_write(struct stream *stream, const struct iovec *parts, int count, bool more, const char *what,
			  int64_t deadline_ns)
{
	check(!((struct wire *)stream)->is_closed && count > 0 && parts->iov_len > 0);
	fiber_yield();
	return ((struct wire *)stream)->is_closed ? -ECANCELED : (ssize_t)parts->iov_len;
}

static void wire_close(struct stream *stream)
{
	struct wire *wire = (struct wire *)stream;
	check(!wire->is_closed);
	wire->is_closed = true;
	wire->is_parked = false;
}

static void wire_park(struct stream *stream)
{
	struct wire *wire = (struct wire *)stream;
	check(!wire->is_parked && !wire->is_closed);
	wire->is_parked = true;
}

static void wire_unpark(struct stream *stream)
{
	((struct wire *)stream)->is_parked = false;
}

static void wire_say_last(struct stream *stream, struct slice bytes)
{
	check(!((struct wire *)stream)->is_closed && bytes.length > 0);
}

static const struct stream_operations wire_operations = {
	.try_read = wire_try_read,
	.write = wire_write,
	.close = wire_close,
	.park = wire_park,
	.unpark = wire_unpark,
	.say_last = wire_say_last,
};

// --- Exchanges

enum kind { GET, POST, WEBSOCKET, GIVES_UP };

struct exchange {
	enum kind kind;
	struct h2_link *link;
	struct arena arena;
	struct fields fields;
	struct client_request request;
	struct body_bytes bytes;
	struct h2_client client;
	struct fiber *fiber;
};

static void check_fault(const struct fault *fault)
{
	check(fault->kind != FAULT_NONE && fault->step);
}

static void read_body(struct exchange *exchange, struct body *body)
{
	struct slice bytes;
	uint64_t count = 0;
	int result;
	while ((result = body_read(body, &bytes)) == 0 && bytes.length > 0) {
		count += bytes.length;
		check(exchange->client.stream->data.bytes <= WINDOW);
	}
	if (result < 0)
		check_fault(&body->fault);
	else
		check((body->length < 0 || count == (uint64_t)body->length) && body_look(body) == BODY_ENDED);
	check(body->trailers.count <= FIELDS);
}

static void use_tunnel(struct exchange *exchange)
{
	struct slice early;
	char bytes[100];
	struct iovec part = {bytes, sizeof(bytes)};
	struct stream *tunnel = client_tunnel(&exchange->client.client, &early);
	memset(bytes, 'x', sizeof(bytes));
	(void)stream_write(tunnel, &part, 1, false, "fuzz", loop_now() + MILLISECOND_NS);
	while (stream_read(tunnel, bytes, sizeof(bytes), "fuzz", FIBER_NEVER) > 0)
		check(exchange->client.stream->data.bytes <= WINDOW);
	(void)stream_shutdown(tunnel);
}

static void converse(struct exchange *exchange)
{
	struct http_client *client = &exchange->client.client;
	struct response response = {0};
	struct fault fault = {0};
	int result = client_send(client, &exchange->request, &fault);
	if (exchange->kind == GIVES_UP)
		return;
	while (result == 0 && (result = client_read_head(client, 0, &response, &fault)) == 0 && response.status < 200 &&
	       response.status != 101)
		check(response.fields.count <= FIELDS && response.status >= 100);
	if (result < 0) {
		check_fault(&fault);
	} else if (response.status == 101) {
		check(exchange->kind == WEBSOCKET);
		use_tunnel(exchange);
	} else {
		check(response.status >= 200 && response.status <= 599 && response.fields.count <= FIELDS);
		read_body(exchange, response.body);
	}
}

static void exchange_run(void *argument)
{
	struct exchange *exchange = argument;
	h2_client_init(&exchange->client, &settings, exchange->link, &exchange->arena);
	converse(exchange);
	(void)client_fini(&exchange->client.client);
	arena_fini(&exchange->arena);
}

static void exchange_start(struct exchange *exchange, enum kind kind, struct h2_link *link)
{
	*exchange = (struct exchange){.kind = kind, .link = link};
	arena_init(&exchange->arena, FUZZ_ARENA_BYTES);
	body_bytes_init(&exchange->bytes, kind == POST ? SLICE("hello") : SLICE_EMPTY);
	exchange->request = (struct client_request){
		.method = kind == POST ? METHOD_POST : METHOD_GET,
		.framing = kind == POST ? BODY_CHUNKED : BODY_NONE,
		.method_name = kind == POST ? SLICE("POST") : SLICE("GET"),
		.scheme = SLICE("http"),
		.authority = SLICE("a"),
		.target = SLICE("/"),
		.fields = &exchange->fields,
		.upgrade = kind == WEBSOCKET ? SLICE("websocket") : SLICE_EMPTY,
		.body = &exchange->bytes.body,
	};
	check(fields_add_name(&exchange->bytes.body.trailers, &exchange->arena, SLICE("a"), SLICE("b")));
	check(fields_add_name(&exchange->fields, &exchange->arena, SLICE("Sec-WebSocket-Key"), SLICE("k")));
	exchange->fiber = fiber_spawn_joinable("exchange", exchange_run, exchange);
	check(exchange->fiber);
}

// --- The main path

static void link_changed(struct h2_link *link, void *argument)
{
	(void)h2_link_can_open(link);
}

static void run(void *argument)
{
	struct wire *wire = argument;
	struct exchange exchanges[EXCHANGES];
	struct h2_link *link = h2_link_new(&wire->stream, &link_settings, link_changed, NULL);
	check(link);
	for (unsigned i = 0; i < EXCHANGES; i++)
		exchange_start(&exchanges[i], (enum kind)i, link);
	while (!h2_link_is_over(link) || wire->is_parked) {
		fiber_yield();
		if (wire->is_parked) {
			wire->is_parked = false;
			wire->stream.parked(&wire->stream, wire->stream.parked_argument);
		}
	}
	for (unsigned i = 0; i < EXCHANGES; i++)
		fiber_join(exchanges[i].fiber);
	check(h2_link_streams(link) == 0);
	h2_link_close(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kernel *kernel;
	if (size == 0)
		return 0;
	if (!kernel)
		kernel = kernel_linux_new();
	check(kernel);
	struct loop *loop = loop_new(kernel);
	struct wire wire = {
		.stream.operations = &wire_operations,
		.left = slice_from(data + 1, size - 1),
		.piece = data[0] ? data[0] : 65536,
	};
	check(loop && fiber_spawn("fuzz", run, &wire));
	loop_run(loop);
	check(fiber_count() == 0 && wire.is_closed);
	block_trim();
	loop_free(loop);
	return 0;
}
