#include "exchange/variables.h"

#include "config/load.h"
#include "exchange/exchange.h"
#include "http/syntax.h"

static const char *const names[VARIABLE_COUNT + 1] = {
	[VARIABLE_HOST] = "host",
	[VARIABLE_PATH] = "path",
	[VARIABLE_QUERY] = "query",
	[VARIABLE_URI] = "uri",
	[VARIABLE_SCHEME] = "scheme",
	[VARIABLE_CLIENT] = "client",
	[VARIABLE_METHOD] = "method",
	[VARIABLE_REQUEST_ID] = "request_id",
	[VARIABLE_CAPTURE] = "1",
	"2",
	"3",
	"4",
	"5",
	"6",
	"7",
	"8",
	"9",
};
_Static_assert((int)VARIABLE_COUNT <= (int)TEMPLATE_VARIABLES_MAX, "a set of variables fits into 32 bits");

static const char *suggestion(struct config_load *load, struct slice wrong)
{
	struct slice known[VARIABLE_CAPTURE];
	for (size_t i = 0; i < VARIABLE_CAPTURE; i++)
		known[i] = slice_from_string(names[i]);
	return config_suggestion(load, slice_after(wrong, 1), known, VARIABLE_CAPTURE);
}

bool variables_load(struct config_load *load, const struct config_text *text, unsigned captures,
		    struct template *ret_template)
{
	const char *end = text->text.data + text->text.length;
	if (syntax_skip_value(text->text.data, end) != end) {
		config_error(load, text->place, "control characters (a line break, say) cannot be sent here");
		return false;
	}
	return variables_load_content(load, text, captures, ret_template);
}

bool variables_load_content(struct config_load *load, const struct config_text *text, unsigned captures,
			    struct template *ret_template)
{
	struct slice wrong;
	const char *detail;
	if (!template_parse(text->text, names, false, config_arena(load), ret_template, &wrong, &detail)) {
		config_error(load, text->place, "\"%.*s\" %s%s", SLICE_ARGUMENTS(wrong), detail,
			     suggestion(load, wrong));
		return false;
	}
	for (unsigned i = captures + 1; i <= 9; i++) {
		if (!(ret_template->used >> (VARIABLE_CAPTURE + i - 1) & 1))
			continue;
		if (captures == 0)
			config_error(
				load, text->place,
				"$%u stands for a group in parentheses of a regular expression, and there is none here",
				i);
		else
			config_error(load, text->place,
				     "$%u: the regular expression has only %u group%s in parentheses", i, captures,
				     captures == 1 ? "" : "s");
		return false;
	}
	return true;
}

void variables_fill(const struct exchange *exchange, const struct slice *captures,
		    struct slice ret_values[VARIABLE_COUNT])
{
	const struct request *request = &exchange->transaction.request;
	ret_values[VARIABLE_HOST] = exchange->host;
	ret_values[VARIABLE_PATH] = exchange->path;
	ret_values[VARIABLE_QUERY] = request->query;
	ret_values[VARIABLE_URI] = exchange->target;
	ret_values[VARIABLE_SCHEME] = exchange->scheme;
	ret_values[VARIABLE_CLIENT] = exchange->client_text;
	ret_values[VARIABLE_METHOD] = request->method_name;
	ret_values[VARIABLE_REQUEST_ID] = exchange->request_id;
	for (unsigned i = 0; i < 9; i++)
		ret_values[VARIABLE_CAPTURE + i] = captures ? captures[i + 1] : SLICE_EMPTY;
}

struct slice variables_expand(struct exchange *exchange, const struct template *template)
{
	struct slice values[VARIABLE_COUNT];
	if (!template_is_literal(template))
		variables_fill(exchange, exchange->captures, values);
	return template_expand(template, values, exchange_arena(exchange));
}
