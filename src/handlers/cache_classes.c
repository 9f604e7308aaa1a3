#include "handlers/cache_classes.h"

#include <string.h>

#define DEVICE_FIELD "X-Device"

enum { QUALITY_WHOLE = 1000 };

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

static struct slice value_of(const struct fields *fields, struct slice name)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (slice_equal_nocase(fields->items[i].name, name))
			return fields->items[i].value;
	return SLICE_EMPTY;
}

// What browsers say of themselves: phones say "Mobile", tablets with Android do not.
struct slice cache_device_of(const struct fields *request)
{
	static const char *const tablets[] = {"iPad", "Tablet", "Kindle", "Silk/", "PlayBook", NULL};
	static const char *const phones[] = {"Mobi", "iPhone", "iPod", "Opera Mini", "BlackBerry", NULL};
	struct slice agent = fields_value(request, FIELD_USER_AGENT);
	if (holds_one(agent, tablets) || (holds(agent, "Android") && !holds(agent, "Mobi")))
		return SLICE("tablet");
	if (holds_one(agent, phones) || slice_equal(value_of(request, SLICE("Sec-CH-UA-Mobile")), SLICE("?1")))
		return SLICE("mobile");
	return SLICE("desktop");
}

// --- Languages

// RFC 9110 section 12.4.2, in thousandths. What is no weight counts as none.
static int quality_of(struct slice parameters)
{
	struct slice parameter, name, value;
	int quality = QUALITY_WHOLE;
	for (bool more = parameters.length > 0; more;) {
		more = slice_cut(parameters, ';', &parameter, &parameters);
		if (!slice_cut(slice_trim(parameter), '=', &name, &value) || !slice_equal_nocase(name, SLICE("q")))
			continue;
		quality = value.length > 0 && value.data[0] == '1' ? QUALITY_WHOLE : 0;
		for (size_t i = 2, unit = 100; quality < QUALITY_WHOLE && i < value.length && i < 5; i++, unit /= 10)
			quality += value.data[i] >= '0' && value.data[i] <= '9' ? (value.data[i] - '0') * (int)unit : 0;
	}
	return quality;
}

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
	int best_quality = 0;
	for (uint32_t i = 0; i < request->count; i++) {
		struct slice rest = request->items[i].value, member, range, parameters = SLICE_EMPTY;
		if (request->items[i].id != FIELD_ACCEPT_LANGUAGE)
			continue;
		while (slice_next_member(&rest, &member)) {
			if (!slice_cut(member, ';', &range, &parameters))
				parameters = SLICE_EMPTY;
			range = slice_trim(range);
			int quality = quality_of(parameters);
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

static bool set_device(struct arena *arena, struct fields *request)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < request->count; i++)
		if (!slice_equal_nocase(request->items[i].name, SLICE(DEVICE_FIELD)))
			request->items[kept++] = request->items[i];
	request->count = kept;
	return fields_add_name(request, arena, SLICE(DEVICE_FIELD), cache_device_of(request));
}

bool cache_classes_tell(const struct cache_vary_config *config, struct arena *arena, struct fields *request)
{
	const struct config_texts *languages = &config->languages;
	if (config->device && !set_device(arena, request))
		return false;
	return languages->count == 0 ||
	       fields_set(request, arena, FIELD_ACCEPT_LANGUAGE, cache_language_of(request, languages));
}

void cache_classes_take_out(const struct cache_vary_config *config, struct fields *copy)
{
	if (config->device)
		(void)fields_remove(copy, FIELD_USER_AGENT);
}
