#include "access/directory.h"

#include "access/directory_entry.h"
#include "access/directory_link.h"
#include "access/directory_text.h"
#include "base/arena.h"
#include "base/log.h"
#include "exchange/template.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

enum { IDLE_MAX = 4, MEMORY_MAX = 4 << 20, GROUPS_FOUND_MAX = 1000, WORDS_MAX = 320 };

// A server that did not answer is not asked for so long; nor is a connection used that was idle for longer.
#define REST_NS (5 * SECOND)
#define IDLE_NS (60 * SECOND)

enum variable { USER, DN, VARIABLES };

static const char *const variables[] = {[USER] = "user", [DN] = "dn", NULL};

struct idle {
	struct directory_link *link;
	int64_t since_ns;
};

struct server {
	struct directory_link_settings link;
	_Atomic int64_t rests_until_ns;
	pthread_mutex_t lock;
	struct idle idle[IDLE_MAX]; // connections that have bound as who searches
	unsigned idle_count;
};

struct directory {
	struct directory_settings settings;
	struct arena arena; // of the templates
	struct template bind, filter, groups_filter;
	bool binds_by_dn; // the template makes distinguished names
	int authorities;  // a file in memory, since the library takes none but files; -1: there is no TLS
	char authorities_path[64];
	struct server *servers;
};

// One question to one server.
struct asking {
	const struct directory *directory;
	struct server *server;
	const struct source_question *question;
	struct source_answer *answer;
	struct arena *arena;
	LDAPMessage *entry; // his, once it was found
	struct slice dn;    // its name
};

// --- What went wrong

// That the server is of no use for now, whoever asks: not what one user's name or entry brings about.
static bool is_down(int code)
{
	return (code < 0 && code != LDAP_FILTER_ERROR && code != LDAP_NO_MEMORY && code != LDAP_PARAM_ERROR) ||
	       code == LDAP_BUSY || code == LDAP_UNAVAILABLE;
}

static enum source_verdict cannot_ask(struct asking *asking, struct directory_link *link, const char *whose, int code)
{
	char room[WORDS_MAX];
	struct slice words = directory_link_words(link, code, room, sizeof room);
	log_warning("access: %s cannot be asked: %s%s: %.*s, after %lld ms%s", asking->server->link.url,
		    directory_link_step(link), whose, SLICE_ARGUMENTS(words),
		    (long long)(directory_link_took_ns(link) / MILLISECOND),
		    code == LDAP_REFERRAL ? "; referrals are not followed" : "");
	if (is_down(code))
		atomic_store(&asking->server->rests_until_ns, directory_clock_ns() + REST_NS);
	return SOURCE_ABSENT;
}

static enum source_verdict no_memory(void)
{
	log_error("access: a directory cannot be asked: no memory");
	return SOURCE_ABSENT;
}

// RFC 4511 section 4.2.2 and appendix A. What is not known to be of the server is a wrong password, so that guessing
// counts whatever a server answers to it; the operator hears of what may be his own mistake.
static enum source_verdict verdict_of(struct asking *asking, struct directory_link *link, int code)
{
	if (is_down(code))
		return cannot_ask(asking, link, " as the user", code);
	switch (code) {
	case LDAP_SUCCESS:
		return SOURCE_RIGHT;
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_INAPPROPRIATE_AUTH:
		return SOURCE_WRONG;
	case LDAP_REFERRAL:
	case LDAP_PROTOCOL_ERROR:
	case LDAP_OPERATIONS_ERROR:
	case LDAP_STRONG_AUTH_REQUIRED:
	case LDAP_CONFIDENTIALITY_REQUIRED:
	case LDAP_AUTH_METHOD_NOT_SUPPORTED:
		return cannot_ask(asking, link, " as the user", code);
	default:
		log_warning("access: %s lets a user not in: %s", asking->server->link.url, ldap_err2string(code));
		return SOURCE_WRONG;
	}
}

// --- Steps

static struct slice fill(const struct template *template, const struct slice values[VARIABLES], struct arena *arena)
{
	struct slice filled = template_expand(template, values, arena);
	return filled.data ? arena_copy(arena, filled) : filled; // with a NUL behind it
}

static struct slice fill_escaped(const struct template *template, struct asking *asking)
{
	struct slice values[VARIABLES] = {
		[USER] = directory_escape(asking->question->user, asking->arena),
		[DN] = directory_escape(asking->dn, asking->arena),
	};
	return values[USER].data && values[DN].data ? fill(template, values, asking->arena) : (struct slice){0};
}

// Keeps the entry, when it is the only one, and its name: an empty name would be nobody's, as which anybody may bind.
static enum source_verdict take_entry(struct asking *asking, struct directory_link *link, LDAPMessage *found, int code)
{
	LDAP *ldap = directory_link_handle(link);
	int count = found ? ldap_count_entries(ldap, found) : 0;
	if (count > 1 || code == LDAP_SIZELIMIT_EXCEEDED) {
		log_warning("access: %s has several users of one name; none of them gets in: narrow `ldap.filter`",
			    asking->server->link.url);
		return SOURCE_WRONG;
	}
	// Who may not read his own entry is still who he is; nothing more is known of him.
	bool is_unread = asking->directory->settings.filter.length == 0 && count == 0;
	if (is_unread && (code == LDAP_SUCCESS || code == LDAP_NO_SUCH_OBJECT || code == LDAP_INSUFFICIENT_ACCESS))
		return SOURCE_RIGHT;
	if (code != LDAP_SUCCESS)
		return cannot_ask(asking, link, " for a user", code);
	if (count == 0)
		return SOURCE_WRONG;
	asking->entry = ldap_first_entry(ldap, found);
	char *dn = ldap_get_dn(ldap, asking->entry);
	asking->dn = dn ? arena_copy(asking->arena, slice_from_string(dn)) : (struct slice){0};
	ldap_memfree(dn);
	if (!asking->dn.data)
		return no_memory();
	return asking->dn.length > 0 ? SOURCE_RIGHT : SOURCE_WRONG;
}

// The user's entry: by the search that is configured, or by the name that he has bound by. SOURCE_RIGHT: it was found.
// *ret_found is freed by ldap_msgfree.
static enum source_verdict find_entry(struct asking *asking, struct directory_link *link, LDAPMessage **ret_found)
{
	const struct directory_settings *settings = &asking->directory->settings;
	const char *wanted[] = {"1.1", NULL, NULL, NULL, NULL}; // none (RFC 4511 section 4.5.1.8), and these
	const struct slice attributes[] = {settings->user, settings->email, settings->groups.attribute};
	size_t count = 0;
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
		if (attributes[i].length > 0)
			wanted[count++] = attributes[i].data;
	bool searches = settings->filter.length > 0;
	struct slice base = searches ? settings->base : asking->dn,
		     filter = searches ? fill_escaped(&asking->directory->filter, asking) : SLICE("(objectClass=*)");
	if (!filter.data)
		return no_memory();
	int code = directory_link_search(link, base.data, searches ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_BASE, filter.data,
					 wanted, 2, ret_found);
	return take_entry(asking, link, *ret_found, code);
}

// False after cannot_ask.
static bool read_groups_found(struct asking *asking, struct directory_link *link)
{
	const struct directory_settings *settings = &asking->directory->settings;
	const char *wanted[] = {settings->groups.name.data, NULL};
	LDAPMessage *found = NULL;
	struct slice filter = fill_escaped(&asking->directory->groups_filter, asking);
	if (!filter.data) {
		(void)no_memory();
		return false;
	}
	int code = directory_link_search(link, settings->groups.base.data, LDAP_SCOPE_SUBTREE, filter.data, wanted,
					 GROUPS_FOUND_MAX, &found);
	bool good = code == LDAP_SUCCESS || code == LDAP_SIZELIMIT_EXCEEDED;
	if (good)
		directory_entry_groups(directory_link_handle(link), found, settings, asking->answer);
	else
		(void)cannot_ask(asking, link, " for groups", code);
	ldap_msgfree(found);
	return good;
}

// The user has bound: what is known of him.
static enum source_verdict tell(struct asking *asking, struct directory_link *link)
{
	const struct directory_settings *settings = &asking->directory->settings;
	*asking->answer = (struct source_answer){0};
	if (asking->entry)
		directory_entry_read(directory_link_handle(link), asking->entry, settings, asking->question->user,
				     asking->arena, asking->answer);
	else
		directory_entry_name(asking->question->user, asking->answer);
	if (settings->groups.filter.length > 0 && !read_groups_found(asking, link))
		return SOURCE_ABSENT;
	return SOURCE_RIGHT;
}

// --- Binding as the user, by a name that is known

// .data is NULL when memory is out.
static struct slice name_to_bind_by(struct asking *asking)
{
	if (asking->directory->binds_by_dn)
		return asking->dn = fill_escaped(&asking->directory->bind, asking);
	const struct slice values[VARIABLES] = {[USER] = asking->question->user};
	return fill(&asking->directory->bind, values, asking->arena);
}

static enum source_verdict bind_and_tell(struct asking *asking, struct directory_link *link, struct slice name)
{
	const struct directory *directory = asking->directory;
	int code = directory_link_connect(link);
	if (code != LDAP_SUCCESS)
		return cannot_ask(asking, link, "", code);
	code = directory_link_bind(link, name, asking->question->password);
	enum source_verdict verdict = verdict_of(asking, link, code);
	if (verdict != SOURCE_RIGHT)
		return verdict;
	LDAPMessage *found = NULL;
	if (directory->settings.filter.length > 0 || directory->binds_by_dn)
		verdict = find_entry(asking, link, &found);
	if (verdict == SOURCE_RIGHT)
		verdict = tell(asking, link);
	ldap_msgfree(found);
	return verdict;
}

static enum source_verdict ask_as_user(struct asking *asking)
{
	struct slice name = name_to_bind_by(asking);
	struct directory_link *link = name.data ? directory_link_new(&asking->server->link) : NULL;
	enum source_verdict verdict = link ? bind_and_tell(asking, link, name) : no_memory();
	directory_link_free(link);
	return verdict;
}

// --- Searching first

static struct directory_link *take_idle(struct server *server)
{
	struct directory_link *link = NULL, *old[IDLE_MAX];
	unsigned old_count = 0;
	int64_t now_ns = directory_clock_ns();
	pthread_mutex_lock(&server->lock);
	while (server->idle_count > 0 && !link) {
		const struct idle *newest = &server->idle[--server->idle_count];
		if (now_ns - newest->since_ns < IDLE_NS)
			link = newest->link;
		else
			old[old_count++] = newest->link;
	}
	pthread_mutex_unlock(&server->lock);
	while (old_count > 0)
		directory_link_free(old[--old_count]);
	return link;
}

static void keep_idle(struct server *server, struct directory_link *link)
{
	pthread_mutex_lock(&server->lock);
	bool has_room = server->idle_count < IDLE_MAX;
	if (has_room)
		server->idle[server->idle_count++] = (struct idle){link, directory_clock_ns()};
	pthread_mutex_unlock(&server->lock);
	if (!has_room)
		directory_link_free(link);
}

// A new connection for searching; NULL after cannot_ask.
static struct directory_link *connect_to_search(struct asking *asking)
{
	const struct directory_settings *settings = &asking->directory->settings;
	struct directory_link *link = directory_link_new(&asking->server->link);
	if (!link) {
		(void)no_memory();
		return NULL;
	}
	const char *whose = "";
	int code = directory_link_connect(link);
	if (code == LDAP_SUCCESS && settings->reader.length > 0) {
		whose = " as `reader`";
		code = directory_link_bind(link, settings->reader, settings->password);
	}
	if (code == LDAP_SUCCESS)
		return link;
	(void)cannot_ask(asking, link, whose, code);
	directory_link_free(link);
	return NULL;
}

// A connection that was kept may have ended meanwhile: then a new one is asked.
static enum source_verdict search(struct asking *asking, struct directory_link **ret_link, LDAPMessage **ret_found)
{
	static const char *const nothing[] = {"1.1", NULL};
	struct directory_link *link = take_idle(asking->server);
	LDAPMessage *root = NULL;
	if (link && directory_link_search(link, "", LDAP_SCOPE_BASE, "(objectClass=*)", nothing, 1, &root) < 0) {
		directory_link_free(link);
		link = NULL;
	}
	ldap_msgfree(root);
	*ret_link = link ? link : connect_to_search(asking);
	return *ret_link ? find_entry(asking, *ret_link, ret_found) : SOURCE_ABSENT;
}

// On a connection of its own: what binds is somebody else from then on.
static enum source_verdict bind_as(struct asking *asking, struct slice dn)
{
	struct directory_link *link = directory_link_new(&asking->server->link);
	if (!link)
		return no_memory();
	int code = directory_link_connect(link);
	enum source_verdict verdict =
		code != LDAP_SUCCESS
			? cannot_ask(asking, link, "", code)
			: verdict_of(asking, link, directory_link_bind(link, dn, asking->question->password));
	directory_link_free(link);
	return verdict;
}

// Who is not there takes about as long as who is.
static enum source_verdict bind_as_nobody(struct asking *asking)
{
	struct slice dn = arena_printf(asking->arena, "cn=nobody of usher,%.*s",
				       SLICE_ARGUMENTS(asking->directory->settings.base));
	if (dn.data)
		(void)bind_as(asking, dn);
	return SOURCE_WRONG;
}

static enum source_verdict ask_by_search(struct asking *asking)
{
	struct directory_link *link = NULL;
	LDAPMessage *found = NULL;
	enum source_verdict verdict = search(asking, &link, &found);
	if (verdict == SOURCE_RIGHT)
		verdict = bind_as(asking, asking->dn);
	else if (verdict == SOURCE_WRONG)
		verdict = bind_as_nobody(asking);
	if (verdict == SOURCE_RIGHT)
		verdict = tell(asking, link);
	ldap_msgfree(found);
	if (link && verdict != SOURCE_ABSENT)
		keep_idle(asking->server, link);
	else
		directory_link_free(link);
	return verdict;
}

// --- Asking

static enum source_verdict ask(const struct directory *directory, struct server *server,
			       const struct source_question *question, struct source_answer *answer)
{
	struct arena arena;
	arena_init(&arena, MEMORY_MAX);
	struct asking asking = {
		.directory = directory,
		.server = server,
		.question = question,
		.answer = answer,
		.arena = &arena,
		.dn = SLICE(""),
	};
	enum source_verdict verdict =
		directory->settings.bind.length > 0 ? ask_as_user(&asking) : ask_by_search(&asking);
	arena_fini(&arena);
	return verdict;
}

enum source_verdict directory_verify(void *self, const struct source_question *question,
				     struct source_answer *ret_answer)
{
	const struct directory *directory = self;
	bool is_user =
		directory_is_user(question->user) &&
		(directory->settings.bind.length == 0 || directory->binds_by_dn || directory_is_plain(question->user));
	// RFC 4513 section 5.1.2: with an empty password a server may say yes to whomever.
	if (!is_user || question->password.length == 0)
		return SOURCE_WRONG;
	size_t asked = 0;
	for (size_t i = 0; i < directory->settings.server_count; i++) {
		struct server *server = &directory->servers[i];
		if (directory_clock_ns() < atomic_load(&server->rests_until_ns))
			continue;
		enum source_verdict verdict = ask(directory, server, question, ret_answer);
		if (verdict != SOURCE_ABSENT)
			return verdict;
		asked++;
	}
	if (asked == 0)
		log_warning("access: %s cannot be asked: neither it nor another server of the directory answered "
			    "within the last %d s",
			    directory->servers[0].link.url, (int)(REST_NS / SECOND));
	return SOURCE_ABSENT;
}

// --- Making one

// The library takes a path alone, and the process that connects may have no right to the file's.
static bool keep_authorities(struct directory *directory)
{
	struct slice pem = directory->settings.authorities;
	if (pem.length == 0)
		return true;
	directory->authorities = memfd_create("authorities", MFD_CLOEXEC);
	if (directory->authorities < 0 || write(directory->authorities, pem.data, pem.length) != (ssize_t)pem.length)
		return false;
	snprintf(directory->authorities_path, sizeof directory->authorities_path, "/proc/self/fd/%d",
		 directory->authorities);
	return true;
}

static bool parse(struct directory *directory, struct slice text, struct template *ret_template,
		  struct slice *ret_wrong, const char **ret_why)
{
	return text.length == 0 ||
	       template_parse(text, variables, false, &directory->arena, ret_template, ret_wrong, ret_why);
}

static bool parse_all(struct directory *directory, struct slice *ret_wrong, const char **ret_why)
{
	const struct directory_settings *settings = &directory->settings;
	if (!parse(directory, settings->bind, &directory->bind, ret_wrong, ret_why) ||
	    !parse(directory, settings->filter, &directory->filter, ret_wrong, ret_why) ||
	    !parse(directory, settings->groups.filter, &directory->groups_filter, ret_wrong, ret_why))
		return false;
	const struct slice values[VARIABLES] = {SLICE("x"), SLICE("x")};
	struct slice example =
		settings->bind.length > 0 ? fill(&directory->bind, values, &directory->arena) : SLICE("");
	directory->binds_by_dn = example.data && directory_is_dn(example);
	return example.data != NULL;
}

static bool make_servers(struct directory *directory)
{
	const struct directory_settings *settings = &directory->settings;
	directory->servers = calloc(settings->server_count, sizeof *directory->servers);
	for (size_t i = 0; directory->servers && i < settings->server_count; i++) {
		directory->servers[i].link = (struct directory_link_settings){
			.url = settings->servers[i].data,
			.starttls = settings->starttls,
			.authorities = settings->authorities.length > 0 ? directory->authorities_path : NULL,
			.connect_ns = settings->connect_ns,
			.answer_ns = settings->answer_ns,
		};
		pthread_mutex_init(&directory->servers[i].lock, NULL);
	}
	return directory->servers != NULL;
}

struct directory *directory_new(const struct directory_settings *settings, struct slice *ret_wrong,
				const char **ret_why)
{
	struct directory *directory = calloc(1, sizeof *directory);
	*ret_wrong = SLICE_EMPTY;
	*ret_why = "memory is out";
	if (!directory)
		return NULL;
	directory->settings = *settings;
	directory->authorities = -1;
	arena_init(&directory->arena, MEMORY_MAX);
	if (parse_all(directory, ret_wrong, ret_why) && keep_authorities(directory) && make_servers(directory))
		return directory;
	directory_free(directory);
	return NULL;
}

void directory_free(struct directory *directory)
{
	for (size_t i = 0; directory->servers && i < directory->settings.server_count; i++) {
		struct server *server = &directory->servers[i];
		while (server->idle_count > 0)
			directory_link_free(server->idle[--server->idle_count].link);
		pthread_mutex_destroy(&server->lock);
	}
	free(directory->servers);
	if (directory->authorities >= 0)
		close(directory->authorities);
	arena_fini(&directory->arena);
	free(directory);
}
