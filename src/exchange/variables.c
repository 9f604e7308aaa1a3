#include "exchange/variables.h"

#include "config/load.h"
#include "exchange/certificate.h"
#include "exchange/country.h"
#include "exchange/exchange.h"
#include "http/syntax.h"
#include "tls/peer.h"

static const char *const names[VARIABLE_COUNT + 1] = {
	[VARIABLE_HOST] = "host",
	[VARIABLE_PATH] = "path",
	[VARIABLE_QUERY] = "query",
	[VARIABLE_URI] = "uri",
	[VARIABLE_SCHEME] = "scheme",
	[VARIABLE_CLIENT] = "client",
	[VARIABLE_COUNTRY] = "country",
	[VARIABLE_METHOD] = "method",
	[VARIABLE_USER] = "user",
	[VARIABLE_REQUEST_ID] = "request_id",
	[VARIABLE_TLS_VERSION] = "tls_version",
	[VARIABLE_TLS_CIPHER] = "tls_cipher",
	[VARIABLE_TLS_SERVER_NAME] = "tls_server_name",
	[VARIABLE_TLS_RESUMED] = "tls_resumed",
	[VARIABLE_CERTIFICATE_SUBJECT] = "client_certificate_subject",
	[VARIABLE_CERTIFICATE_ISSUER] = "client_certificate_issuer",
	[VARIABLE_CERTIFICATE_NAMES] = "client_certificate_names",
	[VARIABLE_CERTIFICATE_SERIAL] = "client_certificate_serial",
	[VARIABLE_CERTIFICATE_FINGERPRINT] = "client_certificate_fingerprint",
	[VARIABLE_CERTIFICATE_VERIFICATION] = "client_certificate_verification",
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

static void fill_in_tls(const struct exchange *exchange, struct slice values[VARIABLE_COUNT])
{
	const struct tls_peer *peer = exchange->transaction.client->tls;
	struct certificate_texts texts;
	certificate_texts(exchange, &texts);
	values[VARIABLE_TLS_VERSION] = peer ? slice_from_string(peer->version) : SLICE_EMPTY;
	values[VARIABLE_TLS_CIPHER] = peer ? slice_from_string(peer->cipher) : SLICE_EMPTY;
	values[VARIABLE_TLS_SERVER_NAME] = peer ? peer->server_name : SLICE_EMPTY;
	values[VARIABLE_TLS_RESUMED] = !peer ? SLICE_EMPTY : peer->resumed ? SLICE("true") : SLICE("false");
	values[VARIABLE_CERTIFICATE_SUBJECT] = texts.subject;
	values[VARIABLE_CERTIFICATE_ISSUER] = texts.issuer;
	values[VARIABLE_CERTIFICATE_NAMES] = texts.names;
	values[VARIABLE_CERTIFICATE_SERIAL] = texts.serial;
	values[VARIABLE_CERTIFICATE_FINGERPRINT] = texts.fingerprint;
	values[VARIABLE_CERTIFICATE_VERIFICATION] = texts.verification;
}

void variables_fill(struct exchange *exchange, const struct template *template, const struct slice *captures,
		    struct slice ret_values[VARIABLE_COUNT])
{
	const struct request *request = &exchange->transaction.request;
	ret_values[VARIABLE_HOST] = exchange->host;
	ret_values[VARIABLE_PATH] = exchange->path;
	ret_values[VARIABLE_QUERY] = request->query;
	ret_values[VARIABLE_URI] = exchange->target;
	ret_values[VARIABLE_SCHEME] = exchange->scheme;
	ret_values[VARIABLE_CLIENT] = exchange->client_text;
	ret_values[VARIABLE_COUNTRY] =
		template->used >> VARIABLE_COUNTRY & 1 ? country_code(exchange_country(exchange)) : SLICE_EMPTY;
	ret_values[VARIABLE_METHOD] = request->method_name;
	ret_values[VARIABLE_USER] = exchange->user;
	ret_values[VARIABLE_REQUEST_ID] = exchange->request_id;
	fill_in_tls(exchange, ret_values);
	for (unsigned i = 0; i < 9; i++)
		ret_values[VARIABLE_CAPTURE + i] = captures ? captures[i + 1] : SLICE_EMPTY;
}

struct slice variables_expand(struct exchange *exchange, const struct template *template)
{
	struct slice values[VARIABLE_COUNT];
	if (!template_is_literal(template))
		variables_fill(exchange, template, exchange->captures, values);
	return template_expand(template, values, exchange_arena(exchange));
}
