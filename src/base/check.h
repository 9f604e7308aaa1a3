// Assertions that stay on in production.
//
// check() guards what only a bug in usher can break; nothing that comes from the
// network or from a configuration may reach it. A failed check ends the worker, which
// the master replaces at once: a wrong answer is worse than a lost exchange.
#ifndef USHER_BASE_CHECK_H
#define USHER_BASE_CHECK_H

// Prints place and condition, then what the reporter set by check_set_reporter has to
// say (the fiber that was running and what it waited for), and aborts.
_Noreturn void check_failed(const char *condition, const char *file, int line);

// Sets the function that adds to the report of a failed check; it may only write to
// standard error. NULL for none.
void check_set_reporter(void (*reporter)(void));

#define check(condition) (__builtin_expect(!!(condition), 1) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

#endif
