// Lenient readings of paths: whatever the bytes, a path of no more bytes, without anything that is read in two ways,
// and the same when it is read again.
#include "base/arena.h"
#include "exchange/route_guard.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	if (size == 0 || size > 4096 || data[0] != '/')
		return 0;
	arena_init(&arena, 1 << 20);
	struct slice path = slice_from((const char *)data, size), lenient = route_lenient_path(path, &arena);
	check(lenient.data && lenient.length > 0 && lenient.length <= size && lenient.data[0] == '/');
	for (size_t i = 0; i < lenient.length; i++) {
		char c = lenient.data[i];
		check(c != '\\' && c != ';' && !(c >= 'A' && c <= 'Z'));
		check(!(c == '/' && i + 1 < lenient.length && lenient.data[i + 1] == '/'));
	}
	arena_fini(&arena);
	return 0;
}
