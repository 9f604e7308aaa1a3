// Bodies without their content coding, whatever pieces they come in.
#include "base/arena.h"
#include "http/decoded.h"
#include "support.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { SIZE = 100 * 1024, LARGEST = 128 * 1024 };

static char plain[SIZE];
static struct arena arena;

static int begin(void **state)
{
	arena_init(&arena, 8 << 20);
	for (size_t i = 0; i < SIZE; i++)
		plain[i] = (char)('a' + (i * i / 7 + i) % 23);
	return 0;
}

static int end(void **state)
{
	arena_fini(&arena);
	return 0;
}

// A body that comes in pieces of a size, and may fail behind the last one.
struct pieces {
	struct body body;
	struct slice left;
	size_t size;
	bool fails;
};

static int read_piece(struct body *body, struct slice *ret_bytes)
{
	struct pieces *pieces = (struct pieces *)body;
	if (pieces->left.length == 0 && pieces->fails) {
		fault_set(&body->fault, FAULT_RESPONSE_BODY_TIMEOUT, "read response body", NULL);
		return -1;
	}
	*ret_bytes = slice_first(pieces->left, pieces->size);
	pieces->left = slice_after(pieces->left, ret_bytes->length);
	return 0;
}

static const struct body_operations piece_operations = {.read = read_piece};

// What it is decoded to: how many bytes, which are those of `expected` as far as they go; or -1, and its fault.
static long decode(enum coding coding, struct slice coded, size_t piece, bool fails, struct slice expected,
		   enum fault_kind *ret_fault)
{
	struct pieces below = {{&piece_operations, (int64_t)coded.length}, coded, piece, fails};
	struct decoded_body *decoded = decoded_body_new(&arena, coding, &below.body);
	assert_non_null(decoded);
	struct body *body = decoded_body_of(decoded);
	assert_int_equal(body->length, BODY_LENGTH_UNKNOWN);
	struct slice bytes;
	long length = 0;
	int error;
	while ((error = body_read(body, &bytes)) == 0 && bytes.length > 0) {
		assert_true((size_t)length + bytes.length <= expected.length);
		assert_memory_equal(bytes.data, expected.data + length, bytes.length);
		length += (long)bytes.length;
	}
	assert_int_equal(body_read(body, &bytes), error); // the same again
	*ret_fault = body->fault.kind;
	decoded_body_end(decoded);
	return error ? -1 : length;
}

static struct slice gzip_of(struct slice text)
{
	char *coded = arena_alloc(&arena, LARGEST);
	z_stream stream = {0};
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (Bytef *)(uintptr_t)text.data;
	stream.avail_in = (uInt)text.length;
	stream.next_out = (Bytef *)coded;
	stream.avail_out = LARGEST;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	struct slice made = slice_from(coded, LARGEST - stream.avail_out);
	deflateEnd(&stream);
	return made;
}

static struct slice zstd_of(struct slice text, int window_log)
{
	char *coded = arena_alloc(&arena, LARGEST);
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
	ZSTD_inBuffer in = {text.data, text.length, 0};
	ZSTD_outBuffer out = {coded, LARGEST, 0};
	// The size is not told, so that the window is as large as it is asked for.
	assert_false(ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue)));
	assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
	ZSTD_freeCCtx(context);
	return slice_from(coded, out.pos);
}

// "hello, hello, hello" as the tool brotli makes it.
static const unsigned char brotli_hello[] = {0x1f, 0x12, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x09, 0x52,
					     0x86, 0x96, 0x6c, 0x2c, 0x6f, 0x11, 0x4f, 0x24, 0xd0, 0x71, 0x00};

static void in_pieces_of_any_size(void **state)
{
	static const size_t sizes[] = {1, 7, 1000, 16 * 1024, LARGEST};
	struct slice text = slice_from(plain, SIZE);
	enum fault_kind fault;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		assert_int_equal(decode(CODING_GZIP, gzip_of(text), sizes[i], false, text, &fault), SIZE);
		assert_int_equal(decode(CODING_ZSTD, zstd_of(text, 20), sizes[i], false, text, &fault), SIZE);
		assert_int_equal(decode(CODING_BROTLI, slice_from(brotli_hello, sizeof brotli_hello), sizes[i], false,
					SLICE("hello, hello, hello"), &fault),
				 19);
	}
}

// The last room that is filled may be full to its last byte.
static void of_as_much_as_a_room_holds(void **state)
{
	enum fault_kind fault;
	for (size_t size = 16 * 1024 - 1; size <= 16 * 1024 + 1; size++) {
		struct slice text = slice_from(plain, size);
		assert_int_equal(decode(CODING_GZIP, gzip_of(text), LARGEST, false, text, &fault), size);
		assert_int_equal(decode(CODING_ZSTD, zstd_of(text, 20), LARGEST, false, text, &fault), size);
	}
	assert_int_equal(decode(CODING_GZIP, SLICE_EMPTY, 1, false, SLICE_EMPTY, &fault), 0);
}

static struct slice joined(struct slice a, struct slice b)
{
	char *both = arena_alloc(&arena, a.length + b.length);
	memcpy(both, a.data, a.length);
	memcpy(both + a.length, b.data, b.length);
	return slice_from(both, a.length + b.length);
}

static void one_member_behind_another(void **state)
{
	struct slice text = slice_from(plain, 1000), half = slice_first(text, 500), rest = slice_after(text, 500);
	enum fault_kind fault;
	for (size_t piece = 1; piece < 2000; piece += 199) {
		struct slice coded = joined(gzip_of(half), gzip_of(rest));
		assert_int_equal(decode(CODING_GZIP, coded, piece, false, text, &fault), 1000);
		assert_int_equal(decode(CODING_GZIP, joined(coded, SLICE("\0\0\0")), piece, false, text, &fault), 1000);
		coded = joined(zstd_of(half, 20), zstd_of(rest, 20));
		assert_int_equal(decode(CODING_ZSTD, coded, piece, false, text, &fault), 1000);
	}
}

static void what_is_broken_ends_with_a_fault(void **state)
{
	struct slice text = slice_from(plain, SIZE), coded = gzip_of(text), brotli = slice_from(brotli_hello, 10);
	enum fault_kind fault;
	assert_int_equal(decode(CODING_GZIP, slice_first(coded, coded.length - 1), 100, false, text, &fault), -1);
	assert_int_equal(fault, FAULT_RESPONSE_TRUNCATED);
	assert_int_equal(decode(CODING_BROTLI, brotli, 100, false, SLICE("hello, hello, hello"), &fault), -1);
	assert_int_equal(fault, FAULT_RESPONSE_TRUNCATED);
	assert_int_equal(decode(CODING_GZIP, SLICE("no gzip"), 1, false, text, &fault), -1);
	assert_int_equal(fault, FAULT_RESPONSE_BAD);
	assert_int_equal(decode(CODING_ZSTD, SLICE("no zstd, either"), 3, false, text, &fault), -1);
	assert_int_equal(fault, FAULT_RESPONSE_BAD);
	assert_int_equal(decode(CODING_BROTLI, SLICE("\xff\xff\xff\xff\xff\xff"), 2, false, text, &fault), -1);
	assert_int_equal(fault, FAULT_RESPONSE_BAD);
	// What the body below says counts before that.
	assert_int_equal(decode(CODING_GZIP, slice_first(coded, 500), 100, true, text, &fault), -1);
	assert_int_equal(fault, FAULT_RESPONSE_BODY_TIMEOUT);
}

// RFC 9659: nobody has to have more than 8 MiB for a window.
static void a_window_that_is_too_large_is_refused(void **state)
{
	struct slice text = slice_from(plain, SIZE);
	enum fault_kind fault;
	assert_int_equal(decode(CODING_ZSTD, zstd_of(text, 23), LARGEST, false, text, &fault), SIZE);
	assert_int_equal(decode(CODING_ZSTD, zstd_of(text, 24), LARGEST, false, text, &fault), -1);
	assert_int_equal(fault, FAULT_RESPONSE_BAD);
}

static void memory_is_told_by_the_window(void **state)
{
	enum { STATE = 512 * 1024 };
	struct slice text = slice_from(plain, SIZE);
	assert_int_equal(decoded_body_memory(CODING_GZIP, SLICE_EMPTY), 64 * 1024);
	assert_int_equal(decoded_body_memory(CODING_BROTLI, SLICE_EMPTY), STATE + (16 << 20));
	// RFC 7932 section 9.1: 16 bits is 0; 10 bits 0100001; 17 bits 0000001; 22 bits 1011; 24 bits 1111.
	static const struct {
		unsigned char first;
		unsigned bits;
	} windows[] = {{0, 16}, {0x21, 10}, {1, 17}, {0x0b, 22}, {0x0f, 24}, {0xfb, 22}};
	for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
		assert_int_equal(decoded_body_memory(CODING_BROTLI, slice_from(&windows[i].first, 1)),
				 STATE + (1 << windows[i].bits));
	for (int bits = 10; bits <= 23; bits++)
		assert_int_equal(decoded_body_memory(CODING_ZSTD, zstd_of(text, bits)), STATE + (1 << bits));
	assert_int_equal(decoded_body_memory(CODING_ZSTD, zstd_of(text, 24)), STATE + (8 << 20));
	assert_int_equal(decoded_body_memory(CODING_ZSTD, SLICE("(\xb5")), STATE + (8 << 20));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(in_pieces_of_any_size),
		TEST(of_as_much_as_a_room_holds),
		TEST(one_member_behind_another),
		TEST(what_is_broken_ends_with_a_fault),
		TEST(a_window_that_is_too_large_is_refused),
		TEST(memory_is_told_by_the_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
