#include "handlers/access_openid_exchange.h"

#include "access/form.h"
#include "base/base64.h"
#include "fiber/offload.h"
#include "net/fetch.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORM_MAX = 16 * 1024, CREDENTIALS_MAX = 1024 };

static bool fail(struct openid_asking *asking, enum fault_kind fault, const char *what, const char *why)
{
	asking->fault = fault;
	(void)snprintf(asking->why, sizeof asking->why, "%s: %.256s", what, why);
	return false;
}

// In a thread of its own, as all that fetches.
static bool ask(struct openid_asking *asking, struct fetch_request *request, struct fetch_answer *ret_answer)
{
	const struct provider_settings *settings = provider_settings(asking->openid->provider);
	request->http_allowed = slice_starts_with(settings->url, SLICE("http:"));
	request->authorities = settings->authorities;
	return fetch(request, ret_answer) || fail(asking, FAULT_NO_SERVER, request->url, ret_answer->why);
}

// --- Tokens

// RFC 6749 section 2.3.1: both parts are encoded as forms are, before they are put together.
static bool write_credentials(const struct login_openid *openid, struct text *field)
{
	char room[CREDENTIALS_MAX];
	struct text pair;
	text_init(&pair, room, sizeof room);
	form_encode(&pair, openid->client_id.text);
	text_add_char(&pair, ':');
	form_encode(&pair, openid->client_secret.text);
	text_add_string(field, "Basic ");
	text_add_base64(field, text_slice(&pair));
	text_add_char(field, '\0');
	OPENSSL_cleanse(room, sizeof room);
	return !pair.overflow && !field->overflow;
}

// RFC 6749 section 5.2 has words for what is wrong; of these, one is the visitor's.
static bool fail_by_answer(struct openid_asking *asking, const struct fetch_answer *answer)
{
	char why[160];
	json_t *said = json_loadb(answer->content.data ? answer->content.data : "", answer->content.length, 0, NULL);
	const char *error = json_string_value(json_object_get(said, "error"));
	bool is_code = error && strcmp(error, "invalid_grant") == 0;
	(void)snprintf(why, sizeof why, "status %u%s%.64s", answer->status, error ? ", " : "", error ? error : "");
	json_decref(said);
	return fail(asking, is_code ? FAULT_BAD_REQUEST : FAULT_RESPONSE_BAD, asking->token_url, why);
}

static bool read_tokens(struct openid_asking *asking, const struct fetch_answer *answer)
{
	if (answer->status != 200)
		return fail_by_answer(asking, answer);
	return openid_tokens_read(answer->content, &asking->tokens) ||
	       fail(asking, FAULT_RESPONSE_BAD, asking->token_url, "there is no ID token in the answer");
}

static void fetch_tokens(void *argument)
{
	struct openid_asking *asking = argument;
	const struct login_openid *openid = asking->openid;
	struct slice secret = openid->client_secret.text;
	char form_room[FORM_MAX], field_room[BASE64_LENGTH(CREDENTIALS_MAX) + 16];
	struct text form, field;
	struct fetch_answer answer;
	text_init(&form, form_room, sizeof form_room);
	text_init(&field, field_room, sizeof field_room);
	form_add(&form, "grant_type", SLICE("authorization_code"));
	form_add(&form, "code", asking->code);
	form_add(&form, "redirect_uri", asking->redirect_uri);
	form_add(&form, "code_verifier", asking->verifier);
	bool is_basic = secret.length > 0 && asking->takes_basic;
	if (!is_basic)
		form_add(&form, "client_id", openid->client_id.text);
	if (secret.length > 0 && !is_basic)
		form_add(&form, "client_secret", secret);
	text_add_char(&form, '\0');
	struct fetch_request request = {
		.url = asking->token_url,
		.form = form_room,
		.authorization = is_basic ? field_room : NULL,
	};
	if (form.overflow || (is_basic && !write_credentials(openid, &field))) {
		(void)fail(asking, FAULT_INTERNAL, asking->token_url, "what has to be sent is too long");
	} else if (ask(asking, &request, &answer)) {
		if (read_tokens(asking, &answer))
			asking->fault = FAULT_NONE;
		fetch_answer_free(&answer);
	}
	OPENSSL_cleanse(form_room, sizeof form_room);
	OPENSSL_cleanse(field_room, sizeof field_room);
}

// --- More of who he is (OpenID Connect Core 1.0 section 5.3)

static void fetch_userinfo(void *argument)
{
	struct openid_asking *asking = argument;
	struct slice token = asking->tokens.access_token;
	struct fetch_answer answer;
	char why[64], *field = NULL;
	if (token.length > JWT_MAX || !slice_is_printable(token) ||
	    asprintf(&field, "Bearer %.*s", SLICE_ARGUMENTS(token)) < 0) {
		(void)fail(asking, FAULT_RESPONSE_BAD, asking->token_url, "the access token is too long, or none");
		return;
	}
	struct fetch_request request = {.url = asking->userinfo_url, .authorization = field};
	bool is_asked = ask(asking, &request, &answer);
	OPENSSL_cleanse(field, strlen(field));
	free(field);
	if (!is_asked)
		return;
	(void)snprintf(why, sizeof why, "status %u, or no object in JSON", answer.status);
	if (answer.status == 200)
		asking->userinfo = json_loadb(answer.content.data ? answer.content.data : "", answer.content.length,
					      JSON_REJECT_DUPLICATES, NULL);
	asking->fault = FAULT_NONE;
	if (!json_is_object(asking->userinfo))
		(void)fail(asking, FAULT_RESPONSE_BAD, asking->userinfo_url, why);
	fetch_answer_free(&answer);
}

// --- From the visitor's fiber

static bool run(struct openid_asking *asking, void (*work)(void *argument))
{
	struct provider *provider = asking->openid->provider;
	asking->fault = FAULT_OVERLOADED;
	if (!provider_enter(provider))
		return fail(asking, FAULT_OVERLOADED, asking->openid->issuer.url.text.data,
			    "too many are logging in at once");
	if (offload_remote(work, asking) < 0)
		(void)fail(asking, FAULT_OVERLOADED, asking->openid->issuer.url.text.data, "there is no thread for it");
	provider_leave(provider);
	return asking->fault == FAULT_NONE;
}

bool openid_ask_tokens(struct exchange *exchange, struct openid_asking *asking)
{
	const struct provider_facts *facts = access_issuer_facts(asking->openid->provider);
	struct arena *arena = exchange_arena(exchange);
	if (!facts)
		return fail(asking, FAULT_NO_SERVER, asking->openid->issuer.url.text.data, "it has not answered yet");
	const struct openid_metadata *metadata = &facts->metadata;
	asking->token_url = arena_copy(arena, slice_from_string(metadata->token)).data;
	asking->userinfo_url =
		metadata->userinfo ? arena_copy(arena, slice_from_string(metadata->userinfo)).data : NULL;
	asking->takes_basic = metadata->takes_basic || !metadata->takes_post;
	if (!asking->token_url)
		return fail(asking, FAULT_OUT_OF_MEMORY, asking->openid->issuer.url.text.data, "memory is out");
	return run(asking, fetch_tokens);
}

bool openid_ask_userinfo(struct openid_asking *asking)
{
	return run(asking, fetch_userinfo);
}

void openid_asking_end(struct openid_asking *asking)
{
	openid_tokens_free(&asking->tokens);
	json_decref(asking->userinfo);
}
