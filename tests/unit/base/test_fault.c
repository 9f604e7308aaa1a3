#include "base/fault.h"
#include "cmocka_all.h"

#include <string.h>

static const enum fault_kind kinds[] = {
#define FAULT_LISTED(kind, status, word, token) FAULT_##kind,
	FAULTS(FAULT_LISTED)
#undef FAULT_LISTED
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void each_kind_has_its_words(void **state)
{
	for (int i = 0; i < KINDS; i++) {
		int status = fault_status(kinds[i]);
		assert_true(status == 0 || (status >= 400 && status <= 599));
		const char *word = fault_word(kinds[i]);
		assert_true(strlen(word) > 0);
		assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(word, fault_word(kinds[j]));
		const char *token = fault_proxy_status(kinds[i]);
		assert_int_equal(strspn(token, "abcdefghijklmnopqrstuvwxyz_"), strlen(token));
		// Whoever gets an answer is told why.
		if (status != 0)
			assert_true(strlen(token) > 0);
	}
	assert_int_equal(fault_status(FAULT_CONNECT_REFUSED), 502);
	assert_string_equal(fault_word(FAULT_CONNECT_REFUSED), "connect_refused");
	assert_string_equal(fault_proxy_status(FAULT_CONNECT_REFUSED), "connection_refused");
}

static void the_first_stands(void **state)
{
	struct fault fault = {0};
	fault_set(&fault, FAULT_CONNECT_TIMEOUT, "connect", NULL);
	fault_set(&fault, FAULT_CLIENT_GONE, "respond", "reset");
	assert_int_equal(fault.kind, FAULT_CONNECT_TIMEOUT);
	assert_string_equal(fault.step, "connect");
	assert_null(fault.detail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_words),
		cmocka_unit_test(the_first_stands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
