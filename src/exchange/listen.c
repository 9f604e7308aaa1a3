#include "exchange/listen.h"

#include "config/load.h"
#include "exchange/route_match.h"
#include "net/address.h"

#include <stddef.h>
#include <string.h>

static bool refine_listen(struct config_load *load, void *section_struct, const struct config_text *text)
{
	struct listen *listen = section_struct;
	struct endpoint endpoint;
	if (endpoint_parse(text->text, 0, &endpoint) && endpoint_to_address(&endpoint, &listen->address))
		return true;
	config_error(load, text->place,
		     "\"%.*s\" is no address to listen on; expected one such as \":80\", \"127.0.0.1:8080\", "
		     "\"[::1]:80\" or "
		     "unix:/run/usher.sock",
		     SLICE_ARGUMENTS(text->text));
	return false;
}

static bool finish_listen(struct config_load *load, void *section_struct)
{
	struct listen *listen = section_struct;
	if (!network_set_load(load, &listen->proxy_texts, &listen->balancers))
		return false;
	if (!listen->tls && config_is_set(load, listen, "http2"))
		config_warning(load, config_where(load, listen, "http2"),
			       "\"http2\" has no effect without `tls: true`; `h2c: true` is for HTTP/2 without TLS");
	if (!listen->tls || !listen->h2c)
		return true;
	config_error(load, config_where(load, listen, "h2c"),
		     "h2c is HTTP/2 without TLS; with `tls: true` clients agree on HTTP/2 in the handshake (`http2: "
		     "true`, the default)");
	return false;
}

static const struct config_key listen_keys[] = {
	{"address", CONFIG_TEXT, offsetof(struct listen, text),
	 .help = "\":80\" for every address of the machine, \"127.0.0.1:8080\", \"[::1]:80\", unix:/run/usher.sock",
	 .form = "an address such as \":80\" or \"127.0.0.1:8080\"", .required = true, .refine = refine_listen},
	{"tls", CONFIG_BOOL, offsetof(struct listen, tls), "false",
	 "clients speak TLS here (https); the certificates are those of the sites"},
	{"http2", CONFIG_BOOL, offsetof(struct listen, http2), "true",
	 "with `tls: true`: HTTP/2 is offered (ALPN); `false`: only HTTP/1.1"},
	{"h2c", CONFIG_BOOL, offsetof(struct listen, h2c), "false",
	 "without TLS: clients that begin with HTTP/2's preface (prior knowledge) are served, too"},
	{"proxy_protocol", CONFIG_TEXTS, offsetof(struct listen, proxy_texts),
	 .help = "balancers that tell who their client is by the PROXY protocol (version 1 or 2), before anything "
		 "else: their "
		 "addresses and networks; others are clients themselves",
	 .form = "a network such as 10.0.0.0/8"},
	{0},
};

const struct config_section listen_section = {
	.name = "listen",
	.help = "Where clients come in. Sites are the same on all of them.",
	.size = sizeof(struct listen),
	.keys = listen_keys,
	.place_offset = offsetof(struct listen, place),
	.shorthand = "address",
	.finish = finish_listen,
};

static bool check_addresses(struct snapshot_loading *loading)
{
	const struct snapshot *snapshot = loading->snapshot;
	bool good = true;
	for (size_t i = 0; i < snapshot->listen_count; i++)
		for (size_t j = 0; j < i; j++) {
			const struct listen *one = &snapshot->listens[j], *other = &snapshot->listens[i];
			if (one->address.length == 0 || !address_equal(&one->address, &other->address))
				continue;
			config_error(loading->load, other->text.place,
				     "the address %.*s is listened on at %s:%u already",
				     SLICE_ARGUMENTS(other->text.text), one->text.place.file, one->text.place.line);
			good = false;
		}
	return good;
}

static bool check_certificates(struct snapshot_loading *loading)
{
	const struct snapshot *snapshot = loading->snapshot;
	const struct scope *top = &loading->top->scope;
	struct config_load *load = loading->load;
	bool good = true;
	if (top->values[loading->schema->tls]) {
		config_error(
			load, config_where(load, top, "tls"),
			"\"certificate\" (or \"folder\") is missing, here and in the sites: none has TLS without one");
		return false;
	}
	for (size_t i = 0; i < snapshot->listen_count; i++) {
		const struct listen *listen = &snapshot->listens[i];
		if (!listen->tls)
			continue;
		config_error(
			load, config_where(load, listen, "tls"),
			"no site has a certificate to speak TLS with; add `tls: {certificate: FILE, key: FILE}` to a "
			"site or at the top");
		good = false;
	}
	return good;
}

bool listens_check_tls(struct snapshot_loading *loading)
{
	const struct snapshot *snapshot = loading->snapshot;
	if (!snapshot_has_tls(snapshot))
		return check_certificates(loading);
	for (size_t i = 0; i < snapshot->listen_count; i++)
		if (snapshot->listens[i].tls)
			return true;
	config_warning(loading->load, config_where(loading->load, loading->top, "listen"),
		       "sites have TLS, but no listener speaks it; add one such as {address: \":443\", tls: true}");
	return true;
}

static bool standard_listen(struct snapshot_loading *loading, struct slice address, bool tls, struct listen *ret_listen)
{
	struct config_place place = loading->top->scope.place;
	*ret_listen = (struct listen){.place = place, .text = {address, place}, .tls = tls, .http2 = true};
	return refine_listen(loading->load, ret_listen, &ret_listen->text);
}

// What stands when nothing is written, and sites have TLS: the ports that browsers try.
static bool load_standard(struct snapshot_loading *loading)
{
	struct snapshot *snapshot = loading->snapshot;
	snapshot->listens = config_alloc(loading->load, 2 * sizeof *snapshot->listens);
	if (!snapshot->listens)
		return false;
	snapshot->listen_count = 2;
	return standard_listen(loading, SLICE(":80"), false, &snapshot->listens[0]) &&
	       standard_listen(loading, SLICE(":443"), true, &snapshot->listens[1]);
}

// The admin socket: one listener more.
static bool add_admin(struct snapshot_loading *loading)
{
	struct snapshot *snapshot = loading->snapshot;
	const struct config_text *text = &loading->top->admin;
	size_t count = snapshot->listen_count;
	if (!text->text.data)
		return true;
	struct listen *listens = config_alloc(loading->load, (count + 1) * sizeof *listens);
	char *name = config_alloc(loading->load, ADDRESS_TEXT_MAX);
	if (!listens || !name)
		return false;
	memcpy(listens, snapshot->listens, count * sizeof *listens);
	listens[count] = (struct listen){.place = text->place, .text = *text, .admin = true};
	struct endpoint endpoint;
	if (!slice_starts_with(text->text, SLICE("unix:")) || !endpoint_parse(text->text, 0, &endpoint) ||
	    !endpoint_to_address(&endpoint, &listens[count].address)) {
		config_error(
			loading->load, text->place,
			"the admin API is served on a UNIX socket only: unix: and a path of at most 107 bytes, such as "
			"unix:/run/usher/admin.sock");
		return false;
	}
	snapshot->listens = listens;
	snapshot->listen_count++;
	snapshot->admin = &listens[count];
	snapshot->admin_name = address_format(&listens[count].address, name);
	return true;
}

bool listens_load(struct snapshot_loading *loading)
{
	struct snapshot *snapshot = loading->snapshot;
	if (!config_is_set(loading->load, loading->top, "listen") && snapshot_has_tls(snapshot))
		return load_standard(loading) && add_admin(loading);
	snapshot->listens = loading->top->listens.items;
	snapshot->listen_count = loading->top->listens.count;
	return add_admin(loading) && check_addresses(loading);
}
