#include "access/openid.h"

#include "access/form.h"
#include "base/base64.h"
#include "net/fetch.h"

#include <openssl/sha.h>

static struct slice slice_of(const json_t *value)
{
	return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value)) : SLICE_EMPTY;
}

// --- What a provider says of itself

void openid_discovery_url(struct text *to, struct slice issuer)
{
	text_add(to, slice_ends_with(issuer, SLICE("/")) ? slice_first(issuer, issuer.length - 1) : issuer);
	text_add_string(to, "/.well-known/openid-configuration");
}

static bool read_url(const json_t *document, const char *name, bool http_allowed, const char **ret_url)
{
	const json_t *value = json_object_get(document, name);
	*ret_url = json_string_value(value);
	return !value || fetch_is_url(slice_of(value), http_allowed);
}

static bool has_member(const json_t *list, const char *name)
{
	const json_t *one;
	size_t i;
	json_array_foreach(list, i,
			   one) if (json_is_string(one) && strcmp(json_string_value(one), name) == 0) return true;
	return false;
}

static const char *fault_of_metadata(struct openid_metadata *metadata, struct slice issuer, bool http_allowed)
{
	const json_t *document = metadata->document,
		     *ways = json_object_get(document, "token_endpoint_auth_methods_supported");
	if (!json_is_object(document))
		return "it is no object in JSON";
	// Discovery 1.0 section 4.3: else one issuer could speak for another.
	if (!slice_equal(slice_of(json_object_get(document, "issuer")), issuer))
		return "it is another issuer's";
	if (!read_url(document, "authorization_endpoint", http_allowed, &metadata->authorization) ||
	    !read_url(document, "token_endpoint", http_allowed, &metadata->token) ||
	    !read_url(document, "jwks_uri", http_allowed, &metadata->keys) ||
	    !read_url(document, "userinfo_endpoint", http_allowed, &metadata->userinfo) ||
	    !read_url(document, "end_session_endpoint", http_allowed, &metadata->end_session))
		return "one of its endpoints is no URL of https";
	if (!metadata->authorization || !metadata->token || !metadata->keys)
		return "authorization_endpoint, token_endpoint or jwks_uri is missing";
	metadata->takes_basic = !ways || has_member(ways, "client_secret_basic");
	metadata->takes_post = has_member(ways, "client_secret_post");
	metadata->tells_issuer =
		json_is_true(json_object_get(document, "authorization_response_iss_parameter_supported"));
	return NULL;
}

bool openid_metadata_read(struct slice content, struct slice issuer, bool http_allowed,
			  struct openid_metadata *ret_metadata, const char **ret_why)
{
	*ret_metadata = (struct openid_metadata){
		.document = json_loadb(content.data ? content.data : "", content.length, JSON_REJECT_DUPLICATES, NULL)};
	*ret_why = fault_of_metadata(ret_metadata, issuer, http_allowed);
	if (*ret_why)
		openid_metadata_free(ret_metadata);
	return *ret_why == NULL;
}

void openid_metadata_free(struct openid_metadata *metadata)
{
	json_decref(metadata->document);
	*metadata = (struct openid_metadata){0};
}

// --- Sending visitors there

bool openid_request_write(struct text *to, const struct openid_request *request)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char challenge[BASE64_LENGTH(SHA256_DIGEST_LENGTH)], room[8192];
	struct text form;
	text_init(&form, room, sizeof room);
	SHA256((const unsigned char *)request->verifier.data, request->verifier.length, digest);
	size_t length = base64_encode(BASE64_URL, slice_from(digest, sizeof digest), challenge);
	form_add(&form, "response_type", SLICE("code"));
	form_add(&form, "client_id", request->client_id);
	form_add(&form, "redirect_uri", request->redirect_uri);
	form_add(&form, "scope", request->scope);
	form_add(&form, "state", request->state);
	form_add(&form, "nonce", request->nonce);
	form_add(&form, "code_challenge", slice_from(challenge, length));
	form_add(&form, "code_challenge_method", SLICE("S256"));
	text_add_string(to, request->endpoint);
	text_add_char(to, strchr(request->endpoint, '?') ? '&' : '?');
	text_add(to, text_slice(&form));
	return !form.overflow && !to->overflow;
}

// --- What they come back with

// Not there is well, and empty; there and malformed is not.
static bool read_optional(struct slice query, struct slice name, char *room, size_t size, struct slice *ret_value)
{
	*ret_value = (struct slice){0};
	return !form_has(query, name) || form_find(query, name, room, size, ret_value);
}

bool openid_callback_read(struct slice query, struct openid_callback *callback)
{
	return form_find(query, SLICE("state"), callback->state_room, sizeof callback->state_room, &callback->state) &&
	       read_optional(query, SLICE("code"), callback->code_room, sizeof callback->code_room, &callback->code) &&
	       read_optional(query, SLICE("error"), callback->error_room, sizeof callback->error_room,
			     &callback->error) &&
	       read_optional(query, SLICE("iss"), callback->issuer_room, sizeof callback->issuer_room,
			     &callback->issuer) &&
	       (callback->code.length > 0) != (callback->error.length > 0) && slice_is_printable(callback->code) &&
	       slice_is_printable(callback->error);
}

// --- What the provider gives for a code

bool openid_tokens_read(struct slice content, struct openid_tokens *ret_tokens)
{
	json_t *document = json_loadb(content.data ? content.data : "", content.length, JSON_REJECT_DUPLICATES, NULL);
	struct slice id_token = slice_of(json_object_get(document, "id_token")),
		     access_token = slice_of(json_object_get(document, "access_token"));
	*ret_tokens = (struct openid_tokens){document, id_token, access_token};
	if (id_token.length > 0)
		return true;
	openid_tokens_free(ret_tokens);
	return false;
}

void openid_tokens_free(struct openid_tokens *tokens)
{
	json_decref(tokens->document);
	*tokens = (struct openid_tokens){0};
}

const char *openid_fault_of_claims(const json_t *claims, struct slice client_id, struct slice nonce)
{
	const json_t *azp = json_object_get(claims, "azp"), *audience = json_object_get(claims, "aud");
	if (slice_of(json_object_get(claims, "sub")).length == 0)
		return "it has no subject (sub)";
	if (azp ? !slice_equal(slice_of(azp), client_id) : json_array_size(audience) > 1)
		return "it was issued for another client (azp)";
	if (!slice_equal(slice_of(json_object_get(claims, "nonce")), nonce))
		return "its nonce is another login's";
	return NULL;
}
