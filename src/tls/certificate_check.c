#include "tls/certificate_check.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WARN_DAYS = 21, RSA_BITS_MIN = 2048, DATE_SIZE = 32, SUBJECT_SIZE = 128 };

static const char *subject_of(X509 *certificate, char text[SUBJECT_SIZE])
{
	BIO *out = BIO_new(BIO_s_mem());
	int length = 0;
	if (out && X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0)
		length = BIO_read(out, text, SUBJECT_SIZE - 1);
	text[length > 0 ? length : 0] = '\0';
	BIO_free(out);
	return text[0] != '\0' ? text : "one without a subject";
}

// --- The key

// Where in the chain the certificate is that fits the key; -1: nowhere.
static int fitting(const struct certificate *certificate)
{
	for (int i = 0; i < sk_X509_num(certificate->chain); i++)
		if (X509_check_private_key(sk_X509_value(certificate->chain, i), certificate->key) == 1)
			return i;
	return -1;
}

static bool check_key(struct config_load *load, const struct certificate *certificate)
{
	int fits = fitting(certificate);
	if (fits == 0)
		return true;
	if (fits > 0)
		config_error(load, certificate->place,
			     "\"%s\" is not in order: the site's own certificate comes first, and the key is that of "
			     "number %d",
			     certificate->path, fits + 1);
	else
		config_error(load, certificate->place, "the key in \"%s\" is not that of the certificate in \"%s\"",
			     certificate->key_path, certificate->path);
	return false;
}

// --- The chain

static bool is_issued_by(X509 *certificate, X509 *issuer)
{
	return X509_check_issued(issuer, certificate) == X509_V_OK &&
	       X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
}

static bool is_self_signed(X509 *certificate)
{
	return X509_self_signed(certificate, 0) == 1;
}

// Where else in the chain the issuer is; -1: it is not in the file.
static int find_issuer(const struct certificate *certificate, int of)
{
	X509 *issued = sk_X509_value(certificate->chain, of);
	for (int i = 0; i < sk_X509_num(certificate->chain); i++)
		if (i != of && is_issued_by(issued, sk_X509_value(certificate->chain, i)))
			return i;
	return -1;
}

static bool chain_error(struct config_load *load, const struct certificate *certificate, int at)
{
	char subject[SUBJECT_SIZE], next[SUBJECT_SIZE];
	subject_of(sk_X509_value(certificate->chain, at), subject);
	subject_of(sk_X509_value(certificate->chain, at + 1), next);
	int issuer = find_issuer(certificate, at);
	if (issuer >= 0)
		config_error(load, certificate->place,
			     "\"%s\" is not in order: behind number %d (%s) belongs its issuer, which is number %d",
			     certificate->path, at + 1, subject, issuer + 1);
	else
		config_error(load, certificate->place,
			     "\"%s\" is no chain: number %d (%s) was not issued by the one behind it (%s)",
			     certificate->path, at + 1, subject, next);
	return false;
}

// Certificates of public authorities say where their issuer's is to be had, and need it sent
// along; those of private ones are often issued by a root that clients have.
static bool lacks_issuer(const struct certificate *certificate)
{
	if (sk_X509_num(certificate->chain) > 1 || is_self_signed(certificate->leaf))
		return false;
	AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(certificate->leaf, NID_info_access, NULL, NULL);
	bool lacks = false;
	for (int i = 0; access && i < sk_ACCESS_DESCRIPTION_num(access); i++)
		lacks = lacks || OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(access, i)->method) == NID_ad_ca_issuers;
	AUTHORITY_INFO_ACCESS_free(access);
	return lacks;
}

static bool check_chain(struct config_load *load, const struct certificate *certificate)
{
	int last = sk_X509_num(certificate->chain) - 1;
	for (int i = 0; i < last; i++) {
		X509 *issuer = sk_X509_value(certificate->chain, i + 1);
		if (!is_issued_by(sk_X509_value(certificate->chain, i), issuer))
			return chain_error(load, certificate, i);
	}
	if (last > 0 && is_self_signed(sk_X509_value(certificate->chain, last)))
		config_warning(
			load, certificate->place,
			"\"%s\" ends with a root, which clients have or do not trust: without it, handshakes are "
			"shorter",
			certificate->path);
	if (lacks_issuer(certificate))
		config_warning(load, certificate->place,
			       "\"%s\" holds the site's certificate alone: some clients cannot verify it without those "
			       "of its issuers behind it",
			       certificate->path);
	return true;
}

// --- Algorithms

static bool check_strength(struct config_load *load, const struct certificate *certificate, X509 *one)
{
	char subject[SUBJECT_SIZE];
	int digest = NID_undef, key = NID_undef;
	const EVP_PKEY *public = X509_get0_pubkey(one);
	if (!public || X509_get_signature_info(one, &digest, &key, NULL, NULL) != 1) {
		config_error(load, certificate->place, "\"%s\" holds a certificate of unknown algorithms: %s",
			     certificate->path, subject_of(one, subject));
		return false;
	}
	if (EVP_PKEY_get_base_id(public) == EVP_PKEY_RSA && EVP_PKEY_get_bits(public) < RSA_BITS_MIN) {
		config_error(load, certificate->place, "\"%s\" holds an RSA key of %d bits, at least %d are needed: %s",
			     certificate->path, EVP_PKEY_get_bits(public), RSA_BITS_MIN, subject_of(one, subject));
		return false;
	}
	// Nobody checks what a root says of itself.
	if ((digest == NID_sha1 || digest == NID_md5) && !is_self_signed(one)) {
		config_error(load, certificate->place,
			     "\"%s\" holds a certificate that is signed with %s, which can be forged: %s",
			     certificate->path, OBJ_nid2sn(digest), subject_of(one, subject));
		return false;
	}
	return true;
}

static bool check_strengths(struct config_load *load, const struct certificate *certificate)
{
	bool good = true;
	for (int i = 0; i < sk_X509_num(certificate->chain); i++)
		good = check_strength(load, certificate, sk_X509_value(certificate->chain, i)) && good;
	return good;
}

// What of a certificate's key is not for everybody.
static void check_curve(struct config_load *load, const struct certificate *certificate)
{
	char curve[64] = "";
	const EVP_PKEY *public = X509_get0_pubkey(certificate->leaf);
	switch (certificate->kind) {
	case CERTIFICATE_RSA:
		return;
	case CERTIFICATE_ECDSA:
		(void)EVP_PKEY_get_utf8_string_param(public, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof(curve), NULL);
		if (strcmp(curve, SN_X9_62_prime256v1) == 0 || strcmp(curve, SN_secp384r1) == 0)
			return;
		break;
	case CERTIFICATE_EDDSA:
		(void)snprintf(curve, sizeof(curve), "%s", EVP_PKEY_get0_type_name(public));
		break;
	}
	config_warning(
		load, certificate->place,
		"the key of the certificate in \"%s\" is of the curve %s, which most clients do not take; expected "
		"P-256 or P-384",
		certificate->path, curve);
}

static void check_purpose(struct config_load *load, const struct certificate *certificate)
{
	if (X509_check_purpose(certificate->leaf, X509_PURPOSE_SSL_SERVER, 0) == 1)
		return;
	config_warning(load, certificate->place,
		       "the certificate in \"%s\" says that it is not for servers (extended key usage): clients refuse "
		       "it",
		       certificate->path);
}

// --- Time

static const char *format_date(const ASN1_TIME *time, char text[DATE_SIZE])
{
	struct tm parts = {0};
	if (ASN1_TIME_to_tm(time, &parts) != 1 || strftime(text, DATE_SIZE, "%Y-%m-%d %H:%M UTC", &parts) == 0)
		text[0] = '\0';
	return text;
}

static void check_time(struct config_load *load, const struct certificate *certificate, int number)
{
	X509 *one = sk_X509_value(certificate->chain, number);
	const ASN1_TIME *first = X509_get0_notBefore(one), *last = X509_get0_notAfter(one);
	char date[DATE_SIZE], which[SUBJECT_SIZE + 32] = "the certificate", subject[SUBJECT_SIZE];
	if (number > 0)
		(void)snprintf(which, sizeof(which), "the issuer's certificate (%s)", subject_of(one, subject));
	int days = 0, seconds = 0;
	if (X509_cmp_current_time(first) > 0)
		config_warning(load, certificate->place, "%s in \"%s\" is not valid before %s: clients refuse it",
			       which, certificate->path, format_date(first, date));
	if (X509_cmp_current_time(last) < 0)
		config_warning(load, certificate->place, "%s in \"%s\" HAS EXPIRED on %s: clients refuse it", which,
			       certificate->path, format_date(last, date));
	else if (ASN1_TIME_diff(&days, &seconds, NULL, last) == 1 && days < WARN_DAYS)
		config_warning(load, certificate->place, "%s in \"%s\" expires in %d day%s, on %s", which,
			       certificate->path, days, days == 1 ? "" : "s", format_date(last, date));
}

bool certificate_check(struct config_load *load, const struct certificate *certificate)
{
	bool good = check_key(load, certificate);
	good = check_strengths(load, certificate) && good;
	good = good && check_chain(load, certificate);
	if (!good)
		return false;
	check_curve(load, certificate);
	check_purpose(load, certificate);
	for (int i = 0; i < sk_X509_num(certificate->chain); i++)
		check_time(load, certificate, i);
	return true;
}
