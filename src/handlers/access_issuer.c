#include "handlers/access_issuer.h"

#include "fiber/loop.h"
#include "net/fetch.h"

const char access_issuer_away[] = "its issuer has not answered yet, so that its keys are not known";

// --- Configuration

static void give_back(void *provider)
{
	provider_unref(provider);
}

// On the way to this very machine nobody listens.
static bool is_near(struct slice url)
{
	static const char *const starts[] = {"https://", "http://127.", "http://localhost", "http://[::1]"};
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		if (slice_starts_with(url, slice_from_string(starts[i])))
			return true;
	return false;
}

struct provider *access_issuer_get(struct config_load *load, const struct access_issuer *issuer)
{
	const struct provider_settings settings = {
		.is_openid = issuer->is_openid,
		.url = issuer->url.text,
		.authorities = issuer->authorities.content,
		.refresh_s = issuer->refresh_ns / SECOND_NS,
	};
	if (!fetch_is_url(issuer->url.text, true)) {
		config_error(load, issuer->url.place, "\"%.*s\" is no URL such as https://id.example.com",
			     SLICE_ARGUMENTS(issuer->url.text));
		return NULL;
	}
	if (!is_near(issuer->url.text))
		config_warning(load, issuer->url.place,
			       "without TLS whoever stands in between can let anybody in; expected https://");
	struct provider *provider = provider_get(&settings);
	if (!provider)
		config_error(load, issuer->url.place, "memory is out");
	return provider && config_at_free(load, give_back, provider) ? provider : NULL;
}

// --- What it knows

// They may have come in the meantime, from another thread: then nobody is asked again so soon.
bool access_issuer_has_news(struct provider *provider, const struct provider_facts *before, const char *why)
{
	return (why == jwt_no_key || why == access_issuer_away) &&
	       (provider_facts(provider) != before || provider_renew(provider));
}

const struct provider_facts *access_issuer_facts(struct provider *provider)
{
	if (!provider_facts(provider))
		(void)provider_renew(provider);
	return provider_facts(provider);
}
