// What is written to, and read from, OpenID Connect providers; and when they are asked again.
#include "access/openid.h"
#include "access/openid_state.h"
#include "access/provider.h"
#include "cmocka_all.h"

static const char *fault_of(const char *document, bool http_allowed)
{
	struct openid_metadata metadata;
	const char *why = NULL;
	if (openid_metadata_read(slice_from_string(document), SLICE("https://a"), http_allowed, &metadata, &why))
		openid_metadata_free(&metadata);
	return why;
}

#define GOOD                                                                                                           \
	"\"issuer\":\"https://a\",\"authorization_endpoint\":\"https://a/auth?x=1\",\"token_endpoint\":\"https://a/"   \
	"token\""

static void test_metadata(void **state)
{
	assert_null(fault_of("{" GOOD ",\"jwks_uri\":\"https://a/jwks\"}", false));
	assert_string_equal(fault_of("{" GOOD "}", false),
			    "authorization_endpoint, token_endpoint or jwks_uri is missing");
	assert_string_equal(fault_of("{" GOOD ",\"jwks_uri\":\"http://a/jwks\"}", false),
			    "one of its endpoints is no URL of https");
	assert_null(fault_of("{" GOOD ",\"jwks_uri\":\"http://a/jwks\"}", true));
	assert_string_equal(fault_of("{\"issuer\":\"https://a/\"}", false), "it is another issuer's");
	assert_string_equal(fault_of("[]", false), "it is no object in JSON");
	assert_string_equal(fault_of("", false), "it is no object in JSON");
}

static void test_discovery(void **state)
{
	char room[100];
	struct text text;
	text_init(&text, room, sizeof room);
	openid_discovery_url(&text, SLICE("https://a/tenant/"));
	assert_true(slice_equal(text_slice(&text), SLICE("https://a/tenant/.well-known/openid-configuration")));
}

// The verifier and its challenge are those of RFC 7636, appendix B.
static void test_request(void **state)
{
	char room[1000];
	struct text url;
	struct openid_request request = {
		.endpoint = "https://a/auth?x=1",
		.client_id = SLICE("a&b"),
		.redirect_uri = SLICE("https://b/back"),
		.scope = SLICE("openid email"),
		.state = SLICE("s"),
		.nonce = SLICE("n"),
		.verifier = SLICE("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
	};
	text_init(&url, room, sizeof room);
	assert_true(openid_request_write(&url, &request));
	assert_true(slice_equal(
		text_slice(&url),
		SLICE("https://a/auth?x=1&response_type=code&client_id=a%26b&redirect_uri=https%3A%2F%2Fb%2Fback&"
		      "scope=openid%20email&state=s&nonce=n&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-"
		      "cM&code_challenge_method=S256")));
	text_init(&url, room, 100);
	assert_false(openid_request_write(&url, &request));
}

static void test_callbacks(void **state)
{
	struct openid_callback callback;
	assert_true(openid_callback_read(SLICE("state=s&code=a%2Bb"), &callback));
	assert_true(slice_equal(callback.code, SLICE("a+b")) && !callback.issuer.data);
	assert_true(openid_callback_read(SLICE("error=access_denied&state=s&iss=https%3A%2F%2Fa"), &callback));
	assert_true(slice_equal(callback.issuer, SLICE("https://a")));
	static const char *const wrong[] = {"",
					    "state=s",
					    "code=a",
					    "state=s&code=",
					    "state=s&code=%00",
					    "state=s&code=%0a",
					    "state=s&iss=%00&code=a"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(openid_callback_read(slice_from_string(wrong[i]), &callback));
}

static void test_states(void **state)
{
	struct seal_key key, other;
	char room[OPENID_STATE_MAX];
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct openid_state read, written = {.created_s = 5, .target = SLICE("/there")};
	seal_key_make(SLICE("a secret of the test"), &key);
	seal_key_make(SLICE_EMPTY, &other);
	openid_secret_make(&written.binding);
	struct slice text = openid_state_write(&key, &written, SLICE("here"), &arena);
	assert_true(openid_state_read(&key, text, SLICE("here"), room, &read));
	assert_true(read.created_s == 5 && slice_equal(read.target, SLICE("/there")));
	assert_true(openid_secret_is(&read.binding, openid_secret_text(&written.binding)));
	assert_false(openid_secret_is(&read.binding, SLICE("")));
	assert_false(openid_state_read(&key, text, SLICE("there"), room, &read));
	assert_false(openid_state_read(&other, text, SLICE("here"), room, &read));
	arena_fini(&arena);
}

static void test_targets(void **state)
{
	char longest[OPENID_TARGET_MAX + 1];
	memset(longest, '/', sizeof longest);
	assert_true(openid_is_target(SLICE("/")));
	assert_true(openid_is_target(SLICE("/a?b=c&d=%0a")));
	assert_true(openid_is_target(SLICE("//other.example")));
	assert_true(openid_is_target(slice_from(longest, OPENID_TARGET_MAX)));
	assert_false(openid_is_target(slice_from(longest, sizeof longest)));
	const struct slice wrong[] = {SLICE_EMPTY,	   SLICE("a"),	   SLICE("@a"),	      SLICE(".a/"),
				      SLICE("https://a/"), SLICE("/ "),	   SLICE("/\n"),      SLICE("/\r\n"),
				      SLICE("/\0"),	   SLICE("/\x7f"), SLICE("/\xc3\xbc")};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(openid_is_target(wrong[i]));
}

static void test_when_a_provider_is_asked_again(void **state)
{
	struct provider_settings settings = {.refresh_s = 3600};
	assert_int_equal(provider_refresh_s(&settings, SLICE_EMPTY), 3600);
	assert_int_equal(provider_refresh_s(&settings, SLICE("public, max-age=600")), 600);
	assert_int_equal(provider_refresh_s(&settings, SLICE("max-age=0")), 60);
	assert_int_equal(provider_refresh_s(&settings, SLICE("max-age=86400")), 3600);
	settings.refresh_s = 2;
	assert_int_equal(provider_refresh_s(&settings, SLICE("max-age=0")), 2);
	assert_int_equal(provider_retry_s(1), 5);
	assert_int_equal(provider_retry_s(3), 20);
	assert_int_equal(provider_retry_s(4000000000), 300);
}

// Without provider_start nothing is fetched, as in the master.
static void test_providers_are_found_by_their_settings(void **state)
{
	struct provider_settings settings = {.url = SLICE("https://a"), .refresh_s = 60};
	struct provider *one = provider_get(&settings), *same = provider_get(&settings);
	settings.is_openid = true;
	struct provider *other = provider_get(&settings);
	assert_true(one && one == same && other && other != one);
	assert_null(provider_facts(one));
	for (unsigned i = 0; i < PROVIDER_LOGINS_MAX; i++)
		assert_true(provider_enter(one));
	assert_false(provider_enter(one));
	provider_leave(one);
	assert_true(provider_enter(one) && provider_enter(other));
	provider_unref(one);
	provider_unref(same);
	provider_unref(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_callbacks),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_when_a_provider_is_asked_again),
		cmocka_unit_test(test_providers_are_found_by_their_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
