// RFC 8941: dictionaries that are, and that are not.
#include "cache/structured.h"
#include "support.h"

static void tells_dictionaries(void **state)
{
	static const char *const good[] = {
		"",
		"  ",
		"a",
		"a=1",
		"a=-1, b=?0,c=?1",
		"a=1;x;y=2;z=\"s\"",
		"a=\"quoted \\\" and \\\\\"",
		"a=token/with:chars*",
		"a=*",
		"a=:aGk=:",
		"a=::",
		"a=(1 2  3 )",
		"a=();x",
		"a=(\"b\";q=1 c)",
		"a=1.5",
		"*key.with-all_0",
		"a\t , \tb",
		"a=999999999999999",
		"a=123456789012.123",
		" a=1  ",
	};
	static const char *const bad[] = {
		"A",
		"a,",
		",a",
		"a,,b",
		"a=",
		"a=1 b=2",
		"a=?2",
		"a=?",
		"a=\"open",
		"a=\"x\\y\"",
		"a=\"\x7f\"",
		"a=:open",
		"a=:-:",
		"a=(1",
		"a=(1,2)",
		"a=(1;)",
		"a=1;",
		"a=1;X",
		"a=--1",
		"a=-",
		"a=1.",
		"a=1.1234",
		"a=1234567890123.1",
		"a=1000000000000000",
		"a b",
		"a=b c",
		"1=a",
		"a=1\x00",
		"a;b=",
		"a=@1",
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (!structured_is_dictionary(slice_from_string(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (strcmp(bad[i], "a=1") != 0 && structured_is_dictionary(slice_from_string(bad[i])))
			fail_msg("taken: %s", bad[i]);
	assert_false(structured_is_dictionary(slice_from("a=1\0", 4)));
}

static void hands_out_members(void **state)
{
	struct slice rest = SLICE("a=5;x=y, b, c=?0, d=\"s, e=1\", f=-7, g=(1 2)");
	static const struct {
		const char *key;
		enum structured_kind kind;
		int64_t number;
	} rows[] = {
		{"a", STRUCTURED_INTEGER, 5}, {"b", STRUCTURED_BOOLEAN, 1},  {"c", STRUCTURED_BOOLEAN, 0},
		{"d", STRUCTURED_OTHER, 0},   {"f", STRUCTURED_INTEGER, -7}, {"g", STRUCTURED_OTHER, 0},
	};
	struct structured_member member;
	assert_true(structured_is_dictionary(rest));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(structured_next(&rest, &member));
		assert_true(slice_equal(member.key, slice_from_string(rows[i].key)));
		assert_int_equal(member.kind, rows[i].kind);
		assert_int_equal(member.number, rows[i].number);
	}
	assert_false(structured_next(&rest, &member));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_dictionaries),
		cmocka_unit_test(hands_out_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
