// Commands: what a command line may say, and who does it.
//
// Each command is one file with its table of options and its function; commands.c lists
// them all. Exit codes are the same for all: 0 well, 1 what was asked for failed, 2 it was
// asked for in a wrong way.
#ifndef USHER_CLI_COMMAND_H
#define USHER_CLI_COMMAND_H

#include <stdbool.h>

enum { EXIT_USAGE = 2 };

enum { OPTIONS_MAX = 8 };

struct command_option {
	const char *name;     // "config", for --config
	char letter;	      // 'c', for -c; 0 for none
	const char *argument; // what follows, for the help: "FILE"; NULL: nothing
	const char *help;     // one line
};

// A command line, taken apart.
struct invocation {
	const struct command *command;
	const char *values[OPTIONS_MAX]; // by the row of the option; "" when it takes no value; NULL: not given
	char *const *arguments;
	int count;
	bool quiet;   // -q: errors only
	bool verbose; // -v: more
};

struct command {
	const char *name;
	const char *arguments;		      // for the usage line: "LISTEN TARGET..."
	const char *summary;		      // a few words, for the list
	const char *help;		      // what it does, in lines
	const struct command_option *options; // ends with a row without a name; NULL for none
	int least, most;		      // how many arguments; most -1: any number
	bool hidden;			      // not in the list
	int (*run)(const struct invocation *invocation);
};

// Ends with NULL.
extern const struct command *const commands[];

// The command of that name, or NULL.
const struct command *command_find(const char *name);

// Takes the words after the command's name apart. False when they are wrong, which has been
// said on standard error.
bool command_parse(const struct command *command, int count, char **words, struct invocation *ret_invocation,
		   bool *ret_help);

// Runs a command with the words after its name: the exit code.
int command_run(const struct command *command, int count, char **words);

// What usher can do; the same of one command.
void command_print_all(void);
void command_print(const struct command *command);

// Says that there is no such command, and which is near: EXIT_USAGE.
int command_unknown(const char *name);

// What `--config` or its absence means: usher.yaml here, or else in /etc/usher.
const char *command_config(const char *given);

// The same where it may be named as an argument, too: "usher run shop.yaml". NULL when it is named twice, which is
// said.
const char *command_config_of(const struct invocation *invocation, unsigned option);

// Whether messages on standard error may be coloured.
bool command_colours(void);

extern const struct command run_command, proxy_command, check_command, reload_command, stop_command, status_command,
	pool_command, cache_command, access_command, user_command, schema_command, reference_command, demo_command,
	demo_origin_command, version_command, help_command;

#endif
