#include "cache/storable.h"

#include "base/check.h"
#include "cache/freshness.h"

static const struct {
	const char *rule, *words;
} verdicts[] = {
#define CACHE_VERDICT_ROW(name, rule, words) [CACHE_##name] = {rule, words},
	CACHE_VERDICTS(CACHE_VERDICT_ROW)
#undef CACHE_VERDICT_ROW
};

const char *cache_verdict_rule(enum cache_verdict verdict)
{
	check((unsigned)verdict < sizeof verdicts / sizeof verdicts[0]);
	return verdicts[verdict].rule;
}

const char *cache_verdict_words(enum cache_verdict verdict)
{
	check((unsigned)verdict < sizeof verdicts / sizeof verdicts[0]);
	return verdicts[verdict].words;
}

// Statuses whose rules this cache follows, for must-understand. 206 and 304 are parts of other answers.
static bool is_understood(unsigned status)
{
	return status >= 200 && status <= 599 && status != 206 && status != 304 &&
	       (cache_status_is_heuristic(status) || status == 302 || status == 303 || status == 307 || status == 400 ||
		status == 403 || status == 500 || status == 502 || status == 503 || status == 504);
}

// Section 5.2.2.3: whoever understands the status does not obey the no-store that stands beside it.
static bool says_no_store(const struct cache_answer *answer)
{
	return cache_says(answer->response_says, CACHE_NO_STORE) &&
	       !cache_says(answer->response_says, CACHE_MUST_UNDERSTAND);
}

// Section 3.5.
static bool is_for_all(const struct cache_directives *says)
{
	return cache_says(says, CACHE_PUBLIC) || cache_says(says, CACHE_MUST_REVALIDATE) ||
	       says->s_maxage != CACHE_ABSENT;
}

bool cache_status_is_error(unsigned status)
{
	return status == 500 || status == 502 || status == 503 || status == 504;
}

static bool has(const struct fields *fields, enum field_id id)
{
	return fields_find(fields, id) != NULL;
}

// Section 3, the last condition: something says that it may be reused, or its status does.
static bool is_of_use(const struct cache_answer *answer)
{
	return answer->lifetime_s > 0 || has(answer->response, FIELD_ETAG) ||
	       has(answer->response, FIELD_LAST_MODIFIED);
}

static bool tells_freshness(const struct cache_answer *answer)
{
	const struct cache_directives *says = answer->response_says;
	return cache_says(says, CACHE_PUBLIC) || says->s_maxage != CACHE_ABSENT || says->max_age != CACHE_ABSENT ||
	       has(answer->response, FIELD_EXPIRES) || answer->lifetime_s > 0;
}

static enum cache_verdict judge_message(const struct cache_answer *answer)
{
	if (answer->method != METHOD_GET)
		return CACHE_METHOD;
	if (answer->status < 200 || answer->status == 206 || answer->status == 304)
		return CACHE_STATUS;
	if (!cache_status_is_heuristic(answer->status) && !tells_freshness(answer))
		return CACHE_STATUS;
	return CACHE_MAY_STORE;
}

static enum cache_verdict judge_directives(const struct cache_answer *answer)
{
	if (cache_says(answer->request_says, CACHE_NO_STORE))
		return CACHE_REQUEST_NO_STORE;
	if (cache_says(answer->response_says, CACHE_MUST_UNDERSTAND) && !is_understood(answer->status))
		return CACHE_NOT_UNDERSTOOD;
	if (says_no_store(answer))
		return CACHE_NO_STORE_SAID;
	if (cache_says(answer->response_says, CACHE_PRIVATE))
		return CACHE_PRIVATE_SAID;
	if (has(answer->request, FIELD_AUTHORIZATION) && !is_for_all(answer->response_says))
		return CACHE_AUTHORIZATION;
	return CACHE_MAY_STORE;
}

enum cache_verdict cache_may_store(const struct cache_answer *answer)
{
	enum cache_verdict verdict = judge_message(answer);
	if (verdict == CACHE_MAY_STORE)
		verdict = judge_directives(answer);
	if (verdict != CACHE_MAY_STORE)
		return verdict;
	if (!answer->ignores_cookies && has(answer->response, FIELD_SET_COOKIE))
		return CACHE_SET_COOKIE;
	if (fields_list_has(answer->response, FIELD_VARY, SLICE("*")))
		return CACHE_VARY_ANY;
	return is_of_use(answer) ? CACHE_MAY_STORE : CACHE_OF_NO_USE;
}
