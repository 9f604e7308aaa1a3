// Targets, authorities, and the normal forms of paths and hosts. The first byte picks the
// method. Normal is normal for ever, no dots are left in it, and neither is anything that
// could have been spelled in another way.
#include "http/syntax.h"
#include "http/uri.h"
#include "support.h"

// Plain decoding of every percent-encoding, for comparison only.
static size_t decode_all(struct slice path, char *out)
{
	size_t length = 0;
	for (size_t i = 0; i < path.length; i++) {
		const char *at = path.data + i;
		if (syntax_is_percent_encoded(at, path.data + path.length)) {
			out[length++] = (char)(syntax_hex_value(at[1]) << 4 | syntax_hex_value(at[2]));
			i += 2;
		} else {
			out[length++] = *at;
		}
	}
	return length;
}

static void check_no_dot_segment(struct slice path)
{
	struct slice segment, rest = slice_after(path, 1);
	bool more = true;
	while (more) {
		more = slice_cut(rest, '/', &segment, &rest);
		check(!slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")));
	}
}

static void check_normal_path(struct slice path, bool merge_slashes, struct arena *arena)
{
	struct uri_normal_options options = {.merge_slashes = merge_slashes};
	struct slice normal = uri_normal_path(path, &options, arena);
	check(normal.data != NULL);
	struct slice again = uri_normal_path(normal, &options, arena);
	check(again.data == normal.data && again.length == normal.length);
	if (path.length == 0 || path.data[0] != '/') {
		check(normal.data == path.data && normal.length == path.length);
		return;
	}
	check(normal.length > 0 && normal.data[0] == '/');
	check_no_dot_segment(normal);
	for (size_t i = 0; i < normal.length; i++) {
		const char *at = normal.data + i;
		check(!merge_slashes || i == 0 || at[0] != '/' || at[-1] != '/');
		if (*at != '%')
			continue;
		check(syntax_is_percent_encoded(at, normal.data + normal.length));
		check(!(at[1] >= 'a') && !(at[2] >= 'a'));
		char byte = (char)(syntax_hex_value(at[1]) << 4 | syntax_hex_value(at[2]));
		check(!syntax_is(byte, SYNTAX_UNRESERVED));
	}
	// Where nothing but spelling differs, both mean the same bytes.
	if (memchr(path.data, '.', path.length) == NULL && memmem(path.data, path.length, "%2", 2) == NULL &&
	    !merge_slashes) {
		char *a = malloc(path.length + 1), *b = malloc(normal.length + 1);
		size_t length = decode_all(path, a);
		check(decode_all(normal, b) == length && memcmp(a, b, length) == 0);
		free(a);
		free(b);
	}
}

static void check_authority(struct slice authority, struct arena *arena)
{
	struct slice host;
	uint16_t port;
	if (!uri_parse_authority(authority, &host, &port))
		return;
	check(host.length > 0 && host.length <= 255 && host.data == authority.data);
	for (size_t i = 0; i < authority.length; i++)
		check(authority.data[i] > ' ' && authority.data[i] < 0x7f &&
		      strchr("/?#@,;\\%\"", authority.data[i]) == NULL);
	struct slice normal = uri_normal_host(host, arena);
	check(normal.data != NULL && normal.length > 0);
	struct slice again = uri_normal_host(normal, arena);
	check(again.data == normal.data && again.length == normal.length);
	check(slice_equal_nocase(normal, slice_first(host, normal.length)) && host.length - normal.length <= 1);
	uint16_t none;
	check(uri_parse_authority(normal, &again, &none) && none == 0 && slice_equal(again, normal));
}

static void check_target(enum method method, struct slice target, struct arena *arena)
{
	struct request request = {.method = method, .target = target};
	const char *detail = NULL;
	if (!uri_parse_target(&request, &detail)) {
		check(detail != NULL);
		return;
	}
	for (size_t i = 0; i < target.length; i++)
		check(target.data[i] > ' ' && target.data[i] < 0x7f && target.data[i] != '#');
	check((request.target_form == TARGET_AUTHORITY) == (method == METHOD_CONNECT));
	check(request.target_form != TARGET_ASTERISK || method == METHOD_OPTIONS);
	check((request.host.length > 0) ==
	      (request.target_form == TARGET_ABSOLUTE || request.target_form == TARGET_AUTHORITY));
	check(fuzz_is_inside(request.query, target) && fuzz_is_inside(request.host, target));
	check(request.has_query || request.query.length == 0);
	if (request.target_form == TARGET_ORIGIN) {
		size_t parts = request.path.length + (request.has_query ? 1 + request.query.length : 0);
		check(parts == target.length && slice_find(request.path, '?') == request.path.length);
	}
	check_normal_path(request.path, false, arena);
	check_normal_path(request.path, true, arena);
	check_authority(request.authority, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum method methods[] = {METHOD_GET, METHOD_CONNECT, METHOD_OPTIONS, METHOD_OTHER};
	if (size == 0)
		return 0;
	struct arena arena;
	arena_init(&arena, FUZZ_ARENA_BYTES);
	char *copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	struct slice text = slice_from(copy, size - 1);
	check_target(methods[data[0] % 4], text, &arena);
	check_authority(text, &arena);
	check_normal_path(text, false, &arena);
	check_normal_path(text, true, &arena);
	free(copy);
	arena_fini(&arena);
	return 0;
}
