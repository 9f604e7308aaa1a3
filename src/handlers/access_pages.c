#include "handlers/access_pages.h"

#include "exchange/escape.h"

#include <stddef.h>

// --- usher's own pages

#define HEAD(title)                                                                                                    \
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "                    \
	"content=\"width=device-width\"><title>" title "</title>"                                                      \
	"<style>body{font:1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;"    \
	"background:#f4f4f5;color:#18181b}main{width:min(20rem,90vw);background:#fff;padding:2rem;"                    \
	"border-radius:.5rem;box-shadow:0 1px 4px #0003}h1{font-size:1.25rem;margin:0 0 1rem}"                         \
	"label{display:block;margin:.75rem 0 .25rem}input,button{font:inherit;width:100%;box-sizing:border-box;"       \
	"padding:.5rem;border:1px solid #71717a;border-radius:.25rem}button{margin-top:1.25rem;background:#1d4ed8;"    \
	"border-color:#1d4ed8;color:#fff;cursor:pointer}p[role=alert]{margin:0;color:#b91c1c}p:empty{display:none}"    \
	"@media(prefers-color-scheme:dark){body{background:#18181b;color:#f4f4f5}main{background:#27272a}"             \
	"input{background:#18181b;color:inherit}p[role=alert]{color:#fca5a5}}"                                         \
	"ul{list-style:none;margin:1.25rem 0 0;padding:0}a{display:block;margin-top:.5rem;padding:.5rem;"              \
	"border:1px solid #71717a;border-radius:.25rem;color:inherit;text-align:center}</style></head>\n<body><main>"
#define FORM                                                                                                           \
	"<form method=\"post\"><input type=\"hidden\" name=\"usher-token\" "                                           \
	"value=\"$token\">\n"
#define END "</form></main></body></html>\n"

static const char *const own[ACCESS_PAGES] = {
	[ACCESS_PAGE_LOGIN] = HEAD("Log in: $realm") "<h1>Log in: $realm</h1>\n<p role=\"alert\">$message</p>\n" FORM
						     "<label for=\"user\">User name</label><input id=\"user\" "
						     "name=\"usher-user\" autocomplete=\"username\" "
						     "autocapitalize=\"none\" required autofocus>\n"
						     "<label for=\"password\">Password</label><input id=\"password\" "
						     "name=\"usher-password\" type=\"password\" "
						     "autocomplete=\"current-password\" required>\n"
						     "<button>Log in</button></form>\n$links</main></body></html>\n",
	[ACCESS_PAGE_CODE] =
		HEAD("Log in: $realm") "<h1>Log in: $realm</h1>\n<p role=\"alert\">$message</p>\n" FORM
				       "<label for=\"code\">Code of your authenticator, or a recovery code</label>"
				       "<input id=\"code\" name=\"usher-code\" "
				       "autocomplete=\"one-time-code\" autocapitalize=\"characters\" "
				       "required autofocus>\n"
				       "<button>Log in</button>" END,
	[ACCESS_PAGE_LOGOUT] =
		HEAD("Log out") "<h1>Logged in as $user</h1>\n" FORM "<button>Log out</button>\n"
				"<button name=\"usher-everywhere\" value=\"yes\">Log out everywhere</button>" END,
	[ACCESS_PAGE_CHOOSE] = HEAD("Log in") "<h1>Log in</h1>\n$links</main></body></html>\n",
};

// For the template of another language, and for people.
static const struct {
	const char *word, *message;
} reasons[] = {
	[ACCESS_REASON_NONE] = {"", ""},
	[ACCESS_REASON_WRONG] = {"wrong", "The user name or the password is wrong."},
	[ACCESS_REASON_WRONG_CODE] = {"wrong", "The code is wrong."},
	[ACCESS_REASON_WAIT] = {"wait", "Too many tries failed. Wait a while, and try again."},
	[ACCESS_REASON_BUSY] = {"busy", "Too many log in at this moment. Try again."},
	[ACCESS_REASON_OLD] = {"old", "The page was too old. Try again."},
};

// --- Keys

static const struct config_key keys[] = {
	{"login", CONFIG_FILE, offsetof(struct access_pages, files[ACCESS_PAGE_LOGIN]),
	 .help = "the page that asks for `usher-user` and `usher-password`"},
	{"code", CONFIG_FILE, offsetof(struct access_pages, files[ACCESS_PAGE_CODE]),
	 .help = "the page that asks for `usher-code`, of a second factor, or a recovery code"},
	{"logout", CONFIG_FILE, offsetof(struct access_pages, files[ACCESS_PAGE_LOGOUT]),
	 .help = "the page that asks whether to log out; with `usher-everywhere` it is everywhere"},
	{"choose", CONFIG_FILE, offsetof(struct access_pages, files[ACCESS_PAGE_CHOOSE]),
	 .help = "the page that shows `$links` alone, where a rule has several providers and no page of users; that of "
		 "its first login counts"},
	{0},
};

const struct config_section access_pages_section = {
	.name = "logins.pages",
	.help = "Files that take the place of usher's own pages to log in and out by. Each has a form with method "
		"\"post\" and "
		"the fields that are named here, and `$token` as the value of its hidden field `usher-token`; "
		"`$realm`, `$user`, "
		"`$message` and `$reason` (empty, \"wrong\", \"wait\", \"busy\" or \"old\") may stand in it, and "
		"`$links`: a list of links to the providers that the rule names besides.",
	.size = sizeof(struct access_pages),
	.keys = keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

// --- Loading and filling

enum { REALM, TOKEN, REASON, MESSAGE, USER, LINKS, VARIABLES };

static const char *const variables[] = {
	[REALM] = "realm", [TOKEN] = "token", [REASON] = "reason", [MESSAGE] = "message",
	[USER] = "user",   [LINKS] = "links", [VARIABLES] = NULL,
};

bool access_pages_load(struct config_load *load, struct access_pages *pages)
{
	for (size_t i = 0; i < ACCESS_PAGES; i++) {
		const struct config_file *file = &pages->files[i];
		struct slice wrong, text = file->content.data ? file->content : slice_from_string(own[i]);
		const char *detail;
		if (!template_parse(text, variables, true, config_arena(load), &pages->templates[i], &wrong, &detail))
			return false;
		if (pages->templates[i].used >> (i == ACCESS_PAGE_CHOOSE ? LINKS : TOKEN) & 1)
			continue;
		if (i == ACCESS_PAGE_CHOOSE) {
			config_error(load, file->path.place, "the page has no $links, of which visitors choose one");
			return false;
		}
		config_error(
			load, file->path.place,
			"the form has no <input type=\"hidden\" name=\"usher-token\" value=\"$token\">, without which "
			"usher takes it from nobody");
		return false;
	}
	return true;
}

bool access_pages_have_links(const struct access_pages *pages, enum access_page page)
{
	return pages->templates[page].used >> LINKS & 1;
}

struct slice access_pages_fill(const struct access_pages *pages, enum access_page page,
			       const struct access_page_values *values, struct arena *arena)
{
	const struct slice filled[VARIABLES] = {
		[REALM] = escape(values->realm, ESCAPE_HTML, arena),
		[TOKEN] = values->token,
		[REASON] = slice_from_string(reasons[values->reason].word),
		[MESSAGE] = slice_from_string(reasons[values->reason].message),
		[USER] = escape(values->user, ESCAPE_HTML, arena),
		[LINKS] = values->links.data ? values->links : SLICE(""),
	};
	if (!filled[REALM].data || !filled[USER].data)
		return SLICE_EMPTY;
	return template_expand(&pages->templates[page], filled, arena);
}
