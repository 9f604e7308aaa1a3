#include "tls/ocsp_fetch.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/http.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct target {
	char *host, *port, *path;
};

static int64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *wait_for(BIO *connection, int stop, int64_t until_ms)
{
	int descriptor = -1;
	BIO_get_fd(connection, &descriptor);
	short events = BIO_should_read(connection) ? POLLIN : POLLOUT;
	struct pollfd waits[] = {{.fd = descriptor, .events = events}, {.fd = stop, .events = POLLIN}};
	int64_t left_ms = until_ms - now_ms();
	int ready = left_ms > 0 ? poll(waits, 2, (int)left_ms) : 0;
	if (ready < 0 && errno != EINTR)
		return "the connection cannot be waited for";
	if (waits[1].revents)
		return "usher is ending";
	return ready == 0 ? "the responder takes too long" : NULL;
}

static const char *connect_to(BIO *connection, int stop, int64_t until_ms)
{
	while (BIO_do_connect(connection) != 1) {
		const char *wrong = BIO_should_retry(connection) ? wait_for(connection, stop, until_ms)
								 : "the responder cannot be reached";
		if (wrong)
			return wrong;
	}
	return NULL;
}

static bool prepare(OSSL_HTTP_REQ_CTX *exchange, const struct target *target, const OCSP_REQUEST *request)
{
	char host[300];
	int length = snprintf(host, sizeof(host), "%s:%s", target->host, target->port);
	if (length < 0 || (size_t)length >= sizeof(host))
		return false;
	OSSL_HTTP_REQ_CTX_set_max_response_length(exchange, OCSP_RESPONSE_MAX);
	return OSSL_HTTP_REQ_CTX_set_request_line(exchange, 1, NULL, NULL, target->path) == 1 &&
	       OSSL_HTTP_REQ_CTX_add1_header(exchange, "Host", host) == 1 &&
	       OSSL_HTTP_REQ_CTX_set_expected(exchange, "application/ocsp-response", 1, 0, 0) == 1 &&
	       OSSL_HTTP_REQ_CTX_set1_req(exchange, "application/ocsp-request", ASN1_ITEM_rptr(OCSP_REQUEST),
					  (const ASN1_VALUE *)request) == 1;
}

static const char *take(BIO *body, struct slice *ret_response)
{
	char *bytes;
	long length = BIO_get_mem_data(body, &bytes);
	char *copy = length > 0 ? malloc((size_t)length) : NULL;
	if (!copy)
		return length > 0 ? "memory is out" : "the response is empty";
	memcpy(copy, bytes, (size_t)length);
	*ret_response = slice_from(copy, (size_t)length);
	return NULL;
}

static const char *talk(BIO *connection, const struct target *target, const OCSP_REQUEST *request, int stop,
			int64_t until_ms, struct slice *ret_response)
{
	OSSL_HTTP_REQ_CTX *exchange = OSSL_HTTP_REQ_CTX_new(connection, connection, 0);
	const char *wrong = exchange && prepare(exchange, target, request) ? NULL : "memory is out";
	for (int done = -1; !wrong && done != 1;) {
		done = OSSL_HTTP_REQ_CTX_nbio(exchange);
		if (done == 0)
			wrong = "what the responder sends is no answer to the question";
		else if (done == 1)
			wrong = take(OSSL_HTTP_REQ_CTX_get0_mem_bio(exchange), ret_response);
		else
			wrong = wait_for(connection, stop, until_ms);
	}
	OSSL_HTTP_REQ_CTX_free(exchange);
	return wrong;
}

const char *ocsp_fetch(const char *url, const OCSP_REQUEST *request, int stop, struct slice *ret_response)
{
	struct target target = {0};
	int64_t until_ms = now_ms() + OCSP_FETCH_SECONDS * 1000;
	const char *wrong = NULL;
	if (OSSL_HTTP_parse_url(url, NULL, NULL, &target.host, &target.port, NULL, &target.path, NULL, NULL) != 1) {
		ERR_clear_error();
		return "the certificate names a responder that is no URL";
	}
	BIO *connection = BIO_new(BIO_s_connect());
	if (connection && BIO_set_conn_hostname(connection, target.host) == 1 &&
	    BIO_set_conn_port(connection, target.port) == 1) {
		BIO_set_nbio(connection, 1);
		wrong = connect_to(connection, stop, until_ms);
		if (!wrong)
			wrong = talk(connection, &target, request, stop, until_ms, ret_response);
	} else {
		wrong = "memory is out";
	}
	BIO_free_all(connection);
	OPENSSL_free(target.host);
	OPENSSL_free(target.port);
	OPENSSL_free(target.path);
	ERR_clear_error();
	return wrong;
}
