#include "upstream/hedge.h"

#include "config/value.h"
#include "fiber/loop.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"

enum { STEPS = 16, PERCENT = 100, PERCENT_MIN = 50, PERCENT_MAX = 99 };
#define LEAST_NS MILLISECOND_NS

static bool read_share(struct slice text, uint32_t *ret_percent)
{
	uint64_t percent;
	if (!slice_starts_with(text, SLICE("p")) || !slice_to_number(slice_after(text, 1), &percent) ||
	    percent < PERCENT_MIN || percent > PERCENT_MAX)
		return false;
	*ret_percent = (uint32_t)percent;
	return true;
}

bool hedge_load(struct config_load *load, struct hedge_config *hedge)
{
	static const struct config_key duration = {
		.name = "hedge", .kind = CONFIG_DURATION, .min = LEAST_NS, .max = 3600 * SECOND_NS};
	struct slice text = hedge->text.text;
	if (!text.data || slice_equal(text, SLICE("off")) || read_share(text, &hedge->percent) ||
	    value_duration(&duration, text, &hedge->after_ns))
		return true;
	config_error(load, hedge->text.place, "expected " HEDGE_FORM ", not \"%.*s\"", SLICE_ARGUMENTS(text));
	return false;
}

int64_t hedge_after_ns(const struct pool *pool)
{
	const struct pool_family *family = pool->family;
	int64_t after_ns = atomic_load_explicit(&family->hedge_ns, memory_order_relaxed);
	return after_ns == 0 || after_ns >= LEAST_NS ? after_ns : LEAST_NS;
}

void hedge_note(struct pool_family *family, int64_t response_ns)
{
	int64_t percent = atomic_load_explicit(&family->hedge_percent, memory_order_relaxed);
	if (percent == 0)
		return;
	int64_t now_ns = atomic_load_explicit(&family->hedge_ns, memory_order_relaxed);
	int64_t step_ns = now_ns / STEPS / PERCENT;
	if (now_ns == 0)
		now_ns = response_ns > 0 ? response_ns : 1;
	else
		now_ns += response_ns > now_ns ? step_ns * percent + 1 : -step_ns * (PERCENT - percent);
	atomic_store_explicit(&family->hedge_ns, now_ns, memory_order_relaxed);
}
