#include "exchange/certificate_match.h"

#include "config/load.h"
#include "exchange/certificate.h"

#include <stddef.h>

// Of SHA-256, in hexadecimal.
enum { FINGERPRINT_DIGITS = 64 };

struct certificate_match_config {
	struct config_place place;
	bool verified;
	struct config_text subject, issuer, names;
	struct config_texts fingerprints;
};

static const struct config_key keys[] = {
	{"verified", CONFIG_BOOL, offsetof(struct certificate_match_config, verified), "true",
	 "whether it must be verified; `false`: the others, and clients without one. Not looked at with `fingerprint` "
	 "unless written"},
	{"subject", CONFIG_TEXT, offsetof(struct certificate_match_config, subject),
	 .help = "whom it names, as RFC 2253 writes it (\"CN=ann,O=Example\"); \"~ regex\" for a regular expression",
	 .form = "a name such as \"CN=ann,O=Example\", or \"~ regex\""},
	{"issuer", CONFIG_TEXT, offsetof(struct certificate_match_config, issuer),
	 .help = "who issued it, in the same way", .form = "a name such as \"CN=Example CA\", or \"~ regex\""},
	{"names", CONFIG_TEXT, offsetof(struct certificate_match_config, names),
	 .help = "one of its alternative names: \"DNS:a.example\", \"email:ann@example.com\"; \"~ regex\" for a "
		 "regular expression",
	 .form = "a name such as \"DNS:a.example\", or \"~ regex\""},
	{"fingerprint", CONFIG_TEXTS, offsetof(struct certificate_match_config, fingerprints),
	 .help = "one of these certificates, whoever issued it: SHA-256, as `openssl x509 -fingerprint -sha256` prints "
		 "it",
	 .form = "64 hexadecimal digits, colons between them or not"},
	{0},
};

const struct config_section certificate_match_section = {
	.name = "match_client_certificate",
	.help = "What the client's certificate must say. Whom it names counts only when it is verified.",
	.size = sizeof(struct certificate_match_config),
	.keys = keys,
	.place_offset = offsetof(struct certificate_match_config, place),
};

// --- Loading

struct certificate_match {
	bool asks_verified, verified;
	struct match_value subject, issuer, names;
	bool has_subject, has_issuer, has_names;
	struct slice *fingerprints;
	size_t fingerprint_count;
};

// In lower case, without colons; .data NULL when it is none.
static struct slice fingerprint_normal(struct slice text, struct arena *arena)
{
	char *digits = arena_alloc(arena, FINGERPRINT_DIGITS);
	size_t count = 0;
	for (size_t i = 0; digits && i < text.length; i++) {
		char c = ascii_lower(text.data[i]);
		if (c == ':' && count > 0 && count % 2 == 0 && text.data[i - 1] != ':')
			continue;
		if (count == FINGERPRINT_DIGITS || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return SLICE_EMPTY;
		digits[count++] = c;
	}
	return count == FINGERPRINT_DIGITS ? slice_from(digits, count) : SLICE_EMPTY;
}

static bool load_fingerprints(struct config_load *load, const struct config_texts *texts,
			      struct certificate_match *match)
{
	bool good = true;
	match->fingerprints = config_alloc(load, (texts->count + 1) * sizeof *match->fingerprints);
	if (!match->fingerprints)
		return false;
	for (size_t i = 0; i < texts->count; i++) {
		struct slice normal = fingerprint_normal(texts->items[i].text, config_arena(load));
		match->fingerprints[match->fingerprint_count++] = normal;
		if (normal.data)
			continue;
		config_error(load, texts->items[i].place,
			     "\"%.*s\" is no fingerprint; expected the 64 hexadecimal digits of SHA-256, as `openssl "
			     "x509 -fingerprint -sha256` prints them",
			     SLICE_ARGUMENTS(texts->items[i].text));
		good = false;
	}
	return good;
}

static bool load_text(struct config_load *load, const struct config_text *text, bool *ret_has,
		      struct match_value *ret_value)
{
	*ret_has = text->text.data != NULL;
	return !*ret_has || match_value_load(load, text, ret_value);
}

const struct certificate_match *certificate_match_load(struct config_load *load,
						       const struct certificate_match_config *config)
{
	struct certificate_match *match = config_alloc(load, sizeof *match);
	if (!match)
		return NULL;
	match->verified = config->verified;
	match->asks_verified = config->fingerprints.count == 0 || config_is_set(load, config, "verified");
	bool good = load_text(load, &config->subject, &match->has_subject, &match->subject);
	good = load_text(load, &config->issuer, &match->has_issuer, &match->issuer) && good;
	good = load_text(load, &config->names, &match->has_names, &match->names) && good;
	good = load_fingerprints(load, &config->fingerprints, match) && good;
	if (!match->verified && (match->has_subject || match->has_issuer || match->has_names)) {
		config_error(load, config_where(load, config, "verified"),
			     "whom a certificate names counts only when it is verified; with `verified: false` nothing "
			     "can match");
		good = false;
	}
	return good ? match : NULL;
}

bool certificate_match_takes_none(const struct certificate_match *match)
{
	return match->asks_verified && !match->verified && match->fingerprint_count == 0;
}

struct slice certificate_match_words(const struct certificate_match_config *config, struct arena *arena)
{
	const struct {
		const char *name;
		struct slice text;
	} wants[] = {{"subject", config->subject.text}, {"issuer", config->issuer.text}, {"name", config->names.text}};
	size_t pinned = config->fingerprints.count;
	struct slice words = pinned > 1		? arena_printf(arena, "one of %zu pinned certificates", pinned)
			     : pinned == 1	? SLICE("the pinned certificate")
			     : config->verified ? SLICE("a verified certificate")
						: SLICE("no verified certificate");
	const char *joint = "with";
	for (size_t i = 0; i < sizeof wants / sizeof *wants && words.data; i++) {
		if (!wants[i].text.data)
			continue;
		words = arena_printf(arena, "%.*s %s the %s \"%.*s\"", SLICE_ARGUMENTS(words), joint, wants[i].name,
				     SLICE_ARGUMENTS(wants[i].text));
		joint = "and";
	}
	return words;
}

// --- Matching

static enum match_result names_hold(const struct match_value *wanted, struct slice names)
{
	struct slice name;
	bool more = names.length > 0;
	while (more) {
		more = slice_cut(names, ',', &name, &names);
		enum match_result result = match_value_holds(wanted, slice_trim(name));
		if (result != MATCH_FAILS)
			return result;
	}
	return MATCH_FAILS;
}

static bool fingerprint_holds(const struct certificate_match *match, struct slice fingerprint)
{
	for (size_t i = 0; i < match->fingerprint_count; i++)
		if (slice_equal(match->fingerprints[i], fingerprint))
			return true;
	return match->fingerprint_count == 0;
}

enum match_result certificate_match_holds(const struct certificate_match *match, const struct exchange *exchange)
{
	struct certificate_texts texts;
	enum match_result result = MATCH_HOLDS;
	bool is_verified = certificate_verified(exchange) != NULL;
	certificate_texts(exchange, &texts);
	if ((match->asks_verified && match->verified != is_verified) || !fingerprint_holds(match, texts.fingerprint))
		return MATCH_FAILS;
	if ((match->has_subject || match->has_issuer || match->has_names) && !is_verified)
		return MATCH_FAILS;
	if (match->has_subject)
		result = match_value_holds(&match->subject, texts.subject);
	if (match->has_issuer && result == MATCH_HOLDS)
		result = match_value_holds(&match->issuer, texts.issuer);
	if (match->has_names && result == MATCH_HOLDS)
		result = names_hold(&match->names, texts.names);
	return result;
}
