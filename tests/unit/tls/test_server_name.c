// The host that a hello asks for.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "tls/server_name.h"

#include <stdlib.h>

static void reads_hosts(void **state)
{
	static const struct {
		struct slice extension;
		const char *host; // NULL: refused
	} rows[] = {
		{{"\0\4\0\0\1a", 6}, "a"},
		{{"\0\7\0\0\4A.bC", 9}, "a.bc"},
		{{"\0\7\0\0\4a.b.", 9}, "a.b"},
		{{"\0\10\0\0\5x_-.9", 10}, "x_-.9"},
		{{"", 0}, NULL},
		{{"\0", 1}, NULL},
		{{"\0\0", 2}, NULL},
		{{"\0\4\0\0\1", 5}, NULL},
		{{"\0\3\0\0\0", 5}, NULL},	     // no host
		{{"\0\4\1\0\1a", 6}, NULL},	     // of another type
		{{"\0\5\0\0\1a", 6}, NULL},	     // more was promised
		{{"\0\4\0\0\1ab", 7}, NULL},	     // more came
		{{"\0\5\0\0\1ab", 7}, NULL},	     // a name, and something behind it
		{{"\0\10\0\0\1a\0\0\1b", 10}, NULL}, // two names
		{{"\0\4\0\0\1.", 6}, NULL},
		{{"\0\7\0\0\4a..b", 9}, NULL},
		{{"\0\6\0\0\3.ab", 8}, NULL},
		{{"\0\7\0\0\4a b.", 9}, NULL},
		{{"\0\6\0\0\3a\0b", 8}, NULL},
		{{"\0\6\0\0\3\xc3\xa4.", 8}, NULL},
		{{"\0\7\0\0\4[::1", 9}, NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buffer[SERVER_NAME_MAX];
		// Of its own size, so that what is read beyond it shows.
		char *copy = malloc(rows[i].extension.length + 1);
		char *exact = copy + 1;
		memcpy(exact, rows[i].extension.data, rows[i].extension.length);
		struct slice host;
		bool good = server_name_parse(slice_from(exact, rows[i].extension.length), buffer, &host);
		assert_int_equal(good, rows[i].host != NULL);
		if (good)
			assert_true(slice_equal(host, slice_from_string(rows[i].host)));
		free(copy);
	}
}

static void bounds_the_host(void **state)
{
	char extension[5 + SERVER_NAME_MAX + 1], buffer[SERVER_NAME_MAX];
	for (size_t length = SERVER_NAME_MAX; length <= SERVER_NAME_MAX + 1; length++) {
		struct slice host;
		memset(extension, 'a', sizeof(extension));
		extension[0] = (char)((length + 3) >> 8);
		extension[1] = (char)(length + 3);
		extension[2] = 0;
		extension[3] = (char)(length >> 8);
		extension[4] = (char)length;
		assert_int_equal(server_name_parse(slice_from(extension, length + 5), buffer, &host),
				 length == SERVER_NAME_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reads_hosts), cmocka_unit_test(bounds_the_host)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
