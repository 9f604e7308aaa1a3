// What observing a request costs: notes of a trace, metrics, lines of the access log; and
// what finding an address in a set of networks does.
#include "base/check.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "net/address.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "observe/trace.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 1000000, LOOKUPS = 65536 };

static double cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void report(const char *what, double begun_ns, double times)
{
	printf("%-28s %7.1f ns\n", what, (cpu_ns() - begun_ns) / times);
}

static struct trace trace;

static void note(void)
{
	double begun = cpu_ns();
	for (int i = 0; i < ROUNDS; i++) {
		trace_begin(&trace, loop_now());
		trace_note(&trace, "site", SLICE("shop.example.com"), "shop.yaml", 5, TRACE_NO_VALUE);
		trace_note(&trace, "route", SLICE("/api/"), "shop.yaml", 12, TRACE_NO_VALUE);
		trace_note(&trace, "server", SLICE("10.0.0.1:80"), "shop.yaml", 20, 200);
		__asm__ volatile("" ::"r"(&trace) : "memory"); // it is wanted
	}
	report("trace_note", begun, 3.0 * ROUNDS);
}

static void count(void)
{
	struct metric *counter = metric_register(METRIC_COUNTER, "bench_total", "", "");
	struct metric *times = metric_register(METRIC_HISTOGRAM, "bench_seconds", "", "");
	double begun = cpu_ns();
	for (int i = 0; i < ROUNDS; i++)
		metric_count(counter);
	report("metric_count", begun, ROUNDS);
	begun = cpu_ns();
	for (int i = 0; i < ROUNDS; i++)
		metric_observe(times, i * INT64_C(1000));
	report("metric_observe", begun, ROUNDS);
}

static void write_lines(const char *format)
{
	struct access_record record = {
		.time_ns = INT64_C(971211336123456789),
		.duration_ns = 12045678,
		.client = SLICE("192.0.2.7"),
		.request_id = SLICE("5f3c27a14be8441c9d1f0a7722c3b101"),
		.method = SLICE("GET"),
		.scheme = SLICE("http"),
		.host = SLICE("shop.example.com"),
		.target = SLICE("/products/list/of/things?a=1&sort=price"),
		.path = SLICE("/products/list/of/things"),
		.query = SLICE("a=1&sort=price"),
		.protocol = SLICE("HTTP/1.1"),
		.status = 200,
		.bytes_sent = 2526,
		.body_bytes_sent = 2326,
		.site = SLICE("shop.example.com"),
		.route = SLICE("shop.yaml:12"),
		.pool = SLICE("api"),
		.server = SLICE("10.0.0.1:80"),
		.server_status = 200,
		.tries = 1,
		.server_reused = true,
		.connect_ns = -1,
		.response_ns = 3000000,
		.referer = SLICE("http://www.example.com/start.html"),
		.user_agent = SLICE("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
				    "Chrome/118.0.0.0 Safari/537.36"),
		.trace = &trace,
	};
	struct access_log *log;
	check(access_log_open("/dev/null", slice_from_string(format), &log) == 0);
	double begun = cpu_ns();
	for (int i = 0; i < ROUNDS / 4; i++) {
		record.time_ns += 10000;
		access_log_write(log, &record);
	}
	char what[64];
	snprintf(what, sizeof(what), "access_log_write, %s", format);
	report(what, begun, ROUNDS / 4);
}

static void look_up(unsigned networks)
{
	unsigned seed = 1;
	struct network_set set = {.networks = calloc(networks, sizeof(struct network)), .count = networks};
	uint32_t *addresses = calloc(LOOKUPS, sizeof(*addresses));
	check(set.networks && addresses);
	for (unsigned i = 0; i < networks; i++) {
		check(network_parse(SLICE("1.0.0.0/24"), &set.networks[i]));
		uint32_t start = htonl((uint32_t)rand_r(&seed) * 2 & 0xffffff00);
		memcpy(set.networks[i].bytes + 12, &start, sizeof(start));
	}
	for (int i = 0; i < LOOKUPS; i++)
		addresses[i] = (uint32_t)rand_r(&seed) * 2;
	network_set_freeze(&set);
	struct address address;
	check(address_parse_ip(SLICE("192.0.2.1"), 80, &address));
	unsigned found = 0;
	double begun = cpu_ns();
	for (int round = 0; round < 16; round++) {
		for (int i = 0; i < LOOKUPS; i++) {
			// The next depends on the last, so that lookups do not overlap.
			address.v4.sin_addr.s_addr = addresses[i] ^ found;
			found += network_set_contains(&set, &address);
		}
	}
	char what[64];
	snprintf(what, sizeof(what), "network_set, %u", networks);
	report(what, begun, 16.0 * LOOKUPS);
	free(set.networks);
	free(addresses);
}

int main(void)
{
	struct kernel *kernel = kernel_linux_new();
	check(kernel);
	check(loop_new(kernel));
	note();
	count();
	write_lines("combined");
	write_lines("json");
	access_log_end_thread();
	access_log_stop(1000);
	for (unsigned networks = 100; networks <= 100000; networks *= 10)
		look_up(networks);
	loop_free(loop_current());
	kernel_linux_free(kernel);
	return 0;
}
