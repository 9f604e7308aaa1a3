#include "base/fault.h"

#include "base/check.h"

struct fault_row {
	int status;
	const char *word;
	const char *token;
};

static const struct fault_row rows[] = {
#define FAULT_ROW(kind, status, word, token) [FAULT_##kind] = {status, word, token},
	FAULTS(FAULT_ROW)
#undef FAULT_ROW
};

static const struct fault_row *fault_row(enum fault_kind kind)
{
	check((unsigned)kind < sizeof rows / sizeof rows[0]);
	return &rows[kind];
}

int fault_status(enum fault_kind kind)
{
	return fault_row(kind)->status;
}

const char *fault_word(enum fault_kind kind)
{
	return fault_row(kind)->word;
}

const char *fault_proxy_status(enum fault_kind kind)
{
	return fault_row(kind)->token;
}
