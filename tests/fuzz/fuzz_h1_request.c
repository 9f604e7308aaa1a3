// Request heads. What is accepted has one reading: a lenient server finds the same message
// in it; it ends where the scanner says, however it arrives; and written out again it is
// the same request.
#include "base/text.h"
#include "http/h1.h"
#include "http/syntax.h"
#include "lenient.h"
#include "support.h"

static const struct h1_limits limits = {.fields = 100, .target_bytes = 1000};

static void check_scan(struct slice data, ssize_t whole)
{
	struct h1_scanner scanner = {0};
	ssize_t result = 0;
	size_t have = 0;
	while (result == 0 && have < data.length)
		result = h1_scan_head(&scanner, data.data, ++have);
	check(result == whole);
	if (whole > 0)
		check((size_t)whole == have);
}

static void check_one_reading(struct slice head, const struct request *request)
{
	struct lenient found = lenient_read(head);
	check(found.lines == request->fields.count);
	check(found.hosts == 1 || (found.hosts == 0 && request->version_minor == 0));
	if (found.hosts == 1 && request->target_form != TARGET_ABSOLUTE && request->target_form != TARGET_AUTHORITY)
		check(slice_equal(found.host, request->authority));
	check(found.lengths + found.codings <= 1);
	switch (request->framing) {
	case BODY_NONE:
		check(found.lengths == 0 && found.codings == 0);
		break;
	case BODY_LENGTH:
		check(found.lengths == 1 && lenient_length(&found) == request->content_length);
		break;
	case BODY_CHUNKED:
		check(found.codings == 1 && lenient_is_chunked(&found) && request->version_minor == 1);
		break;
	case BODY_UNTIL_CLOSE:
		check(false);
		break;
	}
	check(!request->expects_continue || request->framing != BODY_NONE);
	for (size_t i = 0; i < head.length; i++) {
		check(head.data[i] != '\0');
		check(head.data[i] != '\n' || (i > 0 && head.data[i - 1] == '\r'));
		check(head.data[i] != '\r' || (i + 1 < head.length && head.data[i + 1] == '\n'));
	}
}

static void check_slices(struct slice head, const struct request *request)
{
	check(fuzz_is_inside(request->method_name, head));
	check(fuzz_is_inside(request->target, head));
	check(fuzz_is_inside(request->host, head));
	check(fuzz_is_inside(request->authority, head));
	check(fuzz_is_inside(request->query, head));
	check(request->path.length > 0 || request->target_form == TARGET_AUTHORITY);
	check(syntax_all(request->method_name, SYNTAX_TOKEN));
	check(request->host.length > 0 || request->version_minor == 0);
	for (uint32_t i = 0; i < request->fields.count; i++) {
		check(fuzz_is_inside(request->fields.items[i].name, head));
		check(fuzz_is_inside(request->fields.items[i].value, head));
		check(slice_trim(request->fields.items[i].value).length == request->fields.items[i].value.length);
	}
}

// Writes the request with all of its fields and parses that.
static void check_round_trip(const struct request *request, struct arena *arena)
{
	struct text text;
	struct request again;
	struct fault fault;
	size_t capacity = request->method_name.length + request->target.length + h1_fields_bound(&request->fields) + 16;
	text_init(&text, malloc(capacity), capacity);
	h1_write_request_line(&text, request->method_name, request->target);
	for (uint32_t i = 0; i < request->fields.count; i++)
		h1_write_field(&text, request->fields.items[i].name, request->fields.items[i].value);
	text_add(&text, SLICE("\r\n"));
	check(!text.overflow);
	// The line says HTTP/1.1, where HTTP/1.0 may lack Host, and means other things by some fields.
	if (request->version_minor == 1) {
		check(h1_parse_request(text_slice(&text), &limits, arena, &again, &fault));
		check(slice_equal(again.method_name, request->method_name) && again.method == request->method);
		check(slice_equal(again.target, request->target) && again.target_form == request->target_form);
		check(slice_equal(again.host, request->host) && again.port == request->port);
		check(slice_equal(again.path, request->path) && slice_equal(again.query, request->query));
		check(again.has_query == request->has_query && slice_equal(again.scheme, request->scheme));
		check(again.framing == request->framing && again.content_length == request->content_length);
		check(again.persistent == request->persistent && again.wants_upgrade == request->wants_upgrade);
		check(again.expects_continue == request->expects_continue);
		fuzz_check_same_fields(&again.fields, &request->fields);
	}
	free(text.data);
}

static void check_hop_by_hop(struct request *request)
{
	bool had_host = fields_find(&request->fields, FIELD_HOST) != NULL;
	fields_remove_hop_by_hop(&request->fields);
	check(fields_find(&request->fields, FIELD_CONNECTION) == NULL);
	check(fields_find(&request->fields, FIELD_TRANSFER_ENCODING) == NULL);
	check(fields_find(&request->fields, FIELD_UPGRADE) == NULL);
	check((fields_find(&request->fields, FIELD_HOST) != NULL) == had_host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_from(data, size);
	struct arena arena;
	struct request request;
	struct fault fault = {0};
	struct h1_scanner scanner = {0};
	ssize_t length = h1_scan_head(&scanner, all.data, all.length);
	check_scan(all, length);

	arena_init(&arena, FUZZ_ARENA_BYTES);
	struct slice head = length > 0 ? slice_first(all, (size_t)length) : all;
	char *copy = malloc(head.length + 1);
	if (head.length > 0)
		memcpy(copy, head.data, head.length);
	head.data = copy;
	if (h1_parse_request(head, &limits, &arena, &request, &fault)) {
		check((size_t)length == head.length);
		check_slices(head, &request);
		check_one_reading(head, &request);
		check_round_trip(&request, &arena);
		check_hop_by_hop(&request);
	} else {
		check(fault.kind != FAULT_NONE && fault.detail != NULL && fault.step != NULL);
		check(fault_status(fault.kind) >= 400);
	}
	free(copy);
	arena_fini(&arena);
	return 0;
}
