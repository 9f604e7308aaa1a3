// usher pool: what a running usher's pools do, and what the operator changes of them.
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/pool_print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_CONFIG, OPTION_ADMIN, OPTION_WEIGHT, OPTION_BACKUP, OPTION_JSON };

static const struct command_option options[] = {
	[OPTION_CONFIG] = {"config", 'c', "FILE", "the configuration that usher runs with; as for `usher run`"},
	[OPTION_ADMIN] = {"admin", 0, "PATH", "the admin socket, where the configuration is not at hand"},
	[OPTION_WEIGHT] = {"weight", 'w', "N", "with add: the server's weight (1)"},
	[OPTION_BACKUP] = {"backup", 0, NULL, "with add: requests only when no other server is left"},
	[OPTION_JSON] = {"json", 0, NULL, "with list and show: all there is, as JSON"},
	{0},
};

// What is to be asked, made of the command line.
struct pool_order {
	const char *method, *server, *number;
	const char *segments[5];
	json_t *body;
};

// --- The words

static json_t *state_body(const char *state)
{
	return json_pack("{s:s}", "state", state);
}

static bool read_number(const char *text, json_int_t *ret_number)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno || *end || end == text || number < 0) {
		fprintf(stderr, "usher pool: \"%s\" is no weight: a whole number from 0 to 1000\n", text);
		return false;
	}
	*ret_number = number;
	return true;
}

static bool order_drain(const struct invocation *invocation, struct pool_order *order)
{
	order->body = state_body("draining");
	return true;
}

static bool order_enable(const struct invocation *invocation, struct pool_order *order)
{
	order->body = state_body("ready");
	return true;
}

static bool order_disable(const struct invocation *invocation, struct pool_order *order)
{
	order->body = state_body("disabled");
	return true;
}

static bool order_weight(const struct invocation *invocation, struct pool_order *order)
{
	json_int_t weight;
	if (!read_number(order->number, &weight))
		return false;
	order->body = json_pack("{s:I}", "weight", weight);
	return true;
}

static bool order_add(const struct invocation *invocation, struct pool_order *order)
{
	const char *given = invocation->values[OPTION_WEIGHT];
	json_int_t weight = 1;
	if (given && !read_number(given, &weight))
		return false;
	order->body = json_pack("{s:s, s:I, s:b}", "address", order->server, "weight", weight, "backup",
				invocation->values[OPTION_BACKUP] != NULL);
	order->segments[3] = NULL;
	return true;
}

static bool order_nothing(const struct invocation *invocation, struct pool_order *order)
{
	return true;
}

static const struct pool_word {
	const char *word, *arguments, *method;
	int count; // of arguments: pool, server, number
	bool (*order)(const struct invocation *invocation, struct pool_order *order);
} pool_words[] = {
	{"list", "", "GET", 0, order_nothing},
	{"show", " POOL", "GET", 1, order_nothing},
	{"drain", " POOL SERVER", "PATCH", 2, order_drain},
	{"enable", " POOL SERVER", "PATCH", 2, order_enable},
	{"disable", " POOL SERVER", "PATCH", 2, order_disable},
	{"weight", " POOL SERVER N", "PATCH", 3, order_weight},
	{"add", " POOL SERVER", "POST", 2, order_add},
	{"remove", " POOL SERVER", "DELETE", 2, order_nothing},
};

enum { WORDS = sizeof pool_words / sizeof pool_words[0] };

static const struct pool_word *find_word(const struct invocation *invocation)
{
	for (size_t i = 0; i < WORDS; i++) {
		if (strcmp(pool_words[i].word, invocation->arguments[0]) != 0)
			continue;
		if (invocation->count == pool_words[i].count + 1)
			return &pool_words[i];
		fprintf(stderr, "usage: usher pool [OPTION]... %s%s\n", pool_words[i].word, pool_words[i].arguments);
		return NULL;
	}
	fprintf(stderr, "usher pool: there is no \"%s\"; there is", invocation->arguments[0]);
	for (size_t i = 0; i < WORDS; i++)
		fprintf(stderr, "%s %s", i ? "," : "", pool_words[i].word);
	fprintf(stderr, "\n");
	return NULL;
}

// --- Asking

static bool make_order(const struct invocation *invocation, const struct pool_word *word, struct pool_order *ret_order)
{
	char *const *arguments = invocation->arguments;
	struct pool_order order = {.method = word->method, .segments = {"pools"}};
	if (word->count > 0)
		order.segments[1] = arguments[1];
	if (word->count > 1) {
		order.segments[2] = "servers";
		order.segments[3] = order.server = arguments[2];
	}
	if (word->count > 2)
		order.number = arguments[3];
	if (!word->order(invocation, &order))
		return false;
	*ret_order = order;
	return true;
}

static void print_answer(const struct invocation *invocation, const struct pool_word *word, const json_t *answer)
{
	if (invocation->values[OPTION_JSON] && answer) {
		(void)json_dumpf(answer, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
		printf("\n");
	} else if (word->count == 0) {
		pool_print_all(answer, stdout);
	} else if (word->count == 1) {
		pool_print(answer, stdout);
	}
}

static int ask(const struct invocation *invocation, const struct pool_word *word, const char *path,
	       const struct pool_order *order)
{
	json_t *answer = NULL;
	char *target = admin_client_target(order->segments);
	int status = target ? admin_client_ask("pool", path, order->method, target, order->body, &answer) : 0;
	const char *error = json_string_value(json_object_get(answer, "error"));
	if (status / 100 == 2)
		print_answer(invocation, word, answer);
	else if (status != 0)
		fprintf(stderr, "usher pool: %s\n", error ? error : "refused");
	json_decref(answer);
	free(target);
	return status / 100 == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int pool_run(const struct invocation *invocation)
{
	struct pool_order order;
	const struct pool_word *word = find_word(invocation);
	if (!word || !make_order(invocation, word, &order))
		return EXIT_USAGE;
	char *path = admin_client_path("pool", command_config(invocation->values[OPTION_CONFIG]),
				       invocation->values[OPTION_ADMIN]);
	int code = path ? ask(invocation, word, path, &order) : EXIT_FAILURE;
	json_decref(order.body);
	free(path);
	return code;
}

const struct command pool_command = {
	.name = "pool",
	.arguments =
		"list | show POOL | drain|enable|disable|remove POOL SERVER | weight POOL SERVER N | add POOL SERVER",
	.summary = "show pools of servers, and change them while usher runs",
	.help = "list      a line for each pool\n"
		"show      a line for each server of a pool: whether it gets requests, and what it has done\n"
		"drain     the server finishes what it has; new requests only of visitors that stick to it\n"
		"disable   the server gets no requests\n"
		"enable    it gets its share again\n"
		"weight    changes its share; 0: none\n"
		"add       one more server, until usher ends\n"
		"remove    the server finishes what it has, and is gone\n"
		"\n"
		"Servers are named as `show` prints them. usher must have an admin socket (the key `admin`).\n",
	.options = options,
	.least = 1,
	.most = 4,
	.run = pool_run,
};
