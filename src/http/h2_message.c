// Header sections that arrive: field by field, then as a whole.
#include "http/h2_message.h"

#include "http/request_rules.h"
#include "http/syntax.h"
#include "http/uri.h"

enum {
	FIELD_OVERHEAD_BYTES = 32, // RFC 9113 section 6.5.2
	METHOD_BYTES_MAX = 32,	   // as for HTTP/1.1
};

#define ID(id) (UINT64_C(1) << FIELD_##id)
_Static_assert(FIELD_COUNT <= 64, "a set of field ids fits into 64 bits");

// RFC 9113 section 8.2.2. Transfer-Encoding is one of them, but names framing.
static const uint64_t connection_specific =
	ID(CONNECTION) | ID(PROXY_CONNECTION) | ID(KEEP_ALIVE) | ID(TRANSFER_ENCODING) | ID(UPGRADE);

// Fills in the fault, but for its step, and returns false.
static bool refuse(struct fault *fault, enum fault_kind kind, const char *detail)
{
	*fault = (struct fault){.kind = kind, .detail = detail};
	return false;
}

static bool refuse_size(struct fault *fault, const char *detail, const char *setting)
{
	*fault = (struct fault){.kind = FAULT_HEADER_TOO_LARGE, .detail = detail, .setting = setting};
	return false;
}

static bool has(const struct h2_section *section, uint64_t ids)
{
	return (section->seen & ids) != 0;
}

// --- Field by field

void h2_section_init(struct h2_section *section, struct arena *arena, const struct h1_limits *limits,
		     uint32_t limit_bytes, bool is_response, bool is_trailers)
{
	*section = (struct h2_section){
		.arena = arena,
		.limits = limits,
		.limit_bytes = limit_bytes,
		.is_response = is_response,
		.is_trailers = is_trailers,
	};
}

// RFC 9113 section 8.2.1, and what else HTTP/1.1 would refuse or read differently.
static const char *name_detail(struct slice name)
{
	const char *at = name.data, *end = at + name.length;
	while (at < end && syntax_is(*at, SYNTAX_TOKEN) && (*at < 'A' || *at > 'Z'))
		at++;
	if (at < end)
		return *at >= 'A' && *at <= 'Z' ? "a field name in upper case" : "a field name is not a token";
	return name.length == 0 ? "an empty field name" : NULL;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static const char *value_detail(struct slice value)
{
	if (value.length == 0)
		return NULL;
	const char *end = value.data + value.length, *at = syntax_skip_value(value.data, end);
	if (at < end)
		return *at == '\0' ? "NUL in a field value" : "a control character in a field value";
	return is_blank(value.data[0]) || is_blank(end[-1]) ? "a field value begins or ends with a blank" : NULL;
}

// Where the pseudo-field's value goes, or NULL when it is none of this kind of message
// (RFC 9113 sections 8.3.1 and 8.3.2, RFC 8441 section 4).
static struct slice *pseudo_place(struct h2_section *section, struct slice name)
{
	if (section->is_response)
		return slice_equal(name, SLICE(":status")) ? &section->method : NULL;
	if (slice_equal(name, SLICE(":method")))
		return &section->method;
	if (slice_equal(name, SLICE(":scheme")))
		return &section->scheme;
	if (slice_equal(name, SLICE(":authority")))
		return &section->authority;
	if (slice_equal(name, SLICE(":path")))
		return &section->path;
	return slice_equal(name, SLICE(":protocol")) ? &section->protocol : NULL;
}

// RFC 9110 section 15: statuses beyond 599 are invalid; RFC 9113 section 8.6 has no 101.
static bool parse_status(struct h2_section *section, struct slice value)
{
	uint64_t status;
	if (value.length != 3 || !slice_to_number(value, &status) || status < 100 || status > 599)
		return refuse(&section->fault, FAULT_BAD_REQUEST, "the status is not one of 100 to 599");
	if (status == 101)
		return refuse(&section->fault, FAULT_BAD_REQUEST, "101 in HTTP/2");
	section->status = (unsigned)status;
	return true;
}

static bool add_pseudo(struct h2_section *section, struct slice name, struct slice value)
{
	if (section->is_trailers)
		return refuse(&section->fault, FAULT_BAD_REQUEST, "a pseudo-field in trailers");
	if (section->regular)
		return refuse(&section->fault, FAULT_BAD_REQUEST, "a pseudo-field after a field");
	struct slice *place = pseudo_place(section, name);
	if (!place)
		return refuse(&section->fault, FAULT_BAD_REQUEST, "an unknown pseudo-field");
	if (place->data)
		return refuse(&section->fault, FAULT_BAD_REQUEST, "a pseudo-field twice");
	const char *detail = value_detail(value);
	if (detail)
		return refuse(&section->fault, FAULT_BAD_REQUEST, detail);
	*place = arena_copy(section->arena, value);
	if (!place->data)
		return refuse(&section->fault, FAULT_OUT_OF_MEMORY, "no memory for the fields");
	return !section->is_response || parse_status(section, value);
}

// RFC 9113 sections 8.2.2 and 8.1.1, and what must not come twice.
static bool check_known(struct h2_section *section, enum field_id id, struct slice value)
{
	uint64_t bit = UINT64_C(1) << id;
	bool repeats = has(section, bit);
	section->seen |= bit;
	if (bit & connection_specific)
		return refuse(&section->fault, id == FIELD_TRANSFER_ENCODING ? FAULT_BAD_FRAMING : FAULT_BAD_REQUEST,
			      "a connection-specific field in HTTP/2");
	if (id == FIELD_TE && !section->is_response && !slice_equal_nocase(value, SLICE("trailers")))
		return refuse(&section->fault, FAULT_BAD_REQUEST, "TE with anything but \"trailers\" in HTTP/2");
	if (id == FIELD_HOST && repeats)
		return refuse(&section->fault, FAULT_BAD_HOST, "several Host fields");
	if (id != FIELD_CONTENT_LENGTH)
		return true;
	if (repeats)
		return refuse(&section->fault, FAULT_BAD_FRAMING, "several Content-Length fields");
	if (!slice_to_number(value, &section->length))
		return refuse(&section->fault, FAULT_BAD_FRAMING, "Content-Length is not a number of 1 to 19 digits");
	return section->length <= INT64_MAX ||
	       refuse(&section->fault, FAULT_BAD_FRAMING, "Content-Length is above 2^63-1");
}

// One more may be added: Cookie fields count as the one that they become.
static bool has_room(const struct h2_section *section)
{
	uint32_t joined = section->cookies > 1 ? section->cookies - 1 : 0;
	return section->fields.count - joined < section->limits->fields;
}

static bool add_regular(struct h2_section *section, struct slice name, struct slice value)
{
	section->regular = true;
	const char *detail = name_detail(name);
	detail = detail ? detail : value_detail(value);
	if (detail)
		return refuse(&section->fault, FAULT_BAD_REQUEST, detail);
	enum field_id id = field_id_of(name);
	section->cookies += id == FIELD_COOKIE;
	if (!has_room(section) && (id != FIELD_COOKIE || section->cookies == 1))
		return refuse_size(&section->fault, "too many fields", "limits.fields");
	if (id != FIELD_OTHER && !check_known(section, id, value))
		return false;
	struct slice kept_name = id != FIELD_OTHER ? field_name(id) : arena_copy(section->arena, name);
	struct slice kept_value = arena_copy(section->arena, value);
	struct fields *fields = &section->fields;
	if (!kept_name.data || !kept_value.data ||
	    (fields->count == fields->capacity && !fields_grow(fields, section->arena)))
		return refuse(&section->fault, FAULT_OUT_OF_MEMORY, "no memory for the fields");
	fields->items[fields->count++] = (struct field){.name = kept_name, .value = kept_value, .id = id};
	return true;
}

void h2_section_add(struct h2_section *section, struct slice name, struct slice value)
{
	size_t size = name.length + value.length + FIELD_OVERHEAD_BYTES;
	section->bytes = size > UINT32_MAX - section->bytes ? UINT32_MAX : section->bytes + (uint32_t)size;
	if (section->fault.kind)
		return;
	if (section->bytes > section->limit_bytes)
		refuse_size(&section->fault, "the header section is larger than limits.header", "limits.header");
	else if (name.length > 0 && name.data[0] == ':')
		add_pseudo(section, name, value);
	else
		add_regular(section, name, value);
}

// --- The whole: requests

static struct slice or_empty(struct slice text)
{
	return text.data ? text : SLICE("");
}

// RFC 9113 section 8.2.3: crumbs of Cookie become one field before anything else sees them.
static bool join_cookies(struct h2_section *section, struct fault *fault)
{
	struct fields *fields = &section->fields;
	struct field *first = NULL;
	size_t size = 0, length = 0;
	if (section->cookies < 2)
		return true;
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->items[i].id == FIELD_COOKIE)
			size += fields->items[i].value.length + 2;
	char *joined = arena_alloc(section->arena, size);
	if (!joined)
		return refuse(fault, FAULT_OUT_OF_MEMORY, "no memory for the fields");
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct field field = fields->items[i];
		if (field.id == FIELD_COOKIE) {
			memcpy(joined + length, field.value.data, field.value.length);
			memcpy(joined + length + field.value.length, "; ", 2);
			length += field.value.length + 2;
		}
		if (field.id == FIELD_COOKIE && first)
			continue;
		fields->items[kept] = field;
		first = field.id == FIELD_COOKIE ? &fields->items[kept] : first;
		kept++;
	}
	first->value = slice_from(joined, length - 2);
	fields->count = kept;
	return true;
}

// RFC 9113 section 8.3.1, RFC 8441 section 4 for extended CONNECT.
static bool check_pseudo(const struct h2_section *section, struct request *request, struct fault *fault)
{
	if (!syntax_all(or_empty(section->method), SYNTAX_TOKEN))
		return refuse(fault, FAULT_BAD_REQUEST, section->method.data ? ":method is not a token" : "no :method");
	if (section->method.length > METHOD_BYTES_MAX)
		return refuse(fault, FAULT_NOT_IMPLEMENTED, "the method is longer than any known");
	request->method = method_of(section->method);
	bool is_connect = request->method == METHOD_CONNECT, is_extended = section->protocol.data != NULL;
	if (is_extended && !is_connect)
		return refuse(fault, FAULT_BAD_REQUEST, ":protocol without CONNECT");
	if (is_connect && !is_extended) {
		if (section->scheme.data || section->path.data)
			return refuse(fault, FAULT_BAD_REQUEST, "CONNECT with :scheme or :path");
		return section->authority.data || refuse(fault, FAULT_BAD_HOST, "CONNECT without :authority");
	}
	if (!section->scheme.data || !section->path.data)
		return refuse(fault, FAULT_BAD_REQUEST, section->path.data ? "no :scheme" : "no :path");
	if (slice_equal_nocase(section->scheme, SLICE("https")))
		request->scheme = SLICE("https");
	else if (slice_equal_nocase(section->scheme, SLICE("http")))
		request->scheme = SLICE("http");
	else
		return refuse(fault, FAULT_BAD_TARGET, ":scheme is not http or https");
	if (is_extended && !slice_equal_nocase(section->protocol, SLICE("websocket")))
		return refuse(fault, FAULT_NOT_IMPLEMENTED, "a :protocol other than websocket");
	return true;
}

// RFC 8441 section 5: what an extended CONNECT asks for is what HTTP/1.1 asks for so.
static bool become_upgrade(struct h2_section *section, struct request *request, struct fault *fault)
{
	request->method = METHOD_GET;
	request->method_name = SLICE("GET");
	request->wants_upgrade = true;
	if (has(section, ID(CONTENT_LENGTH)))
		return refuse(fault, FAULT_BAD_FRAMING, "Content-Length with CONNECT");
	return fields_add(&section->fields, section->arena, FIELD_UPGRADE, SLICE("websocket")) ||
	       refuse(fault, FAULT_OUT_OF_MEMORY, "no memory for the fields");
}

static bool check_target(const struct h2_section *section, struct request *request, struct fault *fault)
{
	const char *detail;
	bool is_connect = request->method == METHOD_CONNECT;
	request->target = or_empty(is_connect ? section->authority : section->path);
	if (request->target.length > section->limits->target_bytes) {
		refuse(fault, FAULT_TARGET_TOO_LONG, "the request target is too long");
		fault->setting = "limits.target";
		return false;
	}
	// Only the origin and the asterisk form: an absolute one would name another host than
	// :authority.
	bool is_path = request->target.length > 0 && (request->target.data[0] == '/' || request->target.data[0] == '*');
	if (!is_connect && !is_path)
		return refuse(fault, FAULT_BAD_TARGET, ":path does not begin with \"/\"");
	return uri_parse_target(request, &detail) || refuse(fault, FAULT_BAD_TARGET, detail);
}

// :authority and Host are two words for one thing (RFC 9113 section 8.3.1); whoever reads
// the one must find the other's.
static bool check_authority(struct h2_section *section, struct request *request, struct fault *fault)
{
	struct slice host, value = fields_value(&section->fields, FIELD_HOST);
	uint16_t port;
	if (!section->authority.data && !value.data)
		return refuse(fault, FAULT_BAD_HOST, "neither :authority nor Host");
	request->authority = section->authority.data ? section->authority : value;
	if (!uri_parse_authority(request->authority, &request->host, &request->port)) {
		bool has_user = slice_find(request->authority, '@') < request->authority.length;
		return refuse(fault, FAULT_BAD_HOST,
			      has_user			? "user information in :authority"
			      : section->authority.data ? ":authority is not a host and a port"
							: "Host is not a host and a port");
	}
	if (value.data && (!uri_parse_authority(value, &host, &port) || !request_host_agrees(request, host, port)))
		return refuse(fault, FAULT_BAD_HOST, "Host differs from :authority");
	return fields_set(&section->fields, section->arena, FIELD_HOST, request->authority) ||
	       refuse(fault, FAULT_OUT_OF_MEMORY, "no memory for the fields");
}

// RFC 9113 section 8.1.1: END_STREAM ends the content, whatever Content-Length says of it.
static bool choose_framing(const struct h2_section *section, bool end_stream, enum body_framing *ret_framing,
			   uint64_t *ret_length, struct fault *fault)
{
	bool has_length = has(section, ID(CONTENT_LENGTH));
	if (end_stream && section->length > 0)
		return refuse(fault, FAULT_BAD_FRAMING, "Content-Length without content");
	*ret_framing = has_length ? BODY_LENGTH : end_stream ? BODY_NONE : BODY_CHUNKED;
	*ret_length = section->length;
	return true;
}

static bool read_request(struct h2_section *section, bool end_stream, struct request *request, struct fault *fault)
{
	if (section->fault.kind) {
		*fault = section->fault;
		return false;
	}
	if (!check_pseudo(section, request, fault))
		return false;
	bool is_extended = section->protocol.data != NULL;
	if (is_extended && !become_upgrade(section, request, fault))
		return false;
	if (!check_target(section, request, fault) || !check_authority(section, request, fault) ||
	    !join_cookies(section, fault) ||
	    !choose_framing(section, end_stream || is_extended, &request->framing, &request->content_length, fault))
		return false;
	request->fields = section->fields;
	return !has(section, ID(EXPECT)) || request_read_expectations(request, fault);
}

bool h2_section_to_request(struct h2_section *section, bool end_stream, struct request *ret_request,
			   struct fault *ret_fault)
{
	*ret_request = (struct request){.version_major = 2,
					.version_minor = 1,
					.persistent = true,
					.method_name = or_empty(section->method),
					.target = or_empty(section->path),
					.scheme = SLICE(""),
					.host = SLICE(""),
					.authority = SLICE(""),
					.path = SLICE(""),
					.query = SLICE("")};
	if (read_request(section, end_stream, ret_request, ret_fault))
		return true;
	ret_fault->step = "read request header";
	return false;
}

// --- The whole: responses and trailers

// What is the client's fault in a request is the server's in a response.
static void blame_server(const struct h2_section *section, struct fault *fault, const char *step)
{
	fault->step = step;
	if (!section->is_response || fault->kind == FAULT_OUT_OF_MEMORY)
		return;
	fault->kind = fault->kind == FAULT_HEADER_TOO_LARGE ? FAULT_RESPONSE_HEADER_TOO_LARGE : FAULT_RESPONSE_BAD;
}

static bool read_response(struct h2_section *section, enum method method, bool end_stream, struct response *response,
			  struct fault *fault)
{
	if (section->fault.kind) {
		*fault = section->fault;
		return false;
	}
	if (!section->status)
		return refuse(fault, FAULT_BAD_REQUEST, "no :status");
	response->status = (uint16_t)section->status;
	response->fields = section->fields;
	// RFC 9113 section 8.1: an interim response ends nothing, and has no content.
	bool is_interim = section->status < 200;
	if (is_interim && (end_stream || section->length > 0))
		return refuse(fault, FAULT_BAD_REQUEST, "an interim response that ends the stream or has content");
	bool no_content = response_has_no_content(method, section->status);
	// What a response to HEAD, or 304, says of a length is of what a GET would have had.
	if (!choose_framing(section, end_stream && !no_content, &response->framing, &response->content_length, fault))
		return false;
	if (no_content)
		response->framing = BODY_NONE;
	else if (end_stream)
		response->framing = BODY_LENGTH;
	return true;
}

bool h2_section_to_response(struct h2_section *section, enum method method, bool end_stream,
			    struct response *ret_response, struct fault *ret_fault)
{
	*ret_response = (struct response){.version_major = 2, .version_minor = 1, .persistent = true};
	if (read_response(section, method, end_stream, ret_response, ret_fault))
		return true;
	blame_server(section, ret_fault, "read response header");
	return false;
}

bool h2_section_to_trailers(struct h2_section *section, struct fields *ret_fields, struct fault *ret_fault)
{
	if (section->fault.kind) {
		*ret_fault = section->fault;
		blame_server(section, ret_fault, "read trailers");
		return false;
	}
	struct fields *fields = &section->fields;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (field_may_be_trailer(fields->items[i].id))
			fields->items[kept++] = fields->items[i];
	fields->count = kept;
	*ret_fields = *fields;
	return true;
}
