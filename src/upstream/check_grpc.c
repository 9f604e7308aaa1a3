// gRPC's own health service: grpc.health.v1.Health/Check (GRPC Health Checking Protocol). The
// message is one string, the answer one number.
#include "upstream/check_grpc.h"

#include "http/body.h"
#include "upstream/check_kinds.h"

#include <string.h>

enum {
	PREFIX_BYTES = 5, // a flag and a length before each message (gRPC over HTTP/2)
	SERVICE_MAX = 1000,
	TAG_SERVICE = 0x0a, // field 1, of a length
	SERVING = 1,
	WIRE_VARINT = 0,
	WIRE_64 = 1,
	WIRE_BYTES = 2,
	WIRE_32 = 5,
};

// --- The answer

static bool read_varint(struct slice *rest, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < rest->length && i < 10; i++) {
		uint8_t byte = (uint8_t)rest->data[i];
		value |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (byte < 0x80) {
			*rest = slice_after(*rest, i + 1);
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct slice *rest, uint64_t count)
{
	if (count > rest->length)
		return false;
	*rest = slice_after(*rest, (size_t)count);
	return true;
}

static bool skip_field(struct slice *rest, unsigned wire)
{
	uint64_t ignored;
	switch (wire) {
	case WIRE_VARINT:
		return read_varint(rest, &ignored);
	case WIRE_64:
		return skip(rest, 8);
	case WIRE_BYTES:
		return read_varint(rest, &ignored) && skip(rest, ignored);
	case WIRE_32:
		return skip(rest, 4);
	default:
		return false;
	}
}

bool grpc_health_read(struct slice bytes, uint64_t *ret_status)
{
	if (bytes.length < PREFIX_BYTES || bytes.data[0] != 0)
		return false;
	uint32_t length = 0;
	for (unsigned i = 1; i < PREFIX_BYTES; i++)
		length = length << 8 | (uint8_t)bytes.data[i];
	struct slice rest = slice_after(bytes, PREFIX_BYTES);
	if (rest.length != length)
		return false;
	*ret_status = 0; // what a field that is not written has
	while (rest.length > 0) {
		uint64_t tag;
		if (!read_varint(&rest, &tag))
			return false;
		if (tag == (1 << 3 | WIRE_VARINT) ? !read_varint(&rest, ret_status) : !skip_field(&rest, tag & 7))
			return false;
	}
	return true;
}

// --- The question

struct message {
	struct body_bytes body;
	char bytes[PREFIX_BYTES + 3 + SERVICE_MAX];
};

static size_t write_message(struct slice service, char *to)
{
	service = slice_first(service, SERVICE_MAX);
	size_t length = 0;
	char *message = to + PREFIX_BYTES;
	if (service.length > 0) {
		message[length++] = TAG_SERVICE;
		if (service.length >= 0x80)
			message[length++] = (char)(0x80 | (service.length & 0x7f));
		message[length++] = (char)(service.length >= 0x80 ? service.length >> 7 : service.length);
		memcpy(message + length, service.data, service.length);
		length += service.length;
	}
	memset(to, 0, 3);
	to[3] = (char)(length >> 8);
	to[4] = (char)length;
	return PREFIX_BYTES + length;
}

static bool make(const struct check *check, const struct server *server, struct arena *arena,
		 struct client_request *ret_request)
{
	struct message *message = arena_alloc(arena, sizeof(*message));
	if (!message)
		return false;
	body_bytes_init(&message->body, slice_from(message->bytes, write_message(check->service, message->bytes)));
	*ret_request = (struct client_request){
		.method = METHOD_POST,
		.takes_trailers = true,
		.framing = BODY_LENGTH,
		.method_name = SLICE("POST"),
		.scheme = server_is_over_tls(server) ? SLICE("https") : SLICE("http"),
		.authority = check->host.length > 0 ? check->host : server_authority(server),
		.target = SLICE("/grpc.health.v1.Health/Check"),
		.fields = &check->fields,
		.body = &message->body.body,
	};
	return fields_add(&ret_request->own, arena, FIELD_CONTENT_TYPE, SLICE("application/grpc")) &&
	       fields_add(&ret_request->own, arena, FIELD_USER_AGENT, SLICE("usher-check"));
}

// The status is in the trailers; without a message in the header section.
static bool judge(const struct check *check, const struct response *response, struct slice body,
		  char reason[CHECK_REASON_SIZE])
{
	const struct field *code = fields_find_name(&response->body->trailers, SLICE("grpc-status"));
	uint64_t status;
	if (!code)
		code = fields_find_name(&response->fields, SLICE("grpc-status"));
	if (response->status != 200)
		return check_fail(reason, "the status was %u", response->status);
	if (!code || !slice_equal(code->value, SLICE("0")))
		return check_fail(reason, "grpc-status was %.*s", code ? (int)code->value.length : 6,
				  code ? code->value.data : "absent");
	if (!grpc_health_read(body, &status))
		return check_fail(reason, "the answer is no HealthCheckResponse");
	return status == SERVING || check_fail(reason, "the service is not serving (%llu)", (unsigned long long)status);
}

bool check_by_grpc(const struct check *check, struct server *server, char reason[CHECK_REASON_SIZE])
{
	struct check_question question = {.wants_body = true, .make = make, .judge = judge};
	return check_ask(check, server, &question, reason);
}
