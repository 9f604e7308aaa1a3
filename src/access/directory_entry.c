#include "access/directory_entry.h"

#include "access/directory_text.h"
#include "base/log.h"

// --- Names

static void set(char *room, size_t size, struct slice text)
{
	if (text.length >= size)
		return;
	memcpy(room, text.data, text.length);
	room[text.length] = '\0';
}

void directory_entry_name(struct slice user, struct source_answer *answer)
{
	answer->has_one_name = false;
	set(answer->name, sizeof answer->name, user);
	for (char *c = answer->name; *c; c++)
		*c = ascii_lower(*c);
}

static struct slice slice_of(const struct berval *value)
{
	return slice_from(value->bv_val, value->bv_len);
}

// Of several names, the one that he logged in by.
static void read_name(LDAP *ldap, LDAPMessage *entry, struct slice attribute, struct slice user,
		      struct source_answer *answer)
{
	struct berval **values = attribute.length > 0 ? ldap_get_values_len(ldap, entry, attribute.data) : NULL;
	struct slice name = values && values[0] ? slice_of(values[0]) : SLICE_EMPTY;
	for (size_t i = 0; values && values[i]; i++)
		if (slice_equal_nocase(slice_of(values[i]), user))
			name = slice_of(values[i]);
	directory_entry_name(user, answer);
	if (directory_is_user(name)) {
		set(answer->name, sizeof answer->name, name);
		answer->has_one_name = !values[1];
	}
	ldap_value_free_len(values);
}

static void read_email(LDAP *ldap, LDAPMessage *entry, struct slice attribute, struct source_answer *answer)
{
	struct berval **values = attribute.length > 0 ? ldap_get_values_len(ldap, entry, attribute.data) : NULL;
	if (values && values[0] && slice_is_printable(slice_of(values[0])))
		set(answer->email, sizeof answer->email, slice_of(values[0]));
	ldap_value_free_len(values);
}

// --- Groups

static bool keeps(const struct directory_groups *groups, struct slice name)
{
	for (size_t i = 0; i < groups->keep_count; i++) {
		struct slice wanted = groups->keep[i];
		bool is_start = slice_ends_with(wanted, SLICE("*"));
		if (is_start ? slice_starts_with(name, slice_first(wanted, wanted.length - 1))
			     : slice_equal(name, wanted))
			return true;
	}
	return groups->keep_count == 0;
}

static bool add(const struct directory_groups *groups, struct slice name, struct source_answer *answer)
{
	return !keeps(groups, name) || source_add_group(answer, name);
}

static void warn(unsigned left_out, const struct source_answer *answer)
{
	if (left_out > 0)
		log_warning("access: %u groups of the user \"%s\" are left out: a session holds %d bytes of them; name "
			    "those that matter in `ldap.groups.keep`",
			    left_out, answer->name, SOURCE_GROUPS_MAX);
}

// Of a value such as "cn=makers,ou=groups,dc=example,dc=com": makers. .data is NULL for one that does not count.
static struct slice group_of(const struct directory_groups *groups, const struct berval *value, struct arena *arena)
{
	if (strlen(value->bv_val) != value->bv_len)
		return (struct slice){0};
	bool is_dn = directory_is_dn(slice_of(value));
	if (groups->base.length > 0 && !(is_dn && directory_is_below(slice_of(value), groups->base)))
		return (struct slice){0};
	return is_dn ? directory_common_name(slice_of(value), arena) : slice_of(value);
}

static void read_groups(LDAP *ldap, LDAPMessage *entry, const struct directory_groups *groups, struct arena *arena,
			struct source_answer *answer)
{
	struct berval **values =
		groups->attribute.length > 0 ? ldap_get_values_len(ldap, entry, groups->attribute.data) : NULL;
	unsigned left_out = 0;
	for (size_t i = 0; values && values[i]; i++) {
		struct slice group = group_of(groups, values[i], arena);
		left_out += group.data && !add(groups, group, answer);
	}
	ldap_value_free_len(values);
	warn(left_out, answer);
}

void directory_entry_read(LDAP *ldap, LDAPMessage *entry, const struct directory_settings *settings, struct slice user,
			  struct arena *arena, struct source_answer *answer)
{
	read_name(ldap, entry, settings->user, user, answer);
	read_email(ldap, entry, settings->email, answer);
	read_groups(ldap, entry, &settings->groups, arena, answer);
}

void directory_entry_groups(LDAP *ldap, LDAPMessage *entries, const struct directory_settings *settings,
			    struct source_answer *answer)
{
	unsigned left_out = 0;
	for (LDAPMessage *entry = ldap_first_entry(ldap, entries); entry; entry = ldap_next_entry(ldap, entry)) {
		struct berval **values = ldap_get_values_len(ldap, entry, settings->groups.name.data);
		if (values && values[0])
			left_out += !add(&settings->groups, slice_of(values[0]), answer);
		ldap_value_free_len(values);
	}
	warn(left_out, answer);
}
