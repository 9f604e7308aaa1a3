#include "base/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void (*reporter_)(void);

void check_set_reporter(void (*reporter)(void))
{
	__atomic_store_n(&reporter_, reporter, __ATOMIC_RELEASE);
}

void check_failed(const char *condition, const char *file, int line)
{
	// A check that fails inside of the reporter must not call it again.
	static _Thread_local bool failing;
	char report[512];
	int length = snprintf(report, sizeof report, "usher: %s:%d: check failed: %s\n", file, line, condition);
	if (length > (int)sizeof report - 1)
		length = (int)sizeof report - 1;
	ssize_t written = write(STDERR_FILENO, report, (size_t)length);
	(void)written; // there is nowhere else to tell

	void (*reporter)(void) = __atomic_load_n(&reporter_, __ATOMIC_ACQUIRE);
	if (reporter != NULL && !failing) {
		failing = true;
		reporter();
	}
	abort();
}
