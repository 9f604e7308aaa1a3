// The table of the key `tls`.
#include "tls/site.h"

#include <stddef.h>
#include <string.h>

static bool finish_tls(struct config_load *load, void *section_struct)
{
	const struct tls_site_config *config = section_struct;
	bool has_certificates = config->certificates.count > 0, has_folder = config->folder.text.data != NULL;
	if (has_certificates && has_folder) {
		config_error(
			load, config->folder.place,
			"\"folder\" stands beside \"certificate\"; expected one of them: where the folder is, or which "
			"files");
		return false;
	}
	if (config->keys.count > 0 && config->keys.count != config->certificates.count) {
		config_error(load, config_where(load, config, "key"),
			     "%zu key%s for %zu certificate%s; expected as many, in the same order", config->keys.count,
			     config->keys.count == 1 ? "" : "s", config->certificates.count,
			     config->certificates.count == 1 ? "" : "s");
		return false;
	}
	return true;
}

static const struct config_key site_keys[] = {
	{"certificate", CONFIG_TEXTS, offsetof(struct tls_site_config, certificates),
	 .help = "PEM files: the site's certificate, and behind it that of its issuer and so on. Several: clients get "
		 "one "
		 "that they can verify (ECDSA or RSA) and that is for the host they ask for. Replaced, they are taken "
		 "by "
		 "themselves",
	 .form = "the name of a file, or a list of them"},
	{"key", CONFIG_TEXTS, offsetof(struct tls_site_config, keys),
	 .help = "PEM files: the private key of each certificate; absent: it stands in the certificate's file",
	 .form = "the name of a file, or a list of them"},
	{"folder", CONFIG_TEXT, offsetof(struct tls_site_config, folder),
	 .help = "instead of `certificate`: all of a folder. NAME.pem or NAME.crt, its key in the same file or in "
		 "NAME.key; "
		 "or NAME/fullchain.pem with NAME/privkey.pem. Each serves the hosts that it is for",
	 .form = "the name of a folder"},
	{"policy", CONFIG_CHOICE, offsetof(struct tls_site_config, policy), "intermediate",
	 "Mozilla's recommendations: `intermediate` (TLS 1.2 and 1.3), `modern` (TLS 1.3 alone), `old` (TLS 1.0 and "
	 "weak "
	 "algorithms as well, for clients of 2010)",
	 .choices = tls_policy_names},
	{"client_certificate", CONFIG_OPTIONAL, offsetof(struct tls_site_config, client_certificate),
	 .section = &client_auth_section, .help = "certificates that clients show"},
	{"ocsp", CONFIG_TEXTS, offsetof(struct tls_site_config, ocsp), "off",
	 "the authority's word that a certificate is not revoked, sent along (stapled): `fetch` it from where the "
	 "certificate says; files that hold it (DER), one for each certificate; or `off`",
	 .form = "`off`, `fetch`, or the names of files"},
	{"redirect", CONFIG_BOOL, offsetof(struct tls_site_config, redirect), "true",
	 "requests that come without TLS are sent to https://, but for those of a route whose path begins with "
	 "/.well-known/acme-challenge/"},
	{"tickets", CONFIG_BOOL, offsetof(struct tls_site_config, tickets), "true",
	 "clients may come back within 16 hours without a full handshake"},
	{0},
};

static const struct config_section site_section = {
	.name = "tls",
	.help = "TLS towards clients. At the top it is for all sites; what a site says itself goes before it, key by "
		"key.",
	.size = sizeof(struct tls_site_config),
	.keys = site_keys,
	.place_offset = offsetof(struct tls_site_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.finish = finish_tls,
};

const struct config_key tls_key = {
	.name = "tls",
	.kind = CONFIG_OPTIONAL,
	.section = &site_section,
	.help = "certificates, and who may connect how",
};

const struct config_key tls_policy_key = {
	.name = "tls_policy",
	.kind = CONFIG_CHOICE,
	.standard = "intermediate",
	.choices = tls_policy_names,
	.help = "versions and algorithms of TLS where no `tls.policy` says otherwise: `modern`, `intermediate` or "
		"`old`",
};

// --- What a site takes over from the top

static bool has_certificates(const struct tls_site_config *config)
{
	return config && (config->certificates.count > 0 || config->folder.text.data);
}

static void inherit(struct config_load *load, struct tls_site_config *own, const struct tls_site_config *top)
{
	if (!has_certificates(own)) {
		own->certificates = top->certificates;
		own->keys = top->keys;
		own->folder = top->folder;
	}
	if (!config_is_set(load, own, "policy"))
		own->policy = top->policy;
	if (!own->client_certificate)
		own->client_certificate = top->client_certificate;
	if (!config_is_set(load, own, "ocsp"))
		own->ocsp = top->ocsp;
	if (!config_is_set(load, own, "redirect"))
		own->redirect = top->redirect;
	if (!config_is_set(load, own, "tickets"))
		own->tickets = top->tickets;
}

struct tls_site_config *tls_site_inherit(struct config_load *load, struct tls_site_config *own,
					 struct tls_site_config *top, const int *policy)
{
	if (!has_certificates(own) && !has_certificates(top))
		return NULL;
	if (policy && top && !config_is_set(load, top, "policy"))
		top->policy = *policy;
	if (policy && own && !config_is_set(load, own, "policy"))
		own->policy = *policy;
	if (!own)
		return top;
	if (top)
		inherit(load, own, top);
	return own;
}
