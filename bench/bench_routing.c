// What it costs to find a request's site and route, by how many there are:
//
//	ninja -C build bench/bench_routing && build/bench/bench_routing
//
// Requests go to all sites (routes) in a scattered order, so that large tables are as cold
// in the caches as they are at work.
#include "exchange/exchange.h"
#include "exchange/route_find.h"
#include "exchange/snapshot.h"
#include "measure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The shortest of many short rounds counts: other programs disturb the rest.
enum { ROUND = 8192, ROUNDS = 200, TARGETS = 4096, TARGET_MAX = 96 };

static void handle(struct exchange *exchange, const void *config)
{
}

static const struct handler_type answer = {
	.order = HANDLER_RESPOND, .key = {"answer", CONFIG_TEXT, .help = "ends"}, .handle = handle, .ends = true};
static const struct handler_type *const handlers[] = {&answer, NULL};
static const struct top_section_type *const sections[] = {NULL};
static const struct snapshot_registry registry = {handlers, sections};

struct writer {
	char *text;
	size_t length;
	FILE *file;
};

static void writer_begin(struct writer *writer)
{
	writer->file = open_memstream(&writer->text, &writer->length);
	if (!writer->file)
		abort();
}

static struct snapshot *load(struct writer *writer, const char *what)
{
	struct snapshot *snapshot;
	fclose(writer->file);
	int64_t started = now_ns();
	if (!snapshot_load(config_source_disk(), "bench.yaml", slice_from(writer->text, writer->length), &registry,
			   stderr, false, &snapshot))
		exit(EXIT_FAILURE);
	printf("%-44s loaded in %6.1f ms\n", what, (double)(now_ns() - started) / 1e6);
	free(writer->text);
	return snapshot;
}

// One request after the other, as exchange.c looks for their sites and routes; with
// `only_read`, the requests are read and nothing is looked for.
static unsigned round_of_requests(const struct snapshot *snapshot, char hosts[][TARGET_MAX], char targets[][TARGET_MAX],
				  bool only_read)
{
	static struct exchange exchange;
	unsigned found = 0;
	arena_init(exchange_arena(&exchange), 1 << 20);
	exchange.snapshot = snapshot;
	for (unsigned i = 0; i < ROUND; i++) {
		unsigned at = i * 2654435761u % TARGETS;
		struct slice host = slice_from_string(hosts[at]);
		exchange.path = slice_from_string(targets[at]);
		if (only_read) {
			found += host.length > 0 && exchange.path.length > 0;
			continue;
		}
		const struct site *site = site_find(snapshot, host);
		found += site && route_find(site, &exchange);
		if (exchange.captures) {
			exchange.captures = NULL;
			arena_fini(exchange_arena(&exchange));
		}
	}
	arena_fini(exchange_arena(&exchange));
	return found;
}

static void run(const struct snapshot *snapshot, char hosts[][TARGET_MAX], char targets[][TARGET_MAX], const char *what)
{
	int64_t best[2] = {INT64_MAX, INT64_MAX};
	unsigned found = 0;
	for (unsigned i = 0; i < 2 * ROUNDS; i++) {
		bool only_read = i % 2;
		int64_t started = now_ns();
		found = round_of_requests(snapshot, hosts, targets, only_read);
		int64_t took = now_ns() - started;
		best[only_read] = took < best[only_read] ? took : best[only_read];
	}
	printf("%-44s %6.1f ns  (%u of %u found)\n", what, (double)(best[0] - best[1]) / ROUND, found, ROUND);
}

static char hosts[TARGETS][TARGET_MAX], targets[TARGETS][TARGET_MAX];

static void bench_sites(unsigned count)
{
	struct writer writer;
	char what[64];
	writer_begin(&writer);
	fprintf(writer.file, "sites:\n");
	for (unsigned i = 0; i < count; i++)
		fprintf(writer.file, "  - {host: site%u.example.com, answer: x}\n", i);
	snprintf(what, sizeof what, "%u sites", count);
	struct snapshot *snapshot = load(&writer, what);
	for (unsigned i = 0; i < TARGETS; i++) {
		snprintf(hosts[i], TARGET_MAX, "site%u.example.com", i * 7919u % count);
		snprintf(targets[i], TARGET_MAX, "/api/v1/users/%u", i);
	}
	run(snapshot, hosts, targets, what);
	snapshot_unref(snapshot);
}

static void bench_routes(unsigned count, const char *kind, const char *route, const char *target)
{
	struct writer writer;
	char what[64];
	writer_begin(&writer);
	fprintf(writer.file, "routes:\n");
	for (unsigned i = 0; i < count; i++) {
		fprintf(writer.file, "  - {path: \"");
		fprintf(writer.file, "%s%u%s", route, i, strcmp(kind, "prefix") == 0 ? "/" : "");
		fprintf(writer.file, "\", answer: x}\n");
	}
	snprintf(what, sizeof what, "%u routes (%s)", count, kind);
	struct snapshot *snapshot = load(&writer, what);
	for (unsigned i = 0; i < TARGETS; i++) {
		snprintf(hosts[i], TARGET_MAX, "www.example.com");
		int length = snprintf(targets[i], TARGET_MAX, "%s%u", target, i * 7919u % count);
		if (strcmp(kind, "prefix") == 0)
			snprintf(targets[i] + length, (size_t)(TARGET_MAX - length), "/users/%u", i);
	}
	run(snapshot, hosts, targets, what);
	snapshot_unref(snapshot);
}

int main(void)
{
	static const unsigned sites[] = {1, 1000, 10000}, routes[] = {1, 1000};
	for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++)
		bench_sites(sites[i]);
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		bench_routes(routes[i], "exact", "/api/v1/item", "/api/v1/item");
		bench_routes(routes[i], "prefix", "/api/v1/item", "/api/v1/item");
	}
	bench_routes(1, "regex", "~ ^/api/v1/item", "/api/v1/item");
	bench_routes(10, "regex", "~ ^/api/v1/item/", "/api/v1/item/");
	return 0;
}
