// What the files of the simulated kernel share.
#ifndef USHER_TESTS_SIM_INTERNAL_H
#define USHER_TESTS_SIM_INTERNAL_H

#include "base/list.h"
#include "kernel_sim.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
	// No descriptor of the process is as high, so that a system call that gets one of
	// these fails with EBADF.
	SIM_FIRST_DESCRIPTOR = 1 << 29,
	SIM_BACKLOG_MAX = 4096,
};

// A direction of a connection. Positions count bytes from its beginning.
struct sim_pipe {
	char *bytes;
	size_t capacity;
	uint64_t read, arrived, written; // read <= arrived <= written <= read + capacity
	int64_t last_arrival_ns;	 // nothing that is sent later arrives before it
	bool fin_sent;
};

// One end of a connection, or a listening socket.
struct sim_socket {
	struct list_link link;	  // of all
	struct list_link pending; // on the kernel's list while an edge is to be reported
	struct sim *sim;
	int descriptor; // -1: closed, or not accepted yet
	struct io *io;	// NULL: not watched
	struct sockaddr_storage address;
	socklen_t address_length;
	// Of a connection:
	struct sim_socket *peer; // the other end, which lives as long
	struct sim_pipe in;	 // towards this end
	bool connecting, connected;
	bool fin_received;
	bool reset; // gone for good
	bool write_shut, read_shut;
	bool wants_room; // an edge is due when there is room to write (SOCK_NOSPACE)
	bool room_is_on_its_way;
	bool reset_on_close;
	bool is_dead; // closed by its owner
	int error;    // told once, by the next call
	// Of a listening socket; several descriptors may share it:
	struct sim_listener *listener;
	struct list_link sharing; // on the listener's list
};

struct sim_listener {
	struct list_link link;
	struct list_link sockets; // descriptors of it
	struct sockaddr_storage address;
	socklen_t address_length;
	struct sim_socket *backlog[SIM_BACKLOG_MAX];
	size_t backlog_count, backlog_limit;
};

enum sim_kind { SIM_ARRIVAL, SIM_FIN, SIM_RESET, SIM_CONNECT, SIM_REFUSAL, SIM_ROOM };

struct sim_happening {
	int64_t time_ns;
	uint64_t number; // the order among those of one time
	enum sim_kind kind;
	struct sim_socket *socket; // to which it happens
	uint64_t position;	   // of an arrival; of a refusal, the error
};

struct sim {
	struct kernel kernel; // first
	struct sim_options options;
	struct random random;
	struct sim_counts counts;
	int64_t now_ns;
	atomic_bool interrupted;
	struct sim_happening *happenings; // a heap, the earliest first
	size_t happening_count, happening_capacity;
	uint64_t next_number;
	struct list_link sockets, listeners, pending;
	struct sim_socket **by_descriptor; // from SIM_FIRST_DESCRIPTOR
	size_t descriptor_count, descriptor_capacity;
	size_t open_count;
	uint16_t next_port;
};

static inline struct sim *sim_of(struct kernel *kernel)
{
	return (struct sim *)kernel;
}

// True in `chance` of a thousand calls.
bool sim_chance(struct sim *sim, unsigned chance);

// 0 up to the options' delay.
int64_t sim_delay(struct sim *sim);

// The simulation itself never runs out of memory, also when a test makes allocations fail.
void *sim_alloc(size_t size);
void *sim_realloc(void *old, size_t size);

// Puts a happening on the list.
void sim_later(struct sim *sim, int64_t time_ns, enum sim_kind kind, struct sim_socket *socket, uint64_t position);

// Has the next wait report the socket, if it is watched.
void sim_edge(struct sim_socket *socket);

// The KERNEL_ bits that are true of the socket now. Notes when room to write is wanted.
unsigned sim_ready(struct sim_socket *socket);

// Something that was on its way has come.
void sim_happen(const struct sim_happening *happening);

// Between these, what the process gets from getrandom(2) comes from the seed: hash keys,
// request ids and the like repeat too.
void sim_random_begin(uint64_t seed);
void sim_random_end(void);

// --- Sockets, in sim_socket.c: the calls of struct kernel.

int sim_watch(struct kernel *kernel, int descriptor, struct io *io);
void sim_unwatch(struct kernel *kernel, int descriptor);
ssize_t sim_read(struct kernel *kernel, int descriptor, void *to, size_t size);
ssize_t sim_write(struct kernel *kernel, int descriptor, const struct iovec *parts, int count, int flags);
int sim_connect(struct kernel *kernel, const struct sockaddr *address, socklen_t length);
int sim_connect_result(struct kernel *kernel, int descriptor);
int sim_accept(struct kernel *kernel, int listener, struct sockaddr_storage *ret_peer, socklen_t *ret_length);
int sim_shutdown(struct kernel *kernel, int descriptor, int how);
void sim_close(struct kernel *kernel, int descriptor);
int sim_duplicate(struct kernel *kernel, int descriptor);
int sim_reset_on_close(struct kernel *kernel, int descriptor);

// --- Descriptors and listeners.

struct sim_socket *sim_socket_new(struct sim *sim);
void sim_socket_free(struct sim_socket *socket);
int sim_descriptor_give(struct sim *sim, struct sim_socket *socket);
// Fails a check when the descriptor is not open.
struct sim_socket *sim_socket_of(struct kernel *kernel, int descriptor);
struct sim_listener *sim_listener_find(struct sim *sim, const struct sockaddr *address, socklen_t length);

#endif
