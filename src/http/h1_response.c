#include "http/h1_head.h"
#include "http/syntax.h"

// RFC 9112 section 4. The space after the status belongs to the reason phrase, and both may
// be missing: many servers leave them out.
static bool parse_status_line(const char **at, const char *end, struct response *response, struct fault *fault)
{
	if (!h1_parse_version(at, end, &response->version_minor, fault))
		return false;
	response->version_major = 1;
	const char *line = *at;
	if (end - line < 4 || line[0] != ' ' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' ||
	    line[3] < '0' || line[3] > '9')
		return h1_refuse(fault, FAULT_RESPONSE_BAD, "the version is not followed by a space and three digits");
	// RFC 9110 section 15: statuses beyond 599 are invalid. Nobody knows their class, and so
	// neither whether they are final.
	if (line[1] < '1' || line[1] > '5')
		return h1_refuse(fault, FAULT_RESPONSE_BAD, "the status is not one of 100 to 599");
	response->status = (uint16_t)((line[1] - '0') * 100 + (line[2] - '0') * 10 + (line[3] - '0'));
	const char *reason = line + 4;
	if (reason < end && *reason == ' ')
		reason++;
	else if (reason < end && *reason != '\r' && *reason != '\n')
		return h1_refuse(fault, FAULT_RESPONSE_BAD, "the status is not three digits");
	const char *reason_end = syntax_skip_value(reason, end);
	if (end - reason_end < 2 || reason_end[0] != '\r' || reason_end[1] != '\n') {
		const char *detail =
			reason_end < end ? h1_line_end_detail(reason_end, end) : "the head ends within a line";
		return h1_refuse(fault, FAULT_RESPONSE_BAD,
				 detail != NULL ? detail : "a control character in the reason phrase");
	}
	response->reason = slice_from(reason, (size_t)(reason_end - reason));
	*at = reason_end + 2;
	return true;
}

// RFC 9112 section 6.3, in the order of its rules.
static bool choose_framing(const struct h1_section *section, enum method method, struct response *response,
			   struct fault *fault)
{
	struct h1_framing framing;
	unsigned status = response->status;

	// Rule 2: whatever the fields say, a tunnel follows.
	if (method == METHOD_CONNECT && status / 100 == 2) {
		response->framing = BODY_NONE;
		return true;
	}
	if (!h1_parse_framing(section, response->version_minor, &framing, fault))
		return false;
	response->content_length = framing.length;
	if (response_has_no_content(method, status)) { // Rule 1.
		response->framing = BODY_NONE;
		bool claims_content = framing.chunked || framing.length > 0;
		// What the fields claim must not be there (RFC 9110 section 8.6, RFC 9112
		// section 6.1). After an interim response comes the final one, which would be
		// read from within the content of a server that does send some.
		if (claims_content && status / 100 == 1)
			return h1_refuse(fault, FAULT_RESPONSE_BAD, "an interim response with content");
		if (claims_content && status == 204)
			response->persistent = false;
		return true;
	}
	if (framing.chunked) {
		response->framing = BODY_CHUNKED; // Rule 4.
	} else if (framing.has_length) {
		response->framing = BODY_LENGTH; // Rule 6.
	} else {
		response->framing = BODY_UNTIL_CLOSE; // Rule 8.
		response->persistent = false;
	}
	return true;
}

static bool parse_head(struct slice head, enum method method, const struct h1_limits *limits, struct arena *arena,
		       struct response *response, struct fault *fault)
{
	const char *at = head.data, *end = head.data + head.length;
	struct h1_section section;
	if (!parse_status_line(&at, end, response, fault) ||
	    !h1_parse_section(slice_from(at, (size_t)(end - at)), limits, arena, &section, fault))
		return false;
	response->fields = section.fields;
	response->persistent = h1_is_persistent(&section, response->version_minor);
	return choose_framing(&section, method, response, fault);
}

bool h1_parse_response(struct slice head, enum method method, const struct h1_limits *limits, struct arena *arena,
		       struct response *ret_response, struct fault *ret_fault)
{
	*ret_response = (struct response){0};
	if (parse_head(head, method, limits, arena, ret_response, ret_fault))
		return true;
	// What is the client's fault in a request is the server's in a response.
	if (ret_fault->kind == FAULT_HEADER_TOO_LARGE)
		ret_fault->kind = FAULT_RESPONSE_HEADER_TOO_LARGE;
	else if (ret_fault->kind != FAULT_OUT_OF_MEMORY)
		ret_fault->kind = FAULT_RESPONSE_BAD;
	ret_fault->step = "read response header";
	return false;
}
