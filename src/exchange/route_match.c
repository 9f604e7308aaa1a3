#include "exchange/route_match.h"

#include "exchange/certificate_match.h"
#include "exchange/country.h"
#include "exchange/exchange.h"
#include "http/syntax.h"

enum { PARAMETER_SHORT = 256 };

enum match_result match_value_holds(const struct match_value *wanted, struct slice value)
{
	switch (wanted->kind) {
	case VALUE_PRESENT:
		return MATCH_HOLDS;
	case VALUE_EQUAL:
		return slice_equal(wanted->text, value) ? MATCH_HOLDS : MATCH_FAILS;
	case VALUE_REGEX:
		return regex_match(wanted->regex, value, NULL);
	}
	return MATCH_FAILS;
}

// Whether any field of the name is as wanted.
static enum match_result header_holds(const struct match_value *wanted, const struct fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (field->id != wanted->id ||
		    (wanted->id == FIELD_OTHER && !slice_equal_nocase(field->name, wanted->name)))
			continue;
		enum match_result result = match_value_holds(wanted, field->value);
		if (result != MATCH_FAILS)
			return result;
	}
	return MATCH_FAILS;
}

bool match_query_is(struct slice part, struct slice wanted)
{
	const char *at = part.data, *end = part.data + part.length;
	for (size_t i = 0; i < wanted.length; i++)
		if (at == end || syntax_form_byte(&at, end) != wanted.data[i])
			return false;
	return at == end;
}

// For a regular expression the decoded value has to be in one piece.
static enum match_result query_matches(struct slice part, const struct regex *regex, struct arena *arena)
{
	char on_stack[PARAMETER_SHORT];
	char *room = part.length <= sizeof on_stack ? on_stack : arena_alloc(arena, part.length);
	const char *at = part.data, *end = part.data + part.length;
	size_t length = 0;
	if (!room)
		return MATCH_GAVE_UP;
	while (at < end)
		room[length++] = syntax_form_byte(&at, end);
	return regex_match(regex, slice_from(room, length), NULL);
}

static enum match_result parameter_holds(const struct match_value *wanted, struct slice parameter, struct arena *arena)
{
	struct slice name, value = SLICE_EMPTY;
	(void)slice_cut(parameter, '=', &name, &value);
	if (!match_query_is(name, wanted->name))
		return MATCH_FAILS;
	switch (wanted->kind) {
	case VALUE_PRESENT:
		return MATCH_HOLDS;
	case VALUE_EQUAL:
		return match_query_is(value, wanted->text) ? MATCH_HOLDS : MATCH_FAILS;
	case VALUE_REGEX:
		return query_matches(value, wanted->regex, arena);
	}
	return MATCH_FAILS;
}

static enum match_result query_holds(const struct match_value *wanted, struct slice query, struct arena *arena)
{
	struct slice parameter;
	bool more = query.length > 0;
	while (more) {
		more = slice_cut(query, '&', &parameter, &query);
		enum match_result result = parameter_holds(wanted, parameter, arena);
		if (result != MATCH_FAILS)
			return result;
	}
	return MATCH_FAILS;
}

static enum match_result value_of_request_holds(const struct match_value *wanted, bool of_header,
						struct exchange *exchange)
{
	const struct request *request = exchange_request(exchange);
	if (of_header)
		return header_holds(wanted, &request->fields);
	return query_holds(wanted, request->query, exchange_arena(exchange));
}

// Every name must be as wanted; of values of the same name one is enough.
static enum match_result values_hold(const struct match_values *values, bool of_header, struct exchange *exchange)
{
	for (size_t i = 0; i < values->count; i++) {
		enum match_result result = value_of_request_holds(&values->items[i], of_header, exchange);
		while (result == MATCH_FAILS && values->items[i].or_next)
			result = value_of_request_holds(&values->items[++i], of_header, exchange);
		if (result != MATCH_HOLDS)
			return result;
		while (values->items[i].or_next)
			i++;
	}
	return MATCH_HOLDS;
}

static bool method_holds(const struct route_match *match, const struct request *request)
{
	if (match->methods == 0 && match->other_methods.count == 0)
		return true;
	if (request->method != METHOD_OTHER)
		return match->methods >> request->method & 1;
	for (size_t i = 0; i < match->other_methods.count; i++)
		if (slice_equal(match->other_methods.items[i].text, request->method_name))
			return true;
	return false;
}

enum match_result route_match_holds(const struct route_match *match, struct exchange *exchange)
{
	if (!match->conditions)
		return MATCH_HOLDS;
	if (!method_holds(match, exchange_request(exchange)) ||
	    (match->clients && !network_set_contains(match->clients, &exchange->client)) ||
	    (match->countries && !country_set_has(match->countries, exchange_country(exchange))))
		return MATCH_FAILS;
	enum match_result result = MATCH_HOLDS;
	if (match->certificate)
		result = certificate_match_holds(match->certificate, exchange);
	if (result == MATCH_HOLDS)
		result = values_hold(&match->headers, true, exchange);
	return result == MATCH_HOLDS ? values_hold(&match->query, false, exchange) : result;
}
