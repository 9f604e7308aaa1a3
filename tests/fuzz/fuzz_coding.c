// Accept-Encoding, Content-Encoding, and content that is decoded: whatever the bytes, it ends, and pieces of any size
// make the same.
#include "http/coding.h"
#include "http/decoded.h"
#include "support.h"

enum { MOST = 1 << 20 }; // of what a bomb makes

struct pieces {
	struct body body;
	struct slice left;
	size_t size;
};

static int read_piece(struct body *body, struct slice *ret_bytes)
{
	struct pieces *pieces = (struct pieces *)body;
	*ret_bytes = slice_first(pieces->left, pieces->size);
	pieces->left = slice_after(pieces->left, ret_bytes->length);
	return 0;
}

static const struct body_operations operations = {.read = read_piece};

// How it ended, how much there was, and a sum of it.
struct outcome {
	int error;
	size_t length;
	uint64_t sum;
};

static struct outcome decode(enum coding coding, struct slice content, size_t piece)
{
	struct arena arena;
	arena_init(&arena, FUZZ_ARENA_BYTES);
	struct pieces below = {{&operations, (int64_t)content.length}, content, piece};
	struct decoded_body *decoded = decoded_body_new(&arena, coding, &below.body);
	check(decoded != NULL);
	struct outcome outcome = {0};
	struct slice bytes;
	while (outcome.length < MOST && (outcome.error = body_read(decoded_body_of(decoded), &bytes)) == 0 &&
	       bytes.length > 0)
		for (size_t i = 0; i < bytes.length && outcome.length < MOST; i++, outcome.length++)
			outcome.sum = outcome.sum * 31 + (unsigned char)bytes.data[i];
	decoded_body_end(decoded);
	arena_fini(&arena);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct slice text = slice_from(data + 1, size - 1);
	check(coding_read(text) <= CODING_OTHER);
	check(coding_accepted_by(text) < 2 * coding_bit(CODING_OTHER));
	enum coding coding = (enum coding)(CODING_GZIP + data[0] % 3);
	check(decoded_body_memory(coding, text) <= 17 * 1024 * 1024);
	struct outcome whole = decode(coding, text, size), pieces = decode(coding, text, 1 + data[0] / 3);
	// What is broken may be found sooner or later.
	check(whole.error == pieces.error);
	check(whole.error || (whole.length == pieces.length && whole.sum == pieces.sum));
	return 0;
}
