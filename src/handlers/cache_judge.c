#include "handlers/cache_judge.h"

#include "cache/freshness.h"
#include "fiber/loop.h"
#include "http/body.h"

int64_t cache_now_s(void)
{
	return loop_wall_clock() / SECOND_NS;
}

// By the operator's word, in seconds; 0: he has none for this status. `ttl` is for those that may be guessed for, which
// errors are not (RFC 9110 section 15.1).
static int64_t ttl_of(const struct cache_config *config, unsigned status)
{
	for (uint32_t i = 0; i < config->status_ttl_count; i++)
		if (status_is_in(status, &config->status_ttls[i].range, 1))
			return config->status_ttls[i].ttl_s;
	return cache_status_is_heuristic(status) ? config->ttl_ns / SECOND_NS : 0;
}

// How long the answer is fresh: as it says, or by the operator's word.
static int64_t lifetime_of(const struct cache_config *config, unsigned status, const struct fields *told,
			   const struct cache_directives *says, int64_t now_s, enum cache_lifetime *ret_by)
{
	const struct cache_heuristic heuristic = {(uint32_t)config->heuristic.percent,
						  config->heuristic.max_ns / SECOND_NS};
	int64_t lifetime_s = cache_lifetime_s(status, told, says, now_s, &heuristic, ret_by);
	int64_t ttl_s = ttl_of(config, status);
	if (ttl_s == 0 || (*ret_by != CACHE_BY_NOTHING && !config->override))
		return lifetime_s;
	*ret_by = CACHE_BY_OPERATOR;
	return ttl_s;
}

// `told` are the fields that say how long it is fresh; `response` those that came now.
static void set_times(const struct cache_asked *asked, unsigned status, const struct fields *told,
		      const struct fields *response, struct cache_judgement *judgement)
{
	const struct cache_config *config = asked->config;
	const struct cache_directives *says = &judgement->says;
	int64_t now_s = cache_now_s();
	cache_directives_of_response(told, &judgement->says);
	judgement->times = (struct cache_times){
		.received_s = now_s,
		.initial_age_s = cache_initial_age_s(response, asked->asked_s, now_s),
		.stale_error_s = cache_stale_error_s(says, config->stale.if_error_ns / SECOND_NS),
		.stale_while_s = cache_stale_while_s(says, config->stale.while_revalidate_ns / SECOND_NS),
	};
	judgement->times.lifetime_s = lifetime_of(config, status, told, says, now_s, &judgement->times.by);
}

// What comes for as long as somebody listens is nothing to be kept.
static bool is_endless(const struct fields *response)
{
	struct slice type, parameters;
	(void)slice_cut(fields_value(response, FIELD_CONTENT_TYPE), ';', &type, &parameters);
	return slice_equal_nocase(slice_trim(type), SLICE("text/event-stream"));
}

void cache_judge(const struct cache_asked *asked, const struct response *response,
		 struct cache_judgement *ret_judgement)
{
	struct cache_judgement judgement;
	set_times(asked, response->status, &response->fields, &response->fields, &judgement);
	judgement.verdict = cache_may_store(&(struct cache_answer){
		.method = asked->method,
		.status = response->status,
		.request = asked->request,
		.response = &response->fields,
		.request_says = asked->says,
		.response_says = &judgement.says,
		.lifetime_s = judgement.times.lifetime_s,
		.ignores_cookies = asked->config->ignore_set_cookie,
	});
	if (judgement.verdict == CACHE_MAY_STORE && response->body->length > asked->config->max_object_bytes)
		judgement.verdict = CACHE_TOO_LARGE;
	if (judgement.verdict == CACHE_MAY_STORE && is_endless(&response->fields))
		judgement.verdict = CACHE_ENDLESS;
	if (judgement.verdict == CACHE_MAY_STORE && asked->forbids)
		judgement.verdict = asked->forbids;
	*ret_judgement = judgement;
}

void cache_judge_304(const struct cache_asked *asked, unsigned status, const struct fields *merged,
		     const struct fields *response, struct cache_judgement *ret_judgement)
{
	struct cache_judgement judgement = {.verdict = CACHE_MAY_STORE};
	set_times(asked, status, merged, response, &judgement);
	if (cache_says(&judgement.says, CACHE_NO_STORE))
		judgement.verdict = CACHE_NO_STORE_SAID;
	else if (cache_says(&judgement.says, CACHE_PRIVATE))
		judgement.verdict = CACHE_PRIVATE_SAID;
	*ret_judgement = judgement;
}
