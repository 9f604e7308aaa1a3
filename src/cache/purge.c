#include "cache/purge.h"

#include <stdlib.h>
#include <string.h>

void cache_purges_init(struct cache_purges *purges)
{
	*purges = (struct cache_purges){0};
	pthread_mutex_init(&purges->lock, NULL);
}

void cache_purges_fini(struct cache_purges *purges)
{
	for (size_t i = 0; i < CACHE_PURGES_KEPT; i++)
		free((void *)purges->kept[i].text.data);
	pthread_mutex_destroy(&purges->lock);
}

bool cache_purges_add(struct cache_purges *purges, const struct cache_purge *purge)
{
	char *text = malloc(purge->text.length + 1);
	if (!text)
		return false;
	if (purge->text.length > 0)
		memcpy(text, purge->text.data, purge->text.length);
	pthread_mutex_lock(&purges->lock);
	uint64_t number = atomic_load_explicit(&purges->last, memory_order_relaxed) + 1;
	struct cache_purge *place = &purges->kept[number % CACHE_PURGES_KEPT];
	free((void *)place->text.data);
	*place = *purge;
	place->text = slice_from(text, purge->text.length);
	atomic_store_explicit(&purges->last, number, memory_order_release);
	pthread_mutex_unlock(&purges->lock);
	return true;
}

bool cache_purges_restore(struct cache_purges *purges, uint64_t last, const struct cache_purge kept[CACHE_PURGES_KEPT])
{
	bool whole = true;
	pthread_mutex_lock(&purges->lock);
	for (size_t i = 0; i < CACHE_PURGES_KEPT; i++) {
		struct cache_purge *place = &purges->kept[i];
		struct slice text = kept[i].text;
		free((void *)place->text.data);
		*place = kept[i];
		place->text = slice_from(malloc(text.length + 1), text.length);
		if (place->text.data && text.length > 0)
			memcpy((void *)place->text.data, text.data, text.length);
		whole = whole && place->text.data;
	}
	atomic_store_explicit(&purges->last, last, memory_order_release);
	pthread_mutex_unlock(&purges->lock);
	return whole;
}

// Surrogate-Key separates by blanks, Cache-Tag by commas; no tag holds either.
static bool has_tag(struct slice tags, struct slice tag)
{
	size_t at = 0;
	while (at < tags.length) {
		size_t from = at;
		while (at < tags.length && tags.data[at] != ' ' && tags.data[at] != '\t' && tags.data[at] != ',')
			at++;
		if (slice_equal(slice_from(tags.data + from, at - from), tag))
			return true;
		at++;
	}
	return false;
}

static bool means(const struct cache_purge *purge, const struct cache_object *object)
{
	if (purge->kind == CACHE_PURGE_PREFIX)
		return slice_starts_with(object->key, purge->text);
	for (uint32_t i = 0; i < object->field_count; i++) {
		struct field field = cache_object_field(object, i);
		if ((field.id == FIELD_SURROGATE_KEY || field.id == FIELD_CACHE_TAG) &&
		    has_tag(field.value, purge->text))
			return true;
	}
	return false;
}

static bool look(struct cache_purges *purges, struct cache_object *object, uint64_t *asked_after, uint64_t last)
{
	if (last - *asked_after > CACHE_PURGES_KEPT)
		return false;
	for (uint64_t number = *asked_after + 1; number <= last; number++) {
		const struct cache_purge *purge = &purges->kept[number % CACHE_PURGES_KEPT];
		if (!means(purge, object))
			continue;
		if (!purge->is_soft)
			return false;
		atomic_store_explicit(&object->is_outdated, true, memory_order_relaxed);
	}
	*asked_after = last;
	return true;
}

bool cache_purges_spare(struct cache_purges *purges, struct cache_object *object, uint64_t *asked_after)
{
	if (*asked_after == cache_purges_last(purges))
		return true;
	pthread_mutex_lock(&purges->lock);
	bool spared = look(purges, object, asked_after, atomic_load_explicit(&purges->last, memory_order_relaxed));
	pthread_mutex_unlock(&purges->lock);
	return spared;
}
