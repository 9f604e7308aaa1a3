#include "handlers/access_forward_known.h"

#include "access/remembered.h"
#include "base/hash.h"
#include "base/text.h"
#include "exchange/exchange.h"
#include "fiber/loop.h"

// --- What he is known by

// Each part with its length before it, so that no parts can be taken for others.
static bool add_part(struct exchange *exchange, struct slice *key, struct slice part)
{
	*key = arena_printf(exchange_arena(exchange), "%.*s%zu:%.*s", SLICE_ARGUMENTS(*key), part.length,
			    SLICE_ARGUMENTS(part));
	return key->data != NULL;
}

static struct slice word_of(const struct exchange *exchange, enum access_forward_by by)
{
	switch (by) {
	case ACCESS_FORWARD_BY_HOST:
		return exchange->host;
	case ACCESS_FORWARD_BY_METHOD:
		return exchange->transaction.request.method_name;
	case ACCESS_FORWARD_BY_TARGET:
		return exchange->target;
	case ACCESS_FORWARD_BY_CLIENT:
		return exchange->client_text;
	case ACCESS_FORWARD_BY_FIELD:
		break;
	}
	return SLICE_EMPTY;
}

struct slice access_forward_key(struct exchange *exchange, const struct access_forward *forward)
{
	const struct fields *fields = &exchange_request(exchange)->fields;
	struct slice key = SLICE("");
	bool has_field = false, good = forward->remember_ns > 0;
	for (size_t i = 0; i < forward->by_count && good; i++) {
		if (forward->by[i] != ACCESS_FORWARD_BY_FIELD) {
			good = add_part(exchange, &key, word_of(exchange, forward->by[i]));
			continue;
		}
		for (uint32_t j = 0; j < fields->count && good; j++) {
			if (!slice_equal_nocase(fields->items[j].name, forward->by_names[i]))
				continue;
			has_field = true;
			good = add_part(exchange, &key, fields->items[j].value);
		}
		good = good && add_part(exchange, &key, SLICE("\n")); // no value is one
	}
	return good && has_field ? key : (struct slice){0};
}

static struct remembered_login known_by(const struct access_forward *forward, struct slice key)
{
	return (struct remembered_login){forward->digest, SLICE(""), key};
}

// --- What is told of him: texts one behind the other, a NUL behind each

static struct slice next_text(struct arena *arena, struct slice *rest)
{
	struct slice text, more;
	*rest = slice_cut(*rest, '\0', &text, &more) ? more : SLICE_EMPTY;
	return arena_copy(arena, text);
}

bool access_forward_recall(struct exchange *exchange, const struct access_forward *forward, struct slice key,
			   struct fields *ret_told)
{
	const struct remembered_login known = known_by(forward, key);
	struct arena *arena = exchange_arena(exchange);
	struct slice said;
	*ret_told = (struct fields){0};
	if (!remembered_has_said(&known, loop_now_exact(), arena, &said))
		return false;
	exchange->user = next_text(arena, &said);
	exchange->groups = next_text(arena, &said);
	bool good = exchange->user.data && exchange->groups.data;
	while (good && said.length > 0) {
		struct slice name = next_text(arena, &said), value = next_text(arena, &said);
		good = name.data && value.data && fields_add_name(ret_told, arena, name, value);
	}
	return good;
}

void access_forward_remember(struct exchange *exchange, const struct access_forward *forward, struct slice key,
			     const struct fields *told)
{
	const struct remembered_login known = known_by(forward, key);
	char *room = arena_alloc(exchange_arena(exchange), REMEMBERED_SAID_MAX);
	struct text text;
	if (!room)
		return;
	text_init(&text, room, REMEMBERED_SAID_MAX);
	text_add(&text, exchange->user);
	text_add_char(&text, '\0');
	text_add(&text, exchange->groups);
	text_add_char(&text, '\0');
	for (uint32_t i = 0; i < told->count; i++) {
		text_add(&text, told->items[i].name);
		text_add_char(&text, '\0');
		text_add(&text, told->items[i].value);
		text_add_char(&text, '\0');
	}
	if (!text.overflow)
		remembered_put_said(&known, loop_now_exact() + forward->remember_ns, slice_from(room, text.length));
}
