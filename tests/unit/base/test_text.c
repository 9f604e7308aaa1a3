#include "base/text.h"
#include "cmocka_all.h"

static void assert_text(const struct text *text, const char *expected)
{
	assert_int_equal(text->length, strlen(expected));
	assert_memory_equal(text->data, expected, text->length);
}

static void builds(void **state)
{
	char buffer[256];
	struct text text;
	text_init(&text, buffer, sizeof buffer);
	text_add(&text, SLICE("a"));
	text_add(&text, SLICE_EMPTY);
	text_add_string(&text, "bc");
	text_add_char(&text, ' ');
	text_add_number(&text, 0);
	text_add_char(&text, ' ');
	text_add_number(&text, UINT64_MAX);
	text_add_char(&text, ' ');
	text_add_signed(&text, -7);
	text_add_signed(&text, 7);
	text_add_char(&text, ' ');
	text_add_signed(&text, INT64_MIN);
	text_add_char(&text, ' ');
	text_add_hex(&text, 0xab, 4);
	text_add_hex(&text, 0, 0);
	text_add_hex(&text, 0x10, 0);
	text_add_hex(&text, UINT64_MAX, 0);
	text_add_hex(&text, UINT64_MAX, 16);
	text_printf(&text, " %s-%d", "x", 5);
	assert_false(text.overflow);
	assert_text(&text, "abc 0 18446744073709551615 -77 -9223372036854775808 "
			   "00ab010ffffffffffffffffffffffffffffffff x-5");
	assert_true(slice_equal(text_slice(&text), slice_from(buffer, text.length)));
}

static void leaves_out_what_does_not_fit(void **state)
{
	char buffer[8] = "........";
	struct text text;
	text_init(&text, buffer, 4);
	text_add(&text, SLICE("abc"));
	text_add(&text, SLICE("de"));
	assert_true(text.overflow);
	text_add_char(&text, 'f'); // would fit, but something before it is missing
	assert_text(&text, "abc");
	assert_memory_equal(buffer + 3, ".....", 5);

	text_init(&text, buffer, 4);
	text_add(&text, SLICE("abcd"));
	assert_false(text.overflow);
	assert_null(text_room(&text, SIZE_MAX));
	assert_true(text.overflow);

	text_init(&text, buffer, 1);
	text_add_signed(&text, -1);
	assert_true(text.overflow);
	assert_text(&text, "");

	// vsnprintf needs a byte for its NUL.
	text_init(&text, buffer, 4);
	text_printf(&text, "%s", "xyz");
	assert_false(text.overflow);
	text_printf(&text, "%s", "w");
	assert_true(text.overflow);
	assert_text(&text, "xyz");

	text_init(&text, NULL, 0);
	text_add(&text, SLICE_EMPTY);
	assert_false(text.overflow);
	text_add_hex(&text, 1, 1);
	assert_true(text.overflow);
}

// RFC 4648 section 10.
static void base64(void **state)
{
	static const char *const rows[][2] = {{"", ""},
					      {"f", "Zg=="},
					      {"fo", "Zm8="},
					      {"foo", "Zm9v"},
					      {"foob", "Zm9vYg=="},
					      {"fooba", "Zm9vYmE="},
					      {"foobar", "Zm9vYmFy"},
					      {"\xff\xfb\xf0", "//vw"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char buffer[16];
		struct text text;
		size_t length = strlen(rows[i][1]);
		text_init(&text, buffer, length);
		text_add_base64(&text, slice_from_string(rows[i][0]));
		assert_false(text.overflow);
		assert_true(slice_equal(text_slice(&text), slice_from_string(rows[i][1])));
		if (length == 0)
			continue;
		text_init(&text, buffer, length - 1);
		text_add_base64(&text, slice_from_string(rows[i][0]));
		assert_true(text.overflow);
		assert_int_equal(text.length, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64),
		cmocka_unit_test(builds),
		cmocka_unit_test(leaves_out_what_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
