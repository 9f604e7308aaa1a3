#include "handlers/cache_classes.h"

#include "handlers/cache_fetching.h"
#include "http/preference.h"

#include <string.h>

#define DEVICE_FIELD "X-Device"

// --- Devices

static bool holds(struct slice text, const char *word)
{
	return text.data && memmem(text.data, text.length, word, strlen(word)) != NULL;
}

static bool holds_one(struct slice text, const char *const *words)
{
	for (; *words; words++)
		if (holds(text, *words))
			return true;
	return false;
}

// What browsers say of themselves: phones say "Mobile", tablets with Android do not.
struct slice cache_device_of(const struct fields *request)
{
	static const char *const tablets[] = {"iPad", "Tablet", "Kindle", "Silk/", "PlayBook", NULL};
	static const char *const phones[] = {"Mobi", "iPhone", "iPod", "Opera Mini", "BlackBerry", NULL};
	struct slice agent = fields_value(request, FIELD_USER_AGENT);
	if (holds_one(agent, tablets) || (holds(agent, "Android") && !holds(agent, "Mobi")))
		return SLICE("tablet");
	const struct field *says = fields_find_name(request, SLICE("Sec-CH-UA-Mobile"));
	if (holds_one(agent, phones) || (says && slice_equal(says->value, SLICE("?1"))))
		return SLICE("mobile");
	return SLICE("desktop");
}

// --- Languages

static bool is_prefix(struct slice prefix, struct slice tag)
{
	return prefix.length <= tag.length && slice_equal_nocase(prefix, slice_first(tag, prefix.length)) &&
	       (prefix.length == tag.length || tag.data[prefix.length] == '-');
}

static const struct config_text *language_for(struct slice range, const struct config_texts *languages)
{
	const struct config_text *broader = NULL, *narrower = NULL;
	for (size_t i = 0; i < languages->count; i++) {
		const struct config_text *language = &languages->items[i];
		if (slice_equal_nocase(language->text, range))
			return language;
		if (is_prefix(language->text, range) && (!broader || broader->text.length < language->text.length))
			broader = language;
		if (!narrower && is_prefix(range, language->text))
			narrower = language;
	}
	return broader ? broader : narrower;
}

struct slice cache_language_of(const struct fields *request, const struct config_texts *languages)
{
	struct slice best = languages->items[0].text;
	unsigned best_quality = 0, quality;
	for (uint32_t i = 0; i < request->count; i++) {
		struct slice rest = request->items[i].value, member, range;
		if (request->items[i].id != FIELD_ACCEPT_LANGUAGE)
			continue;
		while (slice_next_member(&rest, &member)) {
			if (!preference_read(member, &range, &quality))
				continue;
			const struct config_text *language =
				slice_equal(range, SLICE("*")) ? languages->items : language_for(range, languages);
			if (!language || quality <= best_quality)
				continue;
			best = language->text;
			best_quality = quality;
		}
	}
	return best;
}

// --- What servers are told, and what counts

static bool tell(const struct cache_vary_config *config, struct arena *arena, struct fields *request)
{
	const struct config_texts *languages = &config->languages;
	if (config->device && !fields_set_name(request, arena, SLICE(DEVICE_FIELD), cache_device_of(request)))
		return false;
	return languages->count == 0 ||
	       fields_set(request, arena, FIELD_ACCEPT_LANGUAGE, cache_language_of(request, languages));
}

void cache_classes_take_out(const struct cache_vary_config *config, struct fields *copy)
{
	if (config->device)
		(void)fields_remove(copy, FIELD_USER_AGENT);
}

bool cache_classes_take(const struct cache_vary_config *config, struct arena *arena, struct fields *request,
			struct fields *ret_fields)
{
	if (cache_has_classes(config) && !tell(config, arena, request))
		return false;
	*ret_fields = *request;
	if (config->device && !cache_copy_fields(arena, request, ret_fields))
		return false;
	cache_classes_take_out(config, ret_fields);
	return true;
}
