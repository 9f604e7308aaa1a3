#include "access/redis.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_SIZE = 16 * 1024, ANSWER_MAX = 64 << 20 };

struct redis {
	int descriptor;
	SSL_CTX *context;
	SSL *tls; // NULL: in the clear
	redisReader *reader;
};

static bool fail(char ret_why[REDIS_REASON_MAX], const char *what, const char *why)
{
	snprintf(ret_why, REDIS_REASON_MAX, "%s: %s", what, why);
	return false;
}

static bool fail_by_errno(char ret_why[REDIS_REASON_MAX], const char *what)
{
	return fail(ret_why, what, errno == EAGAIN || errno == EINPROGRESS ? "it took too long" : strerror(errno));
}

// --- Connecting

static bool connect_within(int descriptor, const struct sockaddr *address, socklen_t length)
{
	int error = 0;
	socklen_t size = sizeof error;
	if (connect(descriptor, address, length) == 0)
		return true;
	struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
	if (errno != EINPROGRESS || poll(&wait, 1, REDIS_TIMEOUT_MS) != 1)
		return false;
	if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
		errno = error;
	return error == 0;
}

// Non-blocking until it is connected; then each read and write waits for so long.
static int open_socket(const struct sockaddr *address, socklen_t length)
{
	const struct timeval timeout = {REDIS_TIMEOUT_MS / 1000, REDIS_TIMEOUT_MS % 1000 * 1000};
	int one = 1, descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0)
		return -1;
	(void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect_within(descriptor, address, length) && fcntl(descriptor, F_SETFL, 0) == 0 &&
	    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
	    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0)
		return descriptor;
	int error = errno;
	close(descriptor);
	errno = error;
	return -1;
}

static bool connect_by_path(struct redis *redis, const char *path, char ret_why[REDIS_REASON_MAX])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return fail(ret_why, "connect", "the path is too long");
	memcpy(address.sun_path, path, strlen(path));
	redis->descriptor = open_socket((const struct sockaddr *)&address, sizeof address);
	return redis->descriptor >= 0 || fail_by_errno(ret_why, "connect");
}

static bool connect_by_name(struct redis *redis, const struct redis_address *to, char ret_why[REDIS_REASON_MAX])
{
	const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char port[8];
	snprintf(port, sizeof port, "%u", to->port);
	int error = getaddrinfo(to->host, port, &wanted, &found);
	if (error != 0)
		return fail(ret_why, "look up its name", gai_strerror(error));
	for (const struct addrinfo *each = found; each && redis->descriptor < 0; each = each->ai_next)
		redis->descriptor = open_socket(each->ai_addr, each->ai_addrlen);
	int failed = errno;
	freeaddrinfo(found);
	errno = failed;
	return redis->descriptor >= 0 || fail_by_errno(ret_why, "connect");
}

static bool is_numeric(const char *host)
{
	return strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0';
}

// RFC 9525: the certificate is of that name, or address.
static bool name_peer(SSL *tls, const char *host)
{
	if (is_numeric(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) == 1;
	return SSL_set_tlsext_host_name(tls, host) == 1 && SSL_set1_host(tls, host) == 1;
}

static bool shake_hands(struct redis *redis, const struct redis_address *to, char ret_why[REDIS_REASON_MAX])
{
	redis->context = SSL_CTX_new(TLS_client_method());
	if (!redis->context)
		return fail(ret_why, "TLS", "no memory");
	SSL_CTX_set_verify(redis->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set1_cert_store(redis->context, to->trust);
	redis->tls = SSL_new(redis->context);
	if (!redis->tls || SSL_set_min_proto_version(redis->tls, TLS1_2_VERSION) != 1 ||
	    !name_peer(redis->tls, to->host) || SSL_set_fd(redis->tls, redis->descriptor) != 1)
		return fail(ret_why, "TLS", "no memory");
	if (SSL_connect(redis->tls) == 1)
		return true;
	long verified = SSL_get_verify_result(redis->tls);
	unsigned long error = ERR_get_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;
	ERR_clear_error();
	return fail(ret_why, "TLS",
		    verified != X509_V_OK ? X509_verify_cert_error_string(verified)
		    : reason		  ? reason
					  : "the handshake broke off");
}

static bool log_in(struct redis *redis, const struct redis_address *to, char ret_why[REDIS_REASON_MAX])
{
	struct slice words[3] = {SLICE("AUTH")};
	unsigned count = 1;
	if (!to->password)
		return true;
	if (to->user)
		words[count++] = slice_from_string(to->user);
	words[count++] = slice_from_string(to->password);
	redisReply *answer = redis_send(redis, words, count, ret_why) ? redis_receive(redis, 0, ret_why) : NULL;
	freeReplyObject(answer);
	return answer != NULL;
}

struct redis *redis_connect(const struct redis_address *address, char ret_why[REDIS_REASON_MAX])
{
	struct redis *redis = calloc(1, sizeof *redis);
	if (!redis) {
		(void)fail(ret_why, "connect", "no memory");
		return NULL;
	}
	redis->descriptor = -1;
	redis->reader = redisReaderCreate();
	bool good = redis->reader || fail(ret_why, "connect", "no memory");
	good = good && (address->port == 0 ? connect_by_path(redis, address->host, ret_why)
					   : connect_by_name(redis, address, ret_why));
	good = good && (!address->trust || shake_hands(redis, address, ret_why)) && log_in(redis, address, ret_why);
	if (good)
		return redis;
	redis_free(redis);
	return NULL;
}

void redis_free(struct redis *redis)
{
	if (!redis)
		return;
	SSL_free(redis->tls);
	SSL_CTX_free(redis->context);
	if (redis->reader)
		redisReaderFree(redis->reader);
	if (redis->descriptor >= 0)
		close(redis->descriptor);
	free(redis);
}

// --- Talking

static bool write_all(struct redis *redis, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = redis->tls ? SSL_write(redis->tls, bytes, (int)length)
					     : send(redis->descriptor, bytes, length, MSG_NOSIGNAL);
		if (written <= 0)
			return false;
		bytes += written;
		length -= (size_t)written;
	}
	return true;
}

bool redis_send(struct redis *redis, const struct slice *words, unsigned count, char ret_why[REDIS_REASON_MAX])
{
	const char *starts[REDIS_WORDS_MAX];
	size_t lengths[REDIS_WORDS_MAX];
	char *command = NULL;
	check(count <= REDIS_WORDS_MAX);
	for (unsigned i = 0; i < count; i++) {
		starts[i] = words[i].length > 0 ? words[i].data : "";
		lengths[i] = words[i].length;
	}
	int length = redisFormatCommandArgv(&command, (int)count, starts, lengths);
	if (length < 0)
		return fail(ret_why, "send", "no memory");
	bool good = write_all(redis, command, (size_t)length) || fail_by_errno(ret_why, "send");
	free(command);
	return good;
}

// What has come, to the reader.
static bool feed(struct redis *redis, size_t *total, char ret_why[REDIS_REASON_MAX])
{
	char bytes[READ_SIZE];
	ssize_t length = redis->tls ? SSL_read(redis->tls, bytes, sizeof bytes)
				    : recv(redis->descriptor, bytes, sizeof bytes, 0);
	if (length == 0)
		return fail(ret_why, "read its answer", "the connection has ended");
	if (length < 0)
		return fail_by_errno(ret_why, "read its answer");
	*total += (size_t)length;
	if (*total > ANSWER_MAX)
		return fail(ret_why, "read its answer", "it is too long");
	return redisReaderFeed(redis->reader, bytes, (size_t)length) == REDIS_OK ||
	       fail(ret_why, "read its answer", redis->reader->errstr);
}

redisReply *redis_receive(struct redis *redis, int type, char ret_why[REDIS_REASON_MAX])
{
	void *answer = NULL;
	size_t total = 0;
	for (;;) {
		if (redisReaderGetReply(redis->reader, &answer) != REDIS_OK) {
			(void)fail(ret_why, "read its answer", redis->reader->errstr);
			return NULL;
		}
		if (answer)
			break;
		if (!feed(redis, &total, ret_why))
			return NULL;
	}
	redisReply *reply = answer;
	if (reply->type != REDIS_REPLY_ERROR && (type == 0 || reply->type == type))
		return reply;
	(void)fail(ret_why, "it answers", reply->type == REDIS_REPLY_ERROR ? reply->str : "what was not asked for");
	freeReplyObject(reply);
	return NULL;
}
