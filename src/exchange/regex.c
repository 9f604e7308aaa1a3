#include "exchange/regex.h"

#include "base/check.h"
#include "config/load.h"

#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
	// What one match may cost: about a millisecond at worst.
	MATCH_LIMIT = 20000,
	HEAP_LIMIT_KIB = 256,
	// The machine code's own stack: it would take 32 KiB of a fiber's 64 otherwise.
	JIT_STACK_MIN = 16 * 1024,
	JIT_STACK_MAX = 256 * 1024,
};

// What a thread needs to match; a match never suspends, so one of each is enough.
struct matcher {
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

static _Thread_local struct matcher *this_matcher;
static tss_t matcher_key; // frees at the end of a thread
static once_flag matcher_key_once = ONCE_FLAG_INIT;
static bool matcher_key_is_made;

static void matcher_free(void *value)
{
	struct matcher *matcher = value;
	pcre2_match_data_free(matcher->match);
	pcre2_match_context_free(matcher->context);
	pcre2_jit_stack_free(matcher->stack);
	free(matcher);
	this_matcher = NULL;
}

static void matcher_key_make(void)
{
	matcher_key_is_made = tss_create(&matcher_key, matcher_free) == thrd_success;
}

static struct matcher *matcher_new(void)
{
	struct matcher *matcher = calloc(1, sizeof *matcher);
	if (!matcher)
		return NULL;
	matcher->match = pcre2_match_data_create(REGEX_CAPTURES_MAX, NULL);
	matcher->context = pcre2_match_context_create(NULL);
	matcher->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	call_once(&matcher_key_once, matcher_key_make);
	if (!matcher->match || !matcher->context || !matcher->stack || !matcher_key_is_made ||
	    tss_set(matcher_key, matcher) != thrd_success) {
		matcher_free(matcher);
		return NULL;
	}
	pcre2_set_match_limit(matcher->context, MATCH_LIMIT);
	pcre2_set_heap_limit(matcher->context, HEAP_LIMIT_KIB);
	pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
	this_matcher = matcher;
	return matcher;
}

enum match_result regex_match(const struct regex *regex, struct slice subject,
			      struct slice ret_captures[REGEX_CAPTURES_MAX])
{
	struct matcher *matcher = this_matcher ? this_matcher : matcher_new();
	if (!matcher)
		return MATCH_GAVE_UP;
	PCRE2_SPTR text = (PCRE2_SPTR)(subject.length > 0 ? subject.data : "");
	int groups = pcre2_match(regex->code, text, subject.length, 0, 0, matcher->match, matcher->context);
	if (groups == PCRE2_ERROR_NOMATCH)
		return MATCH_FAILS;
	if (groups < 0)
		return MATCH_GAVE_UP;
	if (!ret_captures)
		return MATCH_HOLDS;
	// 0: more groups than there is room for; those that there is room for are there.
	size_t count = groups == 0 ? REGEX_CAPTURES_MAX : (size_t)groups;
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(matcher->match);
	for (size_t i = 0; i < REGEX_CAPTURES_MAX; i++) {
		bool took_part = i < count && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];
		ret_captures[i] =
			took_part ? slice_from(subject.data + at[2 * i], at[2 * i + 1] - at[2 * i]) : SLICE_EMPTY;
	}
	return MATCH_HOLDS;
}

bool regex_init(struct regex *regex, struct slice pattern, char *message, size_t size, size_t *ret_offset)
{
	check(size > 0);
	int error = 0;
	PCRE2_SIZE offset = 0;
	PCRE2_SPTR text = (PCRE2_SPTR)(pattern.length > 0 ? pattern.data : "");
	pcre2_code *code =
		pcre2_compile(text, pattern.length, PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C,
			      &error, &offset, NULL);
	if (!code) {
		*ret_offset = offset;
		message[0] = '\0';
		(void)pcre2_get_error_message(error, (PCRE2_UCHAR *)message, size);
		return false;
	}
	// Without JIT (a kernel that forbids it) the interpreter matches the same.
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	uint32_t captures = 0;
	(void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &captures);
	*regex = (struct regex){
		.code = code,
		.captures = captures < REGEX_CAPTURES_MAX ? captures : REGEX_CAPTURES_MAX - 1,
	};
	return true;
}

void regex_fini(struct regex *regex)
{
	pcre2_code_free(regex->code);
	regex->code = NULL;
}

static void regex_end(void *regex)
{
	regex_fini(regex);
}

const struct regex *regex_load(struct config_load *load, const struct config_text *text, struct slice pattern)
{
	char message[256];
	size_t offset;
	struct regex *regex = config_alloc(load, sizeof *regex);
	if (!regex)
		return NULL;
	if (!regex_init(regex, pattern, message, sizeof message, &offset)) {
		config_error(load, text->place, "the regular expression \"%.*s\" is wrong at its character %zu: %s",
			     SLICE_ARGUMENTS(pattern), offset + 1, message);
		return NULL;
	}
	return config_at_free(load, regex_end, regex) ? regex : NULL;
}
