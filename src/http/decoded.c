#include "http/decoded.h"

#include "base/check.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

enum {
	ROOM = 16 * 1024,
	GZIP_WINDOW_BITS = 16 + MAX_WBITS, // 16: with gzip's head and checksum
	ZSTD_WINDOW_LOG_MAX = 23,	   // RFC 9659: 8 MiB
};

struct decoded_body {
	struct body body;
	struct body *below;
	const struct library *library;
	union {
		z_stream gzip;
		BrotliDecoderState *brotli;
		ZSTD_DStream *zstd;
	};
	struct slice input; // that was not taken yet
	bool is_whole;	    // what was taken ends here, or might
	bool is_full;	    // the last room was: there may be more without more input
	bool has_ended;	    // the body below
	bool passes_over;   // what else comes of it
	char *room;
};

// Takes from the input, and fills *ret_made bytes of the room. False where the input is not what the coding makes.
struct library {
	bool (*begin)(struct decoded_body *decoded);
	bool (*step)(struct decoded_body *decoded, size_t *ret_made);
	void (*end)(struct decoded_body *decoded);
};

// --- gzip

static bool begin_gzip(struct decoded_body *decoded)
{
	decoded->gzip = (z_stream){0};
	return inflateInit2(&decoded->gzip, GZIP_WINDOW_BITS) == Z_OK;
}

// RFC 1952 section 2.2: one member follows another. What else follows is passed over, as browsers do.
static bool step_gzip(struct decoded_body *decoded, size_t *ret_made)
{
	z_stream *gzip = &decoded->gzip;
	*ret_made = 0;
	if (decoded->is_whole && decoded->input.length > 0 && gzip->total_in > 0) {
		decoded->passes_over |= (unsigned char)decoded->input.data[0] != 0x1f;
		if (decoded->passes_over) {
			decoded->input = SLICE_EMPTY;
			return true;
		}
		check(inflateReset(gzip) == Z_OK);
	}
	uInt length = decoded->input.length < UINT32_MAX ? (uInt)decoded->input.length : UINT32_MAX;
	gzip->next_in = (Bytef *)(uintptr_t)decoded->input.data;
	gzip->avail_in = length;
	gzip->next_out = (Bytef *)decoded->room;
	gzip->avail_out = ROOM;
	int outcome = inflate(gzip, Z_NO_FLUSH);
	decoded->input = slice_after(decoded->input, length - gzip->avail_in);
	*ret_made = ROOM - gzip->avail_out;
	decoded->is_whole = outcome == Z_STREAM_END;
	return outcome == Z_OK || outcome == Z_STREAM_END || outcome == Z_BUF_ERROR;
}

static void end_gzip(struct decoded_body *decoded)
{
	(void)inflateEnd(&decoded->gzip);
}

static const struct library gzip = {begin_gzip, step_gzip, end_gzip};

// --- Brotli

static bool begin_brotli(struct decoded_body *decoded)
{
	decoded->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	return decoded->brotli != NULL;
}

static bool step_brotli(struct decoded_body *decoded, size_t *ret_made)
{
	const uint8_t *in = (const uint8_t *)decoded->input.data;
	uint8_t *out = (uint8_t *)decoded->room;
	size_t left = decoded->input.length, room = ROOM;
	BrotliDecoderResult outcome = BrotliDecoderDecompressStream(decoded->brotli, &left, &in, &room, &out, NULL);
	decoded->input = slice_after(decoded->input, decoded->input.length - left);
	*ret_made = ROOM - room;
	decoded->is_whole = outcome == BROTLI_DECODER_RESULT_SUCCESS;
	if (decoded->is_whole)
		decoded->input = SLICE_EMPTY;
	return outcome != BROTLI_DECODER_RESULT_ERROR;
}

static void end_brotli(struct decoded_body *decoded)
{
	BrotliDecoderDestroyInstance(decoded->brotli);
}

static const struct library brotli = {begin_brotli, step_brotli, end_brotli};

// --- Zstandard

static bool begin_zstd(struct decoded_body *decoded)
{
	decoded->zstd = ZSTD_createDStream();
	return decoded->zstd &&
	       !ZSTD_isError(ZSTD_DCtx_setParameter(decoded->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
}

// RFC 8878 section 3.1: frames of content and skippable ones begin so. The library knows forerunners, too, which no
// client has to.
static bool begins_frame(unsigned char first)
{
	return first == 0x28 || (first & 0xf0) == 0x50;
}

// Section 3: one frame follows another.
static bool step_zstd(struct decoded_body *decoded, size_t *ret_made)
{
	if (decoded->is_whole && decoded->input.length > 0 && !begins_frame((unsigned char)decoded->input.data[0]))
		return false;
	ZSTD_inBuffer in = {decoded->input.data, decoded->input.length, 0};
	ZSTD_outBuffer out = {decoded->room, ROOM, 0};
	size_t outcome = ZSTD_decompressStream(decoded->zstd, &out, &in);
	decoded->input = slice_after(decoded->input, in.pos);
	*ret_made = out.pos;
	decoded->is_whole = outcome == 0;
	return !ZSTD_isError(outcome);
}

static void end_zstd(struct decoded_body *decoded)
{
	(void)ZSTD_freeDStream(decoded->zstd); // NULL is allowed
}

static const struct library zstd = {begin_zstd, step_zstd, end_zstd};

// --- What it takes

enum { STATE = 512 * 1024, GZIP_STATE = 64 * 1024, BROTLI_WINDOW_BITS_MAX = 24 };

// RFC 7932 section 9.1: the first bits.
static size_t brotli_window(struct slice beginning)
{
	if (beginning.length == 0)
		return (size_t)1 << BROTLI_WINDOW_BITS_MAX;
	unsigned bits = (unsigned char)beginning.data[0], high = bits >> 1 & 7, low = bits >> 4 & 7;
	unsigned window_bits = !(bits & 1) ? 16 : high > 0 ? 17 + high : low == 0 ? 17 : 8 + low;
	return (size_t)1 << window_bits;
}

// RFC 8878 section 3.1.1.1.2: the window's size stands behind the descriptor, unless the content is one segment.
static size_t zstd_window(struct slice beginning)
{
	enum { DESCRIPTOR = 4, WINDOW = 5, SINGLE_SEGMENT = 1 << 5, MOST = 1 << ZSTD_WINDOW_LOG_MAX };
	if (beginning.length <= WINDOW || (unsigned char)beginning.data[0] != 0x28 ||
	    (unsigned char)beginning.data[DESCRIPTOR] & SINGLE_SEGMENT)
		return MOST;
	unsigned window = (unsigned char)beginning.data[WINDOW];
	uint64_t base = UINT64_C(1) << (10 + (window >> 3)), size = base + base / 8 * (window & 7);
	return size < MOST ? (size_t)size : MOST;
}

size_t decoded_body_memory(enum coding coding, struct slice beginning)
{
	switch (coding) {
	case CODING_GZIP:
		return GZIP_STATE;
	case CODING_BROTLI:
		return STATE + brotli_window(beginning);
	case CODING_ZSTD:
		return STATE + zstd_window(beginning);
	case CODING_IDENTITY:
	case CODING_OTHER:
		break;
	}
	return 0;
}

// --- The body

static int fail(struct body *body, enum fault_kind kind, const char *detail)
{
	fault_set(&body->fault, kind, "decode a response body", detail);
	return -1;
}

// More input, or that there is none: 0; -1 with the fault of the body below.
static int pull(struct decoded_body *decoded)
{
	if (body_read(decoded->below, &decoded->input) < 0) {
		decoded->body.fault = decoded->below->fault;
		return -1;
	}
	decoded->has_ended = decoded->input.length == 0;
	return 0;
}

static int read_decoded(struct body *body, struct slice *ret_bytes)
{
	struct decoded_body *decoded = (struct decoded_body *)body;
	*ret_bytes = SLICE_EMPTY;
	if (body->fault.kind)
		return -1;
	for (;;) {
		size_t made;
		if (decoded->input.length == 0 && !decoded->is_full) {
			if (!decoded->has_ended && pull(decoded) < 0)
				return -1;
			if (decoded->has_ended)
				return decoded->is_whole ? 0 : fail(body, FAULT_RESPONSE_TRUNCATED, "it ends too soon");
		}
		size_t length = decoded->input.length;
		if (!decoded->library->step(decoded, &made) ||
		    (made == 0 && length > 0 && decoded->input.length == length))
			return fail(body, FAULT_RESPONSE_BAD, "it is not what its Content-Encoding says");
		decoded->is_full = made == ROOM && !decoded->is_whole;
		*ret_bytes = slice_from(decoded->room, made);
		if (made > 0)
			return 0;
	}
}

static const struct body_operations operations = {.read = read_decoded};

static const struct library *library_of(enum coding coding)
{
	switch (coding) {
	case CODING_GZIP:
		return &gzip;
	case CODING_BROTLI:
		return &brotli;
	case CODING_ZSTD:
		return &zstd;
	case CODING_IDENTITY:
	case CODING_OTHER:
		break;
	}
	return NULL;
}

struct decoded_body *decoded_body_new(struct arena *arena, enum coding coding, struct body *below)
{
	struct decoded_body *decoded = arena_zalloc(arena, sizeof *decoded);
	char *room = arena_alloc(arena, ROOM);
	if (!decoded || !room)
		return NULL;
	decoded->library = library_of(coding);
	check(decoded->library != NULL);
	decoded->body.operations = &operations;
	decoded->body.length = BODY_LENGTH_UNKNOWN;
	decoded->below = below;
	decoded->room = room;
	decoded->is_whole = true; // no content at all is none
	if (decoded->library->begin(decoded))
		return decoded;
	decoded->library->end(decoded);
	return NULL;
}

struct body *decoded_body_of(struct decoded_body *decoded)
{
	return &decoded->body;
}

void decoded_body_end(struct decoded_body *decoded)
{
	decoded->library->end(decoded);
}
