#include "handlers/access_cookies.h"

#include "access/session.h"
#include "base/text.h"
#include "handlers/access_session.h"
#include "http/cookie.h"

#include <string.h>

static bool has_tls(const struct exchange *exchange)
{
	return slice_equal(exchange->scheme, SLICE("https"));
}

// --- One

// A name with __Host- is taken by browsers only from the very host, and with TLS (RFC 6265bis section 4.1.3).
struct slice access_cookie_name(struct exchange *exchange, const char *name, bool is_for_domain)
{
	const char *prefix = !has_tls(exchange) ? "" : is_for_domain ? "__Secure-" : "__Host-";
	return arena_printf(exchange_arena(exchange), "%s%s", prefix, name);
}

static bool add(struct exchange *exchange, struct slice name, struct slice value, struct slice domain,
		const char *attributes, const char *lifetime)
{
	struct slice cookie =
		arena_printf(exchange_arena(exchange), "%.*s=%.*s; Path=/%s%.*s; HttpOnly%s%s%s", SLICE_ARGUMENTS(name),
			     SLICE_ARGUMENTS(value), domain.length > 0 ? "; Domain=" : "", SLICE_ARGUMENTS(domain),
			     has_tls(exchange) ? "; Secure" : "", attributes, lifetime);
	return name.data && cookie.data &&
	       fields_add(&exchange_response(exchange)->fields, exchange_arena(exchange), FIELD_SET_COOKIE, cookie);
}

bool access_cookie_add(struct exchange *exchange, const char *name, struct slice value, const char *attributes)
{
	return add(exchange, access_cookie_name(exchange, name, false), value, SLICE_EMPTY, attributes, "");
}

struct slice access_cookie_find(struct exchange *exchange, const char *name)
{
	struct slice whole = access_cookie_name(exchange, name, false);
	return whole.data ? cookie_find(&exchange_request(exchange)->fields, whole) : SLICE_EMPTY;
}

bool access_cookie_send(struct exchange *exchange, const struct access_cookie *cookie, struct slice value)
{
	return add(exchange, cookie->name, value, cookie->domain, cookie->attributes, cookie->lifetime);
}

struct slice access_cookie_value(const struct exchange *exchange, const struct access_cookie *cookie)
{
	return cookie->name.data ? cookie_find(&exchange->transaction.request.fields, cookie->name) : SLICE_EMPTY;
}

// --- Several

static struct slice name_of_more(struct exchange *exchange, const struct access_cookie *cookie, unsigned number)
{
	return arena_printf(exchange_arena(exchange), "%.*s-%u", SLICE_ARGUMENTS(cookie->name), number);
}

static bool is_there(const struct exchange *exchange, struct slice name)
{
	return name.data && cookie_find(&exchange->transaction.request.fields, name).data;
}

static bool take_back(struct exchange *exchange, const struct access_cookie *cookie, struct slice name)
{
	return add(exchange, name, SLICE(""), cookie->domain, cookie->attributes, "; Max-Age=0");
}

bool access_cookie_send_more(struct exchange *exchange, const struct access_cookie *cookie, struct slice text)
{
	bool good = cookie->name.data != NULL;
	for (unsigned i = 1; i <= SESSION_MORE_MAX && good; i++) {
		struct slice name = name_of_more(exchange, cookie, i), piece = slice_first(text, SESSION_TEXT_MAX);
		text = slice_after(text, piece.length);
		if (piece.length > 0)
			good = add(exchange, name, piece, cookie->domain, cookie->attributes, cookie->lifetime);
		else if (is_there(exchange, name))
			good = take_back(exchange, cookie, name);
	}
	return good && text.length == 0;
}

struct slice access_cookie_more(struct exchange *exchange, const struct access_cookie *cookie, unsigned count)
{
	char *text = arena_alloc(exchange_arena(exchange), (size_t)count * SESSION_TEXT_MAX);
	size_t length = 0;
	for (unsigned i = 1; text && i <= count; i++) {
		struct slice name = name_of_more(exchange, cookie, i), piece = SLICE_EMPTY;
		if (name.data)
			piece = cookie_find(&exchange_request(exchange)->fields, name);
		if (!piece.data || piece.length > SESSION_TEXT_MAX)
			return (struct slice){0};
		memcpy(text + length, piece.data, piece.length);
		length += piece.length;
	}
	return slice_from(text, length);
}

void access_cookie_end(struct exchange *exchange, const struct access_cookie *cookie)
{
	(void)take_back(exchange, cookie, cookie->name);
	(void)access_cookie_send_more(exchange, cookie, SLICE_EMPTY);
}

// --- Hiding

// Without what stands behind the names of further ones.
static struct slice without_number(struct slice name)
{
	size_t length = name.length;
	bool has_number = length > 2 && name.data[length - 2] == '-' && name.data[length - 1] >= '1' &&
			  name.data[length - 1] <= '0' + SESSION_MORE_MAX;
	return has_number ? slice_first(name, length - 2) : name;
}

static bool is_own(struct slice name)
{
	static const char *const prefixes[] = {"__Host-", "__Secure-", ""};
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		struct slice prefix = slice_from_string(prefixes[i]);
		if (!slice_starts_with(name, prefix))
			continue;
		struct slice rest = slice_after(name, prefix.length), whole = without_number(rest);
		return slice_equal(whole, SLICE(ACCESS_SESSION_NAME)) ||
		       slice_equal(whole, SLICE(ACCESS_PENDING_NAME)) || slice_equal(rest, SLICE("usher-form")) ||
		       slice_equal(rest, SLICE("usher-openid"));
	}
	return false;
}

// Without usher's own; the value itself where it has none. Empty also when memory is out.
static struct slice without_own(struct slice value, struct arena *arena)
{
	struct slice rest = value, name, content;
	struct text kept;
	bool has_own = false;
	while (cookie_next(&rest, &name, &content))
		has_own |= is_own(name);
	if (!has_own)
		return value;
	// There may have been no blank behind semicolons.
	size_t bound = value.length + slice_count(value, ';') + 1;
	char *room = arena_alloc(arena, bound);
	if (!room)
		return SLICE_EMPTY;
	text_init(&kept, room, bound);
	for (rest = value; cookie_next(&rest, &name, &content);) {
		if (is_own(name))
			continue;
		if (kept.length > 0)
			text_add(&kept, SLICE("; "));
		text_add(&kept, name);
		text_add_char(&kept, '=');
		text_add(&kept, content);
	}
	return text_slice(&kept);
}

void access_cookies_hide(struct exchange *exchange)
{
	struct fields *fields = &exchange_request(exchange)->fields;
	uint32_t count = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct field field = fields->items[i];
		if (field.id == FIELD_COOKIE)
			field.value = without_own(field.value, exchange_arena(exchange));
		if (field.id != FIELD_COOKIE || field.value.length > 0)
			fields->items[count++] = field;
	}
	fields->count = count;
}
