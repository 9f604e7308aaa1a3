#include "http/request_rules.h"

bool request_read_expectations(struct request *request, struct fault *fault)
{
	bool continues = false;
	for (uint32_t i = 0; i < request->fields.count; i++) {
		if (request->fields.items[i].id != FIELD_EXPECT)
			continue;
		struct slice rest = request->fields.items[i].value, member;
		while (slice_next_member(&rest, &member)) {
			if (!slice_equal_nocase(member, SLICE("100-continue"))) {
				*fault = (struct fault){.kind = FAULT_UNKNOWN_EXPECTATION,
							.detail = "an expectation other than 100-continue"};
				return false;
			}
			continues = true;
		}
	}
	bool has_content = request->framing == BODY_CHUNKED || request->content_length > 0;
	request->expects_continue = continues && has_content;
	return true;
}

static uint16_t default_port(struct slice scheme)
{
	return slice_equal(scheme, SLICE("https")) ? 443 : 80;
}

bool request_host_agrees(const struct request *request, struct slice host, uint16_t port)
{
	if (!slice_equal_nocase(request->host, host))
		return false;
	if (request->target_form == TARGET_AUTHORITY)
		return port == 0 || port == request->port;
	uint16_t standard = default_port(request->scheme);
	return (port != 0 ? port : standard) == (request->port != 0 ? request->port : standard);
}
