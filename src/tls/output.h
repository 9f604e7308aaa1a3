// Ciphertext on its way to the kernel: bytes in order, in blocks.
//
// OpenSSL's records are gathered here, so that many of them leave in one system call. Holds no
// memory while it is empty.
#ifndef USHER_TLS_OUTPUT_H
#define USHER_TLS_OUTPUT_H

#include "fiber/io.h"

#include <stdbool.h>
#include <stddef.h>

struct tls_piece;

struct tls_output {
	struct tls_piece *first, *last;
	size_t size; // bytes not yet sent
};

// Adds bytes, all or none: false when memory is out.
bool tls_output_put(struct tls_output *output, const void *bytes, size_t size);

// Gives the kernel what it takes, without suspending: 0 when all has gone (also when there was
// nothing), -EAGAIN when some is left, or another -errno. `more`: more follows at once.
int tls_output_send(struct tls_output *output, struct io *io, bool more);

// Drops what was not sent.
void tls_output_clear(struct tls_output *output);

#endif
