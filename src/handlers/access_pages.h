// What the pages to log in and out by look like: templates, usher's own or a login's files. For the files of the
// handler `access`.
#ifndef USHER_HANDLERS_ACCESS_PAGES_H
#define USHER_HANDLERS_ACCESS_PAGES_H

#include "base/arena.h"
#include "base/slice.h"
#include "config/load.h"
#include "exchange/template.h"

#include <stdbool.h>

enum access_page { ACCESS_PAGE_LOGIN, ACCESS_PAGE_CODE, ACCESS_PAGE_LOGOUT, ACCESS_PAGE_CHOOSE };
enum { ACCESS_PAGES = ACCESS_PAGE_CHOOSE + 1 };

// Why the visitor sees it again.
enum access_reason {
	ACCESS_REASON_NONE,
	ACCESS_REASON_WRONG,
	ACCESS_REASON_WRONG_CODE,
	ACCESS_REASON_WAIT,
	ACCESS_REASON_BUSY,
	ACCESS_REASON_OLD,
};

struct access_pages {
	struct config_file files[ACCESS_PAGES]; // .content is .data NULL: usher's own page
	// Made of these.
	struct template templates[ACCESS_PAGES];
};

struct access_page_values {
	struct slice realm, token, user;
	struct slice links; // in HTML
	enum access_reason reason;
};

extern const struct config_section access_pages_section;

// Whether the page shows the links to other ways to log in.
bool access_pages_have_links(const struct access_pages *pages, enum access_page page);

// False after config_error, or when memory is out.
bool access_pages_load(struct config_load *load, struct access_pages *pages);

// The page, in HTML, with the values escaped. .data is NULL when memory is out.
struct slice access_pages_fill(const struct access_pages *pages, enum access_page page,
			       const struct access_page_values *values, struct arena *arena);

#endif
