// TLS in a snapshot: what each site's handshakes are made with, and which listeners need it.
#include "exchange/route_find.h"
#include "exchange/snapshot_load.h"
#include "tls/server.h"

bool site_tls_load(struct snapshot_loading *loading, struct site *site, const struct scope *scope,
		   const struct config_texts *hosts)
{
	const struct snapshot_schema *schema = loading->schema;
	const struct scope *top = &loading->top->scope;
	struct tls_site_config *own = scope ? scope->values[schema->tls] : NULL;
	struct tls_site_config *outer = top->values[schema->tls];
	// What is only half there has been reported.
	if ((own && !config_is_whole(loading->load, own)) || (outer && !config_is_whole(loading->load, outer)))
		return false;
	size_t errors = config_error_count(loading->load);
	struct tls_site_config *config = tls_site_inherit(loading->load, own, outer, top->values[schema->tls_policy]);
	if (!config && own && config_error_count(loading->load) == errors)
		config_error(
			loading->load, config_where(loading->load, scope, "tls"),
			"\"certificate\" (or \"folder\") is missing, here and at the top: the site %.*s has no TLS "
			"without one",
			SLICE_ARGUMENTS(site->name));
	if (!config)
		return config_error_count(loading->load) == errors;
	site->tls = tls_site_load(loading->load, config, hosts);
	return site->tls != NULL;
}

// --- Handshakes

// As TLS knows the sites.
struct sites_server {
	struct tls_server server; // first
	const struct snapshot *snapshot;
};

static const struct tls_site *find_site(const struct tls_server *server, struct slice host)
{
	const struct site *site = site_find(((const struct sites_server *)server)->snapshot, host);
	return site ? site->tls : NULL;
}

static const struct tls_server *server_new(struct snapshot_loading *loading, bool http2)
{
	struct sites_server *sites = config_alloc(loading->load, sizeof *sites);
	if (!sites)
		return NULL;
	sites->snapshot = loading->snapshot;
	sites->server.find = find_site;
	sites->server.http2 = http2;
	// A host that no site can have leads to the default site.
	sites->server.standard = find_site(&sites->server, SLICE(""));
	return tls_server_prepare(loading->load, &sites->server) ? &sites->server : NULL;
}

bool snapshot_has_tls(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->site_count; i++)
		if (snapshot->all_sites[i].tls)
			return true;
	return false;
}

bool tls_servers_load(struct snapshot_loading *loading)
{
	struct snapshot *snapshot = loading->snapshot;
	if (!snapshot_has_tls(snapshot))
		return true;
	for (size_t i = 0; i < snapshot->listen_count; i++) {
		const struct listen *listen = &snapshot->listens[i];
		const struct tls_server **server = listen->http2 ? &snapshot->tls : &snapshot->tls_http1;
		if (listen->tls && !*server && !(*server = server_new(loading, listen->http2)))
			return false;
	}
	return true;
}
