#include "tls/ocsp.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

// How far the clocks of authorities may be ahead, and how long an answer counts that names no
// end: there is always a newer one (RFC 6960 section 4.2.2.1).
enum { CLOCK_SECONDS = 300, WITHOUT_END_SECONDS = 3600 };
enum { TLS_FEATURE_STATUS_REQUEST = 5 };

// --- Answers

// That the issuer, or one whom it named for this, has signed. The issuer itself is what is
// trusted, wherever its own chain ends.
static bool is_signed(OCSP_BASICRESP *response, X509 *issuer)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *helpers = sk_X509_new_null();
	bool good = store && helpers && X509_STORE_add_cert(store, issuer) == 1 && sk_X509_push(helpers, issuer) > 0;
	if (good) {
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
		good = OCSP_basic_verify(response, helpers, store, 0) == 1;
	}
	sk_X509_free(helpers);
	X509_STORE_free(store);
	return good;
}

struct found {
	int status;
	ASN1_GENERALIZEDTIME *from, *until;
};

// Responders name certificates by hashes of their own choice.
static bool find(OCSP_BASICRESP *response, X509 *certificate, X509 *issuer, struct found *ret_found)
{
	const EVP_MD *digests[] = {EVP_sha1(), EVP_sha256()};
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		OCSP_CERTID *id = OCSP_cert_to_id(digests[i], certificate, issuer);
		bool is_there = id && OCSP_resp_find_status(response, id, &ret_found->status, NULL, NULL,
							    &ret_found->from, &ret_found->until) == 1;
		OCSP_CERTID_free(id);
		if (is_there)
			return true;
	}
	return false;
}

static bool to_seconds(const ASN1_GENERALIZEDTIME *time, int64_t *ret_seconds)
{
	struct tm parts = {0};
	if (!time || ASN1_TIME_to_tm(time, &parts) != 1)
		return false;
	*ret_seconds = timegm(&parts);
	return true;
}

static const char *judge(OCSP_BASICRESP *response, X509 *certificate, X509 *issuer, int64_t now_s,
			 struct ocsp_answer *ret_answer)
{
	struct found found = {0};
	struct ocsp_answer answer;
	if (!is_signed(response, issuer))
		return "it is not signed by the certificate's issuer";
	if (!find(response, certificate, issuer, &found))
		return "it is of another certificate";
	if (found.status == V_OCSP_CERTSTATUS_UNKNOWN)
		return "the authority does not know the certificate";
	if (!to_seconds(found.from, &answer.from_s))
		return "its times are malformed";
	if (!to_seconds(found.until, &answer.until_s))
		answer.until_s = answer.from_s + WITHOUT_END_SECONDS;
	if (answer.from_s > now_s + CLOCK_SECONDS)
		return "it is of the future";
	if (answer.until_s <= now_s)
		return "it has expired";
	answer.is_revoked = found.status == V_OCSP_CERTSTATUS_REVOKED;
	*ret_answer = answer;
	return NULL;
}

const char *ocsp_read(struct slice bytes, X509 *certificate, X509 *issuer, int64_t now_s,
		      struct ocsp_answer *ret_answer)
{
	const unsigned char *at = (const unsigned char *)bytes.data;
	OCSP_RESPONSE *response = bytes.length <= INT32_MAX ? d2i_OCSP_RESPONSE(NULL, &at, (long)bytes.length) : NULL;
	OCSP_BASICRESP *basic = NULL;
	const char *wrong = NULL;
	if (!response)
		wrong = "it is no OCSP response (in DER form)";
	else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		wrong = "the authority did not answer the question";
	else if (!(basic = OCSP_response_get1_basic(response)))
		wrong = "it is of an unknown kind";
	else
		wrong = judge(basic, certificate, issuer, now_s, ret_answer);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return wrong;
}

// --- Questions

OCSP_REQUEST *ocsp_request(X509 *certificate, X509 *issuer)
{
	// SHA-1 names the certificate and secures nothing; it is what every responder knows (RFC 5019).
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), certificate, issuer);
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	if (id && request && OCSP_request_add0_id(request, id))
		return request;
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(request);
	return NULL;
}

char *ocsp_responder(X509 *certificate)
{
	STACK_OF(OPENSSL_STRING) *places = X509_get1_ocsp(certificate);
	char *found = NULL;
	for (int i = 0; !found && i < sk_OPENSSL_STRING_num(places); i++) {
		const char *place = sk_OPENSSL_STRING_value(places, i);
		if (strncasecmp(place, "http://", 7) == 0)
			found = strdup(place);
	}
	X509_email_free(places);
	return found;
}

bool ocsp_is_required(X509 *certificate)
{
	TLS_FEATURE *features = X509_get_ext_d2i(certificate, NID_tlsfeature, NULL, NULL);
	bool required = false;
	for (int i = 0; features && i < sk_ASN1_INTEGER_num(features); i++)
		required =
			required || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLS_FEATURE_STATUS_REQUEST;
	TLS_FEATURE_free(features);
	return required;
}
