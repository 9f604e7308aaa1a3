#include "net/country_database.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

// A record of the tree is the number of another node, or a leaf: LEAF and the country.
#define LEAF (UINT32_C(1) << 31)

struct node {
	uint32_t next[2]; // by the address's next bit
};

struct country_database {
	uint32_t v4, v6; // records where the walk begins
	struct node nodes[];
};

// --- Finding

unsigned country_database_find(const struct country_database *database, const struct address *address)
{
	if (address->length == 0 || (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6))
		return COUNTRY_NONE;
	bool is_v4 = address->any.sa_family == AF_INET;
	const uint8_t *bytes = is_v4 ? (const uint8_t *)&address->v4.sin_addr.s_addr : address->v6.sin6_addr.s6_addr;
	unsigned bits = is_v4 ? 32 : 128;
	uint32_t at = is_v4 ? database->v4 : database->v6;
	for (unsigned i = 0; i < bits && !(at & LEAF); i++)
		at = database->nodes[at].next[bytes[i / 8] >> (7 - i % 8) & 1];
	return at & LEAF ? at & ~LEAF : COUNTRY_NONE;
}

// --- Values: each begins with its kind and size

enum {
	KIND_POINTER = 1,
	KIND_STRING = 2,
	KIND_MAP = 7,
	KIND_LIST = 11,
	KIND_END = 13,
	KIND_BOOL = 14,
	KIND_FLOAT = 15
};

// How many values may be read in all: so many that no database comes near, and so few that it takes seconds at most.
enum { VALUES_MAX = 200 * 1000 * 1000 };

struct reading {
	struct slice section; // in which values and pointers are
	uint32_t values;      // read so far
	bool is_broken;
};

struct value {
	unsigned kind;
	size_t size; // bytes, pairs or items; of a pointer, where it leads
	size_t at;   // of what it holds
};

static uint64_t number_at(const char *bytes, size_t size)
{
	uint64_t number = 0;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | (uint8_t)bytes[i];
	return number;
}

static bool broken(struct reading *reading)
{
	reading->is_broken = true;
	return false;
}

// The next bytes as a number, and *at behind them.
static bool take_number(struct reading *reading, size_t *at, size_t size, size_t *ret_number)
{
	if (reading->section.length - *at < size)
		return broken(reading);
	*ret_number = number_at(reading->section.data + *at, size);
	*at += size;
	return true;
}

static bool take_pointer(struct reading *reading, size_t at, size_t first, struct value *ret_value)
{
	static const size_t added[] = {0, 2048, 526336, 0};
	size_t size = first >> 3 & 3, rest;
	if (!take_number(reading, &at, size + 1, &rest))
		return false;
	size_t high = size < 3 ? (first & 7) << 8 * (size + 1) : 0;
	*ret_value = (struct value){KIND_POINTER, high + rest + added[size], at};
	return ret_value->size < reading->section.length || broken(reading);
}

static bool take_size(struct reading *reading, size_t *at, size_t first, size_t *ret_size)
{
	static const size_t added[] = {29, 285, 65821};
	size_t size = first & 31, rest;
	*ret_size = size;
	if (size < 29)
		return true;
	if (!take_number(reading, at, size - 28, &rest))
		return false;
	*ret_size = added[size - 29] + rest;
	return true;
}

static bool has_bytes(unsigned kind)
{
	return kind != KIND_POINTER && kind != KIND_MAP && kind != KIND_LIST && kind != KIND_END && kind != KIND_BOOL;
}

// The value at a place, as it stands.
static bool take_value(struct reading *reading, size_t at, struct value *ret_value)
{
	size_t first, more, size;
	if (++reading->values > VALUES_MAX || !take_number(reading, &at, 1, &first))
		return broken(reading);
	if (first >> 5 == KIND_POINTER)
		return take_pointer(reading, at, first, ret_value);
	unsigned kind = (unsigned)(first >> 5);
	if (kind == 0) {
		if (!take_number(reading, &at, 1, &more))
			return false;
		kind = (unsigned)more + 7;
	}
	if (kind > KIND_FLOAT || !take_size(reading, &at, first, &size))
		return broken(reading);
	if (has_bytes(kind) && size > reading->section.length - at)
		return broken(reading);
	*ret_value = (struct value){kind, size, at};
	return true;
}

// The same, or what it points to: that is no pointer again.
static bool take_meant(struct reading *reading, size_t at, struct value *ret_value)
{
	if (!take_value(reading, at, ret_value))
		return false;
	if (ret_value->kind != KIND_POINTER)
		return true;
	return take_value(reading, ret_value->size, ret_value) && (ret_value->kind != KIND_POINTER || broken(reading));
}

// Where the value after the one at *at begins. Counts instead of calling itself: who made the database may have nested
// values as deep as it is long.
static bool skip(struct reading *reading, size_t *at)
{
	struct value value;
	for (uint64_t left = 1; left > 0; left--) {
		if (!take_value(reading, *at, &value))
			return false;
		left += value.kind == KIND_MAP ? 2 * (uint64_t)value.size : value.kind == KIND_LIST ? value.size : 0;
		*at = value.at + (has_bytes(value.kind) ? value.size : 0);
	}
	return true;
}

static struct slice string_of(const struct reading *reading, const struct value *value)
{
	return value->kind == KIND_STRING ? slice_from(reading->section.data + value->at, value->size) : SLICE_EMPTY;
}

// What a map has under a name; false where it is no map, or has none.
static bool find_member(struct reading *reading, const struct value *map, struct slice name, struct value *ret_value)
{
	struct value key;
	size_t at = map->at;
	for (size_t i = 0; map->kind == KIND_MAP && i < map->size; i++) {
		if (!take_meant(reading, at, &key) || !skip(reading, &at))
			return false;
		if (slice_equal(string_of(reading, &key), name))
			return take_meant(reading, at, ret_value);
		if (!skip(reading, &at))
			return false;
	}
	return false;
}

// --- Records of the data section, each of which many networks share

struct seen {
	uint32_t offset; // and 1; 0: free
	uint32_t country;
};

struct all_seen {
	struct seen *slots;
	size_t count, mask; // mask + 1 slots
};

static struct seen *slot_of(const struct all_seen *all, uint32_t offset)
{
	size_t i = hash_number(offset) & all->mask;
	while (all->slots[i].offset != 0 && all->slots[i].offset != offset + 1)
		i = (i + 1) & all->mask;
	return &all->slots[i];
}

static bool make_room(struct all_seen *all)
{
	struct all_seen larger = {.count = all->count, .mask = all->mask * 2 + 1};
	if (all->slots && all->count < all->mask / 2)
		return true;
	larger.slots = calloc(larger.mask + 1, sizeof *larger.slots);
	if (!larger.slots)
		return false;
	for (size_t i = 0; all->slots && i <= all->mask; i++)
		if (all->slots[i].offset != 0)
			*slot_of(&larger, all->slots[i].offset - 1) = all->slots[i];
	free(all->slots);
	*all = larger;
	return true;
}

// GeoIP2 and those that are made alike have country.iso_code; some have the code itself.
static unsigned read_country(struct reading *reading, size_t offset)
{
	struct value record, country, code;
	if (!take_meant(reading, offset, &record) || !find_member(reading, &record, SLICE("country"), &country))
		return COUNTRY_NONE;
	if (find_member(reading, &country, SLICE("iso_code"), &code))
		country = code;
	return country_of_letters(string_of(reading, &country));
}

// --- The tree

struct making {
	struct country_database *database;
	struct reading reading; // of the data section
	struct all_seen seen;
	const char *tree;
	size_t node_count, record_bits;
	bool has_country, is_out_of_memory;
};

enum { SEPARATOR = 16 }; // zeros between the tree and the data

static size_t record_of(const struct making *making, size_t node, unsigned side)
{
	size_t size = making->record_bits / 8;
	const char *bytes = making->tree + node * making->record_bits / 4;
	if (making->record_bits != 28)
		return number_at(bytes + side * size, size);
	size_t middle = (uint8_t)bytes[3];
	return side == 0 ? (middle >> 4) << 24 | number_at(bytes, 3) : (middle & 15) << 24 | number_at(bytes + 4, 3);
}

static bool make_record(struct making *making, size_t record, uint32_t *ret_record)
{
	if (record <= making->node_count) {
		*ret_record = record < making->node_count ? (uint32_t)record : LEAF | COUNTRY_NONE;
		return true;
	}
	size_t offset = record - making->node_count - SEPARATOR;
	if (record < making->node_count + SEPARATOR || offset >= making->reading.section.length)
		return broken(&making->reading);
	if (!make_room(&making->seen)) {
		making->is_out_of_memory = true;
		return false;
	}
	struct seen *seen = slot_of(&making->seen, (uint32_t)offset);
	if (seen->offset == 0) {
		*seen = (struct seen){(uint32_t)offset + 1, read_country(&making->reading, offset)};
		making->seen.count++;
		making->has_country |= seen->country != COUNTRY_NONE;
	}
	*ret_record = LEAF | seen->country;
	return !making->reading.is_broken;
}

static bool make_tree(struct making *making, bool is_v6)
{
	struct country_database *database = making->database;
	for (size_t i = 0; i < making->node_count; i++)
		for (unsigned side = 0; side < 2; side++)
			if (!make_record(making, record_of(making, i, side), &database->nodes[i].next[side]))
				return false;
	database->v6 = is_v6 ? 0 : LEAF | COUNTRY_NONE;
	database->v4 = 0;
	// IPv4 is ::/96 there.
	for (unsigned i = 0; is_v6 && i < 96 && !(database->v4 & LEAF); i++)
		database->v4 = database->nodes[database->v4].next[0];
	return true;
}

// --- Reading

static const char marker[] = "\xab\xcd\xefMaxMind.com";

// The last one is meant: data may have it, too.
static bool find_metadata(struct slice content, size_t *ret_marker, struct reading *ret_metadata)
{
	size_t length = sizeof marker - 1;
	for (size_t at = content.length; at-- > 0;) {
		if (content.length - at < length || memcmp(content.data + at, marker, length) != 0)
			continue;
		*ret_marker = at;
		*ret_metadata = (struct reading){.section = slice_after(content, at + length)};
		return true;
	}
	return false;
}

static size_t member_number(struct reading *metadata, const struct value *map, struct slice name)
{
	struct value value;
	bool is_number = find_member(metadata, map, name, &value) && has_bytes(value.kind) && value.size <= 4;
	return is_number ? number_at(metadata->section.data + value.at, value.size) : 0;
}

static const char *make(struct making *making, struct slice content)
{
	struct reading metadata;
	struct value map;
	size_t end;
	if (!find_metadata(content, &end, &metadata))
		return "this is no database in MaxMind's DB format, or not all of it";
	if (!take_value(&metadata, 0, &map))
		return "the database's metadata is broken";
	size_t version = member_number(&metadata, &map, SLICE("ip_version"));
	making->record_bits = member_number(&metadata, &map, SLICE("record_size"));
	making->node_count = member_number(&metadata, &map, SLICE("node_count"));
	if (member_number(&metadata, &map, SLICE("binary_format_major_version")) != 2)
		return "the database is of another version than 2 of MaxMind's DB format";
	bool is_known = (making->record_bits == 24 || making->record_bits == 28 || making->record_bits == 32) &&
			(version == 4 || version == 6);
	size_t tree_bytes = is_known ? making->node_count * making->record_bits / 4 : 0;
	if (metadata.is_broken || tree_bytes == 0 || tree_bytes + SEPARATOR > end)
		return "the database's metadata is broken";
	making->tree = content.data;
	making->reading.section =
		slice_first(slice_after(content, tree_bytes + SEPARATOR), end - tree_bytes - SEPARATOR);
	making->database = malloc(sizeof *making->database + making->node_count * sizeof(struct node));
	if (!making->database)
		return "no memory";
	if (!make_tree(making, version == 6))
		return making->is_out_of_memory ? "no memory" : "the database is broken";
	return making->has_country ? NULL : "the database tells no countries";
}

struct country_database *country_database_read(struct slice content, const char **ret_why)
{
	struct making making = {0};
	const char *why = make(&making, content);
	free(making.seen.slots);
	if (!why)
		return making.database;
	free(making.database);
	*ret_why = why;
	return NULL;
}

void country_database_free(struct country_database *database)
{
	free(database);
}
