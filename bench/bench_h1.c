// What the HTTP/1.1 codecs cost: nanoseconds of each step of an ordinary request and its
// response, the median of many rounds. usage: bench_h1 [ROUNDS]
#include "base/text.h"
#include "http/h1.h"
#include "http/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 101, ROUNDS_MAX = 1001, CALLS = 10000 };

static const char request_head[] =
	"GET /shop/articles/42/details.html?color=green&size=xl HTTP/1.1\r\n"
	"Host: shop.example.com\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Referer: https://shop.example.com/shop/articles/\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"
	"Connection: keep-alive\r\n"
	"\r\n";

static const char response_head[] = "HTTP/1.1 200 OK\r\n"
				    "Date: Mon, 23 Nov 2026 20:00:00 GMT\r\n"
				    "Server: origin/1.0\r\n"
				    "Content-Type: text/html; charset=utf-8\r\n"
				    "Content-Length: 1024\r\n"
				    "Cache-Control: max-age=60\r\n"
				    "ETag: \"0123456789abcdef\"\r\n"
				    "Connection: keep-alive\r\n"
				    "\r\n";

static const char chunked_body[] = "400\r\n";

static const struct h1_limits limits = {.fields = 100, .target_bytes = 8192};
static struct arena arena;
static struct request request;
static struct response response;
static char output[4096];
static uint64_t sink; // keeps the compiler from leaving the work out

static void scan(void)
{
	struct h1_scanner scanner = {0};
	sink += (uint64_t)h1_scan_head(&scanner, request_head, sizeof(request_head) - 1);
}

static void parse_request(void)
{
	struct fault fault;
	arena_fini(&arena);
	sink += h1_parse_request(slice_from(request_head, sizeof(request_head) - 1), &limits, &arena, &request, &fault);
}

static void parse_response(void)
{
	struct fault fault;
	arena_fini(&arena);
	sink += h1_parse_response(slice_from(response_head, sizeof(response_head) - 1), METHOD_GET, &limits, &arena,
				  &response, &fault);
}

static void empty_arena(void)
{
	arena_fini(&arena);
	sink += arena_alloc(&arena, 24 * sizeof(struct field)) != NULL;
}

static void normal_path(void)
{
	static const struct uri_normal_options options = {false};
	sink += uri_normal_path(SLICE("/shop/articles/42/details.html"), &options, &arena).length;
	sink += uri_normal_host(SLICE("shop.example.com"), &arena).length;
}

static void write_request(void)
{
	struct text text;
	text_init(&text, output, sizeof(output));
	h1_write_request_line(&text, request.method_name, request.target);
	h1_write_fields(&text, &request.fields);
	sink += text.length;
}

static void write_response(void)
{
	struct text text;
	text_init(&text, output, sizeof(output));
	h1_write_status_line(&text, response.status, response.reason);
	h1_write_fields(&text, &response.fields);
	sink += text.length;
}

static void hop_by_hop(void)
{
	struct field copy[24];
	struct fields fields = {.items = copy, .count = request.fields.count, .capacity = 24};
	memcpy(copy, request.fields.items, request.fields.count * sizeof(copy[0]));
	fields_remove_hop_by_hop(&fields);
	sink += fields.count;
}

static void chunk_line(void)
{
	struct h1_chunked chunked;
	struct slice input = slice_from(chunked_body, sizeof(chunked_body) - 1), data;
	const char *detail;
	h1_chunked_init(&chunked);
	sink += h1_chunked_read(&chunked, &input, &data, &detail);
	sink += h1_chunk_line(output, 1024);
}

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void measure(const char *what, void (*step)(void), int rounds)
{
	static double times[ROUNDS_MAX];
	for (int round = 0; round < rounds; round++) {
		double start = now_ns();
		for (int call = 0; call < CALLS; call++)
			step();
		times[round] = (now_ns() - start) / CALLS;
	}
	qsort(times, (size_t)rounds, sizeof(times[0]), compare);
	printf("%-44s %8.1f ns, fastest %.1f\n", what, times[rounds / 2], times[0]);
}

int main(int count, char **arguments)
{
	long rounds = count > 1 ? strtol(arguments[1], NULL, 10) : ROUNDS;
	if (rounds < 1 || rounds > ROUNDS_MAX)
		rounds = ROUNDS;
	arena_init(&arena, 1 << 20);
	printf("request head of %zu bytes, response head of %zu\n", sizeof(request_head) - 1,
	       sizeof(response_head) - 1);
	measure("arena for the fields, part of both parsers", empty_arena, (int)rounds);
	measure("scan the request head", scan, (int)rounds);
	measure("parse the request head", parse_request, (int)rounds);
	measure("normal path and host", normal_path, (int)rounds);
	measure("copy fields, remove the hop-by-hop ones", hop_by_hop, (int)rounds);
	measure("write the request head", write_request, (int)rounds);
	measure("parse the response head", parse_response, (int)rounds);
	measure("write the response head", write_response, (int)rounds);
	measure("read and write the line of a chunk", chunk_line, (int)rounds);
	return sink == 0;
}
