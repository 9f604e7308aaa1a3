#include "http/forwarded.h"

#include "base/text.h"
#include "http/syntax.h"
#include "http/uri.h"

#include <arpa/inet.h>

// --- Members of lists, the last one first

// The members of all fields with an id, from the end of the last field to the start of the
// first. Proxies append, so what stands to the right is from those who are nearer; and what
// a client put to the left, an open quote for one, must not change how it is read.
struct members {
	const struct fields *fields;
	enum field_id id;
	uint32_t next;	   // fields before this index are still to be looked at
	struct slice rest; // of the current field's value
};

static void members_init(struct members *members, const struct fields *fields, enum field_id id)
{
	*members = (struct members){.fields = fields, .id = id, .next = fields->count, .rest = SLICE("")};
}

// The index behind the last comma that is in no quoted string, seen from the end; 0 without
// one. Quoted pairs need no care: a member that has one is malformed wherever it is cut.
static size_t last_member_start(struct slice list)
{
	bool quoted = false;
	for (size_t i = list.length; i > 0; i--) {
		char c = list.data[i - 1];
		if (c == '"')
			quoted = !quoted;
		else if (c == ',' && !quoted)
			return i;
	}
	return 0;
}

// The next member that is not empty; false when there is none left.
static bool members_next(struct members *members, struct slice *ret_member)
{
	for (;;) {
		while (members->rest.length > 0) {
			size_t start = last_member_start(members->rest);
			*ret_member = slice_trim(slice_after(members->rest, start));
			members->rest = slice_first(members->rest, start > 0 ? start - 1 : 0);
			if (ret_member->length > 0)
				return true;
		}
		while (members->next > 0 && members->fields->items[members->next - 1].id != members->id)
			members->next--;
		if (members->next == 0)
			return false;
		members->rest = members->fields->items[--members->next].value;
	}
}

// --- Nodes, schemes and hosts

// obfnode and obfport (RFC 7239 section 6.3): "_" and letters, digits, ".", "_", "-".
static bool is_obfuscated(struct slice text)
{
	return text.length >= 2 && text.data[0] == '_' && syntax_all(text, SYNTAX_UNRESERVED) &&
	       slice_find(text, '~') == text.length;
}

static bool is_port(struct slice text)
{
	if (is_obfuscated(text))
		return true;
	if (text.length == 0 || text.length > 5)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	}
	return true;
}

static bool is_address(int family, struct slice text)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;
	if (text.length == 0 || text.length >= sizeof(copy) || memchr(text.data, '\0', text.length) != NULL)
		return false;
	memcpy(copy, text.data, text.length);
	copy[text.length] = '\0';
	return inet_pton(family, copy, &address) == 1;
}

// node = nodename [ ":" node-port ] (RFC 7239 section 6), and the bare IPv6 addresses that
// X-Forwarded-For has.
static bool parse_node(struct slice text, bool bare_ipv6, struct slice *ret_node)
{
	size_t end;
	bool valid;
	if (bare_ipv6 && is_address(AF_INET6, text)) {
		*ret_node = text;
		return true;
	}
	if (text.length > 0 && text.data[0] == '[') {
		size_t bracket = slice_find(text, ']');
		end = bracket < text.length ? bracket + 1 : bracket;
		valid = bracket < text.length && is_address(AF_INET6, slice_from(text.data + 1, bracket - 1));
	} else {
		end = slice_find(text, ':');
		struct slice name = slice_first(text, end);
		valid = is_address(AF_INET, name) || slice_equal_nocase(name, SLICE("unknown")) || is_obfuscated(name);
	}
	if (!valid || (end < text.length && (text.data[end] != ':' || !is_port(slice_after(text, end + 1)))))
		return false;
	*ret_node = slice_first(text, end);
	return true;
}

// A proxy may pass on a client's words here. They are not worth more when they are
// malformed than when they are missing; and they must not hide the node.
static struct slice scheme_or_empty(struct slice text)
{
	bool valid =
		syntax_all(text, SYNTAX_SCHEME) && ascii_lower(text.data[0]) >= 'a' && ascii_lower(text.data[0]) <= 'z';
	return valid ? text : SLICE("");
}

static struct slice host_or_empty(struct slice text)
{
	struct slice host;
	uint16_t port;
	return uri_parse_authority(text, &host, &port) ? text : SLICE("");
}

// --- Forwarded (RFC 7239 section 4)

static void skip_blanks(struct slice *text)
{
	while (text->length > 0 && (text->data[0] == ' ' || text->data[0] == '\t'))
		*text = slice_after(*text, 1);
}

// Takes a token or a quoted string off the front. Quoted pairs are refused: no node, scheme
// or host needs one.
static bool take_value(struct slice *rest, struct slice *ret_value)
{
	bool quoted = rest->length > 0 && rest->data[0] == '"';
	const char *start = rest->data + (quoted ? 1 : 0), *end = rest->data + rest->length;
	const char *at = syntax_skip(start, end, quoted ? SYNTAX_QUOTED : SYNTAX_TOKEN);
	if (quoted ? at == end || *at != '"' : at == start)
		return false;
	*ret_value = slice_from(start, (size_t)(at - start));
	*rest = slice_after(*rest, (size_t)(at - rest->data) + (quoted ? 1 : 0));
	return true;
}

enum { SEEN_FOR = 1, SEEN_PROTO = 2, SEEN_HOST = 4, SEEN_BY = 8 };

// Puts one parameter where it belongs. False when it is there twice, or no node.
static bool take_parameter(struct slice name, struct slice value, unsigned *seen, struct forwarded_hop *hop)
{
	unsigned bit = slice_equal_nocase(name, SLICE("for"))	  ? SEEN_FOR
		       : slice_equal_nocase(name, SLICE("proto")) ? SEEN_PROTO
		       : slice_equal_nocase(name, SLICE("host"))  ? SEEN_HOST
		       : slice_equal_nocase(name, SLICE("by"))	  ? SEEN_BY
								  : 0;
	if ((*seen & bit) != 0)
		return false;
	*seen |= bit;
	if (bit == SEEN_FOR)
		return parse_node(value, false, &hop->node);
	if (bit == SEEN_PROTO)
		hop->proto = scheme_or_empty(value);
	else if (bit == SEEN_HOST)
		hop->host = host_or_empty(value);
	return true;
}

// forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ), with blanks around
// ";" let pass: many write them, and nothing can be read in two ways through them.
static bool parse_element(struct slice element, struct forwarded_hop *ret_hop)
{
	struct forwarded_hop hop = {SLICE(""), SLICE(""), SLICE("")};
	unsigned seen = 0;
	while (element.length > 0) {
		skip_blanks(&element);
		if (element.length > 0 && element.data[0] != ';') {
			const char *end = element.data + element.length;
			const char *equals = syntax_skip(element.data, end, SYNTAX_TOKEN);
			struct slice name = slice_from(element.data, (size_t)(equals - element.data)), value;
			if (name.length == 0 || equals == end || *equals != '=')
				return false;
			element = slice_after(element, name.length + 1);
			if (!take_value(&element, &value) || !take_parameter(name, value, &seen, &hop))
				return false;
			skip_blanks(&element);
		}
		if (element.length > 0 && element.data[0] != ';')
			return false;
		element = slice_after(element, 1);
	}
	*ret_hop = hop;
	return true;
}

// --- Both together

static struct slice last_member(const struct fields *fields, enum field_id id)
{
	struct members members;
	struct slice member;
	members_init(&members, fields, id);
	return members_next(&members, &member) ? member : SLICE("");
}

// Whether two nodes are the same address, or the same word.
static bool same_node(struct slice a, struct slice b)
{
	if (a.length > 0 && a.data[0] == '[')
		a = slice_from(a.data + 1, a.length - 2);
	if (b.length > 0 && b.data[0] == '[')
		b = slice_from(b.data + 1, b.length - 2);
	return slice_equal_nocase(a, b);
}

bool forwarded_read(const struct fields *fields, forwarded_visitor *visit, void *argument)
{
	struct members elements, nodes;
	members_init(&elements, fields, FIELD_FORWARDED);
	members_init(&nodes, fields, FIELD_X_FORWARDED_FOR);
	struct slice proto = scheme_or_empty(last_member(fields, FIELD_X_FORWARDED_PROTO));
	struct slice host = host_or_empty(last_member(fields, FIELD_X_FORWARDED_HOST));
	for (bool nearest = true;; nearest = false) {
		struct forwarded_hop hop = {SLICE(""), SLICE(""), SLICE("")};
		struct slice element, text, node;
		bool has_element = members_next(&elements, &element), has_node = members_next(&nodes, &text);
		bool has_more = nearest && (proto.length > 0 || host.length > 0);
		if (!has_element && !has_node && !has_more)
			return true;
		if ((has_element && !parse_element(element, &hop)) || (has_node && !parse_node(text, true, &node)))
			return false;
		if (has_element && has_node && hop.node.length > 0 && !same_node(hop.node, node))
			return false;
		if (has_node && hop.node.length == 0)
			hop.node = node;
		if (nearest && hop.proto.length == 0)
			hop.proto = proto;
		if (nearest && hop.host.length == 0)
			hop.host = host;
		if (!visit(argument, &hop))
			return true;
	}
}

// --- Writing

static void add_parameter(struct text *text, const char *name, struct slice value)
{
	if (value.length == 0)
		return;
	if (text->length > 0)
		text_add_char(text, ';');
	text_add_string(text, name);
	if (syntax_all(value, SYNTAX_TOKEN)) {
		text_add(text, value);
		return;
	}
	text_add_char(text, '"');
	size_t start = 0;
	for (size_t i = 0; i < value.length; i++) {
		if (value.data[i] != '"' && value.data[i] != '\\')
			continue;
		text_add(text, slice_from(value.data + start, i - start));
		text_add_char(text, '\\');
		start = i;
	}
	text_add(text, slice_after(value, start));
	text_add_char(text, '"');
}

struct slice forwarded_format(struct arena *arena, struct slice node, struct slice proto, struct slice host)
{
	// An IPv6 address without its brackets gets them (RFC 7239 section 6).
	char bracketed[INET6_ADDRSTRLEN + 2];
	if (slice_find(node, ':') < node.length && is_address(AF_INET6, node)) {
		bracketed[0] = '[';
		memcpy(bracketed + 1, node.data, node.length);
		bracketed[node.length + 1] = ']';
		node = slice_from(bracketed, node.length + 2);
	}
	size_t bound = 2 * (node.length + proto.length + host.length) + sizeof("for=\"\";proto=\"\";host=\"\"");
	char *buffer = arena_alloc(arena, bound);
	if (buffer == NULL)
		return SLICE_EMPTY;
	struct text text;
	text_init(&text, buffer, bound);
	add_parameter(&text, "for=", node);
	add_parameter(&text, "proto=", proto);
	add_parameter(&text, "host=", host);
	return text_slice(&text);
}
