// The sites of a configuration, and the hosts that lead to them.
#include "base/check.h"
#include "exchange/site_index.h"
#include "exchange/snapshot_load.h"
#include "http/uri.h"

#include <string.h>

static bool host_error(struct config_load *load, const struct config_text *text, const char *why)
{
	config_error(load, text->place,
		     "\"%.*s\" is no host: %s; expected one such as www.example.com or \"*.example.com\"",
		     SLICE_ARGUMENTS(text->text), why);
	return false;
}

// A host as requests are compared with it.
static bool load_host(struct config_load *load, const struct config_text *text, struct site_host *ret_host)
{
	struct slice host = text->text, parsed;
	uint16_t port;
	ret_host->place = text->place;
	ret_host->wildcard = slice_starts_with(host, SLICE("*."));
	if (ret_host->wildcard)
		host = slice_after(host, 2);
	for (size_t i = 0; i < host.length; i++) {
		if ((unsigned char)host.data[i] >= 0x80)
			return host_error(load, text, "letters beyond ASCII are written in their xn-- form");
		if (host.data[i] == '/')
			return host_error(load, text, "it has neither scheme nor path");
		if (host.data[i] == '*')
			return host_error(load, text, "\"*\" stands only for whole labels at the start");
	}
	struct network network;
	bool bare_v6 = host.length > 0 && host.data[0] != '[' && slice_find(host, ':') < host.length &&
		       network_parse(host, &network);
	if (bare_v6)
		return host_error(load, text, "an IPv6 address stands in brackets");
	if (!uri_parse_authority(host, &parsed, &port))
		return host_error(load, text, "it is not valid (RFC 3986 section 3.2.2)");
	if (parsed.length != host.length)
		return host_error(load, text, "a site is the same on every port, and its host has none");
	ret_host->host = uri_normal_host(parsed, config_arena(load));
	return ret_host->host.data != NULL;
}

// The hosts of one site go into the index; "*" makes it the default.
struct hosts_loading {
	struct snapshot_loading *loading;
	struct site_index *index;
	const struct site *standard;
};

static bool add_default(struct hosts_loading *hosts, const struct site *site, struct config_place place)
{
	if (hosts->standard) {
		config_error(hosts->loading->load, place,
			     "there is a default site (one without a host) at %s:%u already",
			     hosts->standard->place.file, hosts->standard->place.line);
		return false;
	}
	hosts->standard = site;
	site_index_set_default(hosts->index, site);
	return true;
}

static bool add_host(struct hosts_loading *hosts, const struct site *site, const struct config_text *text)
{
	struct config_load *load = hosts->loading->load;
	struct site_host host = {.site = site};
	if (slice_equal(text->text, SLICE("*")))
		return add_default(hosts, site, text->place);
	if (!load_host(load, text, &host))
		return false;
	const struct site_host *before = site_index_add(hosts->index, &host);
	if (!before)
		return true;
	config_error(load, text->place, "the host \"%.*s\" is named at %s:%u already", SLICE_ARGUMENTS(text->text),
		     before->place.file, before->place.line);
	return false;
}

static bool add_hosts(struct hosts_loading *hosts, struct site *site, const struct config_texts *texts)
{
	if (texts->count == 0)
		return add_default(hosts, site, site->place);
	bool good = true;
	for (size_t i = 0; i < texts->count; i++)
		good = add_host(hosts, site, &texts->items[i]) && good;
	return good;
}

static bool load_site(struct snapshot_loading *loading, struct hosts_loading *hosts, struct site *site,
		      const struct site_config *config)
{
	site->place = config->scope.place;
	site->name = config->hosts.count > 0 ? config->hosts.items[0].text : SLICE("default");
	site->merge_slashes = config_is_set(loading->load, config, "merge_slashes") ? config->merge_slashes
										    : loading->top->merge_slashes;
	bool good = add_hosts(hosts, site, &config->hosts);
	return site_tls_load(loading, site, &config->scope, &config->hosts) && good;
}

// Without sites, what stands at the top is the default site.
static bool load_only_site(struct snapshot_loading *loading, struct hosts_loading *hosts, struct site *site)
{
	static const struct config_texts no_hosts;
	site->place = loading->top->scope.place;
	site->name = SLICE("default");
	site->merge_slashes = loading->top->merge_slashes;
	return add_default(hosts, site, site->place) && site_tls_load(loading, site, NULL, &no_hosts);
}

bool sites_load(struct snapshot_loading *loading)
{
	const struct top_config *top = loading->top;
	struct snapshot *snapshot = loading->snapshot;
	const struct site_config *configs = top->sites.items;
	size_t count = top->sites.count, hosts_count = 0;
	for (size_t i = 0; i < count; i++)
		hosts_count += configs[i].hosts.count;
	snapshot->site_count = count > 0 ? count : 1;
	struct hosts_loading hosts = {.loading = loading,
				      .index = site_index_new(config_arena(loading->load), hosts_count)};
	snapshot->sites = hosts.index;
	if (!hosts.index)
		return false;
	snapshot->all_sites = config_alloc(loading->load, snapshot->site_count * sizeof *snapshot->all_sites);
	if (!snapshot->all_sites)
		return false;
	if (count == 0)
		return load_only_site(loading, &hosts, &snapshot->all_sites[0]);
	bool good = true;
	for (size_t i = 0; i < count; i++)
		good = load_site(loading, &hosts, &snapshot->all_sites[i], &configs[i]) && good;
	return good;
}

static bool load_site_routes(struct snapshot_loading *loading, struct site *site, const struct site_config *config,
			     const struct inherited *top)
{
	struct inherited inherited;
	return scope_inherit(loading, &config->scope, top, &inherited) &&
	       routes_load(loading, site, &config->routes, &config->scope, &inherited);
}

bool sites_load_routes(struct snapshot_loading *loading, const struct inherited *inherited)
{
	const struct top_config *top = loading->top;
	struct site *sites = loading->snapshot->all_sites;
	const struct site_config *configs = top->sites.items;
	if (top->sites.count == 0)
		return routes_load(loading, &sites[0], &top->routes, NULL, inherited);
	bool good = true;
	if (top->routes.count > 0) {
		config_error(loading->load, config_where(loading->load, top, "routes"),
			     "\"routes\" stands either at the top or in sites; give these to a site without a host, "
			     "which gets "
			     "the requests for hosts that no other site has");
		good = false;
	}
	for (size_t i = 0; i < top->sites.count; i++)
		good = load_site_routes(loading, &sites[i], &configs[i], inherited) && good;
	return good;
}
