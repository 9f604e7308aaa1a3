#include "upstream/retry.h"

#include "fiber/loop.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"

#define BODY_STANDARD (64 * 1024)

const struct retry_config retry_standard = {
	.causes = RETRY_CONNECT | RETRY_RESET | RETRY_TIMEOUT,
	.body_bytes = BODY_STANDARD,
};

// --- Loading

static const struct {
	struct slice word;
	uint32_t cause;
} causes[] = {{{"connect", 7}, RETRY_CONNECT}, {{"reset", 5}, RETRY_RESET}, {{"timeout", 7}, RETRY_TIMEOUT}};

enum { CAUSES = sizeof(causes) / sizeof(causes[0]) };

static bool read_cause(struct config_load *load, const struct config_text *text, uint32_t *set)
{
	struct slice words[CAUSES];
	for (size_t i = 0; i < CAUSES; i++) {
		words[i] = causes[i].word;
		if (slice_equal(text->text, words[i])) {
			*set |= causes[i].cause;
			return true;
		}
	}
	config_error(load, text->place, "expected connect, reset or timeout, not \"%.*s\"%s",
		     SLICE_ARGUMENTS(text->text), config_suggestion(load, text->text, words, CAUSES));
	return false;
}

static bool read_method(struct config_load *load, const struct config_text *text, uint32_t *set)
{
	enum method method = method_of(text->text);
	if (method != METHOD_OTHER && method != METHOD_CONNECT) {
		*set |= 1U << method;
		return true;
	}
	config_error(
		load, text->place,
		"expected a method such as GET or POST, in capitals, not \"%.*s\": requests with other methods are "
		"not sent again",
		SLICE_ARGUMENTS(text->text));
	return false;
}

static bool finish(struct config_load *load, void *section_struct)
{
	struct retry_config *retry = section_struct;
	bool good = true;
	for (size_t i = 0; i < retry->on.count; i++)
		good &= read_cause(load, &retry->on.items[i], &retry->causes);
	if (!config_is_set(load, retry, "on"))
		retry->causes = retry_standard.causes;
	for (size_t i = 0; i < retry->methods.count; i++)
		good &= read_method(load, &retry->methods.items[i], &retry->allowed);
	return status_ranges_load(load, &retry->status_texts, 200, retry->statuses, RETRY_STATUS_RANGES_MAX,
				  &retry->status_count) &&
	       good;
}

static const struct config_key keys[] = {
	{
		.name = "on",
		.kind = CONFIG_TEXTS,
		.offset = offsetof(struct retry_config, on),
		.help = "After what: `connect` (no connection could be made), `reset` (it ended before a byte of the "
			"answer), `timeout` (timeouts.try was over). All three when it is absent; never when it is "
			"empty, but for what no server can have seen.",
		.form = "connect, reset or timeout",
	},
	{
		.name = "statuses",
		.kind = CONFIG_TEXTS,
		.offset = offsetof(struct retry_config, status_texts),
		.help = "Answers after which another server is tried, such as [503, \"502-504\"]; the last server's "
			"answer "
			"is passed on.",
		.form = STATUS_RANGE_FORM,
	},
	{
		.name = "methods",
		.kind = CONFIG_TEXTS,
		.offset = offsetof(struct retry_config, methods),
		.help = "Which requests may be sent again though a server may have acted on them; when it is absent, "
			"those "
			"for which that makes no difference (RFC 9110 section 9.2.2).",
		.form = "a method such as GET",
	},
	{
		.name = "body",
		.kind = CONFIG_SIZE,
		.offset = offsetof(struct retry_config, body_bytes),
		.standard = "64KiB",
		.max = 16 << 20,
		.help = "How much of a request's body is kept, so that it can be sent again; requests with more are "
			"not. "
			"off: none.",
	},
	{0},
};

const struct config_section retry_section = {
	.name = "retry",
	.help = "When a request is tried at another server. At which, and how often, the pool says: `tries`, "
		"`retry_budget`.",
	.size = sizeof(struct retry_config),
	.keys = keys,
	.place_offset = offsetof(struct retry_config, place),
	.finish = finish,
};

bool retry_allows_method(const struct retry_config *retry, enum method method)
{
	return retry->allowed == 0 ? method_is_idempotent(method) : (retry->allowed >> method & 1) != 0;
}

// --- The budget

// A window of time, at whose end counting begins anew, and retries in it that are free.
#define WINDOW_NS (10 * SECOND_NS)
enum { FREE_RETRIES = 100, PERCENT = 100 };

static void turn_window(struct pool_family *family, int64_t now_ns)
{
	int64_t since_ns = atomic_load_explicit(&family->window_since_ns, memory_order_relaxed);
	if (now_ns - since_ns < WINDOW_NS ||
	    !atomic_compare_exchange_strong_explicit(&family->window_since_ns, &since_ns, now_ns, memory_order_relaxed,
						     memory_order_relaxed))
		return;
	uint64_t requests = atomic_load_explicit(&family->requests, memory_order_relaxed);
	atomic_store_explicit(&family->window_requests, requests, memory_order_relaxed);
	atomic_store_explicit(&family->window_retries, 0, memory_order_relaxed);
}

bool pool_spend_retry(struct pool *pool)
{
	struct pool_family *family = pool->family;
	uint64_t percent = atomic_load_explicit(&family->retry_percent, memory_order_relaxed);
	turn_window(family, loop_now());
	uint64_t requests = atomic_load_explicit(&family->requests, memory_order_relaxed) -
			    atomic_load_explicit(&family->window_requests, memory_order_relaxed);
	uint64_t spent = atomic_fetch_add_explicit(&family->window_retries, 1, memory_order_relaxed);
	if (percent == RETRY_UNBOUNDED || spent < FREE_RETRIES + requests * percent / PERCENT)
		return true;
	pool_return_retry(pool);
	return false;
}

// Where a new window began in between, there is nothing to give back.
void pool_return_retry(struct pool *pool)
{
	_Atomic uint64_t *retries = &pool->family->window_retries;
	uint64_t spent = atomic_load_explicit(retries, memory_order_relaxed);
	while (spent > 0 && !atomic_compare_exchange_weak_explicit(retries, &spent, spent - 1, memory_order_relaxed,
								   memory_order_relaxed))
		;
}
