#include "upstream/pick_key.h"

#include "base/text.h"
#include "exchange/exchange.h"
#include "http/cookie.h"
#include "http/syntax.h"

static const struct {
	struct slice word;
	enum pick_key_source source;
	bool has_name;
} sources[] = {
	{{"client", 6}, PICK_KEY_CLIENT, false}, {{"host", 4}, PICK_KEY_HOST, false},
	{{"path", 4}, PICK_KEY_PATH, false},	 {{"uri", 3}, PICK_KEY_URI, false},
	{{"header", 6}, PICK_KEY_HEADER, true},	 {{"cookie", 6}, PICK_KEY_COOKIE, true},
	{{"query", 5}, PICK_KEY_QUERY, true},
};

enum { SOURCES = sizeof(sources) / sizeof(sources[0]) };

// --- The configuration

static bool name_is_good(enum pick_key_source source, struct slice name)
{
	if (source == PICK_KEY_COOKIE)
		return cookie_is_name(name);
	if (source == PICK_KEY_HEADER)
		return syntax_all(name, SYNTAX_TOKEN);
	return name.length > 0 && slice_find(name, '=') == name.length && slice_find(name, '&') == name.length;
}

bool pick_key_load(struct config_load *load, const struct config_text *text, struct pick_key *ret_key)
{
	struct slice word, name, words[SOURCES];
	bool has_name = slice_cut(text->text, ' ', &word, &name);
	name = has_name ? slice_trim(name) : SLICE_EMPTY;
	for (size_t i = 0; i < SOURCES; i++) {
		words[i] = sources[i].word;
		if (!slice_equal(word, sources[i].word))
			continue;
		if (sources[i].has_name ? name_is_good(sources[i].source, name) : !has_name) {
			*ret_key = (struct pick_key){sources[i].source, name, field_id_of(name)};
			return true;
		}
		config_error(load, text->place,
			     sources[i].has_name ? "\"%.*s\" needs a name: write \"%.*s NAME\""
						 : "\"%.*s\" takes no name: write %.*s",
			     SLICE_ARGUMENTS(text->text), SLICE_ARGUMENTS(word));
		return false;
	}
	config_error(load, text->place, "\"%.*s\" is nothing that a request has%s; expected " PICK_KEY_FORM,
		     SLICE_ARGUMENTS(text->text), config_suggestion(load, word, words, SOURCES));
	return false;
}

// --- Requests

static uint64_t hash_client(const struct hash_key *secret, const struct address *client)
{
	uint64_t key[2] = {0};
	(void)address_client_key(client, key); // by a UNIX socket all are one
	return hash_keyed(secret, slice_from(key, sizeof(key)));
}

static struct slice query_find(struct slice query, struct slice wanted)
{
	struct slice parameter, name, value;
	while (query.length > 0) {
		if (!slice_cut(query, '&', &parameter, &query))
			query = SLICE_EMPTY;
		bool has_value = slice_cut(parameter, '=', &name, &value);
		if (slice_equal(name, wanted))
			return has_value ? value : slice_from("", 0);
	}
	return SLICE_EMPTY;
}

static struct slice value_of(const struct pick_key *key, const struct request *request)
{
	switch (key->source) {
	case PICK_KEY_HEADER: {
		const struct field *field = key->id != FIELD_OTHER ? fields_find(&request->fields, key->id)
								   : fields_find_name(&request->fields, key->name);
		return field ? field->value : SLICE_EMPTY;
	}
	case PICK_KEY_COOKIE:
		return cookie_find(&request->fields, key->name);
	case PICK_KEY_QUERY:
		return query_find(request->query, key->name);
	case PICK_KEY_CLIENT:
	case PICK_KEY_HOST:
	case PICK_KEY_PATH:
	case PICK_KEY_URI:
		break;
	}
	return SLICE_EMPTY;
}

uint64_t pick_key_hash(const struct pick_key *key, const struct hash_key *secret, const struct exchange *exchange)
{
	const struct request *request = &exchange->transaction.request;
	switch (key->source) {
	case PICK_KEY_CLIENT:
		return hash_client(secret, &exchange->client);
	case PICK_KEY_HOST:
		return hash_keyed(secret, exchange->host);
	case PICK_KEY_PATH:
		return hash_keyed(secret, exchange->path);
	case PICK_KEY_URI:
		return hash_keyed(secret, exchange->path) ^ hash_number(hash_keyed(secret, request->query));
	case PICK_KEY_HEADER:
	case PICK_KEY_COOKIE:
	case PICK_KEY_QUERY:
		break;
	}
	struct slice value = value_of(key, request);
	return value.data ? hash_keyed(secret, value) : hash_client(secret, &exchange->client);
}
