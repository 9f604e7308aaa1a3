// The PID file, for those who ask for one.
#ifndef USHER_CONTROL_PID_FILE_H
#define USHER_CONTROL_PID_FILE_H

// Writes this process's number to the file, whole or not at all: 0 or -errno.
int pid_file_write(const char *path);

// Removes the file when it names this process.
void pid_file_remove(const char *path);

#endif
