// What a request must be like for a route to take it: its path, and the conditions of
// `match`.
#ifndef USHER_EXCHANGE_ROUTE_MATCH_H
#define USHER_EXCHANGE_ROUTE_MATCH_H

#include "base/slice.h"
#include "config/key.h"
#include "exchange/regex.h"
#include "http/fields.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct certificate_match;
struct config_load;
struct country_set;
struct exchange;
struct snapshot;

enum route_path_kind { PATH_ANY, PATH_PREFIX, PATH_EXACT, PATH_REGEX };

struct route_path {
	enum route_path_kind kind;
	struct slice text; // normal, of an exact path or a prefix (with its last slash)
	const struct regex *regex;
};

// What a field or a parameter must hold.
enum match_value_kind { VALUE_EQUAL, VALUE_PRESENT, VALUE_REGEX };

struct match_value {
	struct slice name;
	enum field_id id; // of a field
	enum match_value_kind kind;
	struct slice text;
	const struct regex *regex;
	bool or_next; // the next one has the same name: one of them is enough
};

struct match_values {
	struct match_value *items;
	size_t count;
};

struct route_match {
	struct route_path path;
	bool conditions;  // there is more than a path
	uint32_t methods; // bit for each enum method; 0: any
	struct config_texts other_methods;
	struct match_values headers;
	struct match_values query;
	const struct network_set *clients;	     // NULL: any
	const struct country_set *countries;	     // NULL: any
	const struct certificate_match *certificate; // NULL: any
};

// The keys of `match`.
extern const struct config_section route_match_section;
struct route_match_config;

// Reads a path as a configuration writes it: in /: a prefix, "~ ...": a regular expression,
// else exact; empty or absent: any. False after config_error.
bool route_path_load(struct config_load *load, const struct config_text *text, bool merge_slashes,
		     struct route_path *ret_path);

// Reads the loaded `match` (may be NULL) into *match, whose path stands.
bool route_match_load(struct config_load *load, const struct snapshot *snapshot,
		      const struct route_match_config *config, struct route_match *match);

// Reads what a text of `match` wants: "*": any, "~ ...": a regular expression, else the text.
// False after config_error. The name stays as it is.
bool match_value_load(struct config_load *load, const struct config_text *text, struct match_value *ret_value);

// Whether a part of a query, as forms write it, is the text when it is decoded.
bool match_query_is(struct slice part, struct slice text);

enum match_result match_value_holds(const struct match_value *wanted, struct slice value);

// Networks, as trusted_proxies and match.client name them; "unix" stands for the peers of
// UNIX sockets. False after config_error, or when memory is out.
bool network_set_load(struct config_load *load, const struct config_texts *texts, struct network_set *ret_set);

// Whether the exchange's method, fields, query and client are as the route wants them. The
// path is not looked at.
enum match_result route_match_holds(const struct route_match *match, struct exchange *exchange);

#endif
