#include "upstream/sticky.h"

#include "base/text.h"
#include "exchange/exchange.h"
#include "fiber/loop.h"
#include "http/cookie.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"
#include "upstream/sticky_table.h"

enum { TOKEN_DIGITS = 16 };

// --- Tokens

// 0 stands for none.
uint64_t sticky_token_of(const struct hash_key *key, struct slice name)
{
	uint64_t token = hash_keyed(key, name);
	return token ? token : 1;
}

uint64_t sticky_token(const struct sticky_config *sticky, const struct server_config *server)
{
	bool by_route = sticky->learn.text.length > 0 && server->route.text.length > 0;
	return sticky_token_of(&sticky->key, by_route ? server->route.text : server->name);
}

static bool read_token(struct slice text, uint64_t *ret_token)
{
	uint64_t token = 0;
	if (text.length != TOKEN_DIGITS)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
		token = token << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret_token = token;
	return true;
}

// --- What the request says

// The value of a path's parameter, as Java's servers put a session there: /shop;jsessionid=ABC.node1
static struct slice path_parameter(struct slice path, struct slice name)
{
	struct slice segment, rest = path, value;
	if (!slice_cut(path, ';', &segment, &rest))
		return SLICE_EMPTY;
	while (rest.length > 0) {
		struct slice parameter = rest, given;
		if (!slice_cut(rest, ';', &parameter, &rest))
			rest = SLICE_EMPTY;
		parameter = slice_first(parameter, slice_find(parameter, '/'));
		if (slice_cut(parameter, '=', &given, &value) && slice_equal_nocase(given, name))
			return value;
	}
	return SLICE_EMPTY;
}

static struct slice suffix_of(struct slice session)
{
	size_t at = session.length;
	while (at > 0 && session.data[at - 1] != '.')
		at--;
	return at > 0 ? slice_after(session, at) : SLICE_EMPTY;
}

static bool some_server_has(const struct pool *pool, uint64_t token)
{
	const struct roster *roster = atomic_load_explicit(&pool->roster, memory_order_acquire);
	for (uint32_t i = 0; i < roster->count; i++)
		if (atomic_load_explicit(&roster->members[i].server->token, memory_order_relaxed) == token)
			return true;
	return false;
}

static uint64_t token_of_session(const struct sticky_config *sticky, const struct pool *pool, struct slice session)
{
	struct slice suffix = suffix_of(session);
	uint64_t token = suffix.length > 0 ? sticky_token_of(&sticky->key, suffix) : 0;
	if (token != 0 && some_server_has(pool, token))
		return token;
	const struct sticky_table *table = atomic_load_explicit(&pool->family->sessions, memory_order_acquire);
	return table ? sticky_table_get(table, hash_keyed(&sticky->key, session)) : 0;
}

void sticky_ask(const struct sticky_config *sticky, struct pool *pool, const struct exchange *exchange,
		struct pick *pick)
{
	const struct request *request = &exchange->transaction.request;
	pick->refuses_others = sticky->lost == STICKY_REFUSE;
	if (sticky->cookie.text.length > 0) {
		struct slice value = cookie_find(&request->fields, sticky->cookie.text);
		(void)read_token(value, &pick->token);
		return;
	}
	struct slice session = cookie_find(&request->fields, sticky->learn.text);
	if (!session.data)
		session = path_parameter(request->path, sticky->learn.text);
	if (session.length > 0)
		pick->token = token_of_session(sticky, pool, session);
}

// --- What the answer says

static struct slice write_cookie(const struct sticky_config *sticky, uint64_t token, struct exchange *exchange)
{
	static const char *const same_sites[] = {"; SameSite=Lax", "; SameSite=Strict", "; SameSite=None", ""};
	size_t room = sticky->cookie.text.length + sticky->path.text.length + sticky->domain.text.length + 128;
	char *buffer = arena_alloc(exchange_arena(exchange), room);
	if (!buffer)
		return SLICE_EMPTY;
	struct text text;
	text_init(&text, buffer, room);
	text_add(&text, sticky->cookie.text);
	text_add_char(&text, '=');
	text_add_hex(&text, token, TOKEN_DIGITS);
	text_add_string(&text, "; Path=");
	text_add(&text, sticky->path.text);
	if (sticky->domain.text.length > 0) {
		text_add_string(&text, "; Domain=");
		text_add(&text, sticky->domain.text);
	}
	if (sticky->max_age_ns > 0) {
		text_add_string(&text, "; Max-Age=");
		text_add_number(&text, (uint64_t)(sticky->max_age_ns / SECOND_NS));
	}
	if (sticky->secure == 1 || (sticky->secure == 0 && slice_equal(exchange->scheme, SLICE("https"))))
		text_add_string(&text, "; Secure");
	if (sticky->http_only)
		text_add_string(&text, "; HttpOnly");
	text_add_string(&text, same_sites[sticky->same_site]);
	return text_slice(&text);
}

static void learn(const struct sticky_config *sticky, struct pool *pool, uint64_t token, const struct fields *fields)
{
	struct sticky_table *table = atomic_load_explicit(&pool->family->sessions, memory_order_acquire);
	for (uint32_t i = 0; table && i < fields->count; i++) {
		struct slice pair, rest, name, value;
		if (fields->items[i].id != FIELD_SET_COOKIE)
			continue;
		if (!slice_cut(fields->items[i].value, ';', &pair, &rest))
			pair = fields->items[i].value;
		if (cookie_next(&pair, &name, &value) && slice_equal(name, sticky->learn.text) && value.length > 0)
			sticky_table_put(table, hash_keyed(&sticky->key, value), token);
	}
}

bool sticky_answer(const struct sticky_config *sticky, struct pool *pool, const struct pick *pick,
		   const struct server *server, struct exchange *exchange)
{
	struct fields *fields = &exchange_response(exchange)->fields;
	uint64_t token = atomic_load_explicit(&server->token, memory_order_relaxed);
	if (sticky->cookie.text.length == 0) {
		learn(sticky, pool, token, fields);
		return true;
	}
	if (token == pick->token)
		return true;
	struct slice cookie = write_cookie(sticky, token, exchange);
	return cookie.data && fields_add(fields, exchange_arena(exchange), FIELD_SET_COOKIE, cookie);
}
