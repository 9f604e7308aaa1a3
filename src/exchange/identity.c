#include "exchange/identity.h"

#include "exchange/exchange.h"
#include "exchange/snapshot.h"

static bool is_named(struct slice name, struct slice wanted)
{
	if (name.length != wanted.length)
		return false;
	for (size_t i = 0; i < name.length; i++)
		if ((name.data[i] == '_' ? '-' : ascii_lower(name.data[i])) != ascii_lower(wanted.data[i]))
			return false;
	return true;
}

const char *const identity_user_fields[] = {
	"X-Forwarded-User",	"X-Remote-User",  "Remote-User", "X-Auth-User",
	"X-Authenticated-User", "X-Webauth-User", NULL,
};
const char *const identity_groups_fields[] = {
	"X-Forwarded-Groups", "X-Remote-Groups", "Remote-Groups", "X-Auth-Groups", "X-Webauth-Groups", NULL,
};
const char *const identity_email_fields[] = {
	"X-Forwarded-Email", "X-Remote-Email", "Remote-Email", "X-Auth-Email", "X-Webauth-Email", NULL,
};
static const char *const other_fields[] = {"X-Forwarded-Preferred-Username", "Remote-Name", NULL};

static bool is_among(struct slice name, const char *const names[])
{
	for (; *names; names++)
		if (is_named(name, slice_from_string(*names)))
			return true;
	return false;
}

// All of them begin with one of two letters, and few fields of a request do.
bool identity_is_known(struct slice name)
{
	char first = name.length > 0 ? ascii_lower(name.data[0]) : '\0';
	if (first != 'x' && first != 'r')
		return false;
	return is_among(name, identity_user_fields) || is_among(name, identity_groups_fields) ||
	       is_among(name, identity_email_fields) || is_among(name, other_fields);
}

static bool is_own(const struct snapshot *snapshot, struct slice name)
{
	for (size_t i = 0; i < snapshot->own_field_count; i++)
		if (is_named(name, snapshot->own_fields[i]))
			return true;
	return false;
}

void identity_remove(struct exchange *exchange)
{
	struct fields *fields = &exchange_request(exchange)->fields;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (field->id != FIELD_OTHER ||
		    !(identity_is_known(field->name) || is_own(exchange->snapshot, field->name)))
			fields->items[kept++] = *field;
	}
	fields->count = kept;
}

static bool tell(struct exchange *exchange, const char *name, struct slice value)
{
	return value.length == 0 || fields_add_name(&exchange_request(exchange)->fields, exchange_arena(exchange),
						    slice_from_string(name), value);
}

bool identity_tell(struct exchange *exchange, const char *user_field, const char *groups_field, const char *email_field)
{
	identity_remove(exchange);
	return tell(exchange, user_field, exchange->user) && tell(exchange, groups_field, exchange->groups) &&
	       tell(exchange, email_field, exchange->email);
}
