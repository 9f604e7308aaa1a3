// What went wrong, as one value.
//
// Whoever meets a failure that somebody outside must hear of fills in a struct fault;
// the first one of an exchange stands. FAULTS below is the one table that gives each
// kind its status for the client, its word in the log and in metrics, and its RFC 9209
// Proxy-Status error token. A new kind is a new row.
#ifndef USHER_BASE_FAULT_H
#define USHER_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

// kind, status for the client (0: nothing can be answered), word, Proxy-Status token
// clang-format off
#define FAULTS(row) \
	row(NONE, 0, "none", "") \
	/* the client's side */ \
	row(BAD_REQUEST, 400, "bad_request", "http_request_error") \
	row(BAD_FRAMING, 400, "bad_framing", "http_request_error") \
	row(BAD_HOST, 400, "bad_host", "http_request_error") \
	row(BAD_TARGET, 400, "bad_target", "http_request_error") \
	row(BAD_VERSION, 505, "bad_version", "http_request_error") \
	row(UNKNOWN_EXPECTATION, 417, "unknown_expectation", "http_request_error") \
	row(HEADER_TOO_LARGE, 431, "header_too_large", "http_request_error") \
	row(TARGET_TOO_LONG, 414, "target_too_long", "http_request_error") \
	row(BODY_TOO_LARGE, 413, "body_too_large", "http_request_error") \
	row(HEADER_TIMEOUT, 408, "header_timeout", "http_request_error") \
	row(BODY_TIMEOUT, 408, "body_timeout", "http_request_error") \
	row(CLIENT_GONE, 0, "client_gone", "") \
	row(CLIENT_SLOW, 0, "client_slow", "") \
	/* usher's own word */ \
	row(MISDIRECTED, 421, "misdirected", "http_request_denied") \
	row(NO_SITE, 421, "no_site", "http_request_denied") \
	row(UNAUTHORIZED, 401, "unauthorized", "http_request_denied") \
	row(TOO_MANY_REQUESTS, 429, "too_many_requests", "http_request_denied") \
	row(NO_ROUTE, 404, "no_route", "destination_not_found") \
	row(METHOD_REFUSED, 405, "method_refused", "http_request_denied") \
	row(REFUSED, 403, "refused", "http_request_denied") \
	row(NOT_IMPLEMENTED, 501, "not_implemented", "http_request_denied") \
	row(TOO_MANY_CONNECTIONS, 503, "too_many_connections", "proxy_internal_response") \
	row(OUT_OF_MEMORY, 503, "out_of_memory", "proxy_internal_error") \
	row(INTERNAL, 500, "internal", "proxy_internal_error") \
	row(STOPPING, 503, "stopping", "proxy_internal_response") \
	row(LOOP, 508, "loop", "proxy_loop_detected") \
	/* the server's side */ \
	row(DNS_FAILED, 502, "dns_failed", "dns_error") \
	row(DNS_TIMEOUT, 504, "dns_timeout", "dns_timeout") \
	row(NO_SERVER, 503, "no_server", "destination_unavailable") \
	row(CONNECT_REFUSED, 502, "connect_refused", "connection_refused") \
	row(CONNECT_FAILED, 502, "connect_failed", "destination_ip_unroutable") \
	row(CONNECT_TIMEOUT, 504, "connect_timeout", "connection_timeout") \
	row(SEND_FAILED, 502, "send_failed", "connection_terminated") \
	row(SEND_TIMEOUT, 504, "send_timeout", "connection_write_timeout") \
	row(SERVER_CLOSED, 502, "server_closed", "connection_terminated") \
	row(RESPONSE_TIMEOUT, 504, "response_timeout", "http_response_timeout") \
	row(RESPONSE_BAD, 502, "response_bad", "http_protocol_error") \
	row(RESPONSE_HEADER_TOO_LARGE, 502, "response_header_too_large", "http_response_header_section_size") \
	row(RESPONSE_TRUNCATED, 502, "response_truncated", "http_response_incomplete") \
	row(RESPONSE_BODY_TIMEOUT, 504, "response_body_timeout", "connection_read_timeout") \
	row(UPGRADE_FAILED, 502, "upgrade_failed", "http_upgrade_failed") \
	row(TLS_FAILED, 502, "tls_failed", "tls_protocol_error") \
	row(TLS_CERTIFICATE, 502, "tls_certificate", "tls_certificate_error") \
	row(TLS_ALERT, 502, "tls_alert", "tls_alert_received") \
	row(CONNECTION_LIMIT, 503, "connection_limit", "connection_limit_reached") \
	row(OVERLOADED, 503, "overloaded", "connection_limit_reached")
// clang-format on

enum fault_kind {
#define FAULT_ENUM(kind, status, word, token) FAULT_##kind,
	FAULTS(FAULT_ENUM)
#undef FAULT_ENUM
};

struct fault {
	enum fault_kind kind;
	int system_error;    // an errno, or 0
	bool retry_safe;     // the server cannot have acted on the request
	const char *step;    // what was being done, a literal: "connect", "read response header"
	const char *detail;  // what exactly broke which rule, a literal or arena text; or NULL
	const char *setting; // the key that changes the limit that was hit ("limits.header"), or NULL
	int64_t after_ns;    // how long the step had taken
};

// The status that tells a client of this kind: 4xx or 5xx, 0 when no answer is possible.
int fault_status(enum fault_kind kind);

// One word with underscores, for logs, metrics and reason codes.
const char *fault_word(enum fault_kind kind);

// The error token of RFC 9209 section 2.3, "" when none fits.
const char *fault_proxy_status(enum fault_kind kind);

// Fills in *fault when it is still FAULT_NONE: the first one stands.
static inline void fault_set(struct fault *fault, enum fault_kind kind, const char *step, const char *detail)
{
	if (fault->kind == FAULT_NONE)
		*fault = (struct fault){.kind = kind, .step = step, .detail = detail};
}

#endif
