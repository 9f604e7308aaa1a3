#include "http/field_hash.h"
#include "http/fields.h"
#include "support.h"

#include <ctype.h>
#include <stdio.h>

// --- Names

static bool multiplier_fits(uint32_t multiplier)
{
	bool taken[FIELD_HASH_SLOTS] = {false};
	for (enum field_id id = 1; id < FIELD_COUNT; id++) {
		uint32_t hash = field_hash(field_name(id), multiplier);
		if (taken[hash])
			return false;
		taken[hash] = true;
	}
	return true;
}

// For whoever added a name: what field_hash.h and field_names.c must say.
static void print_table(void)
{
	uint64_t random = 88172645463325252u;
	uint32_t multiplier = FIELD_HASH_MULTIPLIER;
	for (long tries = 0; !multiplier_fits(multiplier) && tries < 100000000; tries++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		multiplier = (uint32_t)(random >> 16) | 1;
	}
	if (!multiplier_fits(multiplier)) {
		print_error("no multiplier was found: double FIELD_HASH_SLOTS, and take 1 from FIELD_HASH_SHIFT\n");
		return;
	}
	print_error("#define FIELD_HASH_MULTIPLIER 0x%08xu\n", multiplier);
	for (uint32_t hash = 0; hash < FIELD_HASH_SLOTS; hash++) {
		for (enum field_id id = 1; id < FIELD_COUNT; id++) {
			struct slice name = field_name(id);
			if (field_hash(name, multiplier) != hash)
				continue;
			print_error("\t[%u] = FIELD_", hash);
			for (size_t i = 0; i < name.length; i++)
				print_error("%c", name.data[i] == '-' ? '_' : toupper(name.data[i]));
			print_error(",\n");
		}
	}
}

static void test_every_name_is_known(void **state)
{
	bool all = true;
	for (enum field_id id = 1; id < FIELD_COUNT; id++)
		all = all && field_id_of(field_name(id)) == id;
	if (!all)
		print_table();
	assert_true(all);
}

static void test_names_are_known_in_any_case(void **state)
{
	for (enum field_id id = 1; id < FIELD_COUNT; id++) {
		char copy[64];
		struct slice name = field_name(id);
		for (size_t i = 0; i < name.length; i++)
			copy[i] = (char)toupper(name.data[i]);
		assert_int_equal(field_id_of(slice_from(copy, name.length)), id);
		for (size_t i = 0; i < name.length; i++)
			copy[i] = (char)tolower(name.data[i]);
		assert_int_equal(field_id_of(slice_from(copy, name.length)), id);
	}
}

// Every other byte in every place of every name makes it another name.
static void test_near_names_are_not_known(void **state)
{
	for (enum field_id id = 1; id < FIELD_COUNT; id++) {
		struct slice name = field_name(id);
		char *copy = test_alone(name);
		for (size_t i = 0; i < name.length; i++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				copy[i] = (char)byte;
				bool same = ascii_lower((char)byte) == ascii_lower(name.data[i]);
				enum field_id found = field_id_of(slice_from(copy, name.length));
				assert_true(same ? found == id : found != id);
			}
			copy[i] = name.data[i];
		}
		assert_true(field_id_of(slice_from(copy, name.length - 1)) != id);
		free(copy);
	}
	assert_int_equal(field_id_of(SLICE("")), FIELD_OTHER);
	assert_int_equal(field_id_of(SLICE("X-Unknown")), FIELD_OTHER);
	assert_int_equal(field_id_of(SLICE("Content_Length")), FIELD_OTHER);
}

// --- Lists

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, TEST_ARENA_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	return 0;
}

// Adds "Name: value|Name: value".
static struct fields fields_of(const char *text)
{
	struct fields fields = {0};
	struct slice rest = slice_from_string(text), line, name, value;
	while (rest.length > 0) {
		if (!slice_cut(rest, '|', &line, &rest))
			rest = SLICE("");
		assert_true(slice_cut(line, ':', &name, &value));
		assert_true(fields_add_name(&fields, &arena, name, slice_trim(value)));
	}
	return fields;
}

static void assert_fields(const struct fields *fields, const char *expected)
{
	char text[4096];
	size_t length = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		assert_int_equal(field->id, field_id_of(field->name));
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%.*s: %.*s", i > 0 ? "|" : "",
					   SLICE_ARGUMENTS(field->name), SLICE_ARGUMENTS(field->value));
	}
	assert_slice(slice_from(text, length), expected);
}

static void test_find(void **state)
{
	struct fields fields = fields_of("host: a|X-One: 1|HOST: b|x-two: 2");
	assert_slice(fields_value(&fields, FIELD_HOST), "a");
	assert_slice(fields_find(&fields, FIELD_HOST)->value, "a");
	assert_slice(fields_find_name(&fields, SLICE("hOST"))->value, "a");
	assert_slice(fields_find_name(&fields, SLICE("x-ONE"))->value, "1");
	assert_slice(fields_find_name(&fields, SLICE("X-Two"))->value, "2");
	struct fields one = fields_of("X-Only: 3");
	assert_slice(fields_find_name(&one, SLICE("x-only"))->value, "3");
	assert_null(fields_find_name(&fields, SLICE("X-Three")));
	assert_null(fields_find_name(&fields, SLICE("Age")));
	assert_null(fields_find(&fields, FIELD_AGE));
	assert_null(fields_value(&fields, FIELD_AGE).data);
}

static void test_add_grows(void **state)
{
	struct fields fields = {0};
	for (unsigned i = 0; i < 1000; i++)
		assert_true(fields_add(&fields, &arena, i % 2 == 0 ? FIELD_VIA : FIELD_AGE, SLICE("v")));
	assert_int_equal(fields.count, 1000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(fields.items[i].id, i % 2 == 0 ? FIELD_VIA : FIELD_AGE);
	assert_slice(fields.items[999].name, "Age");
}

static void test_add_without_memory(void **state)
{
	struct arena small;
	struct fields fields = {0};
	arena_init(&small, sizeof(struct field) * 30);
	for (unsigned i = 0; i < 24; i++)
		assert_true(fields_add(&fields, &small, FIELD_VIA, SLICE("v")));
	assert_false(fields_add(&fields, &small, FIELD_VIA, SLICE("w")));
	assert_false(fields_set_name(&fields, &small, SLICE("X"), SLICE("w")));
	assert_int_equal(fields.count, 24);
	assert_true(fields_set(&fields, &small, FIELD_VIA, SLICE("w")));
	assert_fields(&fields, "Via: w");
	arena_fini(&small);
}

static void test_set_and_remove(void **state)
{
	struct fields fields = fields_of("A: 1|Via: x|a: 2|via: y|B: 3");
	assert_true(fields_set(&fields, &arena, FIELD_VIA, SLICE("z")));
	assert_fields(&fields, "A: 1|Via: z|a: 2|B: 3");
	assert_true(fields_set_name(&fields, &arena, SLICE("a"), SLICE("4")));
	assert_fields(&fields, "a: 4|Via: z|B: 3");
	assert_true(fields_set_name(&fields, &arena, SLICE("C"), SLICE("5")));
	assert_true(fields_set(&fields, &arena, FIELD_AGE, SLICE("6")));
	assert_fields(&fields, "a: 4|Via: z|B: 3|C: 5|Age: 6");
	assert_true(fields_remove_name(&fields, SLICE("A")));
	assert_false(fields_remove_name(&fields, SLICE("A")));
	assert_true(fields_remove(&fields, FIELD_VIA));
	assert_false(fields_remove(&fields, FIELD_VIA));
	assert_true(fields_remove_name(&fields, SLICE("AGE")));
	assert_fields(&fields, "B: 3|C: 5");
}

static void test_list_has(void **state)
{
	struct fields fields = fields_of("Connection: a, Close ,,b|X: upgrade|connection: \t|CONNECTION: Upgrade");
	assert_true(fields_list_has(&fields, FIELD_CONNECTION, SLICE("close")));
	assert_true(fields_list_has(&fields, FIELD_CONNECTION, SLICE("UPGRADE")));
	assert_true(fields_list_has(&fields, FIELD_CONNECTION, SLICE("b")));
	assert_false(fields_list_has(&fields, FIELD_CONNECTION, SLICE("clos")));
	assert_false(fields_list_has(&fields, FIELD_CONNECTION, SLICE("")));
	assert_false(fields_list_has(&fields, FIELD_TE, SLICE("a")));
}

static void test_hop_by_hop(void **state)
{
	static const struct {
		const char *before, *after;
	} rows[] = {
		{"", ""},
		{"Host: a|X: 1", "Host: a|X: 1"},
		{"Connection: close|Host: a", "Host: a"},
		{"Connection: x, Y|X: 1|y: 2|z: 3", "z: 3"},
		{"X: 1|y: 2|z: 3|Connection: x|Connection: Y", "z: 3"},
		{"X: 1|Connection: x|Connection: y|Connection: z|Y: 2|Z: 3|A: 4", "A: 4"},
		{"Connection: connection, keep-alive|Keep-Alive: timeout=5|A: 1", "A: 1"},
		{"TE: trailers|Transfer-Encoding: chunked|Upgrade: h2c|HTTP2-Settings: x|A: 1", "A: 1"},
		{"Proxy-Connection: close|Proxy-Authorization: a|Proxy-Authenticate: b|A: 1", "A: 1"},
		{"Proxy-Authentication-Info: c|A: 1|Proxy-Status: d", "A: 1|Proxy-Status: d"},
		{"Connection: cookie, x-a|Cookie: 1|X-A: 2|X-A: 3|X-B: 4", "X-B: 4"},
		// What frames and routes the message stays.
		{"Connection: host, content-length, content-type|Host: a|Content-Length: 5|Content-Type: t",
		 "Host: a|Content-Length: 5|Content-Type: t"},
		{"Connection: x-forwarded-for, forwarded, via|X-Forwarded-For: 1|Forwarded: 2|Via: 3",
		 "X-Forwarded-For: 1|Forwarded: 2|Via: 3"},
		{"Connection: content-encoding, content-range|Content-Encoding: a|Content-Range: b",
		 "Content-Encoding: a|Content-Range: b"},
		{"Connection: expect, max-forwards|Expect: a|Max-Forwards: 1", "Expect: a|Max-Forwards: 1"},
		{"Connection: cache-control, vary|Cache-Control: private|Vary: *", "Cache-Control: private|Vary: *"},
		{"Connection: x-real-ip,x-request-id,x-forwarded-host,x-forwarded-proto|X-Real-IP: 1|X-Request-Id: 2",
		 "X-Real-IP: 1|X-Request-Id: 2"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fields fields = fields_of(rows[i].before);
		fields_remove_hop_by_hop(&fields);
		assert_fields(&fields, rows[i].after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_is_known),
		cmocka_unit_test(test_names_are_known_in_any_case),
		cmocka_unit_test(test_near_names_are_not_known),
		cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_add_grows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_add_without_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_set_and_remove, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_list_has, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hop_by_hop, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
