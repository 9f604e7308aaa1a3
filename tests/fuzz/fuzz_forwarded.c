// Forwarded and its forerunners: the first byte of each line picks its field. What nearer
// proxies said is read in the same way whatever a client had put before it, and what usher
// writes it reads again.
#include "http/forwarded.h"
#include "support.h"

enum { HOPS_MAX = 1000 };

struct hops {
	struct forwarded_hop list[HOPS_MAX];
	size_t count;
};

static bool visit(void *argument, const struct forwarded_hop *hop)
{
	struct hops *hops = argument;
	hops->list[hops->count++] = *hop;
	return hops->count < HOPS_MAX;
}

static bool same_hop(const struct forwarded_hop *a, const struct forwarded_hop *b)
{
	return slice_equal(a->node, b->node) && slice_equal(a->proto, b->proto) && slice_equal(a->host, b->host);
}

static void check_hop(const struct forwarded_hop *hop, struct arena *arena)
{
	const struct slice parts[] = {hop->node, hop->proto, hop->host};
	for (size_t i = 0; i < 3; i++) {
		for (size_t at = 0; at < parts[i].length; at++)
			check(parts[i].data[at] > ' ' && parts[i].data[at] < 0x7f && parts[i].data[at] != '"' &&
			      parts[i].data[at] != ',' && parts[i].data[at] != ';');
	}
	struct slice text = forwarded_format(arena, hop->node, hop->proto, hop->host);
	struct fields fields = {0};
	static struct hops again;
	again.count = 0;
	check(text.data != NULL && fields_add(&fields, arena, FIELD_FORWARDED, text));
	check(forwarded_read(&fields, visit, &again));
	if (text.length == 0) {
		check(again.count == 0);
		return;
	}
	check(again.count == 1);
	struct slice node = again.list[0].node;
	if (node.length > 0 && node.data[0] == '[' && hop->node.data[0] != '[')
		node = slice_from(node.data + 1, node.length - 2);
	check(slice_equal(node, hop->node) && slice_equal(again.list[0].proto, hop->proto) &&
	      slice_equal(again.list[0].host, hop->host));
}

// Puts something before the first field of the id, as a client would.
static void check_prefix(const struct fields *fields, enum field_id id, const struct hops *hops, struct arena *arena)
{
	static const char *const lies[] = {"x", "\"", "for=\"a", "for=\"a\\", "for=10.0.0.1", "10.0.0.1", "\\", ";="};
	const struct field *first = fields_find(fields, id);
	// Where no proxy named a node, the lie is the nearest that there is.
	if (first == NULL || hops->count == HOPS_MAX || hops->count == 0 || hops->list[0].node.length == 0)
		return;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct fields changed = {0};
		static struct hops found;
		found.count = 0;
		for (uint32_t at = 0; at < fields->count; at++) {
			struct field field = fields->items[at];
			if (&fields->items[at] == first)
				field.value = arena_printf(arena, "%s, %.*s", lies[i], SLICE_ARGUMENTS(field.value));
			check(fields_add(&changed, arena, field.id, field.value));
		}
		(void)forwarded_read(&changed, visit, &found);
		check(found.count >= hops->count);
		for (size_t hop = 0; hop < hops->count; hop++)
			check(same_hop(&found.list[hop], &hops->list[hop]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum field_id ids[] = {FIELD_FORWARDED, FIELD_X_FORWARDED_FOR, FIELD_X_FORWARDED_PROTO,
					    FIELD_X_FORWARDED_HOST};
	static struct hops hops;
	struct arena arena;
	struct fields fields = {0};
	struct slice rest = slice_from(data, size), line;
	if (size > 2000)
		return 0;
	arena_init(&arena, FUZZ_ARENA_BYTES);
	bool more = size > 0;
	while (more && fields.count < 20) {
		more = slice_cut(rest, '\n', &line, &rest);
		if (line.length == 0)
			continue;
		struct slice value = slice_trim(slice_after(line, 1));
		check(fields_add(&fields, &arena, ids[(uint8_t)line.data[0] % 4], arena_copy(&arena, value)));
	}
	hops.count = 0;
	bool good = forwarded_read(&fields, visit, &hops);
	for (size_t i = 0; i < hops.count && i < 10; i++)
		check_hop(&hops.list[i], &arena);
	bool both =
		fields_find(&fields, FIELD_FORWARDED) != NULL && fields_find(&fields, FIELD_X_FORWARDED_FOR) != NULL;
	// With both, what was put before the shorter of them meets the other's hops.
	if (good && !both) {
		check_prefix(&fields, FIELD_FORWARDED, &hops, &arena);
		check_prefix(&fields, FIELD_X_FORWARDED_FOR, &hops, &arena);
	}
	arena_fini(&arena);
	return 0;
}
