// What the logs say of a finished exchange.
#include "base/log.h"

#include "exchange/certificate.h"
#include "exchange/country.h"
#include "exchange/exchange.h"
#include "exchange/life.h"
#include "exchange/snapshot.h"
#include "observe/access_log.h"
#include "tls/peer.h"

static bool is_servers_fault(enum fault_kind kind)
{
	return kind >= FAULT_DNS_FAILED || kind == FAULT_OUT_OF_MEMORY || kind == FAULT_INTERNAL;
}

// A 502 tells the operator which server, at which step, after how long.
void exchange_log_fault(const struct exchange *exchange)
{
	const struct transaction *transaction = &exchange->transaction;
	const struct fault *fault = &transaction->fault;
	char trace[TRACE_TEXT_MAX];
	struct slice text = trace_format_text(&exchange->trace, trace, sizeof trace);
	struct slice server = exchange->server.address;
	log_write(is_servers_fault(fault->kind) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		  "%s: %s%s%s%s%s%s%.*s after %lld ms (status %u, client %.*s, request %.*s) %.*s%s%s",
		  fault_word(fault->kind), fault->step ? fault->step : "", fault->detail ? ": " : "",
		  fault->detail ? fault->detail : "", fault->system_error ? ": " : "",
		  fault->system_error ? strerrordesc_np(fault->system_error) : "", server.length ? ", server " : "",
		  SLICE_ARGUMENTS(server), (long long)(fault->after_ns / MILLISECOND_NS), transaction->response.status,
		  SLICE_ARGUMENTS(exchange->client_text), SLICE_ARGUMENTS(exchange->request_id), SLICE_ARGUMENTS(text),
		  fault->setting ? "; the key that changes this is " : "", fault->setting ? fault->setting : "");
}

static void fill_in_faults(const struct exchange *exchange, struct access_record *record)
{
	const struct fault *fault = &exchange->transaction.fault;
	if (fault->kind == FAULT_NONE)
		return;
	record->fault = fault_word(fault->kind);
	record->fault_step = fault->step;
	record->fault_detail = fault->detail;
	record->fault_setting = fault->setting;
}

static void fill_in_tls(const struct exchange *exchange, struct access_record *record)
{
	const struct tls_peer *peer = exchange->transaction.client->tls;
	if (!peer)
		return;
	record->tls_version = peer->version;
	record->tls_cipher = peer->cipher;
	record->tls_resumed = peer->resumed;
	record->tls_server_name = peer->server_name;
	if (!peer->certificate)
		return;
	struct certificate_texts texts;
	certificate_texts(exchange, &texts);
	record->certificate_subject = texts.subject;
	record->certificate_fingerprint = texts.fingerprint;
	record->certificate_verification = texts.verification;
}

void exchange_log(struct exchange *exchange)
{
	const struct transaction *transaction = &exchange->transaction;
	const struct request *request = &transaction->request;
	if (transaction->fault.kind)
		exchange_log_fault(exchange);
	struct access_log *log = exchange->snapshot->access_log;
	if (!log)
		return;
	int64_t now_ns = loop_now_exact();
	int64_t duration_ns = now_ns - transaction->started_ns;
	struct access_record record = {
		.time_ns = loop_wall_clock() - (loop_now() - transaction->started_ns),
		.duration_ns = duration_ns,
		.client = exchange->client_text,
		.request_id = exchange->request_id,
		.method = request->method_name,
		.scheme = exchange->scheme,
		.host = request->host,
		.target = request->target,
		.path = request->path,
		.query = request->query,
		.protocol = http_protocol(request->version_major, request->version_minor),
		.status = transaction->response_started ? transaction->response.status : 0,
		.bytes_received = transaction->request_body_bytes,
		.bytes_sent = transaction->response_bytes,
		.body_bytes_sent = transaction->response_body_bytes,
		.site = exchange->site ? exchange->site->name : SLICE_EMPTY,
		.route = exchange->route ? exchange->route->name : SLICE_EMPTY,
		.pool = exchange->server.pool,
		.server = exchange->server.address,
		.server_status = exchange->server.status,
		.tries = exchange->server.tries,
		.server_reused = exchange->server.reused,
		.connect_ns = exchange->server.tries ? exchange->server.connect_ns : -1,
		.response_ns = exchange->server.status ? exchange->server.first_byte_ns : -1,
		.user = exchange->user,
		.referer = fields_value(&request->fields, FIELD_REFERER),
		.user_agent = fields_value(&request->fields, FIELD_USER_AGENT),
		.trace = &exchange->trace,
	};
	if (access_log_has_country(log))
		record.country = country_code(exchange_country(exchange));
	fill_in_tls(exchange, &record);
	fill_in_faults(exchange, &record);
	access_log_write(log, &record);
}
