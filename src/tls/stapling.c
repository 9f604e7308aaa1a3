#include "tls/stapling.h"

#include "tls/site.h"
#include "tls/staple.h"

#include <openssl/err.h>
#include <openssl/tls1.h>
#include <stdlib.h>
#include <time.h>

static X509 *issuer_of(const struct certificate *certificate)
{
	return sk_X509_num(certificate->chain) > 1 ? sk_X509_value(certificate->chain, 1) : NULL;
}

// --- From files

// Keeps the response if it is of the certificate and good; *ret_wrong says why not.
static bool keep(struct certificate *certificate, struct slice response, const char **ret_wrong)
{
	struct ocsp_answer answer;
	X509 *issuer = issuer_of(certificate);
	if (!issuer) {
		*ret_wrong = "the certificate's file does not hold its issuer, to verify the response by";
		return false;
	}
	*ret_wrong = ocsp_read(response, certificate->leaf, issuer, time(NULL), &answer);
	if (*ret_wrong)
		return false;
	certificate->staple.response = response;
	certificate->staple.until_s = answer.until_s;
	certificate->staple.is_revoked = answer.is_revoked;
	return true;
}

static bool load_file(struct config_load *load, const struct config_text *path, struct certificate *certificates,
		      size_t count)
{
	struct slice response;
	const char *wrong = NULL, *first_wrong = NULL;
	if (!config_read_watched(load, path, &response))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct certificate *certificate = &certificates[i];
		if (!keep(certificate, response, &wrong)) {
			first_wrong = first_wrong ? first_wrong : wrong;
			continue;
		}
		if (certificate->staple.is_revoked)
			config_warning(load, path->place,
				       "\"%s\" says that the certificate in \"%s\" IS REVOKED: clients refuse it",
				       path->text.data, certificate->path);
		return true;
	}
	// It may have expired since it was written: no reason to refuse a configuration.
	config_warning(load, path->place, "\"%s\" is not sent along: %s", path->text.data, first_wrong);
	return true;
}

static bool load_files(struct config_load *load, const struct config_texts *paths, struct certificate *certificates,
		       size_t count)
{
	bool good = true;
	for (size_t i = 0; i < paths->count; i++)
		good = load_file(load, &paths->items[i], certificates, count) && good;
	return good;
}

// --- To be fetched

static void give_back(void *staple)
{
	staple_unref(staple);
}

static bool load_fetched(struct config_load *load, struct config_place place, struct certificate *certificate)
{
	char *url = ocsp_responder(certificate->leaf);
	X509 *issuer = issuer_of(certificate);
	bool good = true;
	if (!url) {
		config_warning(load, place,
			       "the certificate in \"%s\" names no OCSP responder: there is nothing to fetch",
			       certificate->path);
	} else if (!issuer) {
		config_warning(load, place,
			       "\"%s\" does not hold the certificate's issuer, to verify OCSP responses by: none is "
			       "fetched",
			       certificate->path);
	} else {
		certificate->staple.fetched = staple_get(certificate->leaf, issuer, url);
		if (certificate->staple.fetched) {
			good = config_at_free(load, give_back, certificate->staple.fetched);
		} else {
			config_error(load, place, "memory is out");
			good = false;
		}
	}
	free(url);
	return good;
}

static bool is_word(const struct config_texts *ocsp, struct slice word)
{
	return ocsp->count == 1 && slice_equal(ocsp->items[0].text, word);
}

static void warn_of_missing(struct config_load *load, const struct certificate *certificate)
{
	if (!certificate->staple.fetched && certificate->staple.response.length == 0 &&
	    ocsp_is_required(certificate->leaf))
		config_warning(load, certificate->place,
			       "the certificate in \"%s\" demands a stapled OCSP response (must-staple), and there is "
			       "none (`ocsp: fetch`): clients refuse it",
			       certificate->path);
}

bool stapling_load(struct config_load *load, const struct config_texts *ocsp, struct certificate *certificates,
		   size_t count)
{
	bool good = true;
	if (is_word(ocsp, SLICE("fetch"))) {
		for (size_t i = 0; i < count; i++)
			good = load_fetched(load, ocsp->items[0].place, &certificates[i]) && good;
	} else if (!is_word(ocsp, SLICE("off"))) {
		good = load_files(load, ocsp, certificates, count);
	}
	for (size_t i = 0; good && i < count; i++)
		warn_of_missing(load, &certificates[i]);
	return good;
}

// --- Handshakes

static bool copy_response(const struct certificate *certificate, unsigned char **ret_response, size_t *ret_length)
{
	const struct certificate_staple *staple = &certificate->staple;
	int64_t now_s = time(NULL);
	if (staple->fetched)
		return staple_copy(staple->fetched, now_s, ret_response, ret_length);
	if (staple->response.length == 0 || now_s >= staple->until_s)
		return false;
	*ret_response = OPENSSL_memdup(staple->response.data, staple->response.length);
	*ret_length = staple->response.length;
	return *ret_response != NULL;
}

// OpenSSL has chosen the certificate by now.
static int send_along(SSL *ssl, void *argument)
{
	const struct tls_set *set = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const X509 *leaf = SSL_get_certificate(ssl);
	unsigned char *response;
	size_t length;
	for (size_t i = 0; i < CERTIFICATE_KINDS; i++) {
		const struct certificate *certificate = set->certificates[i];
		if (!certificate || certificate->leaf != leaf)
			continue;
		if (!copy_response(certificate, &response, &length))
			break;
		SSL_set_tlsext_status_ocsp_resp(ssl, response, (long)length);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

void stapling_attach(SSL_CTX *context)
{
	SSL_CTX_set_tlsext_status_cb(context, send_along);
}
