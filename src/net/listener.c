#include "net/listener.h"

#include "base/check.h"
#include "base/log.h"
#include "fiber/kernel.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

// So many connections are taken in one turn before others have theirs.
enum { ACCEPTS_PER_TURN = 64 };

// A drain ends: no kernel keeps more than this waiting (net.core.somaxconn is below it).
enum { ACCEPTS_PER_DRAIN = 65536 };

static const int64_t REST_NS = 100 * MILLISECOND_NS;

enum accept_outcome { ACCEPT_ONE, ACCEPT_FAILED_ONE, ACCEPT_NONE_LEFT, ACCEPT_REFUSED, ACCEPT_EXHAUSTED };

static enum accept_outcome outcome_of(int failed)
{
	switch (failed) {
	case -EAGAIN:
		return ACCEPT_NONE_LEFT;
	// The connection was lost before it was taken; or, as accept(2) warns, an error of
	// the network that is already pending on it.
	case -EINTR:
	case -ECONNABORTED:
	case -EPROTO:
	case -EPERM:
	case -ENETDOWN:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -EHOSTUNREACH:
	case -ENOPROTOOPT:
	case -ENONET:
		return ACCEPT_FAILED_ONE;
	default:
		return ACCEPT_EXHAUSTED;
	}
}

static void listener_readable(struct io *io);

static void listener_rest(struct listener *listener, int failed)
{
	char text[ADDRESS_TEXT_MAX];
	struct slice name = address_format(&listener->address, text);
	listener->rests++;
	if (failed == -EMFILE)
		log_warning("listener %.*s: no descriptors left (EMFILE); accepts again in 100 ms; raise the limit of "
			    "open files (LimitNOFILE= of systemd, ulimit -n)",
			    SLICE_ARGUMENTS(name));
	else
		log_warning("listener %.*s: accept: %s; accepts again in 100 ms", SLICE_ARGUMENTS(name),
			    strerror(-failed));
	timer_start(&listener->rest, loop_now() + REST_NS);
}

static enum accept_outcome accept_one(struct listener *listener)
{
	struct kernel *kernel = loop_kernel();
	if (listener->may_accept && !listener->may_accept(listener)) {
		listener->paused = true;
		return ACCEPT_REFUSED;
	}
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	int descriptor = kernel->accept(kernel, listener->io.descriptor, &from, &length);
	if (descriptor < 0) {
		enum accept_outcome outcome = outcome_of(descriptor);
		if (outcome == ACCEPT_NONE_LEFT)
			io_used_up_reading(&listener->io);
		if (outcome == ACCEPT_EXHAUSTED)
			listener_rest(listener, descriptor);
		return outcome;
	}
	struct address peer;
	address_from_sockaddr((struct sockaddr *)&from, length, &peer);
	listener->accepted(listener, descriptor, &peer);
	return ACCEPT_ONE;
}

// Takes connections until there are none, or no more may be taken; at most `most`.
static enum accept_outcome accept_some(struct listener *listener, unsigned most)
{
	enum accept_outcome outcome = ACCEPT_ONE;
	for (unsigned taken = 0; taken < most && listener->io.descriptor >= 0; taken++) {
		outcome = accept_one(listener);
		if (outcome != ACCEPT_ONE && outcome != ACCEPT_FAILED_ONE)
			break;
	}
	return outcome;
}

static void listener_readable(struct io *io)
{
	struct listener *listener = LIST_ENTRY(io, struct listener, io);
	enum accept_outcome outcome = accept_some(listener, ACCEPTS_PER_TURN);
	if (listener->io.descriptor < 0 || outcome == ACCEPT_REFUSED || outcome == ACCEPT_EXHAUSTED)
		return;
	// When there may be more, the io is still readable and comes back at once.
	io_park(io, listener_readable);
}

static void listener_rested(struct timer *timer)
{
	struct listener *listener = LIST_ENTRY(timer, struct listener, rest);
	if (!listener->paused)
		listener_readable(&listener->io);
}

int listener_start(struct listener *listener, int descriptor)
{
	check(listener->accepted);
	struct kernel *kernel = loop_kernel();
	listener->paused = false;
	listener->io.descriptor = -1;
	timer_init(&listener->rest, listener_rested);
	if (listener->address.length == 0) {
		struct sockaddr_storage name = {0};
		socklen_t length = sizeof(name);
		if (getsockname(descriptor, (struct sockaddr *)&name, &length) == 0)
			address_from_sockaddr((struct sockaddr *)&name, length, &listener->address);
	}
	int own = kernel->duplicate ? kernel->duplicate(kernel, descriptor) : -ENOSYS;
	if (own < 0)
		return own;
	int failed = io_open(&listener->io, own);
	if (failed)
		return failed;
	io_park(&listener->io, listener_readable);
	return 0;
}

void listener_resume(struct listener *listener)
{
	if (!listener->paused || listener->io.descriptor < 0)
		return;
	listener->paused = false;
	if (!timer_is_running(&listener->rest))
		io_park(&listener->io, listener_readable);
}

void listener_stop(struct listener *listener, bool drain)
{
	if (listener->io.descriptor < 0)
		return;
	timer_stop(&listener->rest);
	io_unpark(&listener->io);
	if (drain)
		accept_some(listener, ACCEPTS_PER_DRAIN);
	timer_stop(&listener->rest);
	if (listener->io.descriptor >= 0)
		io_close(&listener->io);
}

// Whether the path is a socket on which nobody listens any more.
static bool is_stale(const struct address *address)
{
	struct stat status;
	if (lstat(address->local.sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return false;
	bool stale = connect(probe, &address->any, address->length) < 0 && errno == ECONNREFUSED;
	close(probe);
	return stale;
}

static int set_option(int descriptor, int level, int option, int value)
{
	return setsockopt(descriptor, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_options(int descriptor, int family, bool shared)
{
	if (family == AF_UNIX)
		return 0;
	int failed = set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!failed && shared)
		failed = set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!failed && family == AF_INET6)
		failed = set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	// Accepted sockets inherit it, so that nobody pays for it on each.
	if (!failed)
		failed = set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
	return failed;
}

static int bind_and_listen(int descriptor, const struct address *address, int backlog)
{
	int failed = bind(descriptor, &address->any, address->length) < 0 ? -errno : 0;
	if (failed == -EADDRINUSE && address->any.sa_family == AF_UNIX && is_stale(address)) {
		unlink(address->local.sun_path);
		failed = bind(descriptor, &address->any, address->length) < 0 ? -errno : 0;
	}
	if (!failed && listen(descriptor, backlog) < 0)
		failed = -errno;
	return failed;
}

static bool is_any_v6(const struct address *address)
{
	return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
}

int listener_bind(const struct address *address, int backlog, bool shared)
{
	int family = address->any.sa_family;
	int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int failed = descriptor < 0 ? -errno : set_options(descriptor, family, shared);
	if (!failed)
		failed = bind_and_listen(descriptor, address, backlog);
	if (!failed)
		return descriptor;
	if (descriptor >= 0)
		close(descriptor);
	// No IPv6 in this system, or switched off (bind says so then).
	if (is_any_v6(address) && (failed == -EAFNOSUPPORT || failed == -EADDRNOTAVAIL)) {
		struct address v4;
		address_parse_ip(SLICE("0.0.0.0"), address_port(address), &v4);
		return listener_bind(&v4, backlog, shared);
	}
	return failed;
}
