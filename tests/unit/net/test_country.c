// Countries and the database that tells them; what is cut or altered is refused, or tells something else, and never
// more. The names against the table of the system's time zones.
#include "cmocka_all.h"
#include "fail_alloc.h"
#include "net/country_database.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned of(const char *code)
{
	return country_of_letters(slice_from_string(code));
}

static void test_letters(void **state)
{
	static const char *const wrong[] = {"", "C", "ch", "cH", "CHE", "C1", "C ", "Ä"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(of(wrong[i]), COUNTRY_NONE);
	assert_int_equal(of("AA"), 1);
	assert_int_equal(of("ZZ"), COUNTRY_COUNT - 1);
	for (unsigned country = 1; country < COUNTRY_COUNT; country++)
		assert_int_equal(country_of_letters(country_code(country)), country);
	assert_int_equal(country_code(COUNTRY_NONE).length, 0);
	assert_true(slice_equal(country_name(of("CH")), SLICE("Switzerland")));
	assert_int_equal(country_name(of("XX")).length, 0);
	assert_int_equal(country_name(COUNTRY_NONE).length, 0);
}

static void test_the_names_are_those_of_iso(void **state)
{
	FILE *file = fopen("/usr/share/zoneinfo/iso3166.tab", "r");
	char line[256];
	unsigned there = 0, named = 0;
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		if (line[0] == '#')
			continue;
		line[2] = '\0';
		there++;
		if (country_name(of(line)).length == 0)
			fail_msg("%s has no name", line);
	}
	fclose(file);
	for (unsigned country = 1; country < COUNTRY_COUNT; country++)
		named += country_name(country).length > 0;
	assert_int_equal(named, there + 1); // and Kosovo
}

static void test_sets(void **state)
{
	struct country_set set = {0}, more = {0};
	assert_true(country_set_is_empty(&set));
	country_set_add(&set, of("AA"));
	country_set_add(&more, of("ZZ"));
	country_set_join(&set, &more);
	for (unsigned country = 0; country < COUNTRY_COUNT; country++)
		assert_int_equal(country_set_has(&set, country), country == of("AA") || country == of("ZZ"));
	assert_false(country_set_is_empty(&set));
	memset(&set, 0xff, sizeof set);
	assert_false(country_set_has(&set, COUNTRY_NONE));
}

// --- A database, made by hand: IPv4 alone, 0.0.0.0/1 in CH, 128.0.0.0/2 nowhere, 192.0.0.0/2 in DE

#define DATA                                                                                                           \
	"\xe1\x47"                                                                                                     \
	"country"                                                                                                      \
	"\xe1\x48"                                                                                                     \
	"iso_code"                                                                                                     \
	"\x42"                                                                                                         \
	"CH"                                                                                                           \
	"\xe1\x20\x01\xe1\x20\x0a\x42"                                                                                 \
	"DE"
#define METADATA                                                                                                       \
	"\xab\xcd\xef"                                                                                                 \
	"MaxMind.com"                                                                                                  \
	"\xe4\x4a"                                                                                                     \
	"node_count"                                                                                                   \
	"\xc1\x02\x4b"                                                                                                 \
	"record_size"                                                                                                  \
	"\xa1\x18\x4a"                                                                                                 \
	"ip_version"                                                                                                   \
	"\xa1\x04\x5b"                                                                                                 \
	"binary_format_major_version"                                                                                  \
	"\xa1\x02"

static const char database_bytes[] = "\x00\x00\x12\x00\x00\x01"
				     "\x00\x00\x02\x00\x00\x28"
				     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" DATA METADATA;
static const struct slice bytes = {database_bytes, sizeof database_bytes - 1};

static unsigned find(const struct country_database *database, const char *text)
{
	struct address address;
	assert_true(address_parse_ip(slice_from_string(text), 0, &address));
	return country_database_find(database, &address);
}

static void test_a_database(void **state)
{
	const char *why = NULL;
	struct country_database *database = country_database_read(bytes, &why);
	if (!database)
		fail_msg("%s", why);
	assert_int_equal(find(database, "1.2.3.4"), of("CH"));
	assert_int_equal(find(database, "127.255.255.255"), of("CH"));
	assert_int_equal(find(database, "128.0.0.0"), COUNTRY_NONE);
	assert_int_equal(find(database, "192.0.0.0"), of("DE"));
	assert_int_equal(find(database, "255.255.255.255"), of("DE"));
	assert_int_equal(find(database, "::ffff:1.2.3.4"), of("CH"));
	assert_int_equal(find(database, "2001:db8::1"), COUNTRY_NONE); // it has IPv4 alone
	struct address none = {0}, local = {.length = sizeof(struct sockaddr_un), .local = {.sun_family = AF_UNIX}};
	assert_int_equal(country_database_find(database, &none), COUNTRY_NONE);
	assert_int_equal(country_database_find(database, &local), COUNTRY_NONE);
	country_database_free(database);
	country_database_free(NULL);
}

// In memory of its own, so that what reads beyond it is found out.
static struct country_database *read_copy(struct slice content)
{
	const char *why = NULL;
	char *copy = malloc(content.length);
	assert_non_null(copy);
	memcpy(copy, content.data, content.length);
	struct country_database *database = country_database_read(slice_from(copy, content.length), &why);
	assert_true(!database == (why != NULL));
	free(copy);
	return database;
}

static void test_what_was_cut_is_refused(void **state)
{
	for (size_t length = 1; length < bytes.length; length++)
		if (read_copy(slice_first(bytes, length)))
			fail_msg("the first %zu bytes were taken", length);
}

static void test_what_was_altered_does_no_harm(void **state)
{
	char altered[sizeof database_bytes];
	for (size_t at = 0; at < bytes.length; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(altered, database_bytes, sizeof altered);
			altered[at] = (char)byte;
			struct country_database *database = read_copy(slice_from(altered, bytes.length));
			for (unsigned i = 0; database && i < 256; i++) {
				char text[16];
				(void)snprintf(text, sizeof text, "%u.0.0.1", i);
				assert_true(find(database, text) < COUNTRY_COUNT);
			}
			country_database_free(database);
		}
	}
}

static void test_without_memory(void **state)
{
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		const char *why = NULL;
		struct country_database *database = country_database_read(bytes, &why);
		if (!database)
			assert_string_equal(why, "no memory");
		country_database_free(database);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_the_names_are_those_of_iso),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_a_database),
		cmocka_unit_test(test_what_was_cut_is_refused),
		cmocka_unit_test(test_what_was_altered_does_no_harm),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
