// The handlers of a route: which ones, with what, in which order.
#include "base/check.h"
#include "exchange/snapshot_load.h"

#include <stdio.h>
#include <string.h>

// A handler that a route has, with what was written for it.
struct chosen {
	const struct handler_type *type;
	void *value;
};

struct choosing {
	struct chosen items[SCOPED_MAX];
	size_t count;
};

bool scope_ends(const struct snapshot_schema *schema, const struct scope *scope)
{
	for (size_t i = SCOPED_OWN; i < schema->scoped_count; i++)
		if (scope->values[i] && schema->types[i]->ends)
			return true;
	return false;
}

bool scope_check_ends(struct snapshot_loading *loading, const struct scope *scope)
{
	const struct snapshot_schema *schema = loading->schema;
	const char *first = NULL;
	for (size_t i = SCOPED_OWN; i < schema->scoped_count; i++) {
		if (!scope->values[i] || !schema->types[i]->ends)
			continue;
		const char *name = schema->types[i]->key.name;
		if (first) {
			struct config_place place = config_where(loading->load, scope, first);
			config_error(loading->load, config_where(loading->load, scope, name),
				     "\"%s\" and \"%s\" (line %u) both answer the request; there can be only one", name,
				     first, place.line);
			return false;
		}
		first = name;
	}
	return true;
}

static void choose(struct choosing *choosing, const struct handler_type *type, void *value)
{
	check(choosing->count < SCOPED_MAX);
	size_t at = choosing->count++;
	for (; at > 0 && choosing->items[at - 1].type->order > type->order; at--)
		choosing->items[at] = choosing->items[at - 1];
	choosing->items[at] = (struct chosen){type, value};
}

// Of the handlers that end, the innermost scope's counts; of the others, the innermost value.
static bool choose_all(struct snapshot_loading *loading, const struct scope *const scopes[SCOPES],
		       struct choosing *choosing)
{
	const struct snapshot_schema *schema = loading->schema;
	const struct scope *ending = NULL;
	for (size_t s = 0; s < SCOPES && !ending; s++)
		if (scopes[s] && scope_ends(schema, scopes[s]))
			ending = scopes[s];
	for (size_t i = SCOPED_OWN; i < schema->scoped_count; i++) {
		void *value = NULL;
		if (schema->types[i]->ends)
			value = ending ? ending->values[i] : NULL;
		else
			for (size_t s = 0; s < SCOPES && !value; s++)
				value = scopes[s] ? scopes[s]->values[i] : NULL;
		if (value)
			choose(choosing, schema->types[i], value);
	}
	return ending != NULL;
}

// The names of the keys that answer: "proxy, redirect or respond".
static struct slice ending_names(const struct snapshot_schema *schema, struct arena *arena)
{
	struct slice names = SLICE("");
	size_t left = 0;
	for (size_t i = SCOPED_OWN; i < schema->scoped_count; i++)
		left += schema->types[i]->ends;
	for (size_t i = SCOPED_OWN; i < schema->scoped_count; i++)
		if (schema->types[i]->ends)
			names = arena_printf(arena, "%.*s\"%s\"%s", SLICE_ARGUMENTS(names), schema->types[i]->key.name,
					     --left > 1	 ? ", "
					     : left == 1 ? " or "
							 : "");
	return names;
}

static bool has_failed(const struct snapshot_loading *loading, const void *value)
{
	for (size_t i = 0; i < loading->failed_count; i++)
		if (loading->failed[i] == value)
			return true;
	return false;
}

static bool load_step(struct snapshot_loading *loading, const struct route *route, const struct chosen *chosen,
		      struct handler_step *ret_step)
{
	*ret_step = (struct handler_step){chosen->type, chosen->value};
	if (!chosen->type->load)
		return true;
	// What is only half there has been reported.
	if (has_failed(loading, chosen->value) || (chosen->value && !config_is_whole(loading->load, chosen->value)))
		return false;
	if (chosen->type->load(loading->load, loading->snapshot, route, chosen->value, &ret_step->config))
		return true;
	if (chosen->value && loading->failed_count < FAILED_MAX)
		loading->failed[loading->failed_count++] = chosen->value;
	return false;
}

const struct handler_step *steps_load(struct snapshot_loading *loading, const struct route *route,
				      const struct scope *const scopes[SCOPES])
{
	struct config_load *load = loading->load;
	struct choosing choosing = {.count = 0};
	if (!choose_all(loading, scopes, &choosing)) {
		struct slice names = ending_names(loading->schema, config_arena(load));
		if (!loading->keys_were_wrong)
			config_error(load, route->place,
				     "nothing answers these requests; add %.*s here, to the site or at the top",
				     SLICE_ARGUMENTS(names));
		return NULL;
	}
	for (const struct handler_type *const *type = loading->snapshot->registry->handlers; *type; type++)
		if (!(*type)->key.name && (*type)->applies(route))
			choose(&choosing, *type, NULL);
	struct handler_step *steps = config_alloc(load, (choosing.count + 1) * sizeof *steps);
	bool good = steps != NULL;
	for (size_t i = 0; i < choosing.count && steps; i++)
		good = load_step(loading, route, &choosing.items[i], &steps[i]) && good;
	return good ? steps : NULL;
}
