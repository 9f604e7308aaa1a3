// What comes back from an OpenID Connect provider, by visitors or by itself: whatever the bytes, texts lie where they
// should, and no state holds that was not sealed.
#include "access/openid.h"
#include "access/openid_state.h"
#include "support.h"

static void read_callback(struct slice bytes)
{
	static struct openid_callback callback;
	if (!openid_callback_read(bytes, &callback))
		return;
	check((callback.code.length > 0) != (callback.error.length > 0));
	check(callback.code.length <= OPENID_CODE_MAX && slice_is_printable(callback.code));
	check(callback.error.length <= OPENID_ERROR_MAX && slice_is_printable(callback.error));
	check(fuzz_is_inside(callback.state, slice_from(callback.state_room, sizeof callback.state_room)));
	check(fuzz_is_inside(callback.issuer, slice_from(callback.issuer_room, sizeof callback.issuer_room)));
}

// The input as a target, and the state altered where it says.
static void read_state(const struct seal_key *key, struct slice bytes)
{
	struct openid_state read, state = {.created_s = 7, .target = bytes};
	struct arena arena;
	arena_init(&arena, 4 << 20);
	char *room = arena_alloc(&arena, bytes.length + OPENID_STATE_MAX);
	openid_secret_make(&state.binding);
	openid_secret_make(&state.verifier);
	check(!openid_state_read(key, bytes, SLICE("here"), room, &read));
	struct slice text = openid_state_write(key, &state, SLICE("here"), &arena);
	check((text.length > 0) == (bytes.length <= OPENID_TARGET_MAX));
	if (text.length == 0) {
		arena_fini(&arena);
		return;
	}
	check(openid_state_read(key, text, SLICE("here"), room, &read) && read.created_s == 7);
	check(slice_equal(read.target, bytes));
	check(openid_secret_is(&read.binding, openid_secret_text(&state.binding)));
	check(!openid_secret_is(&read.binding, openid_secret_text(&state.verifier)));
	check(!openid_state_read(key, text, SLICE("there"), room, &read));
	if (bytes.length > 0) {
		char *at = (char *)&text.data[(unsigned char)bytes.data[0] % text.length], was = *at;
		*at = bytes.data[bytes.length - 1];
		check(*at == was || !openid_state_read(key, text, SLICE("here"), room, &read));
	}
	arena_fini(&arena);
}

static void read_answers(struct slice bytes)
{
	struct openid_metadata metadata;
	struct openid_tokens tokens;
	const char *why;
	if (openid_metadata_read(bytes, SLICE("https://a"), false, &metadata, &why)) {
		check(metadata.authorization && metadata.token && metadata.keys);
		check(memcmp(metadata.token, "https://", 8) == 0);
		openid_metadata_free(&metadata);
	} else {
		check(why != NULL && metadata.document == NULL);
	}
	if (openid_tokens_read(bytes, &tokens)) {
		check(tokens.id_token.length > 0);
		openid_tokens_free(&tokens);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seal_key key;
	static bool is_made;
	if (!is_made)
		seal_key_make(SLICE("a secret of the fuzzer"), &key);
	is_made = true;
	struct slice bytes = slice_from(data, size);
	read_callback(bytes);
	read_state(&key, bytes);
	read_answers(bytes);
	return 0;
}
