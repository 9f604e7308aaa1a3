#include "net/dns_srv.h"

#include <string.h>

enum { HEADER_BYTES = 12, QUESTION_BYTES = 4, RECORD_BYTES = 10, SRV_BYTES = 6 };
enum { TYPE_CNAME = 5, TYPE_SRV = 33, CLASS_IN = 1 };
enum { POINTER = 0xc0, POINTERS_MAX = 64 };

struct reader {
	const uint8_t *bytes;
	size_t length, at;
};

static bool has(const struct reader *reader, size_t count)
{
	return reader->length - reader->at >= count;
}

static uint16_t read_16(struct reader *reader)
{
	uint16_t number = (uint16_t)(reader->bytes[reader->at] << 8 | reader->bytes[reader->at + 1]);
	reader->at += 2;
	return number;
}

static uint32_t read_32(struct reader *reader)
{
	uint32_t high = read_16(reader);
	return high << 16 | read_16(reader);
}

static bool is_host_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// --- Names: labels, the rest of which may stand elsewhere in the message (RFC 1035 section 4.1.4)

struct name_text {
	char text[DNS_NAME_MAX + 1];
	size_t length;
	bool is_host; // all its bytes may stand in a host's name
};

static bool add_label(struct name_text *name, const uint8_t *label, size_t length)
{
	if (name->length + length + 1 > DNS_NAME_MAX)
		return false;
	if (name->length > 0)
		name->text[name->length++] = '.';
	for (size_t i = 0; i < length; i++) {
		name->is_host = name->is_host && is_host_byte(label[i]);
		name->text[name->length++] = (char)label[i];
	}
	return true;
}

// Leaves the reader behind the name. Pointers lead anywhere; so many of them are a circle.
static bool read_name(struct reader *reader, struct name_text *ret_name)
{
	struct reader from = *reader;
	unsigned pointers = 0;
	*ret_name = (struct name_text){.is_host = true};
	for (;;) {
		if (!has(&from, 1))
			return false;
		uint8_t length = from.bytes[from.at++];
		if ((length & POINTER) == POINTER) {
			if (!has(&from, 1) || ++pointers > POINTERS_MAX)
				return false;
			size_t target = (size_t)(length & ~POINTER) << 8 | from.bytes[from.at++];
			if (pointers == 1)
				reader->at = from.at;
			if (target >= from.length)
				return false;
			from.at = target;
			continue;
		}
		if ((length & POINTER) != 0 || !has(&from, length))
			return false;
		if (length == 0)
			break;
		if (!add_label(ret_name, from.bytes + from.at, length))
			return false;
		from.at += length;
	}
	if (pointers == 0)
		reader->at = from.at;
	ret_name->text[ret_name->length] = '\0';
	return true;
}

// --- Records

static bool read_srv(struct reader *reader, size_t end, struct services *services)
{
	struct name_text target;
	if (end - reader->at < SRV_BYTES + 1)
		return false;
	struct service service = {.priority = read_16(reader)};
	service.weight = read_16(reader);
	service.port = read_16(reader);
	if (!read_name(reader, &target) || reader->at != end)
		return false;
	if (services->count == SERVICES_MAX || target.length == 0 || !target.is_host || service.port == 0)
		return true;
	memcpy(service.host, target.text, target.length + 1);
	services->items[services->count++] = service;
	return true;
}

// RFC 2181 section 8: a time to live whose first bit is set counts as zero.
static void shorten_ttl(struct services *services, uint32_t ttl_s, bool is_first)
{
	ttl_s = ttl_s > INT32_MAX ? 0 : ttl_s;
	if (is_first || ttl_s < services->ttl_s)
		services->ttl_s = ttl_s;
}

static bool read_record(struct reader *reader, struct services *services, bool *is_first)
{
	struct name_text owner;
	if (!read_name(reader, &owner) || !has(reader, RECORD_BYTES))
		return false;
	uint16_t type = read_16(reader), class = read_16(reader);
	uint32_t ttl_s = read_32(reader);
	uint16_t length = read_16(reader);
	if (!has(reader, length))
		return false;
	size_t end = reader->at + length;
	if (class == CLASS_IN && (type == TYPE_SRV || type == TYPE_CNAME)) {
		shorten_ttl(services, ttl_s, *is_first);
		*is_first = false;
	}
	if (class == CLASS_IN && type == TYPE_SRV && !read_srv(reader, end, services))
		return false;
	reader->at = end;
	return true;
}

bool dns_srv_read(struct slice message, struct services *ret_services)
{
	struct reader reader = {(const uint8_t *)message.data, message.length, 0};
	struct name_text name;
	ret_services->count = 0;
	ret_services->ttl_s = 0;
	if (!has(&reader, HEADER_BYTES))
		return false;
	reader.at = 4; // behind the number and the flags, which c-ares has looked at
	unsigned questions = read_16(&reader), answers = read_16(&reader);
	reader.at = HEADER_BYTES;
	for (; questions > 0; questions--) {
		if (!read_name(&reader, &name) || !has(&reader, QUESTION_BYTES))
			return false;
		reader.at += QUESTION_BYTES;
	}
	bool is_first = true;
	for (; answers > 0; answers--)
		if (!read_record(&reader, ret_services, &is_first))
			return false;
	return true;
}
