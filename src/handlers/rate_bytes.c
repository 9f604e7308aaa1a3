#include "handlers/rate_bytes.h"

#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "net/pace.h"

enum { BURST_LEAST = 64 * 1024 };

struct paced {
	struct body body; // first
	struct body *inner;
	struct slice rest; // of what was read last
	struct pace pace;
	const char *step;
};

int64_t byte_rate_burst(int64_t bytes)
{
	return bytes / 10 > BURST_LEAST ? bytes / 10 : BURST_LEAST;
}

static bool wait_for_turn(struct paced *paced, size_t length)
{
	int64_t now_ns = loop_now_exact(), wait_ns = pace_book(&paced->pace, length, now_ns);
	return wait_ns == 0 || fiber_sleep(paced->step, now_ns + wait_ns) == 0;
}

static int paced_read(struct body *body, struct slice *ret_bytes)
{
	struct paced *paced = (struct paced *)body;
	if (body->fault.kind != FAULT_NONE)
		return -1;
	if (paced->rest.length == 0 && body_read(paced->inner, &paced->rest) < 0) {
		body->fault = paced->inner->fault;
		return -1;
	}
	struct slice piece = slice_first(paced->rest, paced->pace.piece);
	if (piece.length == 0) {
		body->trailers = paced->inner->trailers;
	} else if (!wait_for_turn(paced, piece.length)) {
		fault_set(&body->fault, FAULT_CLIENT_GONE, paced->step, NULL);
		return -1;
	}
	paced->rest = slice_after(paced->rest, piece.length);
	*ret_bytes = piece;
	return 0;
}

// Whether the next piece would have to wait, only its turn tells.
static enum body_look paced_look(struct body *body)
{
	struct paced *paced = (struct paced *)body;
	if (body->fault.kind != FAULT_NONE)
		return BODY_READY;
	if (paced->rest.length > 0 || body_look(paced->inner) != BODY_ENDED)
		return BODY_WAITS;
	body->trailers = paced->inner->trailers;
	return BODY_ENDED;
}

static const struct body_operations paced_operations = {.read = paced_read, .look = paced_look};

struct body *paced_body_new(struct arena *arena, struct body *inner, const struct byte_rate *rate, uint64_t key,
			    const char *step)
{
	struct paced *paced = arena_zalloc(arena, sizeof *paced);
	if (!paced)
		return NULL;
	*paced = (struct paced){
		.body = {.operations = &paced_operations, .length = inner->length},
		.inner = inner,
		.pace = pace_of(rate->bytes, rate->burst, key),
		.step = step,
	};
	return &paced->body;
}
