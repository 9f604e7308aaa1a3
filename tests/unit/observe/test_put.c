#include "observe/put.h"
#include "support.h"

#include <inttypes.h>

typedef char *put_function(char *to, size_t room, struct slice value);

// Puts from and to memory of exactly these sizes, so that the sanitizer sees a step too far.
static struct slice put_alone(put_function *put, size_t room, struct slice value, char *ret_buffer)
{
	char *from = test_malloc(value.length + 1), *to = test_malloc(room);
	memcpy(from, value.data, value.length);
	char *exact = from + 1; // unaligned, and its last byte the last of the allocation
	memmove(exact, from, value.length);
	char *end = put(to, room, slice_from(exact, value.length));
	size_t length = (size_t)(end - to);
	assert_true(length <= room);
	memcpy(ret_buffer, to, length);
	test_free(from);
	test_free(to);
	return slice_from(ret_buffer, length);
}

static void puts_numbers(void **state)
{
	static const uint64_t numbers[] = {0, 9, 10, 99, 100, 4294967296, UINT64_MAX};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		char got[20], expected[32];
		char *end = put_number(got, numbers[i]);
		snprintf(expected, sizeof(expected), "%" PRIu64, numbers[i]);
		assert_text(slice_from(got, (size_t)(end - got)), expected);
	}
	static const struct {
		uint64_t nanoseconds;
		const char *text;
	} times[] = {
		{0, "0.000"},	      {999, "0.000"},		{1000, "0.001"},
		{12045678, "12.045"}, {1000000000, "1000.000"}, {UINT64_MAX, "18446744073709.551"},
	};
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		char got[24];
		char *end = put_milliseconds(got, times[i].nanoseconds);
		assert_text(slice_from(got, (size_t)(end - got)), times[i].text);
	}
}

static void escapes(void **state)
{
#define BYTES(literal)                                                                                                 \
	{                                                                                                              \
		literal, sizeof(literal) - 1                                                                           \
	}
	static const struct {
		struct slice value;
		const char *quoted, *bare, *json;
	} cases[] = {
		{BYTES(""), "", "", ""},
		{BYTES("plain-text_of:16"), "plain-text_of:16", "plain-text_of:16", "plain-text_of:16"},
		{BYTES("a b"), "a b", "a\\x20b", "a b"},
		{BYTES("(a)"), "(a)", "\\x28a\\x29", "(a)"},
		{BYTES("say \"hi\"\\"), "say \\\"hi\\\"\\\\", "say\\x20\\\"hi\\\"\\\\", "say \\\"hi\\\"\\\\"},
		{BYTES("\r\nGET / HTTP/1.1"), "\\r\\nGET / HTTP/1.1", "\\r\\nGET\\x20/\\x20HTTP/1.1",
		 "\\u000d\\u000aGET / HTTP/1.1"},
		{BYTES("\0\1\x1f\x7f"), "\\x00\\x01\\x1f\\x7f", "\\x00\\x01\\x1f\\x7f", "\\u0000\\u0001\\u001f\\u007f"},
		{BYTES("\b\f\t\v"), "\\b\\f\\t\\v", "\\b\\f\\t\\v", "\\u0008\\u000c\\u0009\\u000b"},
		{BYTES("\x1b[31mred"), "\\x1b[31mred", "\\x1b[31mred", "\\u001b[31mred"},
		{BYTES("gr\xc3\xbc\xc3\x9f"), "gr\\xc3\\xbc\\xc3\\x9f", "gr\\xc3\\xbc\\xc3\\x9f", "gr\xc3\xbc\xc3\x9f"},
		{BYTES("\xe2\x82\xac\xf0\x9f\x98\x80"), "\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80",
		 "\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80", "\xe2\x82\xac\xf0\x9f\x98\x80"},
		{BYTES("\xc2\x85"), "\\xc2\\x85", "\\xc2\\x85", "\\u0085"}, // a C1 control character
		{BYTES("\xff"), "\\xff", "\\xff", "\xef\xbf\xbd"},
		{BYTES("\xc0\xaf"), "\\xc0\\xaf", "\\xc0\\xaf", "\xef\xbf\xbd\xef\xbf\xbd"}, // longer than needed
		{BYTES("\xed\xa0\x80"), "\\xed\\xa0\\x80", "\\xed\\xa0\\x80",		     // a surrogate
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{BYTES("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{BYTES("a\xe2\x82"), "a\\xe2\\x82", "a\\xe2\\x82", "a\xef\xbf\xbd\xef\xbf\xbd"}, // cut short
		{BYTES("\xc3\""), "\\xc3\\\"", "\\xc3\\\"", "\xef\xbf\xbd\\\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buffer[256];
		assert_text(put_alone(put_quoted, 128, cases[i].value, buffer), cases[i].quoted);
		assert_text(put_alone(put_bare, 128, cases[i].value, buffer), cases[i].bare);
		assert_text(put_alone(put_json, 128, cases[i].value, buffer), cases[i].json);
	}
}

// Each byte at each place among plain ones, so that no word of eight hides it.
static void finds_every_byte_everywhere(void **state)
{
	for (int byte = 0; byte < 256; byte++) {
		for (size_t place = 0; place < 24; place++) {
			char value[24], buffer[512];
			memset(value, 'x', sizeof(value));
			value[place] = (char)byte;
			struct slice quoted = put_alone(put_quoted, 256, slice_from(value, 24), buffer);
			bool plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
			assert_int_equal(quoted.length == 24, plain);
			for (size_t i = 0; i < quoted.length; i++)
				assert_true(quoted.data[i] >= 0x20 && quoted.data[i] < 0x7f);

			char json[514] = "\"";
			struct slice inside = put_alone(put_json, 256, slice_from(value, 24), json + 1);
			json[1 + inside.length] = '"';
			assert_true(test_is_json(slice_from(json, inside.length + 2)));
		}
	}
}

static void cuts_what_is_too_long(void **state)
{
	static put_function *const functions[] = {put_quoted, put_bare, put_json};
	unsigned seed = 5;
	for (int round = 0; round < 3000; round++) {
		char value[200], buffer[PUT_ROOM_MIN + 101 + 2] = "\"";
		for (size_t i = 0; i < sizeof(value); i++)
			value[i] = (char)(rand_r(&seed) % 3 ? 'a' + rand_r(&seed) % 26 : rand_r(&seed));
		size_t room = PUT_ROOM_MIN + (size_t)rand_r(&seed) % 100;
		size_t length = (size_t)rand_r(&seed) % sizeof(value);
		put_function *put = functions[round % 3];
		struct slice text = put_alone(put, room, slice_from(value, length), buffer + 1);
		if (length >= room)
			assert_true(slice_ends_with(text, SLICE("...")));
		if (put == put_json) {
			buffer[1 + text.length] = '"';
			assert_true(test_is_json(slice_from(buffer, text.length + 2)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_numbers),
		cmocka_unit_test(escapes),
		cmocka_unit_test(finds_every_byte_everywhere),
		cmocka_unit_test(cuts_what_is_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
