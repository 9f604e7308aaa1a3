// Rounds: waiting until every thread that sends requests to servers has come round its loop
// once more.
//
// What is found by an atomic pointer and looked at without a wait, such as a roster, is seen
// by nobody any more once all threads have come round after the pointer was changed. For the
// files of this folder.
#ifndef USHER_UPSTREAM_THREAD_ROUND_H
#define USHER_UPSTREAM_THREAD_ROUND_H

#include <stdint.h>

struct thread_round {
	struct thread_round *next;
	uint64_t number;
	void (*done)(struct thread_round *round);
};

// Calls done(round) once all threads have come round: in one of them, or at once where there
// are none. `round` must live until then. From any thread, without the registry's lock.
void thread_round_begin(struct thread_round *round, void (*done)(struct thread_round *round));

#endif
