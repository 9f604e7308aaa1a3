#include "http/h1_head.h"
#include "http/request_rules.h"
#include "http/syntax.h"
#include "http/uri.h"

// Longer than any registered method; RFC 9112 section 3 asks for 501 beyond what a server
// knows.
enum { METHOD_BYTES_MAX = 32 };

static const char *line_detail(const char *at, const char *end, const char *otherwise)
{
	const char *detail = at < end ? h1_line_end_detail(at, end) : "the head ends within a line";
	bool whole_line = end - at >= 2 && at[0] == '\r' && at[1] == '\n';
	return detail != NULL && !whole_line ? detail : otherwise;
}

static bool parse_method(const char **at, const char *end, struct request *request, struct fault *fault)
{
	const char *start = *at, *blank = syntax_skip(start, end, SYNTAX_TOKEN);
	if (blank == start || blank == end || *blank != ' ')
		return h1_refuse(fault, FAULT_BAD_REQUEST,
				 line_detail(blank, end, "the method is not a token and one space"));
	request->method_name = slice_from(start, (size_t)(blank - start));
	if (request->method_name.length > METHOD_BYTES_MAX)
		return h1_refuse(fault, FAULT_NOT_IMPLEMENTED, "the method is longer than any known");
	request->method = method_of(request->method_name);
	*at = blank + 1;
	return true;
}

// Finds where the target ends; uri_parse_target looks at what is in it.
static bool find_target(const char **at, const char *end, const struct h1_limits *limits, struct request *request,
			struct fault *fault)
{
	const char *start = *at, *blank = syntax_skip_word(start, end);
	if (blank == end || *blank != ' ' || blank == start)
		return h1_refuse(fault, FAULT_BAD_REQUEST,
				 line_detail(blank, end,
					     "the request line is not a method, a target and a version, "
					     "each after one space"));
	request->target = slice_from(start, (size_t)(blank - start));
	if (request->target.length > limits->target_bytes) {
		h1_refuse(fault, FAULT_TARGET_TOO_LONG, "the request target is too long");
		fault->setting = "limits.target";
		return false;
	}
	*at = blank + 1;
	return true;
}

// RFC 9112 section 3.
static bool parse_request_line(const char **at, const char *end, const struct h1_limits *limits,
			       struct request *request, struct fault *fault)
{
	request->version_major = 1;
	if (!parse_method(at, end, request, fault) || !find_target(at, end, limits, request, fault) ||
	    !h1_parse_version(at, end, &request->version_minor, fault))
		return false;
	if (end - *at < 2 || (*at)[0] != '\r' || (*at)[1] != '\n')
		return h1_refuse(fault, FAULT_BAD_REQUEST, line_detail(*at, end, "something follows the version"));
	*at += 2;
	return true;
}

// RFC 9112 section 3.2: exactly one valid Host in HTTP/1.1, and RFC 9110 section 7.2.
static bool parse_host(const struct h1_section *section, struct request *request, struct fault *fault)
{
	if (!h1_section_has(section, FIELD_HOST))
		return request->version_minor == 0 || h1_refuse(fault, FAULT_BAD_HOST, "no Host field");
	if (h1_section_repeats(section, FIELD_HOST))
		return h1_refuse(fault, FAULT_BAD_HOST, "several Host fields");
	struct slice host, value = fields_value(&section->fields, FIELD_HOST);
	uint16_t port;
	if (value.length == 0)
		return h1_refuse(fault, FAULT_BAD_HOST, "an empty Host field");
	if (!uri_parse_authority(value, &host, &port))
		return h1_refuse(fault, FAULT_BAD_HOST, "Host is not a host and a port");
	if (request->target_form == TARGET_ABSOLUTE || request->target_form == TARGET_AUTHORITY)
		return request_host_agrees(request, host, port) ||
		       h1_refuse(fault, FAULT_BAD_HOST, "Host differs from the request target");
	request->host = host;
	request->port = port;
	request->authority = value;
	return true;
}

// Whether the connection would carry requests again once it is upgraded: such requests
// would go past every rule of usher.
static bool is_request_protocol(struct slice protocol)
{
	struct slice name, version;
	slice_cut(protocol, '/', &name, &version);
	return slice_equal_nocase(name, SLICE("h2c")) || slice_equal_nocase(name, SLICE("h2")) ||
	       slice_equal_nocase(name, SLICE("HTTP")) || slice_equal_nocase(name, SLICE("TLS"));
}

// RFC 9110 section 7.8: Upgrade means nothing in HTTP/1.0, nor without its connection option.
static bool wants_upgrade(const struct h1_section *section, uint8_t version_minor)
{
	if (!h1_section_has(section, FIELD_UPGRADE) || version_minor == 0 || !section->upgrade)
		return false;
	bool any = false;
	for (uint32_t i = 0; i < section->fields.count; i++) {
		if (section->fields.items[i].id != FIELD_UPGRADE)
			continue;
		struct slice rest = section->fields.items[i].value, protocol;
		while (slice_next_member(&rest, &protocol)) {
			if (is_request_protocol(protocol))
				return false;
			any = true;
		}
	}
	return any;
}

static bool parse_head(struct slice head, const struct h1_limits *limits, struct arena *arena, struct request *request,
		       struct fault *fault)
{
	const char *at = head.data, *end = head.data + head.length;
	struct h1_section section;
	struct h1_framing framing;
	const char *detail;

	if (!parse_request_line(&at, end, limits, request, fault) ||
	    !h1_parse_section(slice_from(at, (size_t)(end - at)), limits, arena, &section, fault))
		return false;
	request->fields = section.fields;
	if (!uri_parse_target(request, &detail))
		return h1_refuse(fault, FAULT_BAD_TARGET, detail);
	if (!parse_host(&section, request, fault) ||
	    !h1_parse_framing(&section, request->version_minor, &framing, fault))
		return false;
	// RFC 9112 section 6.3, rules 4, 6 and 7: whatever the method.
	request->framing = framing.chunked ? BODY_CHUNKED : framing.has_length ? BODY_LENGTH : BODY_NONE;
	request->content_length = framing.length;
	request->persistent = h1_is_persistent(&section, request->version_minor);
	request->wants_upgrade = wants_upgrade(&section, request->version_minor);
	// RFC 9110 section 10.1.1: an HTTP/1.0 client cannot mean it.
	return !h1_section_has(&section, FIELD_EXPECT) || request->version_minor == 0 ||
	       request_read_expectations(request, fault);
}

bool h1_parse_request(struct slice head, const struct h1_limits *limits, struct arena *arena,
		      struct request *ret_request, struct fault *ret_fault)
{
	// An empty slice is one of no bytes; NULL is kept for "memory is out".
	*ret_request = (struct request){
		.scheme = SLICE(""), .host = SLICE(""), .authority = SLICE(""), .path = SLICE(""), .query = SLICE("")};
	if (parse_head(head, limits, arena, ret_request, ret_fault))
		return true;
	ret_fault->step = "read request header";
	return false;
}
