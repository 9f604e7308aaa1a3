// The master's side of its worker: starts one, hands things over to it, notices its death,
// and says when the next may start.
#ifndef USHER_CONTROL_SUPERVISOR_H
#define USHER_CONTROL_SUPERVISOR_H

#include "control/handoff.h"
#include "control/plan.h"
#include "control/sockets.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct supervisor {
	pid_t pid;     // 0: no worker
	int channel;   // -1: none
	bool ready;    // it has answered READY once
	bool awaiting; // it owes the answer to a configuration
	bool told_to_end;
	int64_t started_ns;
	int64_t answer_by_ns; // while it owes an answer
	// Deaths in a row that came too early or too fast to start the next one at once.
	unsigned early_deaths;
	unsigned recent_deaths;
	int64_t recent_since_ns;
	int64_t start_at_ns; // when there is no worker: when to start one
};

void supervisor_init(struct supervisor *supervisor);

// Starts a worker, which has nothing yet: 0 or -errno. In the new process it never returns.
int supervisor_start(struct supervisor *supervisor, const struct privileges *privileges);

// Hands over sockets, opened logs (log_files.h), and the plan's configuration; the worker
// answers. 0 or -errno: then the worker is stuck, or gone.
int supervisor_hand_over(struct supervisor *supervisor, const struct plan *plan, unsigned threads,
			 const struct sockets *const *sets, unsigned set_count);

// Hands over the logs as they are open now, and has them used.
int supervisor_reopen_logs(struct supervisor *supervisor, const struct plan *plan);

// Tells it to finish within drain_ns, or to end at once.
void supervisor_drain(struct supervisor *supervisor, int64_t drain_ns);
void supervisor_abort(struct supervisor *supervisor);
void supervisor_kill(struct supervisor *supervisor);

// Whether so many workers in a row died before they were ready that another would, too.
bool supervisor_gives_up(const struct supervisor *supervisor);

// Whether the worker has ended; then it is logged how, and start_at_ns is set.
// *ret_failed: it ended otherwise than it should.
bool supervisor_reap(struct supervisor *supervisor, bool *ret_failed);

#endif
