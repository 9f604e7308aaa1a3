// The worker: the process whose threads serve. It gets everything from the master over the
// handoff socket, and drains and ends when the master is gone.
#ifndef USHER_CONTROL_WORKER_H
#define USHER_CONTROL_WORKER_H

struct privileges;

// The life of a worker, in a process just forked; `channel` is its end of handoff_pair.
// Returns its exit code.
int worker_run(int channel, const struct privileges *privileges);

#endif
