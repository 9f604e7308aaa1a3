#include "access/directory_link.h"

#include "base/check.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

// Of all that a step may read, in however many messages: an entry with some thousand groups is far below.
enum { STEP_BYTES_MAX = 1 << 20 };

// Stands between the socket and the library (and TLS): the library's own times are of a whole answer that does not
// begin, and not of one that does not end.
struct guard {
	int64_t deadline_ns;
	size_t bytes_left;
};

struct directory_link {
	struct directory_link_settings settings;
	LDAP *ldap;
	struct guard guard;
	struct ldap_conncb callbacks;
	const char *step;
	int64_t begun_ns, took_ns;
};

int64_t directory_clock_ns(void)
{
	struct timespec now;
	check(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return now.tv_sec * SECOND + now.tv_nsec;
}

// --- The guard

static bool wait_for(Sockbuf_IO_Desc *layer, struct guard *guard, short events)
{
	int descriptor = -1;
	(void)ber_sockbuf_ctrl(layer->sbiod_sb, LBER_SB_OPT_GET_FD, &descriptor);
	for (;;) {
		int64_t left_ns = guard->deadline_ns - directory_clock_ns();
		struct pollfd wanted = {.fd = descriptor, .events = events};
		int count = left_ns > 0 ? poll(&wanted, 1, (int)(left_ns / MILLISECOND) + 1) : 0;
		if (count > 0)
			return true;
		if (count < 0 && errno == EINTR)
			continue;
		errno = ETIMEDOUT;
		return false;
	}
}

static int guard_setup(Sockbuf_IO_Desc *layer, void *guard)
{
	layer->sbiod_pvt = guard;
	return 0;
}

static int guard_ctrl(Sockbuf_IO_Desc *layer, int option, void *argument)
{
	return LBER_SBIOD_CTRL_NEXT(layer, option, argument);
}

static ber_slen_t guard_read(Sockbuf_IO_Desc *layer, void *room, ber_len_t size)
{
	struct guard *guard = layer->sbiod_pvt;
	if (guard->bytes_left == 0) {
		errno = EMSGSIZE;
		return -1;
	}
	if (!wait_for(layer, guard, POLLIN))
		return -1;
	ber_slen_t count = LBER_SBIOD_READ_NEXT(layer, room, size < guard->bytes_left ? size : guard->bytes_left);
	if (count > 0)
		guard->bytes_left -= (size_t)count;
	return count;
}

static ber_slen_t guard_write(Sockbuf_IO_Desc *layer, void *bytes, ber_len_t size)
{
	if (!wait_for(layer, layer->sbiod_pvt, POLLOUT))
		return -1;
	return LBER_SBIOD_WRITE_NEXT(layer, bytes, size);
}

static Sockbuf_IO guard_layer = {
	.sbi_setup = guard_setup,
	.sbi_ctrl = guard_ctrl,
	.sbi_read = guard_read,
	.sbi_write = guard_write,
};

// Below TLS, above the socket.
static int add_guard(LDAP *ldap, Sockbuf *buffer, LDAPURLDesc *server, struct sockaddr *address,
		     struct ldap_conncb *callbacks)
{
	ber_len_t most = STEP_BYTES_MAX;
	(void)ber_sockbuf_ctrl(buffer, LBER_SB_OPT_SET_MAX_INCOMING, &most);
	return ber_sockbuf_add_io(buffer, &guard_layer, LBER_SBIOD_LEVEL_PROVIDER + 1, callbacks->lc_arg);
}

static void connection_goes(LDAP *ldap, Sockbuf *buffer, struct ldap_conncb *callbacks)
{
}

// --- Making one

static struct timeval timeval_of(int64_t ns)
{
	return (struct timeval){.tv_sec = ns / SECOND, .tv_usec = ns % SECOND / 1000};
}

static bool set_number(LDAP *ldap, int option, int value)
{
	return ldap_set_option(ldap, option, &value) == LDAP_OPT_SUCCESS;
}

// All that the system's ldap.conf could say otherwise is said here.
static bool set_tls(LDAP *ldap, const char *authorities)
{
	return ldap_set_option(ldap, LDAP_OPT_X_TLS_CACERTFILE, authorities) == LDAP_OPT_SUCCESS &&
	       set_number(ldap, LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_DEMAND) &&
	       set_number(ldap, LDAP_OPT_X_TLS_PROTOCOL_MIN, LDAP_OPT_X_TLS_PROTOCOL_TLS1_2) &&
	       set_number(ldap, LDAP_OPT_X_TLS_NEWCTX, 0);
}

static bool set_options(struct directory_link *link)
{
	struct timeval connect = timeval_of(link->settings.connect_ns), answer = timeval_of(link->settings.answer_ns);
	LDAP *ldap = link->ldap;
	return set_number(ldap, LDAP_OPT_PROTOCOL_VERSION, LDAP_VERSION3) &&
	       set_number(ldap, LDAP_OPT_DEREF, LDAP_DEREF_NEVER) &&
	       ldap_set_option(ldap, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ldap, LDAP_OPT_RESTART, LDAP_OPT_ON) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ldap, LDAP_OPT_NETWORK_TIMEOUT, &connect) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ldap, LDAP_OPT_TIMEOUT, &answer) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ldap, LDAP_OPT_CONNECT_CB, &link->callbacks) == LDAP_OPT_SUCCESS &&
	       (!link->settings.authorities || set_tls(ldap, link->settings.authorities));
}

struct directory_link *directory_link_new(const struct directory_link_settings *settings)
{
	struct directory_link *link = calloc(1, sizeof *link);
	if (!link)
		return NULL;
	link->settings = *settings;
	link->step = "connect";
	link->callbacks = (struct ldap_conncb){add_guard, connection_goes, &link->guard};
	if (ldap_initialize(&link->ldap, settings->url) == LDAP_SUCCESS && set_options(link))
		return link;
	directory_link_free(link);
	return NULL;
}

static void begin(struct directory_link *link, const char *step, int64_t time_ns)
{
	link->step = step;
	link->begun_ns = directory_clock_ns();
	link->guard = (struct guard){link->begun_ns + time_ns, STEP_BYTES_MAX};
}

static int end(struct directory_link *link, int code)
{
	link->took_ns = directory_clock_ns() - link->begun_ns;
	return code;
}

void directory_link_free(struct directory_link *link)
{
	if (!link)
		return;
	begin(link, "close", MILLISECOND);
	if (link->ldap)
		(void)ldap_unbind_ext(link->ldap, NULL, NULL);
	free(link);
}

// --- Its steps

int directory_link_connect(struct directory_link *link)
{
	begin(link, "connect", link->settings.connect_ns);
	int code = end(link, ldap_connect(link->ldap));
	if (code != LDAP_SUCCESS || !link->settings.starttls)
		return code;
	begin(link, "StartTLS", link->settings.connect_ns);
	return end(link, ldap_start_tls_s(link->ldap, NULL, NULL));
}

int directory_link_bind(struct directory_link *link, struct slice name, struct slice password)
{
	struct berval credentials = {password.length, (char *)password.data};
	check(name.length > 0 && password.length > 0);
	begin(link, "bind", link->settings.answer_ns);
	return end(link, ldap_sasl_bind_s(link->ldap, name.data, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, NULL));
}

int directory_link_search(struct directory_link *link, const char *base, int scope, const char *filter,
			  const char *const *attributes, int limit, LDAPMessage **ret_entries)
{
	struct timeval answer = timeval_of(link->settings.answer_ns);
	begin(link, "search", link->settings.answer_ns);
	return end(link, ldap_search_ext_s(link->ldap, base, scope, filter, (char **)attributes, 0, NULL, NULL, &answer,
					   limit, ret_entries));
}

LDAP *directory_link_handle(struct directory_link *link)
{
	return link->ldap;
}

// --- What went wrong

const char *directory_link_step(const struct directory_link *link)
{
	return link->step;
}

int64_t directory_link_took_ns(const struct directory_link *link)
{
	return link->took_ns;
}

struct slice directory_link_words(struct directory_link *link, int code, char *room, size_t size)
{
	char *said = NULL;
	if (code < 0 && link->begun_ns + link->took_ns >= link->guard.deadline_ns)
		return SLICE("no answer in time");
	// What the library says of TLS; what a server says may hold more than is for a log.
	if (code < 0)
		(void)ldap_get_option(link->ldap, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said);
	int length =
		snprintf(room, size, "%s%s%.200s", ldap_err2string(code), said && *said ? ": " : "", said ? said : "");
	ldap_memfree(said);
	return slice_from(room, (size_t)length < size ? (size_t)length : size - 1);
}
