#include "upstream/roster.h"

#include "base/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t count_of(const struct roster *roster, uint32_t priority)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < roster->count; i++)
		count += roster->members[i].priority == priority && roster->members[i].weight > 0;
	return count;
}

// Servers of weight 0 are in no tier.
static int tier_build(struct roster *roster, const struct balance_settings *settings, uint32_t priority, uint32_t count)
{
	struct tier *tier = &roster->tiers[roster->tier_count++];
	struct member *members = calloc(count, sizeof(*members));
	if (!members)
		return -ENOMEM;
	uint32_t placed = 0;
	for (uint32_t i = 0; i < roster->count; i++) {
		const struct pool_member *member = &roster->members[i];
		if (member->priority == priority && member->weight > 0)
			members[placed++] = (struct member){.server = member->server, .weight = member->weight};
	}
	// On failure too, the tier has the members: roster_free gives them back.
	int failed = tier_init(tier, members, count);
	if (!failed && roster->balancer->init)
		failed = roster->balancer->init(tier, settings);
	return failed;
}

static int tiers_build(struct roster *roster, const struct balance_settings *settings)
{
	uint32_t tiers = 0;
	for (uint32_t priority = 0; priority < ROSTER_PRIORITIES; priority++)
		tiers += count_of(roster, priority) > 0;
	if (tiers == 0)
		return 0;
	// The tiers' turns have cache lines of their own.
	roster->tiers = aligned_alloc(_Alignof(struct tier), tiers * sizeof(*roster->tiers));
	if (!roster->tiers)
		return -ENOMEM;
	memset(roster->tiers, 0, tiers * sizeof(*roster->tiers));
	for (uint32_t priority = 0; priority < ROSTER_PRIORITIES; priority++) {
		uint32_t count = count_of(roster, priority);
		int failed = count > 0 ? tier_build(roster, settings, priority, count) : 0;
		if (failed)
			return failed;
	}
	return 0;
}

struct roster *roster_new(const struct balancer_type *balancer, const struct balance_settings *settings,
			  const struct pool_member *members, uint32_t count)
{
	struct roster *roster = calloc(1, sizeof(*roster));
	if (!roster)
		return NULL;
	roster->balancer = balancer;
	roster->members = calloc(count + 1, sizeof(*members));
	if (!roster->members) {
		free(roster);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++) {
		roster->members[i] = members[i];
		server_ref(members[i].server);
	}
	roster->count = count;
	if (tiers_build(roster, settings) == 0)
		return roster;
	// The caller, who may hold the registry's lock, has references to all of them.
	roster_free(roster);
	return NULL;
}

void roster_free(struct roster *roster)
{
	if (!roster)
		return;
	for (uint32_t i = 0; i < roster->tier_count; i++) {
		if (roster->balancer->fini && roster->tiers[i].state)
			roster->balancer->fini(&roster->tiers[i]);
		tier_fini(&roster->tiers[i]);
	}
	for (uint32_t i = 0; i < roster->count; i++)
		server_unref(roster->members[i].server);
	free(roster->tiers);
	free(roster->members);
	free(roster);
}

static void come_round(struct thread_round *round)
{
	roster_free(LIST_ENTRY(round, struct roster, round));
}

void roster_retire(struct roster *roster)
{
	if (roster)
		thread_round_begin(&roster->round, come_round);
}
