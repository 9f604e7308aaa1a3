// What visitors and directories write into names of LDAP: a visitor's text stays one value, whatever its bytes, and a
// directory's names are read without harm.
#include "access/directory_text.h"
#include "support.h"

#include <ldap.h>
#include <stdlib.h>

static void check_value(struct slice text, struct slice escaped, struct arena *arena)
{
	struct slice name = arena_printf(arena, "uid=%.*s,dc=x", SLICE_ARGUMENTS(escaped));
	LDAPDN dn = NULL;
	check(name.data && ldap_str2dn(name.data, &dn, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS);
	check(dn[0] && dn[1] && !dn[2] && dn[0][0] && !dn[0][1]);
	check(dn[0][0]->la_value.bv_len == text.length);
	check(memcmp(dn[0][0]->la_value.bv_val, text.data, text.length) == 0);
	ldap_dnfree(dn);
	struct slice filter = arena_printf(arena, "(uid=%.*s)", SLICE_ARGUMENTS(escaped));
	check(directory_is_filter(filter));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	arena_init(&arena, 16 << 20);
	struct slice text = arena_copy(&arena, slice_from(data, size));
	check(text.data);
	struct slice escaped = directory_escape(text, &arena);
	check(escaped.data && strlen(escaped.data) == escaped.length);
	if (directory_is_user(text)) {
		check(size > 0 && size <= 128);
		check_value(text, escaped, &arena);
	}
	if (strlen(text.data) == size) {
		struct slice value = directory_common_name(text, &arena);
		check(!value.data || directory_is_dn(text));
		check(!directory_is_below(text, SLICE("dc=x")) || directory_is_dn(text));
	}
	arena_fini(&arena);
	return 0;
}
