// The table of keys of `sticky`.
#include "http/cookie.h"
#include "upstream/pool_config.h"
#include "upstream/sticky.h"

#include <openssl/evp.h>
#include <string.h>

static const char *const secure_names[] = {"auto", "always", "never", NULL};
static const char *const same_site_names[] = {"lax", "strict", "none", "off", NULL};
static const char *const lost_names[] = {[STICKY_ANOTHER] = "another", [STICKY_REFUSE] = "refuse", NULL};

enum { SECURE_NEVER = 2, SAME_SITE_NONE = 2 };

// Without a secret in the configuration, what systemd says of the machine: it is nobody's business
// outside, and the same after a restart (machine-id(5)).
static bool make_key(struct config_load *load, struct sticky_config *sticky)
{
	static const char purpose[] = "usher sticky 1";
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct slice secret = sticky->secret.text;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (!secret.data && !config_read_if_there(load, "/etc/machine-id", &secret))
		config_warning(
			load, sticky->place,
			"without `secret` (and /etc/machine-id) anybody can make up a cookie that names a server");
	bool made = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
		    EVP_DigestUpdate(context, purpose, sizeof purpose) &&
		    EVP_DigestUpdate(context, secret.data, secret.length) && EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
	if (made)
		memcpy(&sticky->key, digest, sizeof sticky->key);
	else
		config_error(load, sticky->place, "memory is out");
	return made;
}

static bool check_name(struct config_load *load, const struct config_text *name)
{
	if (!name->text.data || cookie_is_name(name->text))
		return true;
	config_error(load, name->place, "\"%.*s\" cannot be the name of a cookie", SLICE_ARGUMENTS(name->text));
	return false;
}

static bool is_attribute(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == ';' || text.data[i] == ',')
			return false;
	return true;
}

static bool check_attribute(struct config_load *load, const struct config_text *text)
{
	if (is_attribute(text->text))
		return true;
	config_error(load, text->place, "\"%.*s\" cannot stand in a cookie", SLICE_ARGUMENTS(text->text));
	return false;
}

// What browsers refuse (RFC 6265bis section 5.6).
static bool check_prefix(struct config_load *load, const struct sticky_config *sticky)
{
	struct slice name = sticky->cookie.text;
	bool is_host = slice_starts_with(name, SLICE("__Host-")),
	     is_secure = slice_starts_with(name, SLICE("__Secure-"));
	if ((is_host || is_secure || sticky->same_site == SAME_SITE_NONE) && sticky->secure == SECURE_NEVER)
		config_error(load, sticky->place, "browsers refuse such a cookie without Secure: `secure: always`");
	else if (is_host && (sticky->domain.text.length > 0 || !slice_equal(sticky->path.text, SLICE("/"))))
		config_error(load, sticky->place,
			     "a cookie whose name begins with __Host- has no domain, and the path /");
	else
		return true;
	return false;
}

static bool finish(struct config_load *load, void *section_struct)
{
	struct sticky_config *sticky = section_struct;
	if (sticky->cookie.text.length > 0 && sticky->learn.text.length > 0) {
		config_error(load, sticky->learn.place,
			     "either usher sets a cookie (`cookie`), or the application does (`learn`)");
		return false;
	}
	if (sticky->cookie.text.length == 0 && sticky->learn.text.length == 0) {
		config_error(load, sticky->place, "write the name of a cookie: `cookie: NAME`, or `learn: NAME`");
		return false;
	}
	return check_name(load, &sticky->cookie) && check_name(load, &sticky->learn) &&
	       check_attribute(load, &sticky->path) && check_attribute(load, &sticky->domain) &&
	       check_prefix(load, sticky) && make_key(load, sticky);
}

static const struct config_key keys[] = {
	{
		.name = "cookie",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct sticky_config, cookie),
		.help = "The name of a cookie that usher sets: a visitor who brings it back meets the server again "
			"that "
			"it was set for. Its value tells nothing of the server, and cannot be made up.",
	},
	{
		.name = "learn",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct sticky_config, learn),
		.help = "The name of the application's own cookie, such as JSESSIONID: a visitor who brings a value "
			"back meets the server that set it. Where the value (or the path's parameter of that name) "
			"ends "
			"in a dot and a server's `route`, that says it; else usher remembers the last 65,536 values "
			"that were set.",
	},
	{
		.name = "path",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct sticky_config, path),
		.standard = "/",
		.help = "Path of usher's cookie.",
	},
	{
		.name = "domain",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct sticky_config, domain),
		.help = "Domain of usher's cookie; none when it is absent: the host alone.",
	},
	{
		.name = "secure",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct sticky_config, secure),
		.standard = "auto",
		.choices = secure_names,
		.help = "Whether usher's cookie is Secure: `auto`, when the visitor came by https.",
	},
	{
		.name = "http_only",
		.kind = CONFIG_BOOL,
		.offset = offsetof(struct sticky_config, http_only),
		.standard = "true",
		.help = "Whether usher's cookie is HttpOnly: scripts do not see it.",
	},
	{
		.name = "same_site",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct sticky_config, same_site),
		.standard = "lax",
		.choices = same_site_names,
		.help = "SameSite of usher's cookie.",
	},
	{
		.name = "max_age",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct sticky_config, max_age_ns),
		.standard = "off",
		.help = "How long browsers keep usher's cookie; off: until they end.",
	},
	{
		.name = "lost",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct sticky_config, lost),
		.standard = "another",
		.choices = lost_names,
		.help = "What becomes of a visitor whose server is gone, ill, or at rest: `another` server, or "
			"`refuse` "
			"(503).",
	},
	{
		.name = "secret",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct sticky_config, secret),
		.help = "Any text. Several ushers with the same one understand each other's cookies; when it is "
			"absent, "
			"the machine's own identity is used.",
		.secret = true,
	},
	{0},
};

const struct config_section sticky_section = {
	.name = "pools.NAME.sticky",
	.help = "Visitors meet the same server again.",
	.size = sizeof(struct sticky_config),
	.keys = keys,
	.place_offset = offsetof(struct sticky_config, place),
	.shorthand = "cookie",
	.finish = finish,
};
