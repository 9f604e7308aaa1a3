// What the tests of src/exchange and src/handlers share: configurations given as text, and
// exchanges without a connection.
#ifndef USHER_TESTS_UNIT_EXCHANGE_SUPPORT_H
#define USHER_TESTS_UNIT_EXCHANGE_SUPPORT_H

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
//
#include "exchange/exchange.h"
#include "exchange/route_find.h"
#include "exchange/snapshot.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "http/uri.h"
#include "tls/peer.h"

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline void test_assert_slice(struct slice slice, const char *expected, const char *file, int line)
{
	if (!slice_equal(slice, slice_from_string(expected))) {
		print_error("got \"%.*s\", expected \"%s\"\n", SLICE_ARGUMENTS(slice), expected);
		_fail(file, line);
	}
}

#define assert_slice(slice, expected) test_assert_slice(slice, expected, __FILE__, __LINE__)

// --- A source of files that are in memory

struct test_file {
	const char *name, *content;
};

static const struct test_file *test_files; // ends with a row without name; NULL: none

static inline int test_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	const char *slash = strrchr(path, '/');
	for (const struct test_file *file = test_files; file && file->name; file++)
		if (strcmp(file->name, slash ? slash + 1 : path) == 0) {
			*ret_content = slice_from_string(strdup(file->content));
			return 0;
		}
	return -ENOENT;
}

static inline int test_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	return -ENOENT;
}

static inline const char *test_environment(struct config_source *source, const char *name)
{
	return NULL;
}

// --- Snapshots

struct test_loaded {
	struct snapshot *snapshot; // NULL: it was refused
	char *messages;
};

static struct config_source *test_source; // of another place for files; NULL: test_files

static inline struct test_loaded test_load(const char *text, const struct snapshot_registry *registry)
{
	struct config_source memory = {test_read_file, test_glob, test_environment};
	struct test_loaded loaded = {0};
	size_t size;
	FILE *messages = open_memstream(&loaded.messages, &size);
	assert_non_null(messages);
	if (!snapshot_load(test_source ? test_source : &memory, "usher.yaml", slice_from_string(text), registry,
			   messages, false, &loaded.snapshot))
		loaded.snapshot = NULL;
	fclose(messages);
	return loaded;
}

static inline void test_unload(struct test_loaded *loaded)
{
	snapshot_unref(loaded->snapshot);
	free(loaded->messages);
}

// A configuration that must be good; what was said of it is printed when it is not.
static inline struct snapshot *test_load_good(const char *text, const struct snapshot_registry *registry)
{
	struct test_loaded loaded = test_load(text, registry);
	if (!loaded.snapshot)
		print_error("%s\n", loaded.messages);
	assert_non_null(loaded.snapshot);
	free(loaded.messages);
	return loaded.snapshot;
}

// Refused, with each of the lines of `expected` among the messages.
static inline void test_assert_refused(const char *text, const char *expected, const struct snapshot_registry *registry,
				       const char *file, int line)
{
	struct test_loaded loaded = test_load(text, registry);
	if (loaded.snapshot || !strstr(loaded.messages, expected)) {
		print_error("for:\n%s\nexpected:\n%s\ngot:\n%s\n", text, expected, loaded.messages);
		_fail(file, line);
	}
	test_unload(&loaded);
}

#define assert_refused(text, expected, registry) test_assert_refused(text, expected, registry, __FILE__, __LINE__)

// --- A loop, for what asks for the time; group setup and teardown

static struct kernel *test_kernel;
static struct loop *test_loop;

static inline int test_loop_begin(void **state)
{
	test_kernel = kernel_linux_new();
	test_loop = test_kernel ? loop_new(test_kernel) : NULL;
	return test_loop ? 0 : -1;
}

static inline int test_loop_end(void **state)
{
	loop_free(test_loop);
	kernel_linux_free(test_kernel);
	return 0;
}

// --- Exchanges

struct test_request {
	const char *method, *host, *target;
	const char *fields[8][2]; // name, value; up to a row without name
	const char *client;
	const struct tls_peer *tls;
};

// Begins an exchange as exchange.c does, up to where its route is looked for.
static inline void test_exchange_begin(struct exchange *exchange, const struct snapshot *snapshot,
				       const struct test_request *from)
{
	memset(exchange, 0, sizeof *exchange);
	struct request *request = exchange_request(exchange);
	struct arena *arena = exchange_arena(exchange);
	const char *detail;
	arena_init(arena, 1024 * 1024);
	exchange->snapshot = snapshot;
	struct client *connection = arena_zalloc(arena, sizeof *connection);
	assert_non_null(connection);
	connection->tls = from->tls;
	exchange->transaction.client = connection;
	request->method_name = slice_from_string(from->method ? from->method : "GET");
	request->method = method_of(request->method_name);
	request->target = slice_from_string(from->target ? from->target : "/");
	request->version_minor = 1;
	request->body = body_empty();
	assert_true(uri_parse_target(request, &detail));
	request->host = slice_from_string(from->host ? from->host : "a.example");
	request->authority = request->host;
	for (size_t i = 0; i < COUNT(from->fields) && from->fields[i][0]; i++)
		assert_true(fields_add_name(&request->fields, arena, slice_from_string(from->fields[i][0]),
					    slice_from_string(from->fields[i][1])));
	exchange->client_text = slice_from_string(from->client ? from->client : "192.0.2.1");
	assert_true(address_parse_ip(exchange->client_text, 1, &exchange->client));
	exchange->scheme = from->tls ? SLICE("https") : SLICE("http");
	exchange->request_id = SLICE("0123456789abcdef");
	exchange->target = request->target;
	exchange->host = uri_normal_host(request->host, arena);
	exchange->site = site_find(snapshot, exchange->host);
	struct uri_normal_options options = {.merge_slashes = exchange->site && exchange->site->merge_slashes};
	exchange->path = uri_normal_path(request->path, &options, arena);
}

// As test_exchange_begin, and finds the route, NULL when there is none.
static inline const struct route *test_exchange_route(struct exchange *exchange, const struct snapshot *snapshot,
						      const struct test_request *from)
{
	test_exchange_begin(exchange, snapshot, from);
	exchange->route = exchange->site ? route_find(exchange->site, exchange) : NULL;
	if (exchange->route)
		exchange->step = exchange->route->steps;
	return exchange->route;
}

static inline void test_exchange_end(struct exchange *exchange)
{
	struct arena arena = *exchange_arena(exchange);
	arena_fini(&arena);
}

#endif
