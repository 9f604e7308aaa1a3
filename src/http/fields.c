#include "http/fields.h"

enum { FIRST_CAPACITY = 24 };

const struct field *fields_find(const struct fields *fields, enum field_id id)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		if (fields->items[i].id == id)
			return &fields->items[i];
	}
	return NULL;
}

const struct field *fields_find_name(const struct fields *fields, struct slice name)
{
	enum field_id id = field_id_of(name);
	if (id != FIELD_OTHER)
		return fields_find(fields, id);
	for (uint32_t i = 0; i < fields->count; i++) {
		if (fields->items[i].id == FIELD_OTHER && slice_equal_nocase(fields->items[i].name, name))
			return &fields->items[i];
	}
	return NULL;
}

struct slice fields_value(const struct fields *fields, enum field_id id)
{
	const struct field *field = fields_find(fields, id);
	return field != NULL ? field->value : SLICE_EMPTY;
}

bool fields_grow(struct fields *fields, struct arena *arena)
{
	if (fields->capacity > UINT32_MAX / 2)
		return false;
	uint32_t capacity = fields->capacity == 0 ? FIRST_CAPACITY : fields->capacity * 2;
	struct field *items = arena_alloc(arena, capacity * sizeof(*items));
	if (items == NULL)
		return false;
	if (fields->count > 0)
		memcpy(items, fields->items, fields->count * sizeof(*items));
	fields->items = items;
	fields->capacity = capacity;
	return true;
}

static bool add(struct fields *fields, struct arena *arena, struct field field)
{
	if (fields->count == fields->capacity && !fields_grow(fields, arena))
		return false;
	fields->items[fields->count++] = field;
	return true;
}

bool fields_add(struct fields *fields, struct arena *arena, enum field_id id, struct slice value)
{
	return add(fields, arena, (struct field){.name = field_name(id), .value = value, .id = id});
}

bool fields_add_name(struct fields *fields, struct arena *arena, struct slice name, struct slice value)
{
	return add(fields, arena, (struct field){.name = name, .value = value, .id = field_id_of(name)});
}

static bool same_name(const struct field *a, const struct field *b)
{
	return a->id == b->id && (a->id != FIELD_OTHER || slice_equal_nocase(a->name, b->name));
}

// Removes those with the field's name from index `from` on.
static bool remove_from(struct fields *fields, uint32_t from, const struct field *field)
{
	uint32_t kept = from;
	for (uint32_t i = from; i < fields->count; i++) {
		if (!same_name(&fields->items[i], field))
			fields->items[kept++] = fields->items[i];
	}
	bool removed = kept < fields->count;
	fields->count = kept;
	return removed;
}

static bool set(struct fields *fields, struct arena *arena, struct field field)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		if (same_name(&fields->items[i], &field)) {
			fields->items[i] = field;
			remove_from(fields, i + 1, &field);
			return true;
		}
	}
	return add(fields, arena, field);
}

bool fields_set(struct fields *fields, struct arena *arena, enum field_id id, struct slice value)
{
	return set(fields, arena, (struct field){.name = field_name(id), .value = value, .id = id});
}

bool fields_set_name(struct fields *fields, struct arena *arena, struct slice name, struct slice value)
{
	return set(fields, arena, (struct field){.name = name, .value = value, .id = field_id_of(name)});
}

bool fields_remove(struct fields *fields, enum field_id id)
{
	return remove_from(fields, 0, &(struct field){.name = field_name(id), .id = id});
}

bool fields_remove_name(struct fields *fields, struct slice name)
{
	return remove_from(fields, 0, &(struct field){.name = name, .id = field_id_of(name)});
}

bool fields_list_has(const struct fields *fields, enum field_id id, struct slice member)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		if (fields->items[i].id != id)
			continue;
		struct slice rest = fields->items[i].value, found;
		while (slice_next_member(&rest, &found)) {
			if (slice_equal_nocase(found, member))
				return true;
		}
	}
	return false;
}

// Fields that usher takes off whether Connection names them or not (RFC 9110 section 7.6.1).
static bool is_hop_by_hop(enum field_id id)
{
	return id == FIELD_CONNECTION || id == FIELD_PROXY_CONNECTION || id == FIELD_KEEP_ALIVE || id == FIELD_TE ||
	       id == FIELD_TRANSFER_ENCODING || id == FIELD_UPGRADE || id == FIELD_HTTP2_SETTINGS ||
	       id == FIELD_PROXY_AUTHENTICATE || id == FIELD_PROXY_AUTHORIZATION ||
	       id == FIELD_PROXY_AUTHENTICATION_INFO;
}

// Fields that stay though Connection names them: they are meant for every recipient
// (RFC 9110 section 7.6.1), and a client that has them taken off between usher and the
// server changes what the message means, or whose it seems to be.
static bool is_end_to_end(enum field_id id)
{
	return id == FIELD_HOST || id == FIELD_CONTENT_LENGTH || id == FIELD_CONTENT_TYPE ||
	       id == FIELD_CONTENT_ENCODING || id == FIELD_CONTENT_RANGE || id == FIELD_CACHE_CONTROL ||
	       id == FIELD_VARY || id == FIELD_EXPECT || id == FIELD_MAX_FORWARDS || id == FIELD_VIA ||
	       id == FIELD_FORWARDED || id == FIELD_X_FORWARDED_FOR || id == FIELD_X_FORWARDED_HOST ||
	       id == FIELD_X_FORWARDED_PROTO || id == FIELD_X_REAL_IP || id == FIELD_X_REQUEST_ID;
}

// Takes off what one value of Connection names, but for the hop-by-hop fields themselves,
// which go in the end.
static void remove_named(struct fields *fields, struct slice connection)
{
	struct slice name;
	while (slice_next_member(&connection, &name)) {
		struct field field = {.name = name, .id = field_id_of(name)};
		if (!is_hop_by_hop(field.id) && !is_end_to_end(field.id))
			remove_from(fields, 0, &field);
	}
}

void fields_remove_named_by_connection(struct fields *fields)
{
	// Each Connection goes before its names do, since what they remove moves the others.
	const struct field *connection;
	while ((connection = fields_find(fields, FIELD_CONNECTION)) != NULL) {
		struct slice names = connection->value;
		size_t index = (size_t)(connection - fields->items);
		memmove(fields->items + index, connection + 1, (fields->count - index - 1) * sizeof(*connection));
		fields->count--;
		remove_named(fields, names);
	}
}

void fields_remove_hop_by_hop(struct fields *fields)
{
	fields_remove_named_by_connection(fields);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		if (!is_hop_by_hop(fields->items[i].id))
			fields->items[kept++] = fields->items[i];
	}
	fields->count = kept;
}
