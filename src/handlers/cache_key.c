#include "handlers/cache_key.h"

#include "base/check.h"
#include "base/text.h"
#include "exchange/country.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"

// --- The query

static bool is_all(const struct config_texts *names)
{
	return names->count == 1 && slice_equal(names->items[0].text, SLICE("*"));
}

// Names are compared decoded, so that no spelling of a name that counts passes by the key; values stand as they are.
static void add_parameters(struct text *text, struct slice query, struct slice wanted, bool *first)
{
	struct slice parameter, name, value;
	for (bool more = query.length > 0; more;) {
		more = slice_cut(query, '&', &parameter, &query);
		(void)slice_cut(parameter, '=', &name, &value);
		if (!match_query_is(name, wanted))
			continue;
		text_add_char(text, *first ? '?' : '&');
		text_add(text, wanted);
		text_add(text, slice_after(parameter, name.length));
		*first = false;
	}
}

static void add_query(struct text *text, const struct request *request, const struct config_texts *names)
{
	bool first = true;
	if (is_all(names)) {
		text_add_string(text, request->has_query ? "?" : "");
		text_add(text, request->query);
		return;
	}
	for (size_t i = 0; i < names->count; i++)
		add_parameters(text, request->query, names->items[i].text, &first);
}

struct slice cache_key(struct exchange *exchange, const struct cache_key_config *config)
{
	const struct request *request = exchange_request(exchange);
	struct text text;
	// A parameter's name is no longer decoded than as it is written.
	size_t room = exchange->scheme.length + 3 + exchange->host.length + exchange->route->site->name.length +
		      request->path.length + (request->query.length + 1) * config->query.count;
	char *bytes = arena_alloc(exchange_arena(exchange), room);
	if (!bytes)
		return SLICE_EMPTY;
	text_init(&text, bytes, room);
	text_add(&text, exchange->scheme);
	text_add_string(&text, "://");
	text_add(&text, config->host ? exchange->host : exchange->route->site->name);
	text_add(&text, request->path);
	add_query(&text, request, &config->query);
	check(!text.overflow);
	return text_slice(&text);
}

// --- Fields and cookies

// No field's value holds these.
enum { VALUE_END = '\n', LIST_END = '\r' };

static void add_value(struct text *text, struct slice value)
{
	text_add(text, value);
	text_add_char(text, VALUE_END);
}

static void add_field(struct text *text, const struct fields *fields, struct slice name)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (slice_equal_nocase(fields->items[i].name, name))
			add_value(text, fields->items[i].value);
	text_add_char(text, LIST_END);
}

// RFC 6265 section 4.2.1.
static void add_cookie(struct text *text, const struct fields *fields, struct slice wanted)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		struct slice rest = fields->items[i].value, cookie, name, value;
		for (bool more = fields->items[i].id == FIELD_COOKIE; more;) {
			more = slice_cut(rest, ';', &cookie, &rest);
			if (slice_cut(slice_trim(cookie), '=', &name, &value) && slice_equal(name, wanted))
				add_value(text, value);
		}
	}
	text_add_char(text, LIST_END);
}

static size_t room_for(const struct fields *fields, const struct cache_key_config *config)
{
	size_t room = sizeof(uint64_t) + config->headers.count + config->cookies.count;
	for (uint32_t i = 0; i < fields->count; i++)
		room += (fields->items[i].value.length + 1) * (config->headers.count + config->cookies.count);
	return room;
}

bool cache_key_variant(struct exchange *exchange, const struct cache_config *config, const struct cache_store *store,
		       uint64_t *ret_variant)
{
	const struct fields *fields = &exchange_request(exchange)->fields;
	const struct cache_key_config *key = &config->key;
	*ret_variant = config->variant;
	if (key->headers.count == 0 && key->cookies.count == 0 && !cache_has_classes(&config->vary) && !key->country &&
	    exchange->user.length == 0)
		return true;
	struct text text;
	struct slice device = config->vary.device ? cache_device_of(fields) : SLICE_EMPTY;
	struct slice language =
		config->vary.languages.count > 0 ? cache_language_of(fields, &config->vary.languages) : SLICE_EMPTY;
	struct slice country = key->country ? country_code(exchange_country(exchange)) : SLICE_EMPTY;
	size_t room =
		room_for(fields, key) + device.length + language.length + country.length + exchange->user.length + 4;
	char *bytes = arena_alloc(exchange_arena(exchange), room);
	if (!bytes)
		return false;
	text_init(&text, bytes, room);
	text_add(&text, slice_from((const char *)&config->variant, sizeof config->variant));
	for (size_t i = 0; i < key->headers.count; i++)
		add_field(&text, fields, key->headers.items[i].text);
	for (size_t i = 0; i < key->cookies.count; i++)
		add_cookie(&text, fields, key->cookies.items[i].text);
	add_value(&text, device);
	add_value(&text, language);
	add_value(&text, country);
	// What one who logged in gets is his alone.
	add_value(&text, exchange->user);
	check(!text.overflow);
	*ret_variant = cache_store_hash(store, text_slice(&text));
	return true;
}
