// Command lines, taken apart by the tables of their commands; and the help from the same.
#include "base/check.h"
#include "base/log.h"
#include "cli/command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Those that every command has, behind its own.
enum { OPTION_HELP = OPTIONS_MAX, OPTION_QUIET, OPTION_VERBOSE, OPTION_END };

static const struct command_option common[] = {
	{"help", 'h', NULL, "print this and end"},
	{"quiet", 'q', NULL, "say errors only"},
	{"verbose", 'v', NULL, "say more"},
};

enum { COMMON_COUNT = sizeof common / sizeof *common };

// The tables that getopt_long wants; val is the row + 1, so that a letter and its long
// name mean the same.
struct parser {
	struct option longs[OPTIONS_MAX + COMMON_COUNT + 1];
	char letters[3 * (OPTIONS_MAX + COMMON_COUNT) + 2];
	size_t long_count, letter_count;
	int rows[256]; // of the letters
};

static void add_option(struct parser *parser, const struct command_option *option, int row)
{
	parser->longs[parser->long_count++] = (struct option){
		.name = option->name, .has_arg = option->argument ? required_argument : no_argument, .val = 256 + row};
	if (!option->letter)
		return;
	parser->rows[(unsigned char)option->letter] = row;
	parser->letters[parser->letter_count++] = option->letter;
	if (option->argument)
		parser->letters[parser->letter_count++] = ':';
}

static void parser_init(struct parser *parser, const struct command *command)
{
	*parser = (struct parser){.letters = ":", .letter_count = 1};
	const struct command_option *options = command->options;
	for (int i = 0; options && options[i].name; i++) {
		check(i < OPTIONS_MAX);
		add_option(parser, &options[i], i);
	}
	for (int i = 0; i < COMMON_COUNT; i++)
		add_option(parser, &common[i], OPTION_HELP + i);
}

static void take_option(int row, struct invocation *invocation, bool *ret_help)
{
	check(row >= 0 && row < OPTION_END);
	if (row == OPTION_HELP)
		*ret_help = true;
	else if (row == OPTION_QUIET)
		invocation->quiet = true;
	else if (row == OPTION_VERBOSE)
		invocation->verbose = true;
	else
		invocation->values[row] = optarg ? optarg : "";
}

static bool wrong_option(const struct command *command, char **words, bool lacks_value)
{
	const char *word = optind > 1 ? words[optind - 1] : "";
	if (optopt > 0 && optopt < 256)
		fprintf(stderr, "usher %s: option \"-%c\" %s\n", command->name, optopt,
			lacks_value ? "needs a value" : "is unknown");
	else
		fprintf(stderr, "usher %s: option \"%s\" %s\n", command->name, word,
			lacks_value ? "needs a value" : "is unknown, not clear, or takes no value");
	return false;
}

static bool right_count(const struct command *command, int count)
{
	if (count < command->least)
		fprintf(stderr, "usher %s: too few arguments\nusage: usher %s [OPTION]... %s\n", command->name,
			command->name, command->arguments);
	else if (command->most >= 0 && count > command->most)
		fprintf(stderr, "usher %s: too many arguments\nusage: usher %s [OPTION]... %s\n", command->name,
			command->name, command->arguments);
	else
		return true;
	return false;
}

bool command_parse(const struct command *command, int count, char **words, struct invocation *ret_invocation,
		   bool *ret_help)
{
	struct parser parser;
	struct invocation invocation = {.command = command};
	int found;
	parser_init(&parser, command);
	*ret_help = false;
	optind = 0; // begins anew, with glibc
	opterr = 0;
	while ((found = getopt_long(count, words, parser.letters, parser.longs, NULL)) != -1) {
		if (found == '?' || found == ':')
			return wrong_option(command, words, found == ':');
		take_option(found >= 256 ? found - 256 : parser.rows[found], &invocation, ret_help);
	}
	invocation.arguments = words + optind;
	invocation.count = count - optind;
	if (!*ret_help && !right_count(command, invocation.count))
		return false;
	*ret_invocation = invocation;
	return true;
}

int command_run(const struct command *command, int count, char **words)
{
	struct invocation invocation;
	bool help;
	if (!command_parse(command, count, words, &invocation, &help)) {
		fprintf(stderr, "`usher help %s` says how it is used\n", command->name);
		return EXIT_USAGE;
	}
	if (help) {
		command_print(command);
		return EXIT_SUCCESS;
	}
	if (invocation.quiet)
		log_set_level(LOG_LEVEL_ERROR);
	else if (invocation.verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	return command->run(&invocation);
}

// --- Help

static void print_option(const struct command_option *option)
{
	char left[64];
	int length = option->letter ? snprintf(left, sizeof left, "-%c, ", option->letter)
				    : snprintf(left, sizeof left, "    ");
	(void)snprintf(left + length, sizeof left - (size_t)length, "--%s%s%s", option->name,
		       option->argument ? " " : "", option->argument ? option->argument : "");
	printf("  %-26s %s\n", left, option->help);
}

void command_print(const struct command *command)
{
	printf("usage: usher %s [OPTION]...%s%s\n\n%s\noptions:\n", command->name, command->arguments[0] ? " " : "",
	       command->arguments, command->help);
	const struct command_option *options = command->options;
	for (int i = 0; options && options[i].name; i++)
		print_option(&options[i]);
	for (int i = 0; i < COMMON_COUNT; i++)
		print_option(&common[i]);
	printf("\nexit codes: 0 well, 1 it failed, 2 wrong usage\n");
}

void command_print_all(void)
{
	printf("usage: usher COMMAND [OPTION]... [ARGUMENT]...\n\n"
	       "A reverse proxy: stands before your servers and passes requests on to them.\n\n"
	       "  usher proxy :8080 127.0.0.1:3000    everything on port 8080 goes to port 3000\n"
	       "  usher run -c usher.yaml             what a configuration says\n\n"
	       "commands:\n");
	for (const struct command *const *command = commands; *command; command++) {
		if (!(*command)->hidden)
			printf("  %-12s %s\n", (*command)->name, (*command)->summary);
	}
	printf("\n`usher help COMMAND` or `usher COMMAND --help` tells more of each.\n");
}
