#include "cli/pool_print.h"

#include <stdbool.h>
#include <string.h>

static long long number(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

static const char *word(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "-";
}

// Whether it gets new requests, as far as usher knows.
static bool is_up(const json_t *server)
{
	const char *condition = word(server, "condition");
	return number(server, "weight") > 0 && strcmp(word(server, "state"), "ready") == 0 &&
	       (strcmp(condition, "well") == 0 || strcmp(condition, "warming") == 0);
}

static size_t width_of(const json_t *array, const char *name)
{
	size_t width = strlen("SERVER"), i;
	json_t *value;
	json_array_foreach(array, i, value)
	{
		size_t length = strlen(word(value, name));
		width = length > width ? length : width;
	}
	return width;
}

void pool_print_all(const json_t *answer, FILE *to)
{
	const json_t *pools = json_object_get(answer, "pools");
	int width = (int)width_of(pools, "name");
	size_t i, j;
	json_t *pool, *server;
	fprintf(to, "%-*s  %-14s  %7s  %9s  %7s  %9s\n", width, "POOL", "BALANCE", "UP", "IN FLIGHT", "WAITING",
		"REQUESTS");
	json_array_foreach(pools, i, pool)
	{
		char up[32];
		const json_t *servers = json_object_get(pool, "servers");
		size_t count = 0;
		json_array_foreach(servers, j, server) count += is_up(server);
		(void)snprintf(up, sizeof up, "%zu/%zu", count, json_array_size(servers));
		fprintf(to, "%-*s  %-14s  %7s  %9lld  %7lld  %9lld\n", width, word(pool, "name"), word(pool, "balance"),
			up, number(pool, "in_flight"), number(pool, "waiting"), number(pool, "requests"));
	}
}

static long long failures_of(const json_t *server)
{
	long long count = 0;
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(server, "failures"), name, value) count +=
		(long long)json_integer_value(value);
	return count;
}

static double latency(const json_t *server, const char *quantile)
{
	return json_number_value(json_object_get(json_object_get(server, "latency_ms"), quantile));
}

static void print_checks(const json_t *server, FILE *to)
{
	size_t i;
	json_t *check;
	json_array_foreach(json_object_get(server, "checks"), i, check)
	{
		fprintf(to, "  check %s: %s", word(check, "name"), word(check, "state"));
		if (strcmp(word(check, "state"), "fails") == 0)
			fprintf(to, ": %s", word(check, "reason"));
		fprintf(to, "\n");
	}
}

void pool_print(const json_t *pool, FILE *to)
{
	const json_t *servers = json_object_get(pool, "servers");
	int width = (int)width_of(servers, "address");
	size_t i;
	json_t *server;
	fprintf(to, "%-*s  %-8s  %-10s  %6s  %9s  %9s  %7s  %8s  %8s  %8s\n", width, "SERVER", "STATE", "CONDITION",
		"WEIGHT", "IN FLIGHT", "REQUESTS", "FAILED", "P50 MS", "P90 MS", "P99 MS");
	json_array_foreach(servers, i, server)
	{
		fprintf(to, "%-*s  %-8s  %-10s  %6lld  %9lld  %9lld  %7lld  %8.2f  %8.2f  %8.2f\n", width,
			word(server, "address"), word(server, "state"), word(server, "condition"),
			number(server, "weight"), number(server, "in_flight"), number(server, "requests"),
			failures_of(server), latency(server, "p50"), latency(server, "p90"), latency(server, "p99"));
		print_checks(server, to);
	}
}
