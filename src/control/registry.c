#include "control/registry.h"

#include "control/admin.h"
#include "fiber/loop.h"
#include "handlers/handlers.h"
#include "upstream/pool_config.h"

#define DRAIN_STANDARD_NS (30 * SECOND_NS)

static const struct top_section_type drain_section = {
	.key = {.name = "drain",
		.kind = CONFIG_DURATION,
		.standard = "30s",
		.help = "how long a stop waits for what is under way before it is cut off",
		.form = "a duration such as 30s or 5m; off cuts everything off at once"},
};

static const struct top_section_type *const sections[] = {
	&lists_section,	       &logins_section,	    &state_section, &pools_section,
	&cache_memory_section, &cache_disk_section, &drain_section, NULL};

const struct snapshot_registry registry = {.handlers = handler_types, .sections = sections, .admin = admin_handle};

int64_t registry_drain_ns(const struct snapshot *snapshot)
{
	const int64_t *drain_ns = snapshot_section(snapshot, &drain_section);
	return drain_ns ? *drain_ns : DRAIN_STANDARD_NS;
}

struct pool_set *registry_pools(const struct snapshot *snapshot)
{
	return snapshot_section(snapshot, &pools_section);
}
