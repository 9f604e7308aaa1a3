// Where an access log goes: a file, a FIFO, or the process's own output. For access_writer.c.
#ifndef USHER_OBSERVE_ACCESS_FILE_H
#define USHER_OBSERVE_ACCESS_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct file_output {
	char *path;
	int descriptor; // -1: closed
	bool standard;	// stdout or stderr: never opened anew
	bool gradual;	// a pipe or a socket: written only as far as that cannot wait
	bool torn;	// the last line written is not whole
};

// Opens: 0 or -errno. May block.
int file_output_init(struct file_output *output, const char *path);
void file_output_fini(struct file_output *output);

bool file_output_is_open(const struct file_output *output);

// Opens the same name again; when that fails the old one stays, with a warning.
void file_output_reopen(struct file_output *output);

// Not for standard ones, which stay open.
void file_output_close(struct file_output *output);

// Writes data from *written on and moves that along: 0 when all is written, -EAGAIN when a pipe
// takes no more for now, or another -errno. A line that was broken off by a failure is ended
// before the next one. Opens when closed. A file may block; a pipe or socket does not.
int file_output_write(struct file_output *output, const char *data, size_t size, size_t *written);

// NULL: open(2).
void file_output_set_opener(int (*open)(const char *path));

#endif
