#include "cache/freshness.h"

#include "base/date.h"

enum { PERCENT = 100 };

static bool date_of(const struct fields *response, enum field_id id, int64_t now_s, int64_t *ret_s)
{
	struct slice value = fields_value(response, id);
	return value.data && date_parse_http(value, now_s, ret_s);
}

// --- Age

// Section 5.1: of several values the first one counts; what is no number does not.
static int64_t age_value_s(const struct fields *response)
{
	struct slice value = fields_value(response, FIELD_AGE), first, rest;
	uint64_t age_s;
	if (!slice_cut(value, ',', &first, &rest))
		first = value;
	first = slice_trim(first);
	for (size_t i = 0; i < first.length; i++)
		if (first.data[i] < '0' || first.data[i] > '9')
			return 0;
	if (first.length > 10)
		return CACHE_SECONDS_MAX;
	if (first.length == 0 || !slice_to_number(first, &age_s))
		return 0;
	return age_s < CACHE_SECONDS_MAX ? (int64_t)age_s : CACHE_SECONDS_MAX;
}

int64_t cache_initial_age_s(const struct fields *response, int64_t requested_s, int64_t received_s)
{
	int64_t date_s = received_s;
	(void)date_of(response, FIELD_DATE, received_s, &date_s);
	int64_t apparent_s = received_s > date_s ? received_s - date_s : 0;
	int64_t delay_s = received_s > requested_s ? received_s - requested_s : 0;
	int64_t told_s = age_value_s(response) + delay_s;
	return apparent_s > told_s ? apparent_s : told_s;
}

// --- Lifetime

bool cache_status_is_heuristic(unsigned status)
{
	switch (status) {
	case 200:
	case 203:
	case 204:
	case 206:
	case 300:
	case 301:
	case 308:
	case 404:
	case 405:
	case 410:
	case 414:
	case 501:
		return true;
	default:
		return false;
	}
}

static uint32_t count_of(const struct fields *response, enum field_id id)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < response->count; i++)
		count += response->items[i].id == id;
	return count;
}

// Section 5.3: what is no date, "0" above all, is in the past; so is what is said twice (section 4.2.1).
static int64_t expires_lifetime_s(const struct fields *response, int64_t received_s)
{
	int64_t expires_s, date_s = received_s;
	if (count_of(response, FIELD_EXPIRES) > 1 || !date_of(response, FIELD_EXPIRES, received_s, &expires_s))
		return 0;
	(void)date_of(response, FIELD_DATE, received_s, &date_s);
	int64_t lifetime_s = expires_s - date_s;
	return lifetime_s < 0 ? 0 : lifetime_s < CACHE_SECONDS_MAX ? lifetime_s : CACHE_SECONDS_MAX;
}

static int64_t heuristic_lifetime_s(const struct fields *response, int64_t received_s,
				    const struct cache_heuristic *heuristic)
{
	int64_t modified_s, date_s = received_s;
	if (!date_of(response, FIELD_LAST_MODIFIED, received_s, &modified_s))
		return 0;
	(void)date_of(response, FIELD_DATE, received_s, &date_s);
	int64_t lifetime_s = date_s > modified_s ? (date_s - modified_s) / PERCENT * heuristic->percent : 0;
	return lifetime_s < heuristic->most_s ? lifetime_s : heuristic->most_s;
}

int64_t cache_lifetime_s(unsigned status, const struct fields *response, const struct cache_directives *directives,
			 int64_t received_s, const struct cache_heuristic *heuristic, enum cache_lifetime *ret_by)
{
	if (directives->s_maxage != CACHE_ABSENT) {
		*ret_by = CACHE_BY_S_MAXAGE;
		return directives->s_maxage;
	}
	if (directives->max_age != CACHE_ABSENT) {
		*ret_by = CACHE_BY_MAX_AGE;
		return directives->max_age;
	}
	// RFC 9213 section 2.2: what is said to caches like this one rules over Expires, too.
	if (!directives->targeted && count_of(response, FIELD_EXPIRES) > 0) {
		*ret_by = CACHE_BY_EXPIRES;
		return expires_lifetime_s(response, received_s);
	}
	bool may_guess = cache_status_is_heuristic(status) || cache_says(directives, CACHE_PUBLIC);
	int64_t guessed_s =
		heuristic->percent > 0 && may_guess ? heuristic_lifetime_s(response, received_s, heuristic) : 0;
	*ret_by = guessed_s > 0 ? CACHE_BY_HEURISTIC : CACHE_BY_NOTHING;
	return guessed_s;
}

// Sections 5.2.2.2, 5.2.2.4, 5.2.2.8 and 5.2.2.10: s-maxage means proxy-revalidate, too.
static bool forbids_stale(const struct cache_directives *directives)
{
	return cache_says(directives, CACHE_MUST_REVALIDATE) || cache_says(directives, CACHE_PROXY_REVALIDATE) ||
	       cache_says(directives, CACHE_NO_CACHE) || directives->s_maxage != CACHE_ABSENT;
}

static int64_t stale_s(const struct cache_directives *directives, int64_t told_s, int64_t operator_s)
{
	if (forbids_stale(directives))
		return 0;
	return told_s > operator_s ? told_s : operator_s;
}

int64_t cache_stale_error_s(const struct cache_directives *directives, int64_t operator_s)
{
	return stale_s(directives, directives->stale_if_error, operator_s);
}

int64_t cache_stale_while_s(const struct cache_directives *directives, int64_t operator_s)
{
	return stale_s(directives, directives->stale_while_revalidate, operator_s);
}
