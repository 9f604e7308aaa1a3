#include "tls/bio.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

// RFC 8446 section 5.1: from change_cipher_spec to application_data.
enum { FIRST_CONTENT_TYPE = 20, LAST_CONTENT_TYPE = 23 };

static BIO_METHOD *method_;
static pthread_once_t once_ = PTHREAD_ONCE_INIT;

static int wire_fail(struct tls_wire *wire, int error)
{
	wire->failed = error;
	return -1;
}

static int bio_read(BIO *bio, char *to, int size)
{
	struct tls_wire *wire = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (wire->failed || size <= 0)
		return -1;
	ssize_t count = io_try_read(&wire->tcp.io, to, (size_t)size);
	if (count == -EAGAIN) {
		BIO_set_retry_read(bio);
		return -1;
	}
	// An end that no close_notify announced may be anybody's doing (RFC 8446 section 6.1).
	if (count <= 0)
		return wire_fail(wire, count == 0 ? -ECONNRESET : (int)count);
	if (!wire->has_begun) {
		wire->has_begun = true;
		wire->is_not_tls = to[0] < FIRST_CONTENT_TYPE || to[0] > LAST_CONTENT_TYPE;
		if (wire->is_not_tls)
			return wire_fail(wire, -EPROTO);
	}
	return (int)count;
}

// Gives the kernel what it takes of a record that nothing waits before: its length, 0 when there
// is no room, or -errno.
static ssize_t send_at_once(struct tls_wire *wire, const char *from, int size)
{
	if (!wire->is_single || wire->output.size > 0)
		return 0;
	struct iovec part = {(void *)from, (size_t)size};
	ssize_t sent = io_try_write(&wire->tcp.io, &part, 1, wire->is_more ? MSG_MORE : 0);
	return sent == -EAGAIN ? 0 : sent;
}

static int bio_write(BIO *bio, const char *from, int size)
{
	struct tls_wire *wire = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (wire->failed || size <= 0)
		return -1;
	if (wire->output.size + (size_t)size > TLS_OUTPUT_MAX) {
		BIO_set_retry_write(bio);
		return -1;
	}
	ssize_t sent = send_at_once(wire, from, size);
	if (sent < 0)
		return wire_fail(wire, (int)sent);
	if (!tls_output_put(&wire->output, from + sent, (size_t)(size - sent)))
		return wire_fail(wire, -ENOMEM);
	return size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	// The stream flushes, when OpenSSL has done all it wants to.
	return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "usher");
	if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
	    BIO_meth_set_ctrl(method, bio_control))
		method_ = method;
	else
		BIO_meth_free(method);
}

BIO *tls_bio_new(struct tls_wire *wire)
{
	pthread_once(&once_, make_method);
	BIO *bio = method_ ? BIO_new(method_) : NULL;
	if (bio) {
		BIO_set_data(bio, wire);
		BIO_set_init(bio, 1);
	}
	return bio;
}
