// Chunked bodies and trailer sections. The first byte says in which pieces the rest arrives;
// that must make no difference. What is decoded must be what a second decoder, written the
// plain way, finds; and coded anew it must decode to the same.
#include "http/h1.h"
#include "support.h"

static const struct h1_limits limits = {.fields = 50, .target_bytes = 1};

struct decoded {
	enum h1_chunked_result result;
	const char *detail;
	size_t used;
	char *data;
	size_t length;
};

// With `direct`, data is taken by the caller himself where chunk_left allows it.
static struct decoded decode(struct slice bytes, size_t piece, bool direct)
{
	struct decoded decoded = {.result = H1_CHUNKED_MORE, .data = malloc(bytes.length + 1)};
	struct h1_chunked chunked;
	h1_chunked_init(&chunked);
	size_t fed = 0;
	while (fed < bytes.length && decoded.result == H1_CHUNKED_MORE) {
		if (direct && chunked.chunk_left > 0) {
			size_t left = bytes.length - fed;
			size_t size = chunked.chunk_left < left ? (size_t)chunked.chunk_left : left;
			memcpy(decoded.data + decoded.length, bytes.data + fed, size);
			decoded.length += size;
			chunked.chunk_left -= size;
			fed += size;
			continue;
		}
		size_t size = bytes.length - fed < piece ? bytes.length - fed : piece;
		struct slice input = slice_from(bytes.data + fed, size), data;
		while ((decoded.result = h1_chunked_read(&chunked, &input, &data, &decoded.detail)) ==
		       H1_CHUNKED_DATA) {
			check(data.length > 0 && fuzz_is_inside(data, slice_from(bytes.data + fed, size)));
			memcpy(decoded.data + decoded.length, data.data, data.length);
			decoded.length += data.length;
		}
		check(decoded.result != H1_CHUNKED_MORE || input.length == 0);
		fed += size - input.length;
	}
	decoded.used = fed;
	return decoded;
}

static void check_same(const struct decoded *a, const struct decoded *b)
{
	check(a->result == b->result && a->detail == b->detail && a->used == b->used && a->length == b->length);
	check(a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

// The plain way: a line up to CRLF, its hexadecimal start, so many bytes, CRLF, again. Only
// for what was accepted.
static void check_by_lines(struct slice bytes, const struct decoded *decoded)
{
	size_t done = 0;
	for (;;) {
		const char *end = memmem(bytes.data, bytes.length, "\r\n", 2);
		check(end != NULL);
		char line[512], *after;
		size_t length = (size_t)(end - bytes.data);
		check(length > 0 && length < sizeof(line));
		memcpy(line, bytes.data, length);
		line[length] = '\0';
		unsigned long long size = strtoull(line, &after, 16);
		check(*after == '\0' || *after == ';');
		check(line[0] != ' ' && line[0] != '+' && line[0] != '-' && memchr(line, '\n', length) == NULL);
		bytes = slice_after(bytes, length + 2);
		if (size == 0)
			break;
		check(size + 2 <= bytes.length && done + size <= decoded->length);
		check(memcmp(bytes.data, decoded->data + done, size) == 0);
		done += size;
		check(memcmp(bytes.data + size, "\r\n", 2) == 0);
		bytes = slice_after(bytes, size + 2);
	}
	check(done == decoded->length);
}

static void check_round_trip(const struct decoded *decoded, size_t piece)
{
	size_t capacity = decoded->length + (decoded->length / piece + 2) * (H1_CHUNK_LINE_MAX + 2), length = 0;
	char *coded = malloc(capacity);
	for (size_t at = 0; at < decoded->length; at += piece) {
		size_t size = decoded->length - at < piece ? decoded->length - at : piece;
		length += h1_chunk_line(coded + length, size);
		memcpy(coded + length, decoded->data + at, size);
		memcpy(coded + length + size, "\r\n", 2);
		length += size + 2;
	}
	length += h1_chunk_line(coded + length, 0);
	check(length <= capacity);
	struct decoded again = decode(slice_from(coded, length), length, false);
	check(again.result == H1_CHUNKED_TRAILERS && again.used == length && again.length == decoded->length);
	check(again.length == 0 || memcmp(again.data, decoded->data, again.length) == 0);
	free(again.data);
	free(coded);
}

static void check_trailers(struct slice rest)
{
	struct h1_scanner scanner = {0};
	struct arena arena;
	struct fields fields;
	struct fault fault = {0};
	ssize_t length = h1_scan_head(&scanner, rest.data, rest.length);
	if (length <= 0)
		return;
	arena_init(&arena, FUZZ_ARENA_BYTES);
	if (h1_parse_trailers(slice_first(rest, (size_t)length), &limits, &arena, &fields, &fault)) {
		check(fields_find(&fields, FIELD_CONTENT_LENGTH) == NULL);
		check(fields_find(&fields, FIELD_TRANSFER_ENCODING) == NULL);
		check(fields_find(&fields, FIELD_HOST) == NULL);
		check(fields_find(&fields, FIELD_AUTHORIZATION) == NULL);
		for (uint32_t i = 0; i < fields.count; i++)
			check(fuzz_is_inside(fields.items[i].value, rest));
	} else {
		check(fault.kind != FAULT_NONE && fault.detail != NULL);
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t piece = data[0] % 32 + 1;
	struct slice bytes = slice_from(data + 1, size - 1);
	struct decoded whole = decode(bytes, bytes.length + 1, false);
	struct decoded single = decode(bytes, 1, false);
	struct decoded pieces = decode(bytes, piece, false);
	struct decoded direct = decode(bytes, piece, true);
	check_same(&whole, &single);
	check_same(&whole, &pieces);
	check_same(&whole, &direct);
	if (whole.result == H1_CHUNKED_TRAILERS) {
		check_by_lines(bytes, &whole);
		check_round_trip(&whole, piece);
		check_trailers(slice_after(bytes, whole.used));
	}
	free(whole.data);
	free(single.data);
	free(pieces.data);
	free(direct.data);
	return 0;
}
