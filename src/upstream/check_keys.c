// The keys of `health`.
#include "http/syntax.h"
#include "upstream/check.h"
#include "upstream/pool_keys.h"

#define YEAR_NS (INT64_C(365) * 24 * 3600 * 1000000000)

static const char *const type_names[] = {
	[CHECK_HTTP] = "http", [CHECK_TCP] = "tcp", [CHECK_GRPC] = "grpc", [CHECK_COMMAND] = "command", NULL};

// Keys that mean something for some types only.
static const struct {
	const char *key;
	uint32_t types;
} meant_for[] = {
	{"method", 1 << CHECK_HTTP},   {"path", 1 << CHECK_HTTP},	{"fields", 1 << CHECK_HTTP},
	{"statuses", 1 << CHECK_HTTP}, {"text", 1 << CHECK_HTTP},	{"regex", 1 << CHECK_HTTP},
	{"service", 1 << CHECK_GRPC},  {"command", 1 << CHECK_COMMAND}, {"host", 1 << CHECK_HTTP | 1 << CHECK_GRPC},
};

static bool check_meaning(struct config_load *load, const struct check_config *check)
{
	bool good = true;
	for (size_t i = 0; i < sizeof(meant_for) / sizeof(meant_for[0]); i++) {
		if (!config_is_set(load, check, meant_for[i].key) || meant_for[i].types >> check->type & 1)
			continue;
		config_error(load, config_where(load, check, meant_for[i].key),
			     "\"%s\" means nothing for a check of the type %s", meant_for[i].key,
			     type_names[check->type]);
		good = false;
	}
	return good;
}

static bool check_words(struct config_load *load, const struct check_config *check)
{
	bool good = true;
	if (!syntax_all(check->method.text, SYNTAX_TOKEN)) {
		config_error(load, check->method.place, "\"%.*s\" is not a method",
			     SLICE_ARGUMENTS(check->method.text));
		good = false;
	}
	if (!slice_starts_with(check->path.text, SLICE("/")) || !syntax_all(check->path.text, SYNTAX_VALUE) ||
	    slice_find(check->path.text, ' ') < check->path.text.length) {
		config_error(load, check->path.place, "expected a path that begins with a slash, such as /healthz");
		good = false;
	}
	for (size_t i = 0; i < check->fields.count; i++) {
		const struct config_pair *pair = &check->fields.items[i];
		if (syntax_all(pair->name.text, SYNTAX_TOKEN) &&
		    (pair->value.text.length == 0 || syntax_all(pair->value.text, SYNTAX_VALUE)))
			continue;
		config_error(load, pair->name.place, "this is not a header field");
		good = false;
	}
	return good;
}

static bool check_command(struct config_load *load, const struct check_config *check)
{
	if (check->type != CHECK_COMMAND)
		return true;
	if (check->command.count == 0 || check->command.count > CHECK_WORDS_MAX) {
		config_error(load, config_where(load, check, "command"),
			     "a check of the type command has a command of 1 to %d words", CHECK_WORDS_MAX);
		return false;
	}
	if (slice_starts_with(check->command.items[0].text, SLICE("/")))
		return true;
	config_error(load, check->command.items[0].place,
		     "expected the whole path of a program, such as /usr/lib/usher/check-orders");
	return false;
}

static bool finish(struct config_load *load, void *section_struct)
{
	struct check_config *check = section_struct;
	if (!config_is_set(load, check, "type") && check->command.count > 0)
		check->type = CHECK_COMMAND;
	bool good = check_meaning(load, check) && check_words(load, check) && check_command(load, check);
	good &= percent_load(load, &check->jitter, 1, 100, &check->jitter_percent);
	if (check->regex.text.data)
		good &= regex_load(load, &check->regex, check->regex.text) != NULL;
	if (check->timeout_ns > check->interval_ns && config_is_set(load, check, "timeout"))
		config_warning(load, config_where(load, check, "timeout"),
			       "the time-out of this check is longer than its interval");
	return status_ranges_load(load, &check->status_texts, 100, check->statuses, CHECK_STATUSES_MAX,
				  &check->status_count) &&
	       good;
}

#define OFFSET(member) offsetof(struct check_config, member)

static const struct config_key keys[] = {
	{"name", CONFIG_TEXT, OFFSET(name),
	 .help = "for `proxy.checks` and the log; `health` when it is absent and there is but one"},
	{"type", CONFIG_CHOICE, OFFSET(type), "http",
	 "`http`: a request and its answer; `tcp`: a connection (with TLS where the server speaks it); `grpc`: "
	 "grpc.health.v1.Health/Check; `command`: a program",
	 .choices = type_names},
	{"path", CONFIG_TEXT, OFFSET(path), "/", "what is asked for", .form = "a path such as /healthz"},
	{"method", CONFIG_TEXT, OFFSET(method), "GET", "the method of the request"},
	{"host", CONFIG_TEXT, OFFSET(host), .help = "Host, or :authority; the server's address when it is absent"},
	{"fields", CONFIG_PAIRS, OFFSET(fields), .help = "header fields of the request"},
	{"statuses", CONFIG_TEXTS, OFFSET(status_texts),
	 .help = "statuses that are well, such as [200, \"300-399\"]; 200 to 399 when it is absent",
	 .form = STATUS_RANGE_FORM},
	{"text", CONFIG_TEXT, OFFSET(text), .help = "what the first 64 KiB of the answer's body must have in them"},
	{"regex", CONFIG_TEXT, OFFSET(regex), .help = "a regular expression that must match in them"},
	{"service", CONFIG_TEXT, OFFSET(service),
	 .help = "of grpc: the service that is asked after; the server as a whole when it is absent"},
	{"command", CONFIG_TEXTS, OFFSET(command),
	 .help = "a program and its arguments; no shell reads them. It finds the server in USHER_SERVER, "
		 "USHER_HOST and USHER_PORT, and exits with 0 when all is well",
	 .form = "the whole path of a program, and its arguments"},
	{"port", CONFIG_INTEGER, OFFSET(port), "0", "another port than the server's own", .max = 65535},
	{"interval", CONFIG_DURATION, OFFSET(interval_ns), "5s", "from one check to the next", .min = 10000000,
	 .max = YEAR_NS},
	{"fast", CONFIG_DURATION, OFFSET(fast_ns), "1s",
	 "the same while a server's state is changing, or not known yet; never more than the interval", .min = 10000000,
	 .max = YEAR_NS},
	{"timeout", CONFIG_DURATION, OFFSET(timeout_ns), "2s", "how long one check may take", .min = 1000000,
	 .max = YEAR_NS},
	{"jitter", CONFIG_TEXT, OFFSET(jitter), "10%",
	 "by how much intervals differ, so that checks do not come all at once",
	 .form = "off, or a percentage such as 10%"},
	{"rise", CONFIG_INTEGER, OFFSET(rise), "2", "after how many good checks in a row a server is well again",
	 .min = 1, .max = 1000},
	{"fall", CONFIG_INTEGER, OFFSET(fall), "3", "after how many bad ones it is ill", .min = 1, .max = 1000},
	{0},
};

const struct config_section check_section = {
	.name = "pools.NAME.health",
	.help = "What each server is asked again and again, to find out whether it is well. One that is ill gets no "
		"requests; one that has not answered yet gets them only while no other has. Each server is asked once, "
		"whatever the number of threads.",
	.size = sizeof(struct check_config),
	.keys = keys,
	.place_offset = OFFSET(place),
	.name_offset = CONFIG_NO_OFFSET,
	.finish = finish,
};
