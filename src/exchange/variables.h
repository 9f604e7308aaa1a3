// The variables that texts of a configuration may have: what is known of a request.
//
//	$host        the host that was asked for, in lower case, without port
//	$path        the path as rules see it: normal, and rewritten where a rule did so
//	$query       what follows "?", as the client sent it
//	$uri         path and query as they are sent on: the client's bytes, or rewritten ones
//	$scheme      http or https
//	$client      the client's address
//	$country     which country that is in (CH), by `geo`; empty where it is not known
//	$method      GET, POST, ...
//	$user        who has logged in; empty: nobody has
//	$request_id  the request's id
//	$tls_version, $tls_cipher, $tls_server_name
//	             what the handshake agreed on, and the name that it was made for
//	$tls_resumed true or false; like those above empty without TLS
//	$client_certificate_subject, _issuer, _names, _serial
//	             of the client's certificate; empty unless it was verified
//	$client_certificate_fingerprint
//	             SHA-256 of the certificate, in hexadecimal; empty without one
//	$client_certificate_verification
//	             SUCCESS, FAILED:reason or NONE; empty without TLS
//	$1 to $9     groups of the regular expression that is the route's path
#ifndef USHER_EXCHANGE_VARIABLES_H
#define USHER_EXCHANGE_VARIABLES_H

#include "config/key.h"
#include "exchange/template.h"

#include <stdbool.h>

struct config_load;
struct exchange;

enum variable {
	VARIABLE_HOST,
	VARIABLE_PATH,
	VARIABLE_QUERY,
	VARIABLE_URI,
	VARIABLE_SCHEME,
	VARIABLE_CLIENT,
	VARIABLE_COUNTRY,
	VARIABLE_METHOD,
	VARIABLE_USER,
	VARIABLE_REQUEST_ID,
	VARIABLE_TLS_VERSION,
	VARIABLE_TLS_CIPHER,
	VARIABLE_TLS_SERVER_NAME,
	VARIABLE_TLS_RESUMED,
	VARIABLE_CERTIFICATE_SUBJECT,
	VARIABLE_CERTIFICATE_ISSUER,
	VARIABLE_CERTIFICATE_NAMES,
	VARIABLE_CERTIFICATE_SERIAL,
	VARIABLE_CERTIFICATE_FINGERPRINT,
	VARIABLE_CERTIFICATE_VERIFICATION,
	VARIABLE_CAPTURE, // $1, and eight more
	VARIABLE_COUNT = VARIABLE_CAPTURE + 9,
};

// Parses a text whose $1... may go up to `captures`. It may have no control characters, so
// that what it makes fits into a field. False after config_error.
bool variables_load(struct config_load *load, const struct config_text *text, unsigned captures,
		    struct template *ret_template);

// The same for content, which may have any characters.
bool variables_load_content(struct config_load *load, const struct config_text *text, unsigned captures,
			    struct template *ret_template);

// The values of all variables; of those that cost something, where the template uses them. captures: $0 to $9, or NULL.
void variables_fill(struct exchange *exchange, const struct template *template, const struct slice *captures,
		    struct slice ret_values[VARIABLE_COUNT]);

// The template with the exchange's variables, in its arena; .data is NULL when memory is out.
struct slice variables_expand(struct exchange *exchange, const struct template *template);

#endif
