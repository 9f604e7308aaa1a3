#include "upstream/check.h"

#include <stdlib.h>

// A pool's checks are some KiB at most.
enum { SET_BYTES_MAX = 16 * 1024 * 1024 };

static bool copy(struct arena *arena, struct slice from, struct slice *ret_to)
{
	*ret_to = from.data ? arena_copy(arena, from) : SLICE_EMPTY;
	return !from.data || ret_to->data;
}

static bool copy_fields(struct arena *arena, const struct config_pairs *pairs, struct fields *ret_fields)
{
	for (size_t i = 0; i < pairs->count; i++) {
		struct slice name, value;
		if (!copy(arena, pairs->items[i].name.text, &name) ||
		    !copy(arena, pairs->items[i].value.text, &value) ||
		    !fields_add_name(ret_fields, arena, name, value))
			return false;
	}
	return true;
}

static bool copy_command(struct arena *arena, const struct config_texts *words, struct check *check)
{
	for (size_t i = 0; i < words->count && i < CHECK_WORDS_MAX; i++) {
		struct slice word = arena_copy(arena, words->items[i].text);
		if (!word.data)
			return false;
		check->command[i] = (char *)word.data;
	}
	return true;
}

// Everything that makes it this check, in one text.
static struct slice key_of(struct arena *arena, const struct check_config *config)
{
	struct slice key = arena_printf(
		arena, "%d\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%lld %lld %lld %lld %lld %lld %lld", config->type,
		SLICE_ARGUMENTS(config->method.text), SLICE_ARGUMENTS(config->path.text),
		SLICE_ARGUMENTS(config->host.text), SLICE_ARGUMENTS(config->text.text),
		SLICE_ARGUMENTS(config->regex.text), SLICE_ARGUMENTS(config->service.text), (long long)config->port,
		(long long)config->interval_ns, (long long)config->fast_ns, (long long)config->timeout_ns,
		(long long)config->jitter_percent, (long long)config->rise, (long long)config->fall);
	for (size_t i = 0; key.data && i < config->status_texts.count; i++)
		key = arena_printf(arena, "%.*s\n%.*s", SLICE_ARGUMENTS(key),
				   SLICE_ARGUMENTS(config->status_texts.items[i].text));
	for (size_t i = 0; key.data && i < config->command.count; i++)
		key = arena_printf(arena, "%.*s\n%.*s", SLICE_ARGUMENTS(key),
				   SLICE_ARGUMENTS(config->command.items[i].text));
	for (size_t i = 0; key.data && i < config->fields.count; i++)
		key = arena_printf(arena, "%.*s\n%.*s:%.*s", SLICE_ARGUMENTS(key),
				   SLICE_ARGUMENTS(config->fields.items[i].name.text),
				   SLICE_ARGUMENTS(config->fields.items[i].value.text));
	return key;
}

static bool compile(const struct check_config *config, struct check *check)
{
	char message[128];
	size_t offset;
	return !config->regex.text.data ||
	       regex_init(&check->regex, config->regex.text, message, sizeof(message), &offset);
}

static bool check_init(struct check *check, const struct check_config *config, struct arena *arena)
{
	*check = (struct check){
		.key = key_of(arena, config),
		.type = (enum check_type)config->type,
		.port = (uint16_t)config->port,
		.interval_ns = config->interval_ns,
		.fast_ns = config->fast_ns < config->interval_ns ? config->fast_ns : config->interval_ns,
		.timeout_ns = config->timeout_ns,
		.jitter_percent = (uint32_t)config->jitter_percent,
		.rise = (uint32_t)config->rise,
		.fall = (uint32_t)config->fall,
		.status_count = config->status_count,
	};
	for (uint32_t i = 0; i < config->status_count; i++)
		check->statuses[i] = config->statuses[i];
	if (config->status_count == 0)
		check->statuses[check->status_count++] = (struct status_range){200, 399};
	struct slice name = config->name.text.data ? config->name.text : SLICE("health");
	return check->key.data && copy(arena, name, &check->name) && copy(arena, config->method.text, &check->method) &&
	       copy(arena, config->path.text, &check->path) && copy(arena, config->host.text, &check->host) &&
	       copy(arena, config->text.text, &check->text) && copy(arena, config->service.text, &check->service) &&
	       copy_fields(arena, &config->fields, &check->fields) && copy_command(arena, &config->command, check) &&
	       compile(config, check);
}

static void check_set_free(struct check_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->checks[i].regex.code)
			regex_fini(&set->checks[i].regex);
	arena_fini(&set->arena);
	free(set->checks);
	free(set);
}

struct check_set *check_set_new(const struct config_list *configs)
{
	struct check_set *set = calloc(1, sizeof(*set));
	if (!set)
		return NULL;
	arena_init(&set->arena, SET_BYTES_MAX);
	set->references = 1;
	set->checks = calloc(configs->count + 1, sizeof(*set->checks));
	bool whole = set->checks != NULL;
	for (size_t i = 0; whole && i < configs->count; i++) {
		set->count++;
		whole = check_init(&set->checks[i], (const struct check_config *)configs->items + i, &set->arena);
	}
	if (whole)
		return set;
	check_set_free(set);
	return NULL;
}

struct check_set *check_set_ref(struct check_set *set)
{
	atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
	return set;
}

void check_set_unref(struct check_set *set)
{
	if (set && atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) == 1)
		check_set_free(set);
}
