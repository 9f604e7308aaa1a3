#include "exchange/identity.h"

#include "exchange/exchange.h"

static bool is_named(struct slice name, struct slice wanted)
{
	if (name.length != wanted.length)
		return false;
	for (size_t i = 0; i < name.length; i++)
		if ((name.data[i] == '_' ? '-' : ascii_lower(name.data[i])) != wanted.data[i])
			return false;
	return true;
}

static bool is_identity(struct slice name)
{
	static const char *const names[] = {
		"x-forwarded-user", "x-forwarded-groups", "x-forwarded-email", "x-forwarded-preferred-username",
		"x-remote-user",    "x-remote-groups",	  "remote-user",       "remote-groups",
		"remote-email",	    "remote-name",	  "x-auth-user",       "x-authenticated-user",
		"x-webauth-user",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (is_named(name, slice_from_string(names[i])))
			return true;
	return false;
}

void identity_remove_fields(struct fields *fields)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->items[i].id != FIELD_OTHER || !is_identity(fields->items[i].name))
			fields->items[kept++] = fields->items[i];
	fields->count = kept;
}

bool identity_tell(struct exchange *exchange)
{
	struct fields *fields = &exchange_request(exchange)->fields;
	struct arena *arena = exchange_arena(exchange);
	identity_remove_fields(fields);
	return exchange->user.length == 0 ||
	       (fields_add_name(fields, arena, SLICE("X-Forwarded-User"), exchange->user) &&
		(exchange->groups.length == 0 ||
		 fields_add_name(fields, arena, SLICE("X-Forwarded-Groups"), exchange->groups)));
}
