// What the worker works by: its threads, ports and configuration; for its main thread.
#ifndef USHER_CONTROL_WORK_H
#define USHER_CONTROL_WORK_H

#include "control/handoff.h"

#include <stdbool.h>

struct work;

// `drained` is called from each thread that has finished after work_drain or work_abort.
// NULL when memory is out.
struct work *work_new(void (*drained)(void));

// Takes the sockets of a HANDOFF_LISTENER, for the next configuration: 0 or -ENOMEM.
int work_take_port(struct work *work, struct handoff_message *message);

// Takes a HANDOFF_CONFIGURATION: all threads serve by it when this returns. False, with the
// reason, when that cannot be: the former one rules. The first one starts the threads.
bool work_take_configuration(struct work *work, struct handoff_message *message, char ret_failure[HANDOFF_TEXT_MAX]);

void work_reopen_logs(void);

void work_drain(struct work *work);
void work_abort(struct work *work);
unsigned work_thread_count(const struct work *work);

// All threads must be drained.
void work_free(struct work *work);

#endif
