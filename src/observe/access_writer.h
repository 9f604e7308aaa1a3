// The thread that writes access logs to their files. For access_log.c.
//
// It takes chunks of whole lines from a bounded queue for each file. A file that does not
// take its bytes keeps its queue; the others go on.
#ifndef USHER_OBSERVE_ACCESS_WRITER_H
#define USHER_OBSERVE_ACCESS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access_file;

enum {
	CHUNK_FULL = 64 * 1024,	 // from here on it is handed over
	CHUNK_SIZE = 128 * 1024, // room for one more line of any length
	CHUNKS_QUEUED_MAX = 64,	 // of one file
	CHUNKS_MAX = 1024,	 // of all, those of the threads included
};

// Lines on their way to a file.
struct access_chunk {
	struct access_chunk *next;
	size_t used, written;
	unsigned lines;
	char data[CHUNK_SIZE];
};

// Starts the thread unless it runs: 0 or -errno.
int access_writer_start(void);

// Makes a file and opens it: 0 or -errno. Freed by access_writer_stop. May block.
int access_file_new(const char *path, struct access_file **ret_file);

// The file is in use (again), or nobody wants it any more: closed once its queue is empty,
// and opened again if lines come after all.
void access_file_use(struct access_file *file);
void access_file_leave(struct access_file *file);

// An empty chunk; NULL when CHUNKS_MAX are in use or memory is out.
struct access_chunk *access_chunk_take(void);

// Hands the chunk over, which it owns from now on. When the queue is full its lines are lost.
void access_file_submit(struct access_file *file, struct access_chunk *chunk);

// Counts lines that could not even be kept, and says so in the log now and then.
void access_file_lost(struct access_file *file, unsigned lines, const char *reason);
uint64_t access_file_lines_lost(const struct access_file *file);
uint64_t access_writer_lines_lost(void); // of all files so far

// All files are opened anew once their queues are empty, or at once where they are stuck.
void access_writer_reopen(void);

// The same in so many milliseconds, unless access_writer_reopen comes first.
void access_writer_reopen_after(unsigned milliseconds);

// Writes what is queued for at most timeout_ms, ends the thread and frees all files.
void access_writer_stop(unsigned timeout_ms);

#endif
