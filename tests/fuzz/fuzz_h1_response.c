// Response heads. The first byte picks the request's method. What is accepted is framed as
// RFC 9112 section 6.3 says, worked out anew here, and written out again it is the same.
#include "base/text.h"
#include "http/h1.h"
#include "lenient.h"
#include "support.h"

static const struct h1_limits limits = {.fields = 100, .target_bytes = 1000};

static void check_framing(struct slice head, enum method method, const struct response *response)
{
	struct lenient found = lenient_read(head);
	check(found.lines == response->fields.count);
	check(response->status >= 100 && response->status <= 599);
	if (method == METHOD_CONNECT && response->status / 100 == 2) {
		check(response->framing == BODY_NONE);
		return;
	}
	check(found.lengths + found.codings <= 1);
	check(found.codings == 0 || (lenient_is_chunked(&found) && response->version_minor == 1));
	check(response->content_length == lenient_length(&found));
	if (response_has_no_content(method, response->status)) {
		check(response->framing == BODY_NONE);
		bool claims = found.codings > 0 || response->content_length > 0;
		check(!claims || (response->status >= 200 && (response->status != 204 || !response->persistent)));
	} else if (found.codings > 0) {
		check(response->framing == BODY_CHUNKED);
	} else if (found.lengths > 0) {
		check(response->framing == BODY_LENGTH);
	} else {
		check(response->framing == BODY_UNTIL_CLOSE && !response->persistent);
	}
}

static void check_round_trip(enum method method, const struct response *response, struct arena *arena)
{
	struct text text;
	struct response again;
	struct fault fault;
	size_t capacity = response->reason.length + h1_fields_bound(&response->fields) + 32;
	text_init(&text, malloc(capacity), capacity);
	h1_write_status_line(&text, response->status, response->reason);
	for (uint32_t i = 0; i < response->fields.count; i++)
		h1_write_field(&text, response->fields.items[i].name, response->fields.items[i].value);
	text_add(&text, SLICE("\r\n"));
	check(!text.overflow);
	check(h1_parse_response(text_slice(&text), method, &limits, arena, &again, &fault));
	check(again.status == response->status && slice_equal(again.reason, response->reason));
	check(again.framing == response->framing && again.content_length == response->content_length);
	check(again.persistent == response->persistent || response->version_minor == 0);
	fuzz_check_same_fields(&again.fields, &response->fields);
	free(text.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_CONNECT, METHOD_POST};
	if (size == 0)
		return 0;
	enum method method = methods[data[0] % 4];
	struct slice all = slice_from(data + 1, size - 1);
	struct arena arena;
	struct response response;
	struct fault fault = {0};
	struct h1_scanner scanner = {0};
	ssize_t length = h1_scan_head(&scanner, all.data, all.length);

	arena_init(&arena, FUZZ_ARENA_BYTES);
	struct slice head = length > 0 ? slice_first(all, (size_t)length) : all;
	char *copy = malloc(head.length + 1);
	if (head.length > 0)
		memcpy(copy, head.data, head.length);
	head.data = copy;
	if (h1_parse_response(head, method, &limits, &arena, &response, &fault)) {
		check((size_t)length == head.length);
		check(fuzz_is_inside(response.reason, head));
		check_framing(head, method, &response);
		check_round_trip(method, &response, &arena);
	} else {
		check(fault.kind == FAULT_RESPONSE_BAD || fault.kind == FAULT_RESPONSE_HEADER_TOO_LARGE);
		check(fault.detail != NULL && fault.step != NULL);
	}
	free(copy);
	arena_fini(&arena);
	return 0;
}
