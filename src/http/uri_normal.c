// Hosts and paths as rules compare them: every spelling of the same becomes the same.
#include "http/syntax.h"
#include "http/uri.h"

struct slice uri_normal_host(struct slice host, struct arena *arena)
{
	if (host.length > 1 && host.data[host.length - 1] == '.')
		host.length--;
	size_t lower = 0;
	while (lower < host.length && ascii_lower(host.data[lower]) == host.data[lower])
		lower++;
	if (lower == host.length)
		return host;
	char *copy = arena_alloc(arena, host.length);
	if (copy == NULL)
		return SLICE_EMPTY;
	for (size_t i = 0; i < host.length; i++)
		copy[i] = ascii_lower(host.data[i]);
	return slice_from(copy, host.length);
}

static bool is_upper_hex(char digit)
{
	return digit <= '9' || (digit >= 'A' && digit <= 'F');
}

// Whether the "/" at `slash` is followed by a dot segment: "." or "..".
static bool dot_segment_follows(const char *slash, const char *end)
{
	const char *at = slash + 1;
	if (at < end && *at == '.')
		at++;
	else
		return false;
	if (at < end && *at == '.')
		at++;
	return at == end || *at == '/';
}

// How many bytes the path can have at most when it has been made normal; 0 when it is
// normal already.
static size_t normal_bound(struct slice path, const struct uri_normal_options *options)
{
	const char *end = path.data + path.length;
	size_t bound = path.length;
	bool normal = true;
	for (const char *at = path.data; at < end; at++) {
		if (*at == '%') {
			if (!syntax_is_percent_encoded(at, end)) {
				bound += 2;
				normal = false;
			} else if (!is_upper_hex(at[1]) || !is_upper_hex(at[2]) ||
				   syntax_is(syntax_percent_value(at), SYNTAX_UNRESERVED)) {
				normal = false;
			}
		} else if (*at == '/') {
			if (dot_segment_follows(at, end) || (options->merge_slashes && at + 1 < end && at[1] == '/'))
				normal = false;
		}
	}
	return normal ? 0 : bound;
}

// RFC 3986 sections 6.2.2.1 and 6.2.2.2. A "%" that begins no encoding becomes "%25", so
// that it cannot begin one with what is decoded behind it.
static size_t decode_unreserved(struct slice path, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = path.data, *end = path.data + path.length;
	char *next = out;
	while (at < end) {
		if (*at != '%') {
			*next++ = *at++;
			continue;
		}
		bool encoded = syntax_is_percent_encoded(at, end);
		uint8_t byte = encoded ? (uint8_t)syntax_percent_value(at) : '%';
		at += encoded ? 3 : 1;
		if (syntax_is((char)byte, SYNTAX_UNRESERVED)) {
			*next++ = (char)byte;
		} else {
			*next++ = '%';
			*next++ = digits[byte >> 4];
			*next++ = digits[byte & 15];
		}
	}
	return (size_t)(next - out);
}

static size_t merge_slashes(char *path, size_t length)
{
	size_t kept = 0;
	for (size_t i = 0; i < length; i++) {
		if (path[i] != '/' || kept == 0 || path[kept - 1] != '/')
			path[kept++] = path[i];
	}
	return kept;
}

// RFC 3986 section 5.2.4, in place. The path begins with "/".
static size_t remove_dot_segments(char *path, size_t length)
{
	size_t in = 0, out = 0;
	while (in < length) {
		// One "/segment" at a time; path[0..out) is done.
		size_t end = in + 1;
		while (end < length && path[end] != '/')
			end++;
		struct slice segment = slice_from(path + in + 1, end - in - 1);
		bool up = slice_equal(segment, SLICE("..")), stay = slice_equal(segment, SLICE("."));
		in = end;
		if (!up && !stay) {
			memmove(path + out, segment.data - 1, segment.length + 1);
			out += segment.length + 1;
			continue;
		}
		if (up) {
			while (out > 0 && path[--out] != '/')
				;
		}
		if (in == length)
			path[out++] = '/'; // "/a/." and "/a/b/.." name the directory "/a/"
	}
	return out;
}

struct slice uri_normal_path(struct slice path, const struct uri_normal_options *options, struct arena *arena)
{
	if (path.length == 0 || path.data[0] != '/')
		return path;
	size_t bound = normal_bound(path, options);
	if (bound == 0)
		return path;
	char *out = arena_alloc(arena, bound);
	if (out == NULL)
		return SLICE_EMPTY;
	size_t length = decode_unreserved(path, out);
	if (options->merge_slashes)
		length = merge_slashes(out, length);
	return slice_from(out, remove_dot_segments(out, length));
}
