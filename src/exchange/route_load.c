// Paths and conditions of routes, from the configuration to what route_find matches.
#include "config/load.h"
#include "exchange/certificate_match.h"
#include "exchange/country.h"
#include "exchange/route_match.h"
#include "http/message.h"
#include "http/syntax.h"
#include "http/uri.h"

#include <stddef.h>
#include <string.h>

struct route_match_config {
	struct config_place place;
	struct config_texts methods, clients, countries;
	struct config_pairs headers, query;
	struct certificate_match_config *certificate;
};

static const struct config_key keys[] = {
	{"method", CONFIG_TEXTS, offsetof(struct route_match_config, methods),
	 .help = "one of these methods; GET does not stand for HEAD", .form = "a method such as GET, in capitals"},
	{"header", CONFIG_PAIRS, offsetof(struct route_match_config, headers),
	 .help = "each of these fields is there and holds the text (of several, one of them); \"~ regex\" for a "
		 "regular "
		 "expression, \"*\" for any value"},
	{"query", CONFIG_PAIRS, offsetof(struct route_match_config, query),
	 .help = "each of these parameters of the query, in the same way; they are decoded before they are compared"},
	{"client", CONFIG_TEXTS, offsetof(struct route_match_config, clients),
	 .help = "the client's address is in one of these networks",
	 .form = "a network such as 10.0.0.0/8 or an address such as 192.0.2.1"},
	{"country", CONFIG_TEXTS, offsetof(struct route_match_config, countries),
	 .help = "the client is in one of these countries (ISO 3166-1), by the key `geo`; not known where is in none",
	 .form = "two capital letters such as CH"},
	{"client_certificate", CONFIG_OPTIONAL, offsetof(struct route_match_config, certificate),
	 .help = "the client showed a certificate that is like this", .section = &certificate_match_section},
	{0},
};

const struct config_section route_match_section = {
	.name = "match",
	.help = "What a request must be like beside its path; all of what is written here must hold.",
	.size = sizeof(struct route_match_config),
	.keys = keys,
	.place_offset = offsetof(struct route_match_config, place),
};

// What follows "~" in a text, without the blanks; false when there is no "~".
static bool pattern_of(struct slice text, struct slice *ret_pattern)
{
	if (!slice_starts_with(text, SLICE("~")))
		return false;
	*ret_pattern = slice_trim(slice_after(text, 1));
	return true;
}

// Bytes that may not stand in a target as they are (RFC 3986), as percent-encodings, so that
// a person may write /café. "%" stays: an encoding is taken for one.
static struct slice encode_path(struct slice path, struct arena *arena)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = arena_alloc(arena, path.length * 3 + 1), *next = out;
	if (!out)
		return SLICE_EMPTY;
	for (size_t i = 0; i < path.length; i++) {
		char byte = path.data[i];
		if (byte == '%' || syntax_is(byte, SYNTAX_PATH)) {
			*next++ = byte;
			continue;
		}
		*next++ = '%';
		*next++ = digits[(unsigned char)byte >> 4];
		*next++ = digits[byte & 15];
	}
	return slice_from(out, (size_t)(next - out));
}

static bool path_is_well_formed(struct config_load *load, const struct config_text *text)
{
	const char *end = text->text.data + text->text.length;
	if (text->text.data[0] != '/') {
		config_error(
			load, text->place,
			"a path starts with \"/\" (ending in \"/\" it is a prefix, otherwise exact) or with \"~ \" "
			"for a regular expression");
		return false;
	}
	for (const char *at = text->text.data; at < end; at++) {
		if (*at == '?' || *at == '#') {
			config_error(load, text->place,
				     "a path has no query and no fragment; a parameter is matched by match.query");
			return false;
		}
		if (*at == '%' && (!syntax_is_percent_encoded(at, end) || memcmp(at, "%00", 3) == 0)) {
			config_error(load, text->place,
				     "\"%%\" begins no percent-encoding here; a percent sign is %%25");
			return false;
		}
	}
	return true;
}

bool route_path_load(struct config_load *load, const struct config_text *text, bool merge_slashes,
		     struct route_path *ret_path)
{
	*ret_path = (struct route_path){.kind = PATH_ANY};
	if (text->text.length == 0)
		return true;
	struct slice pattern;
	if (pattern_of(text->text, &pattern)) {
		ret_path->kind = PATH_REGEX;
		ret_path->text = pattern;
		ret_path->regex = regex_load(load, text, pattern);
		return ret_path->regex != NULL;
	}
	if (!path_is_well_formed(load, text))
		return false;
	struct uri_normal_options options = {.merge_slashes = merge_slashes};
	struct slice encoded = encode_path(text->text, config_arena(load));
	struct slice normal = encoded.data ? uri_normal_path(encoded, &options, config_arena(load)) : SLICE_EMPTY;
	if (!normal.data)
		return false;
	ret_path->kind = slice_ends_with(normal, SLICE("/")) ? PATH_PREFIX : PATH_EXACT;
	ret_path->text = normal;
	return true;
}

// --- Conditions

static bool load_methods(struct config_load *load, const struct config_texts *texts, struct route_match *match)
{
	bool good = true;
	struct config_text *others = config_alloc(load, (texts->count + 1) * sizeof *others);
	if (!others)
		return false;
	match->other_methods.items = others;
	for (size_t i = 0; i < texts->count; i++) {
		const struct config_text *text = &texts->items[i];
		enum method method = method_of(text->text);
		if (!syntax_all(text->text, SYNTAX_TOKEN)) {
			config_error(load, text->place, "\"%.*s\" is no method", SLICE_ARGUMENTS(text->text));
			good = false;
		} else if (method != METHOD_OTHER) {
			match->methods |= UINT32_C(1) << method;
		} else {
			for (size_t j = 0; j < text->text.length; j++)
				if (text->text.data[j] >= 'a' && text->text.data[j] <= 'z') {
					config_warning(
						load, text->place,
						"methods are compared with regard to case (RFC 9110 section 9.1), "
						"and the usual ones are in capitals");
					break;
				}
			others[match->other_methods.count++] = *text;
		}
	}
	return good;
}

bool match_value_load(struct config_load *load, const struct config_text *text, struct match_value *ret_value)
{
	struct slice pattern;
	ret_value->kind = VALUE_EQUAL;
	ret_value->text = text->text;
	if (slice_equal(text->text, SLICE("*"))) {
		ret_value->kind = VALUE_PRESENT;
	} else if (pattern_of(text->text, &pattern)) {
		ret_value->kind = VALUE_REGEX;
		ret_value->regex = regex_load(load, text, pattern);
		return ret_value->regex != NULL;
	}
	return true;
}

static bool load_values(struct config_load *load, const struct config_pairs *pairs, bool of_header,
			struct match_values *ret_values)
{
	bool good = true;
	struct match_value *items = config_alloc(load, (pairs->count + 1) * sizeof *items);
	if (!items)
		return false;
	for (size_t i = 0; i < pairs->count; i++) {
		const struct config_pair *pair = &pairs->items[i];
		if (of_header && !syntax_all(pair->name.text, SYNTAX_TOKEN)) {
			config_error(load, pair->name.place, "\"%.*s\" is no name of a field",
				     SLICE_ARGUMENTS(pair->name.text));
			good = false;
		}
		items[i] = (struct match_value){.name = pair->name.text, .id = field_id_of(pair->name.text)};
		good = match_value_load(load, &pair->value, &items[i]) && good;
		if (i > 0)
			items[i - 1].or_next = of_header ? slice_equal_nocase(items[i - 1].name, items[i].name)
							 : slice_equal(items[i - 1].name, items[i].name);
	}
	*ret_values = (struct match_values){items, pairs->count};
	return good;
}

static bool load_clients(struct config_load *load, const struct config_texts *texts, struct route_match *match)
{
	if (texts->count == 0)
		return true;
	struct network_set *set = config_alloc(load, sizeof *set);
	if (!set || !network_set_load(load, texts, set))
		return false;
	match->clients = set;
	return true;
}

static bool load_countries(struct config_load *load, const struct snapshot *snapshot, const struct config_texts *texts,
			   struct route_match *match)
{
	if (texts->count == 0)
		return true;
	struct country_set *set = config_alloc(load, sizeof *set);
	bool good = set != NULL;
	for (size_t i = 0; set && i < texts->count; i++) {
		const struct config_text *text = &texts->items[i];
		unsigned country;
		const char *why = country_read(snapshot, text->text, &country);
		if (why)
			config_error(load, text->place, "\"%.*s\" %s", SLICE_ARGUMENTS(text->text), why);
		else
			country_set_add(set, country);
		good = good && !why;
	}
	match->countries = set;
	return good;
}

bool network_set_load(struct config_load *load, const struct config_texts *texts, struct network_set *ret_set)
{
	bool good = true;
	struct network_set set = {.networks = config_alloc(load, (texts->count + 1) * sizeof *set.networks)};
	if (!set.networks)
		return false;
	for (size_t i = 0; i < texts->count; i++) {
		const struct config_text *text = &texts->items[i];
		if (slice_equal(text->text, SLICE("unix"))) {
			set.local = true;
		} else if (network_parse(text->text, &set.networks[set.count])) {
			set.count++;
		} else {
			config_error(load, text->place,
				     "\"%.*s\" is no network; expected one such as 10.0.0.0/8 (without bits beyond its "
				     "prefix), an address such as 192.0.2.1, or `unix` for UNIX sockets",
				     SLICE_ARGUMENTS(text->text));
			good = false;
		}
	}
	network_set_freeze(&set);
	*ret_set = set;
	return good;
}

bool route_match_load(struct config_load *load, const struct snapshot *snapshot,
		      const struct route_match_config *config, struct route_match *match)
{
	if (!config)
		return true;
	bool good = load_methods(load, &config->methods, match);
	good = load_values(load, &config->headers, true, &match->headers) && good;
	good = load_values(load, &config->query, false, &match->query) && good;
	good = load_clients(load, &config->clients, match) && good;
	good = load_countries(load, snapshot, &config->countries, match) && good;
	if (config->certificate) {
		match->certificate = certificate_match_load(load, config->certificate);
		good = match->certificate && good;
	}
	match->conditions = config->methods.count || match->headers.count || match->query.count || match->clients ||
			    match->countries || match->certificate;
	return good;
}
