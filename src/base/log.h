// The error log: lines for the person who runs usher.
//
// A line says what happened, where, and what to do about it. Lines go to standard error
// or to a file, each with one write; on a terminal they are coloured. Secrets and whole
// header values never go in.
#ifndef USHER_BASE_LOG_H
#define USHER_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

// Lines above this level are left out; LOG_LEVEL_INFO at first.
void log_set_level(enum log_level level);

// Where lines go from now on: a descriptor that stays the caller's; standard error at
// first.
void log_set_descriptor(int descriptor);

// One line, without the newline. Control characters in it are written as \xNN, and lines
// longer than 4 KiB are cut. Repetitions from one place in the source beyond 20 a second
// are counted, not written.
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

struct log_place {
	long second;
	unsigned lines;
};

#define log_write(level, ...)                                                                                          \
	do {                                                                                                           \
		static _Thread_local struct log_place log_place_;                                                      \
		log_line(level, &log_place_, __VA_ARGS__);                                                             \
	} while (0)

void log_line(enum log_level level, struct log_place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
