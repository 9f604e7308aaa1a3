// Base64: the vectors of RFC 4648 section 10, both kinds, and what is no base64.
#include "base/base64.h"
#include "cmocka_all.h"

#include <string.h>

static const struct {
	const char *bytes, *padded, *url;
} rows[] = {
	{"", "", ""},
	{"f", "Zg==", "Zg"},
	{"fo", "Zm8=", "Zm8"},
	{"foo", "Zm9v", "Zm9v"},
	{"foob", "Zm9vYg==", "Zm9vYg"},
	{"fooba", "Zm9vYmE=", "Zm9vYmE"},
	{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	{"\xfb\xff\xbf", "+/+/", "-_-_"},
};

static void one_way(enum base64_kind kind, const char *bytes, const char *text)
{
	char to[16];
	struct slice whole = slice_from_string(bytes);
	size_t length = base64_encode(kind, whole, to);
	assert_true(length <= BASE64_LENGTH(whole.length));
	assert_true(slice_equal(slice_from(to, length), slice_from_string(text)));
	int decoded = base64_decode(kind, slice_from_string(text), to, whole.length);
	assert_int_equal(decoded, whole.length);
	assert_memory_equal(to, bytes, whole.length);
	if (whole.length > 0)
		assert_int_equal(base64_decode(kind, slice_from_string(text), to, whole.length - 1), -1);
}

static void test_both_ways(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		one_way(BASE64_PADDED, rows[i].bytes, rows[i].padded);
		one_way(BASE64_URL, rows[i].bytes, rows[i].url);
	}
}

static void test_what_is_none(void **state)
{
	static const char *const padded[] = {
		"Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v=", "Zg==Zg==", "-_-_", "Zm 9", "Zm9v\n"};
	static const char *const url[] = {"Zg==", "Z", "Zm9vY", "Zh", "Zm9", "+/+/", "Zm 9", "Zm9v\n"};
	char to[16];
	for (size_t i = 0; i < sizeof padded / sizeof *padded; i++)
		assert_int_equal(base64_decode(BASE64_PADDED, slice_from_string(padded[i]), to, sizeof to), -1);
	for (size_t i = 0; i < sizeof url / sizeof *url; i++)
		assert_int_equal(base64_decode(BASE64_URL, slice_from_string(url[i]), to, sizeof to), -1);
	assert_int_equal(base64_decode(BASE64_URL, SLICE("Zm\0v"), to, sizeof to), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
