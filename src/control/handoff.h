// The wire between master and worker: messages with descriptors over a socket pair.
//
// The master hands over listening sockets, open log files and the configuration; the worker
// answers once to each configuration, when all its threads serve by it.
#ifndef USHER_CONTROL_HANDOFF_H
#define USHER_CONTROL_HANDOFF_H

#include "base/slice.h"

#include <stdint.h>

enum handoff_kind {
	// From the master.
	HANDOFF_LISTENER = 1,  // text: the address; descriptors: a listening socket for each
			       // thread; number: how many of them came before
	HANDOFF_LOG,	       // text: the path; one descriptor, open for appending
	HANDOFF_DIRECTORY,     // text: the path; one descriptor: of a feature that keeps files
	HANDOFF_CONFIGURATION, // text: the file's name; one descriptor, the bundle; number: threads
	HANDOFF_REOPEN,	       // the logs handed over before are to be used from now on
	HANDOFF_DRAIN,	       // number: nanoseconds until what is left is cut off
	HANDOFF_ABORT,	       // end now
	// From the worker.
	HANDOFF_READY,	// serving by the configuration last handed over
	HANDOFF_FAILED, // text: why not; the former one still rules
};

enum {
	HANDOFF_DESCRIPTORS_MAX = 253, // what the kernel passes at once (SCM_MAX_FD)
	HANDOFF_TEXT_MAX = 16 * 1024,
};

struct handoff_message {
	enum handoff_kind kind;
	int64_t number;
	struct slice text;
	int descriptors[HANDOFF_DESCRIPTORS_MAX];
	unsigned descriptor_count;
};

// A pair of connected ends: 0 or -errno.
int handoff_pair(int ret_ends[2]);

// Sends; descriptors stay the sender's, longer texts are cut. 0, -EPIPE when the other end
// is gone, -EAGAIN when it has not read for seconds, or another -errno.
int handoff_send(int end, const struct handoff_message *message);

// A message without descriptors.
int handoff_send_text(int end, enum handoff_kind kind, int64_t number, struct slice text);

// Waits for the next message; its text is in `buffer`, its descriptors are the caller's.
// 0, -EPIPE when the other end is gone, -EBADMSG, or another -errno.
int handoff_receive(int end, char buffer[HANDOFF_TEXT_MAX], struct handoff_message *ret_message);

// Closes the descriptors of a received message.
void handoff_close(struct handoff_message *message);

#endif
