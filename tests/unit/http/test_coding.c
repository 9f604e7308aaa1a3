// Content codings: RFC 9110 sections 8.4.1 and 12.5.3.
#include "http/coding.h"
#include "support.h"

enum {
	PLAIN = 1 << CODING_IDENTITY,
	GZIP = 1 << CODING_GZIP,
	BROTLI = 1 << CODING_BROTLI,
	ZSTD = 1 << CODING_ZSTD,
	OTHER = 1 << CODING_OTHER,
	ALL = PLAIN | GZIP | BROTLI | ZSTD | OTHER,
};

static void reads_which_one_content_has(void **state)
{
	assert_int_equal(coding_read((struct slice){0}), CODING_IDENTITY);
	assert_int_equal(coding_read(SLICE("")), CODING_IDENTITY);
	assert_int_equal(coding_read(SLICE("GZip")), CODING_GZIP);
	assert_int_equal(coding_read(SLICE("x-gzip")), CODING_GZIP);
	assert_int_equal(coding_read(SLICE(" br ")), CODING_BROTLI);
	assert_int_equal(coding_read(SLICE("zstd")), CODING_ZSTD);
	assert_int_equal(coding_read(SLICE("deflate")), CODING_OTHER);
	assert_int_equal(coding_read(SLICE("gzip, gzip")), CODING_OTHER);
	assert_int_equal(coding_read(SLICE("gzip, identity")), CODING_OTHER);
}

static void reads_which_ones_are_accepted(void **state)
{
	static const struct {
		const char *value;
		uint32_t accepted;
	} cases[] = {
		{"", PLAIN},
		{"gzip, br", PLAIN | GZIP | BROTLI},
		{"X-GZIP;q=0.5, zstd", PLAIN | GZIP | ZSTD},
		{"deflate", PLAIN | OTHER},
		{"identity", PLAIN},
		{"gzip;q=0", PLAIN},
		{"gzip;q=0.000", PLAIN},
		{"*", ALL},
		{"*;q=0", 0},
		{"*;q=0, identity", PLAIN},
		{"identity;q=0", 0},
		{"gzip, identity;q=0", GZIP},
		{"br;q=0, *", ALL & ~BROTLI},
		{"*, identity;q=0", ALL & ~PLAIN},
		{"gzip, *;q=0", GZIP},
		{"gzip;q=2", PLAIN},
		{"gzip;q=x, br", PLAIN | BROTLI},
		{",, ,gzip ,", PLAIN | GZIP},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(coding_accepted_by(slice_from_string(cases[i].value)), cases[i].accepted);
	assert_int_equal(coding_accepted_by((struct slice){0}), PLAIN);
}

static void several_fields_are_one_list(void **state)
{
	struct field items[] = {{SLICE("Accept-Encoding"), SLICE("gzip"), FIELD_ACCEPT_ENCODING},
				{SLICE("X"), SLICE("zstd"), FIELD_OTHER},
				{SLICE("accept-encoding"), SLICE("br, identity;q=0"), FIELD_ACCEPT_ENCODING}};
	struct fields fields = {items, 3, 3};
	assert_int_equal(coding_accepted(&fields), GZIP | BROTLI);
	assert_int_equal(coding_accepted(&(struct fields){0}), PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_which_one_content_has),
		cmocka_unit_test(reads_which_ones_are_accepted),
		cmocka_unit_test(several_fields_are_one_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
