// What OpenSSL reads from and writes to: the socket on one side, the blocks that gather its
// records on the other. Never suspends.
#ifndef USHER_TLS_BIO_H
#define USHER_TLS_BIO_H

#include "net/tcp.h"
#include "tls/output.h"

#include <openssl/bio.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	// As much may wait to be sent before OpenSSL is told to wait.
	TLS_OUTPUT_MAX = 256 * 1024,
};

struct tls_wire {
	struct tcp_stream tcp;
	struct tls_output output;
	int failed;	 // 0, or why nothing can be read or written any more (-errno)
	bool is_single;	 // the next record is the only one to be sent: it need not be gathered
	bool is_more;	 // and more follows it at once
	bool has_begun;	 // something was read
	bool is_not_tls; // and its first byte begins no TLS record
};

// NULL when memory is out. The wire must outlive it.
BIO *tls_bio_new(struct tls_wire *wire);

#endif
