#include "http/fields.h"
#include "http/h1_head.h"
#include "http/syntax.h"

const char *h1_line_end_detail(const char *at, const char *end)
{
	if (*at == '\n')
		return "a bare LF ends a line";
	if (*at == '\r')
		return end - at > 1 ? "a bare CR in a line" : "the head ends within a line";
	if (*at == '\0')
		return "NUL in a line";
	return NULL;
}

static const char *name_detail(const char *line, const char *at, const char *end)
{
	if (at == line && (*at == ' ' || *at == '\t'))
		return "a line is folded (obs-fold)"; // RFC 9112 section 5.2
	const char *detail = h1_line_end_detail(at, end);
	if (at == line)
		return *at == ':' ? "an empty field name" : detail != NULL ? detail : "a field name is not a token";
	if (*at == ' ' || *at == '\t')
		return "a blank in a field name or before its colon"; // RFC 9112 section 5.1
	if (*at == '\r' && end - at > 1 && at[1] == '\n')
		return "a field line without a colon";
	return detail != NULL ? detail : "a field name is not a token";
}

// Parses "name: value CRLF" (RFC 9112 section 5) and moves *at behind it.
static inline bool parse_line(const char **at, const char *end, struct field *ret_field, const char **ret_detail)
{
	const char *line = *at, *colon = syntax_skip(line, end, SYNTAX_TOKEN);
	if (colon == end || *colon != ':' || colon == line) {
		*ret_detail = colon == end ? "the head ends within a line" : name_detail(line, colon, end);
		return false;
	}
	const char *value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	const char *value_end = syntax_skip_value(value, end);
	if (end - value_end < 2 || value_end[0] != '\r' || value_end[1] != '\n') {
		const char *detail =
			value_end < end ? h1_line_end_detail(value_end, end) : "the head ends within a line";
		*ret_detail = detail != NULL ? detail : "a control character in a field value";
		return false;
	}
	*at = value_end + 2;
	while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
		value_end--;
	ret_field->name = slice_from(line, (size_t)(colon - line));
	ret_field->value = slice_from(value, (size_t)(value_end - value));
	ret_field->id = field_id_of(ret_field->name);
	return true;
}

static inline void note(struct h1_section *section, enum field_id id)
{
	uint64_t bit = (uint64_t)1 << (id % 64);
	section->repeated[id / 64] |= section->seen[id / 64] & bit;
	section->seen[id / 64] |= bit;
}

// Connection = #token (RFC 9110 section 7.6.1). With anything else in it, a quoted string
// above all, two readers may find other options. And as fields_remove_hop_by_hop compares
// each option with each field, there may be no more of the one than of the other.
static bool read_options(struct h1_section *section, const struct h1_limits *limits, struct fault *ret_fault)
{
	uint32_t options = 0;
	for (uint32_t i = 0; i < section->fields.count; i++) {
		if (section->fields.items[i].id != FIELD_CONNECTION)
			continue;
		struct slice rest = section->fields.items[i].value, option;
		while (slice_next_member(&rest, &option)) {
			if (!syntax_all(option, SYNTAX_TOKEN))
				return h1_refuse(ret_fault, FAULT_BAD_REQUEST, "a connection option is not a token");
			section->close = section->close || slice_equal_nocase(option, SLICE("close"));
			section->keep_alive = section->keep_alive || slice_equal_nocase(option, SLICE("keep-alive"));
			section->upgrade = section->upgrade || slice_equal_nocase(option, SLICE("upgrade"));
			if (++options > limits->fields) {
				h1_refuse(ret_fault, FAULT_HEADER_TOO_LARGE, "Connection has too many options");
				ret_fault->setting = "limits.fields";
				return false;
			}
		}
	}
	return true;
}

bool h1_parse_section(struct slice lines, const struct h1_limits *limits, struct arena *arena,
		      struct h1_section *ret_section, struct fault *ret_fault)
{
	struct h1_section section = {0};
	const char *at = lines.data, *end = lines.data + lines.length, *detail;
	while (end - at < 2 || at[0] != '\r' || at[1] != '\n') {
		if (section.fields.count == limits->fields) {
			h1_refuse(ret_fault, FAULT_HEADER_TOO_LARGE, "too many fields");
			ret_fault->setting = "limits.fields";
			return false;
		}
		if (section.fields.count == section.fields.capacity && !fields_grow(&section.fields, arena))
			return h1_refuse(ret_fault, FAULT_OUT_OF_MEMORY, "no memory for the fields");
		struct field *field = &section.fields.items[section.fields.count];
		if (!parse_line(&at, end, field, &detail))
			return h1_refuse(ret_fault, FAULT_BAD_REQUEST, detail);
		note(&section, field->id);
		section.fields.count++;
	}
	if (end - at > 2)
		return h1_refuse(ret_fault, FAULT_BAD_REQUEST, "bytes after the empty line");
	if (h1_section_has(&section, FIELD_CONNECTION) && !read_options(&section, limits, ret_fault))
		return false;
	*ret_section = section;
	return true;
}

bool h1_parse_version(const char **at, const char *end, uint8_t *ret_minor, struct fault *ret_fault)
{
	const char *version = *at;
	// The name is case-sensitive, and each number is one digit (RFC 9112 section 2.3).
	if (end - version < 8 || memcmp(version, "HTTP/", 5) != 0 || version[5] < '0' || version[5] > '9' ||
	    version[6] != '.' || version[7] < '0' || version[7] > '9')
		return h1_refuse(ret_fault, FAULT_BAD_REQUEST, "the version is not HTTP/1.0 or HTTP/1.1");
	if (version[5] != '1')
		return h1_refuse(ret_fault, FAULT_BAD_VERSION, "the major version is not 1");
	*ret_minor = version[7] == '0' ? 0 : 1;
	*at = version + 8;
	return true;
}

static bool parse_length(const struct h1_section *section, uint64_t *ret_length, struct fault *ret_fault)
{
	// RFC 9112 section 6.3, rule 5, lets a recipient repair a list of equal lengths; but
	// what repeats a length went through something that was not sure of it.
	if (h1_section_repeats(section, FIELD_CONTENT_LENGTH))
		return h1_refuse(ret_fault, FAULT_BAD_FRAMING, "several Content-Length fields");
	uint64_t length;
	if (!slice_to_number(fields_value(&section->fields, FIELD_CONTENT_LENGTH), &length))
		return h1_refuse(ret_fault, FAULT_BAD_FRAMING, "Content-Length is not a number of 1 to 19 digits");
	if (length > INT64_MAX)
		return h1_refuse(ret_fault, FAULT_BAD_FRAMING, "Content-Length is above 2^63-1");
	*ret_length = length;
	return true;
}

bool h1_parse_framing(const struct h1_section *section, uint8_t version_minor, struct h1_framing *ret_framing,
		      struct fault *ret_fault)
{
	struct h1_framing framing = {
		.chunked = h1_section_has(section, FIELD_TRANSFER_ENCODING),
		.has_length = h1_section_has(section, FIELD_CONTENT_LENGTH),
	};
	// RFC 9112 section 6.1: both together may be request smuggling or response splitting.
	if (framing.chunked && framing.has_length)
		return h1_refuse(ret_fault, FAULT_BAD_FRAMING, "Content-Length and Transfer-Encoding together");
	if (framing.has_length && !parse_length(section, &framing.length, ret_fault))
		return false;
	if (framing.chunked) {
		// RFC 9112 section 6.1: an HTTP/1.0 message with it has faulty framing.
		if (version_minor == 0)
			return h1_refuse(ret_fault, FAULT_BAD_FRAMING, "Transfer-Encoding in HTTP/1.0");
		if (h1_section_repeats(section, FIELD_TRANSFER_ENCODING))
			return h1_refuse(ret_fault, FAULT_BAD_FRAMING, "several Transfer-Encoding fields");
		if (!slice_equal_nocase(fields_value(&section->fields, FIELD_TRANSFER_ENCODING), SLICE("chunked")))
			return h1_refuse(ret_fault, FAULT_BAD_FRAMING, "a transfer coding other than chunked alone");
	}
	*ret_framing = framing;
	return true;
}

bool h1_is_persistent(const struct h1_section *section, uint8_t version_minor)
{
	// The rule that forbids keep-alive to proxies in HTTP/1.0 is not for gateways, which
	// are origin servers to their clients (RFC 9110 section 3.7).
	return !section->close && (version_minor >= 1 || section->keep_alive);
}
