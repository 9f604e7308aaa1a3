#include "http/uri.h"

#include "http/syntax.h"

#include <arpa/inet.h>

enum {
	HOST_BYTES_MAX = 255, // RFC 1035 section 2.3.4; RFC 3986 section 3.2.2 points there
	PORT_DIGITS_MAX = 5,
	IPV6_BYTES_MAX = 45,
};

// The address between brackets (RFC 3986 section 3.2.2). No version of IPvFuture was ever
// defined, and zones mean nothing to another machine: both are refused.
static bool is_ipv6(struct slice text)
{
	char copy[IPV6_BYTES_MAX + 1];
	struct in6_addr address;
	if (text.length == 0 || text.length > IPV6_BYTES_MAX || memchr(text.data, '\0', text.length) != NULL)
		return false;
	memcpy(copy, text.data, text.length);
	copy[text.length] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1;
}

// Labels of unreserved characters, none of them empty, with at most one dot at the end.
static bool is_host_name(struct slice host)
{
	if (host.length == 0 || host.length > HOST_BYTES_MAX)
		return false;
	char previous = '.';
	for (size_t i = 0; i < host.length; i++) {
		if (!syntax_is(host.data[i], SYNTAX_UNRESERVED) || (host.data[i] == '.' && previous == '.'))
			return false;
		previous = host.data[i];
	}
	return true;
}

static bool parse_port(struct slice digits, uint16_t *ret_port)
{
	unsigned port = 0;
	if (digits.length > PORT_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < digits.length; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return false;
		port = port * 10 + (unsigned)(digits.data[i] - '0');
	}
	// Zero is no port that anything can listen on, and stands for none here.
	if (port > UINT16_MAX || (digits.length > 0 && port == 0))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

bool uri_parse_authority(struct slice authority, struct slice *ret_host, uint16_t *ret_port)
{
	size_t host_length;
	if (authority.length > 0 && authority.data[0] == '[') {
		size_t bracket = slice_find(authority, ']');
		if (bracket == authority.length || !is_ipv6(slice_from(authority.data + 1, bracket - 1)))
			return false;
		host_length = bracket + 1;
	} else {
		host_length = slice_find(authority, ':');
		if (!is_host_name(slice_first(authority, host_length)))
			return false;
	}
	uint16_t port = 0;
	if (host_length < authority.length &&
	    (authority.data[host_length] != ':' || !parse_port(slice_after(authority, host_length + 1), &port)))
		return false;
	*ret_host = slice_first(authority, host_length);
	*ret_port = port;
	return true;
}

// Goes over bytes of the syntax and percent-encodings. NULL, or what is wrong with the byte
// at *ret_at; where nothing is wrong, *ret_at is the first byte that belongs elsewhere.
static const char *skip_encoded(const char *at, const char *end, enum syntax syntax, const char **ret_at)
{
	while ((at = syntax_skip(at, end, syntax)) < end && *at == '%') {
		if (!syntax_is_percent_encoded(at, end))
			return "a bad percent-encoding in the target";
		// Where strings end at NUL, what follows is not seen.
		if (at[1] == '0' && at[2] == '0')
			return "an encoded NUL in the target";
		at += 3;
	}
	*ret_at = at;
	return NULL;
}

// "/" and what follows; `target` begins with "/", or with "?" when the path is empty.
static bool parse_path_and_query(struct slice target, struct request *request, const char **ret_detail)
{
	const char *start = target.data, *end = start + target.length, *at;
	const char *detail = skip_encoded(start, end, SYNTAX_PATH, &at);
	if (detail == NULL && at < end && *at == '?') {
		request->path = slice_from(start, (size_t)(at - start));
		const char *query = at + 1;
		detail = skip_encoded(query, end, SYNTAX_QUERY, &at);
		request->query = slice_from(query, (size_t)(end - query));
		request->has_query = true;
	} else {
		request->path = target;
	}
	if (detail == NULL && at < end)
		detail = *at == '#' ? "a fragment in the target" : "a byte in the target that no URI may have";
	*ret_detail = detail;
	return detail == NULL;
}

// RFC 9112 section 3.2.2. Only the schemes that usher can serve.
static bool parse_absolute(struct request *request, const char **ret_detail)
{
	struct slice target = request->target;
	size_t colon = slice_find(target, ':');
	struct slice scheme = slice_first(target, colon), rest = slice_after(target, colon);
	if (slice_equal_nocase(scheme, SLICE("http")))
		request->scheme = SLICE("http");
	else if (slice_equal_nocase(scheme, SLICE("https")))
		request->scheme = SLICE("https");
	*ret_detail = "the target is not one of the forms that its method may have";
	if (request->scheme.length == 0 || !slice_starts_with(rest, SLICE("://")))
		return false;
	rest = slice_after(rest, 3);
	size_t length = 0;
	while (length < rest.length && rest.data[length] != '/' && rest.data[length] != '?' && rest.data[length] != '#')
		length++;
	request->target_form = TARGET_ABSOLUTE;
	request->authority = slice_first(rest, length);
	if (!uri_parse_authority(request->authority, &request->host, &request->port)) {
		// RFC 9110 section 4.2.4: user information is there to deceive.
		*ret_detail = slice_find(request->authority, '@') < length ? "user information in the target"
									   : "the target has no valid host and port";
		return false;
	}
	if (!parse_path_and_query(slice_after(rest, length), request, ret_detail))
		return false;
	// RFC 9112 section 3.2.4: such an OPTIONS asks about the server as a whole.
	if (request->path.length == 0)
		request->path = request->method == METHOD_OPTIONS && !request->has_query ? SLICE("*") : SLICE("/");
	return true;
}

// RFC 9112 section 3.2.3; RFC 9110 section 9.3.6 has no CONNECT without a port.
static bool parse_authority_form(struct request *request, const char **ret_detail)
{
	request->target_form = TARGET_AUTHORITY;
	request->path = SLICE("");
	request->authority = request->target;
	*ret_detail = "the target of CONNECT is not a host and a port";
	return uri_parse_authority(request->target, &request->host, &request->port) && request->port != 0;
}

bool uri_parse_target(struct request *request, const char **ret_detail)
{
	struct slice target = request->target;
	if (request->method == METHOD_CONNECT)
		return parse_authority_form(request, ret_detail);
	if (target.length > 0 && target.data[0] == '/') {
		request->target_form = TARGET_ORIGIN; // RFC 9112 section 3.2.1
		return parse_path_and_query(target, request, ret_detail);
	}
	if (request->method == METHOD_OPTIONS && slice_equal(target, SLICE("*"))) {
		request->target_form = TARGET_ASTERISK; // RFC 9112 section 3.2.4
		request->path = target;
		return true;
	}
	return parse_absolute(request, ret_detail);
}
