// Texts with variables, and values made safe for where they are put.
#include "exchange/escape.h"
#include "exchange/template.h"
#include "exchange/variables.h"
#include "support.h"

static const char *const names[] = {"host", "path", "1", "12", NULL};
static const struct slice values[] = {{"h", 1}, {"/p", 2}, {NULL, 0}, {"twelve", 6}};

static void test_expand(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"$host", "h"},
		{"$host$path", "h/p"},
		{"https://$host$path?x", "https://h/p?x"},
		{"$$host", "$host"},
		{"$$$host", "$h"},
		{"a$$", "a$"},
		{"$(host)name", "hname"},
		{"$(host)", "h"},
		{"[$1]", "[]"},
		{"$1", ""},
		{"$12", "2"}, // $1 is one digit, and empty here
		{"$(12)", "twelve"},
		{"$host.", "h."},
	};
	struct arena arena;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct template template;
		struct slice wrong;
		const char *detail;
		assert_true(template_parse(slice_from_string(rows[i].text), names, false, &arena, &template, &wrong,
					   &detail));
		struct slice made = template_expand(&template, values, &arena);
		assert_non_null(made.data);
		assert_slice(made, rows[i].expected);
	}
	arena_fini(&arena);
}

static void test_used(void **state)
{
	struct arena arena;
	struct template template;
	struct slice wrong;
	const char *detail;
	arena_init(&arena, 1 << 20);
	assert_true(template_parse(SLICE("a$path$path$12"), names, false, &arena, &template, &wrong, &detail));
	assert_int_equal(template.used, 1 << 1 | 1 << 2);
	assert_false(template_is_literal(&template));
	assert_true(template_parse(SLICE("a$$"), names, false, &arena, &template, &wrong, &detail));
	assert_true(template_is_literal(&template));
	// Nothing is copied where there is one piece only.
	size_t before = arena.taken_bytes;
	assert_slice(template_expand(&template, values, &arena), "a$");
	assert_int_equal(arena.taken_bytes, before);
	arena_fini(&arena);
}

static void test_wrong(void **state)
{
	static const char *const rows[][2] = {
		{"$", "$"},	{"$nothing.", "$nothing"}, {"a $ b", "$"}, {"$(host", "$(host"}, {"$()", "$()"},
		{"$HOST", "$"}, {"$hosts", "$hosts"},	   {"$9", "$9"},
	};
	struct arena arena;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct template template;
		struct slice wrong;
		const char *detail;
		assert_false(template_parse(slice_from_string(rows[i][0]), names, false, &arena, &template, &wrong,
					    &detail));
		assert_slice(wrong, rows[i][1]);
		assert_true(
			template_parse(slice_from_string(rows[i][0]), names, true, &arena, &template, &wrong, &detail));
		assert_slice(template_expand(&template, values, &arena), rows[i][0]);
	}
	arena_fini(&arena);
}

static void test_memory(void **state)
{
	bool succeeded = false;
	for (size_t limit = 0; !succeeded; limit += 8) {
		struct arena arena;
		struct template template;
		struct slice wrong, made = SLICE_EMPTY;
		const char *detail;
		arena_init(&arena, limit);
		if (template_parse(SLICE("a$host$path"), names, false, &arena, &template, &wrong, &detail))
			made = template_expand(&template, values, &arena);
		succeeded = made.data != NULL;
		if (succeeded)
			assert_slice(made, "ah/p");
		arena_fini(&arena);
	}
	assert_true(succeeded);
}

static void test_escape(void **state)
{
	static const struct {
		enum escape_kind kind;
		const char *text, *expected;
	} rows[] = {
		{ESCAPE_HTML, "plain", "plain"},
		{ESCAPE_HTML, "<a href=\"'&'\">", "&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;"},
		{ESCAPE_JSON, "a\"b\\c\n\x7f", "a\\\"b\\\\c\\u000A\\u007F"},
		{ESCAPE_PATH, "/a b?c#d%41%4g", "/a%20b%3Fc%23d%41%254g"},
		{ESCAPE_PATH, "caf\xc3\xa9", "caf%C3%A9"},
		{ESCAPE_PARAMETER, "/a&b=c+d;e?f%20", "/a%26b%3Dc%2Bd%3Be?f%20"},
		{ESCAPE_QUERY, "a=b&c+d%20%?<", "a=b&c+d%20%25?%3C"},
		{ESCAPE_URI, "http://h/%2x%41", "http://h/%252x%41"},
		{ESCAPE_URI, "https://h/a b\\c\r\n<>", "https://h/a%20b%5Cc%0D%0A%3C%3E"},
		{ESCAPE_URI, "https://h/%41?q#f", "https://h/%41?q#f"},
		{ESCAPE_URI, "", ""},
	};
	struct arena arena;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice text = slice_from_string(rows[i].text);
		struct slice made = escape(text, rows[i].kind, &arena);
		assert_slice(made, rows[i].expected);
		if (slice_equal(made, text))
			assert_ptr_equal(made.data, text.data);
	}
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expand), cmocka_unit_test(test_used),   cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_memory), cmocka_unit_test(test_escape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
