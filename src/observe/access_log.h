// The access log: a line for each exchange, written off the hot path.
//
// A line is formatted into a buffer of the running thread. Full buffers, and those whose
// first line is a second old, go over a bounded queue to one thread that writes them, each
// with one write. Where the disk stalls or writing fails, lines are dropped and counted,
// a warning says so, and traffic never waits.
#ifndef USHER_OBSERVE_ACCESS_LOG_H
#define USHER_OBSERVE_ACCESS_LOG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace;
struct access_log;

// What a line can tell. Slices without .data are absent ("-" in combined, left out in
// JSON); all are only lent for the call. Durations below 0 are absent.
struct access_record {
	int64_t time_ns;      // when the request began, since 1970-01-01 UTC
	int64_t duration_ns;  // from then to the last byte of the response
	struct slice client;  // its address, as every rule sees it
	struct slice country; // of the client
	struct slice user;    // who has logged in
	struct slice request_id;
	struct slice method, scheme, host;
	struct slice target; // as the client sent it, with its query
	struct slice path, query;
	struct slice protocol;	 // "HTTP/1.1"
	const char *tls_version; // "TLSv1.3"; NULL without TLS, and then all of TLS is absent
	const char *tls_cipher;
	bool tls_resumed;
	struct slice tls_server_name;
	struct slice certificate_subject; // of the client, as the next two
	struct slice certificate_fingerprint, certificate_verification;
	unsigned status;	 // of the response; 0: none was sent
	uint64_t bytes_received; // of the request's body
	uint64_t bytes_sent;	 // of the response, head included
	uint64_t body_bytes_sent;
	struct slice site;
	struct slice route; // with its place: "shop.yaml:12"
	struct slice pool;
	struct slice server;	// the address of the last one tried
	unsigned server_status; // 0: none
	unsigned tries;		// servers tried
	bool server_reused;	// its connection had been used before
	int64_t connect_ns;
	int64_t response_ns;	// from sending the request to the head of the response
	const char *fault;	// fault_word, or NULL
	const char *fault_step; // "connect"; or NULL
	const char *fault_detail;
	const char *fault_setting; // the key that changes the limit that was hit
	struct slice referer, user_agent;
	const struct trace *trace; // or NULL
};

// Checks a format: "combined" (Apache's), "json", or a text with variables such as
//
//   $client [$time] "$request" $status $duration_ms
//
// The variables are time (combined's), time_iso (RFC 3339), client, country, user, request_id,
// method, scheme, host, target, path, query, request (method, target and protocol),
// protocol, tls_version, tls_cipher, tls_server_name, tls_resumed, client_certificate_subject,
// client_certificate_fingerprint, client_certificate_verification, status, bytes_received, bytes_sent, body_bytes_sent,
// duration_ms, site, route, pool, server, server_status, tries, reused, connect_ms, response_ms, fault, fault_step,
// fault_detail, fault_setting, referer, user_agent, trace; $$ is a dollar. Values are
// escaped as in combined (\", \\, \n, \xNN); outside of double quotes blanks are, too, so
// that no value can pass for two. Absent ones are "-". Values longer than 4 KiB are cut.
//
// False for an unknown variable or a format too long; *ret_wrong is the part at fault.
bool access_log_check_format(struct slice format, struct slice *ret_wrong);

// Opens a log, or finds the one of the same path and format, counted; "stdout" and "stderr"
// are the process's own. A file is made when it is missing (mode 0640). Starts the writing
// thread with the first one, so call it after the last fork. Returns 0, or -errno: of
// opening, -EINVAL for a bad format, -ENOMEM, -EMFILE beyond ACCESS_LOGS_MAX. May block on
// the disk: not for fibers.
enum { ACCESS_LOGS_MAX = 1024 };
int access_log_open(const char *path, struct slice format, struct access_log **ret_log);

// Gives an opened log back; what was written to it still goes out. NULL is allowed.
void access_log_close(struct access_log *log);

// Whether its lines have $country, for which it has to be looked up.
bool access_log_has_country(const struct access_log *log);

// Writes one line. Below a microsecond, never blocks, never suspends.
void access_log_write(struct access_log *log, const struct access_record *record);

// The running thread's lines go out, and it has no part in any log any more: before its
// loop is freed. It may write again afterwards.
void access_log_end_thread(void);

// Opens all files anew by their names, after what was logged before this call has gone to
// the old ones (but waits no more than a second for a thread that does not turn its loop).
// From any thread; does not wait itself. A file that cannot be opened is kept as it was,
// with a warning.
void access_log_reopen_all(void);

// Writes what is queued, for at most timeout_ms, and ends the writing thread. All threads
// that log must have called access_log_end_thread. Lines that could not be written count
// as lost. Logs can be opened again afterwards; those that were open are gone.
void access_log_stop(unsigned timeout_ms);

// Lines lost so far, of one log or (NULL) of all.
uint64_t access_log_lost(const struct access_log *log);

// How files are opened: `open` gets a path and returns a descriptor or -errno. For a
// worker without the rights for it, whose master opens for it. NULL: open(2).
void access_log_set_opener(int (*open)(const char *path));

#endif
