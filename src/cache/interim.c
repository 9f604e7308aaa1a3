#include "cache/interim.h"

#include <stdlib.h>
#include <string.h>

// In one block: the response, its fields, their texts.
static struct response *copy_response(const struct response *interim)
{
	const struct fields *fields = &interim->fields;
	size_t size = sizeof *interim + fields->count * sizeof(struct field);
	for (uint32_t i = 0; i < fields->count; i++)
		size += fields->items[i].name.length + fields->items[i].value.length;
	struct response *copy = malloc(size);
	if (!copy)
		return NULL;
	struct field *items = (struct field *)(copy + 1);
	char *text = (char *)(items + fields->count);
	*copy = (struct response){.status = interim->status,
				  .version_major = interim->version_major,
				  .version_minor = interim->version_minor,
				  .fields = {.items = items, .count = fields->count, .capacity = fields->count}};
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		items[i] = *field;
		items[i].name.data = memcpy(text, field->name.data, field->name.length);
		text += field->name.length;
		items[i].value.data = text;
		if (field->value.length > 0)
			memcpy(text, field->value.data, field->value.length);
		text += field->value.length;
	}
	return copy;
}

void cache_interims_add(struct cache_interims *interims, const struct response *interim)
{
	struct response *copy = interims->count < CACHE_INTERIMS_MAX ? copy_response(interim) : NULL;
	if (copy)
		interims->items[interims->count++] = copy;
}

void cache_interims_clear(struct cache_interims *interims)
{
	while (interims->count > 0)
		free(interims->items[--interims->count]);
}
