#include "handlers/access_directory.h"

#include "access/directory.h"
#include "access/directory_text.h"
#include "base/hash.h"
#include "fiber/loop.h"
#include "http/uri.h"
#include "tls/trust.h"

#include <stddef.h>

// --- Keys

static const struct config_key groups_keys[] = {
	{"attribute", CONFIG_TEXT, offsetof(struct login_directory_groups, attribute),
	 .help = "the attribute of the user's entry that names his groups, memberOf unless `filter` searches for them; "
		 "of a "
		 "name such as cn=makers,ou=groups,dc=example,dc=com, makers is the group"},
	{"base", CONFIG_TEXT, offsetof(struct login_directory_groups, base),
	 .help = "only groups below it count; with `filter`, they are searched there",
	 .form = "a name such as "
		 "ou=groups,dc=example,dc=com"},
	{"filter", CONFIG_TEXT, offsetof(struct login_directory_groups, filter),
	 .help = "finds the groups of a user: $dn is the name of his entry, $user what he logged in by",
	 .form = "a filter such as (member=$dn)"},
	{"name", CONFIG_TEXT, offsetof(struct login_directory_groups, name), "cn",
	 "the attribute that names a group that `filter` finds"},
	{"keep", CONFIG_TEXTS, offsetof(struct login_directory_groups, keep),
	 .help = "only these groups are kept, all that begin so where a * ends it; a session holds 1,784 bytes of "
		 "groups"},
	{0},
};

static const struct config_section groups_section = {
	.name = "logins.ldap.groups",
	.help = "What groups the users of a directory are in.",
	.size = sizeof(struct login_directory_groups),
	.keys = groups_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key directory_keys[] = {
	{"servers", CONFIG_TEXTS, offsetof(struct login_directory, servers), .required = true,
	 .help = "tried in this order; one that does not answer is left alone for five seconds",
	 .form = "an address such as ldaps://ldap.example.com"},
	{"starttls", CONFIG_BOOL, offsetof(struct login_directory, starttls), "false",
	 "ldap:// servers are asked for TLS before anything else (StartTLS), and not used without it"},
	{"ca", CONFIG_FILE, offsetof(struct login_directory, ca),
	 .help = "the authorities to trust, instead of the system's; a PEM file", .watched = true},
	{"connect_timeout", CONFIG_DURATION, offsetof(struct login_directory, connect_ns), "3s",
	 "how long connecting may take, and TLS", .min = 1000000, .max = 60 * SECOND_NS},
	{"timeout", CONFIG_DURATION, offsetof(struct login_directory, answer_ns), "5s", "how long each answer may take",
	 .min = 1000000, .max = 60 * SECOND_NS},
	{"bind", CONFIG_TEXT, offsetof(struct login_directory, bind),
	 .help = "by what name a user binds; without it, `base` and `filter` find his entry first",
	 .form = "a name such as uid=$user,ou=people,dc=example,dc=com or $user@corp.example.com"},
	{"reader", CONFIG_TEXT, offsetof(struct login_directory, reader),
	 .help = "by what name usher binds to search; without it, it searches unnamed",
	 .form = "a name such as cn=usher,ou=services,dc=example,dc=com"},
	{"password", CONFIG_TEXT, offsetof(struct login_directory, password), .help = "the password of `reader`",
	 .form = "a text such as ${LDAP_PASSWORD}", .secret = true},
	{"base", CONFIG_TEXT, offsetof(struct login_directory, base), .help = "below which users are searched",
	 .form = "a name such as ou=people,dc=example,dc=com"},
	{"filter", CONFIG_TEXT, offsetof(struct login_directory, filter),
	 .help = "finds a user's entry; one who is found twice does not get in",
	 .form = "a filter such as (&(objectClass=person)(uid=$user))"},
	{"user", CONFIG_TEXT, offsetof(struct login_directory, user),
	 .help = "the attribute that names the user to servers, as the directory spells it; the one that `filter` or "
		 "`bind` compares with $user unless it is written"},
	{"email", CONFIG_TEXT, offsetof(struct login_directory, email), "mail",
	 "the attribute with his address of mail"},
	{"groups", CONFIG_SECTION, offsetof(struct login_directory, groups), .help = "what groups he is in",
	 .section = &groups_section},
	{"at_once", CONFIG_INTEGER, offsetof(struct login_directory, at_once), "4",
	 "so many logins are verified at once; others wait, up to 64 of them for up to ten seconds", .min = 1,
	 .max = 16},
	{0},
};

const struct config_section access_directory_section = {
	.name = "logins.ldap",
	.help = "Users of a directory: LDAP, Active Directory. A password is right when the directory lets the user "
		"bind "
		"by it.",
	.size = sizeof(struct login_directory),
	.keys = directory_keys,
	.place_offset = offsetof(struct login_directory, place),
	.name_offset = CONFIG_NO_OFFSET,
};

// --- Checking

static bool refuse(struct config_load *load, const struct config_text *text, const char *why)
{
	config_error(load, text->place, "\"%.*s\" %s", SLICE_ARGUMENTS(text->text), why);
	return false;
}

static bool is_set(const struct config_text *text)
{
	return text->text.data != NULL;
}

static bool has_start(const struct config_text *server, struct slice scheme, bool *ret_is_here)
{
	struct slice host;
	uint16_t port;
	if (!slice_starts_with(server->text, scheme) ||
	    !uri_parse_authority(slice_after(server->text, scheme.length), &host, &port))
		return false;
	*ret_is_here = slice_equal(host, SLICE("localhost")) || slice_equal(host, SLICE("[::1]")) ||
		       slice_starts_with(host, SLICE("127."));
	return true;
}

static bool check_servers(struct config_load *load, const struct login_directory *config, bool *ret_has_tls)
{
	*ret_has_tls = config->starttls;
	for (size_t i = 0; i < config->servers.count; i++) {
		const struct config_text *server = &config->servers.items[i];
		bool is_here = false, is_plain = has_start(server, SLICE("ldap://"), &is_here);
		if (!is_plain && !has_start(server, SLICE("ldaps://"), &is_here))
			return refuse(load, server,
				      "is no server such as ldaps://ldap.example.com or ldap://10.0.0.5:389");
		if (!is_plain && config->starttls)
			return refuse(load, server, "has TLS from the start, and `starttls` is for ldap:// servers");
		if (is_plain && !config->starttls && !is_here)
			config_warning(load, server->place,
				       "passwords go to this server for everybody in between to read; use ldaps://, or "
				       "`starttls: true`");
		*ret_has_tls |= !is_plain;
	}
	return true;
}

static bool uses(const struct config_text *text, struct slice variable)
{
	for (size_t i = 0; i + variable.length <= text->text.length; i++)
		if (slice_starts_with(slice_after(text->text, i), variable))
			return true;
	return false;
}

// Who is bound, and how his name is found.
static bool check_binding(struct config_load *load, const struct login_directory *config)
{
	bool searches = is_set(&config->base) || is_set(&config->filter);
	if (is_set(&config->base) != is_set(&config->filter)) {
		config_error(load, config->place, "`base` and `filter` go together");
		return false;
	}
	if (!searches && !is_set(&config->bind)) {
		config_error(
			load, config->place,
			"this does not say how users are found; add `bind: \"uid=$user,ou=people,...\"`, or `base` "
			"and `filter`");
		return false;
	}
	if (is_set(&config->bind) && is_set(&config->reader))
		return refuse(load, &config->reader,
			      "would search before users bind, and `bind` needs no search; leave "
			      "out one of them");
	if (is_set(&config->bind) && !uses(&config->bind, SLICE("$user")) && !uses(&config->bind, SLICE("$(user)")))
		return refuse(load, &config->bind, "is one name for all users; $user stands for theirs");
	if (is_set(&config->reader) && !directory_is_dn(config->reader.text) &&
	    slice_find(config->reader.text, '@') == config->reader.text.length)
		return refuse(load, &config->reader, "is no name such as cn=usher,ou=services,dc=example,dc=com");
	if (is_set(&config->reader) && config->password.text.length == 0)
		return refuse(load, &config->reader, "needs a `password`: without one, a server says yes to anybody");
	if (is_set(&config->password) && !is_set(&config->reader)) {
		config_error(load, config->password.place, "a `password` is of a `reader`");
		return false;
	}
	return true;
}

static bool check_filter(struct config_load *load, const struct config_text *filter, const char *variable)
{
	if (!is_set(filter))
		return true;
	if (!uses(filter, slice_from_string(variable)) && !uses(filter, SLICE("$user")))
		return refuse(load, filter, "finds the same whoever logs in; $user stands for his name");
	return directory_is_filter(filter->text) ||
	       refuse(load, filter, "is no filter such as (&(objectClass=person)(uid=$user))");
}

static bool check_base(struct config_load *load, const struct config_text *base)
{
	return !is_set(base) || directory_is_dn(base->text) ||
	       refuse(load, base, "is no name such as ou=people,dc=example,dc=com");
}

static bool check_groups(struct config_load *load, const struct login_directory *config, bool has_entry)
{
	const struct login_directory_groups *groups = &config->groups;
	if (is_set(&groups->filter) && is_set(&groups->attribute))
		return refuse(load, &groups->filter, "searches for groups, and `attribute` reads them; leave out one");
	if (is_set(&groups->filter) && !is_set(&groups->base))
		return refuse(load, &groups->filter, "needs `base`, below which groups are searched");
	if (has_entry)
		return true;
	if (uses(&groups->filter, SLICE("$dn")) || is_set(&groups->attribute))
		return refuse(load, is_set(&groups->filter) ? &groups->filter : &groups->attribute,
			      "needs the user's entry; add `base` and `filter`, by which it is found");
	config_warning(load, config->bind.place,
		       "without `base` and `filter` the user's entry is not found: neither his groups nor his address "
		       "of mail are known");
	return true;
}

// --- Loading

static bool load_authorities(struct config_load *load, const struct login_directory *config, struct slice *ret_pem)
{
	X509_STORE *store;
	const char *wrong;
	*ret_pem = config->ca.content;
	if (!config_is_whole(load, config)) // the file could not be read
		return false;
	if (!config->ca.path.text.data) {
		store = trust_of_system(load, config->place, ret_pem);
	} else if (!(store = trust_from(config->ca.content, &wrong))) {
		config_error(load, config->ca.path.place, "%.*s cannot be used: %s",
			     SLICE_ARGUMENTS(config->ca.path.text), wrong);
	}
	X509_STORE_free(store);
	return store != NULL;
}

static bool copy_texts(struct config_load *load, const struct config_texts *texts, const struct slice **ret_slices)
{
	struct slice *slices = config_alloc(load, (texts->count + 1) * sizeof *slices);
	for (size_t i = 0; slices && i < texts->count; i++)
		slices[i] = texts->items[i].text;
	*ret_slices = slices;
	return slices != NULL;
}

// Which attribute names the user to servers: the one by which he is found.
static struct slice user_attribute(struct config_load *load, const struct login_directory *config)
{
	if (is_set(&config->user))
		return config->user.text;
	const struct config_text *text = is_set(&config->filter) ? &config->filter : &config->bind;
	return arena_copy(config_arena(load), directory_attribute_of(text->text));
}

static bool settings_of(struct config_load *load, const struct login_directory *config,
			struct directory_settings *ret_settings)
{
	const struct login_directory_groups *groups = &config->groups;
	bool searches_groups = is_set(&groups->filter);
	*ret_settings = (struct directory_settings){
		.server_count = config->servers.count,
		.starttls = config->starttls,
		.connect_ns = config->connect_ns,
		.answer_ns = config->answer_ns,
		.bind = config->bind.text,
		.reader = config->reader.text,
		.password = config->password.text,
		.base = config->base.text,
		.filter = config->filter.text,
		.user = user_attribute(load, config),
		.email = config->email.text,
		.groups =
			{
				.attribute = searches_groups		  ? SLICE_EMPTY
					     : is_set(&groups->attribute) ? groups->attribute.text
									  : SLICE("memberOf"),
				.base = groups->base.text,
				.filter = groups->filter.text,
				.name = groups->name.text,
				.keep_count = groups->keep.count,
			},
	};
	return copy_texts(load, &config->servers, &ret_settings->servers) &&
	       copy_texts(load, &groups->keep, &ret_settings->groups.keep);
}

// Another directory, or another way to read it, is another digest: what was remembered of the former does not count.
static uint64_t digest_of(const struct directory_settings *settings)
{
	const struct slice texts[] = {
		settings->bind,	       settings->reader,	settings->base,	       settings->filter,
		settings->user,	       settings->email,		settings->authorities, settings->groups.attribute,
		settings->groups.base, settings->groups.filter, settings->groups.name};
	uint64_t digest = 1;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		digest = hash_number(digest ^ hash_fast(texts[i]));
	for (size_t i = 0; i < settings->server_count; i++)
		digest = hash_number(digest ^ hash_fast(settings->servers[i]));
	for (size_t i = 0; i < settings->groups.keep_count; i++)
		digest = hash_number(digest ^ hash_fast(settings->groups.keep[i]) ^ 1);
	return hash_number(digest + settings->starttls);
}

static void free_directory(void *directory)
{
	directory_free(directory);
}

static const struct config_text *text_of(const struct login_directory *config, struct slice wrong)
{
	const struct config_text *texts[] = {&config->bind, &config->filter, &config->groups.filter};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (is_set(texts[i]) && wrong.data >= texts[i]->text.data &&
		    wrong.data <= texts[i]->text.data + texts[i]->text.length)
			return texts[i];
	return &config->servers.items[0];
}

bool access_directory_load(struct config_load *load, struct login_directory *config, struct source *ret_source)
{
	struct directory_settings settings;
	bool has_tls, has_entry = is_set(&config->filter) || directory_is_dn(config->bind.text);
	struct slice wrong;
	const char *why;
	if (!check_servers(load, config, &has_tls) || !check_binding(load, config) ||
	    !check_base(load, &config->base) || !check_base(load, &config->groups.base) ||
	    !check_filter(load, &config->filter, "$user") || !check_filter(load, &config->groups.filter, "$dn") ||
	    !check_groups(load, config, has_entry) || !settings_of(load, config, &settings))
		return false;
	if (has_tls && !load_authorities(load, config, &settings.authorities))
		return false;
	struct directory *directory = directory_new(&settings, &wrong, &why);
	if (!directory) {
		config_error(load, text_of(config, wrong)->place, "%s%s%.*s", why, wrong.length ? ": " : "",
			     SLICE_ARGUMENTS(wrong));
		return false;
	}
	*ret_source = (struct source){
		.verify = directory_verify,
		.self = directory,
		.is_remote = true,
		.digest = digest_of(&settings),
	};
	return config_at_free(load, free_directory, directory);
}
