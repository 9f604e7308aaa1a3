// Plans, and the listening sockets that they ask for.
#include "cmocka_all.h"
#include "control/bundle.h"
#include "control/plan.h"
#include "control/registry.h"
#include "control/sockets.h"
#include "fail_alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *text;

static int text_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	if (strcmp(path, "usher.yaml") != 0)
		return -ENOENT;
	char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*ret_content = slice_from_string(copy);
	return 0;
}

static int text_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	return -ENOENT;
}

static const char *text_environment(struct config_source *source, const char *name)
{
	return NULL;
}

static struct config_source text_source = {
	.read_file = text_read_file, .glob = text_glob, .environment = text_environment};

static bool load(const char *configuration, struct plan *ret_plan, char **ret_messages)
{
	size_t length;
	FILE *messages = open_memstream(ret_messages, &length);
	text = configuration;
	bool well = plan_load(&text_source, "usher.yaml", messages, false, ret_plan);
	fclose(messages);
	return well;
}

static const char full[] = "listen: [\"127.0.0.1:8080\", \"[::1]:8081\", \"unix:/run/x.sock\"]\n"
			   "workers: 3\n"
			   "drain: 5s\n"
			   "pid_file: /run/usher.pid\n"
			   "access_log: /var/log/a.log\n"
			   "error_log: /var/log/e.log\n"
			   "sites:\n"
			   "  - {host: a.example, proxy: p}\n"
			   "  - {host: b.example, routes: [{path: /x, respond: 204}, {proxy: p}]}\n"
			   "pools: {p: {servers: [127.0.0.1:1]}}\n";

static void test_everything(void **state)
{
	struct plan plan;
	char *messages;
	assert_true(load(full, &plan, &messages));
	assert_string_equal(messages, "");
	free(messages);
	assert_int_equal(plan.listen_count, 3);
	assert_string_equal(plan.listens[0].name, "127.0.0.1:8080");
	assert_string_equal(plan.listens[1].name, "[::1]:8081");
	assert_string_equal(plan.listens[2].name, "unix:/run/x.sock");
	assert_string_equal(plan.listens[0].place, "usher.yaml:1:10");
	assert_int_equal(plan.threads, 3);
	assert_int_equal(plan.drain_ns, 5000000000);
	assert_string_equal(plan.pid_file, "/run/usher.pid");
	assert_string_equal(plan.error_log, "/var/log/e.log");
	assert_int_equal(plan.log_count, 2);
	assert_string_equal(plan.logs[0], "/var/log/a.log");
	assert_int_equal(plan.sites, 2);
	assert_int_equal(plan.routes, 3);
	assert_int_equal(plan.pools, 1);
	plan_free(&plan);
	assert_int_equal(plan.bundle, -1);
}

static void test_shortest(void **state)
{
	struct plan plan;
	char *messages;
	assert_true(load("respond: 204\n", &plan, &messages));
	free(messages);
	assert_int_equal(plan.listen_count, 1);
	assert_true(plan.threads >= 1);
	assert_int_equal(plan.drain_ns, 30000000000);
	assert_int_equal(plan.log_count, 0);
	assert_null(plan.pid_file);
	plan_free(&plan);
}

static void test_standard_outputs_are_no_files(void **state)
{
	struct plan plan;
	char *messages;
	assert_true(load("access_log: stdout\nrespond: 204\n", &plan, &messages));
	free(messages);
	assert_int_equal(plan.log_count, 0);
	plan_free(&plan);
}

static void expect_error(const char *configuration, const char *expected)
{
	struct plan plan;
	char *messages;
	assert_false(load(configuration, &plan, &messages));
	plan_free(&plan);
	assert_non_null(strstr(messages, expected));
	free(messages);
}

static void test_errors(void **state)
{
	expect_error("prxy: x\n", "did you mean \"proxy\"");
	expect_error("respond: 204\nuser: no-such-user-at-all\n",
		     "usher.yaml:2:7: there is no user or group \"no-such-user-at-all\"");
	expect_error("respond: 204\nuser: root:no-such-group\n", "there is no user or group \"no-such-group\"");
	expect_error("respond: 204\ndrain: soon\n", "usher.yaml:2:8:");
}

// The worker loads from the bundle what the master loaded from the files.
static void test_bundle_holds_all(void **state)
{
	struct plan plan;
	struct bundle_replay replay;
	struct snapshot *snapshot;
	char *messages;
	assert_true(load(full, &plan, &messages));
	free(messages);
	assert_int_equal(bundle_replay(&replay, plan.bundle), 0);
	assert_true(snapshot_load(&replay.source, plan.path, SLICE_EMPTY, &registry, stderr, false, &snapshot));
	assert_int_equal(snapshot->site_count, 2);
	snapshot_unref(snapshot);
	bundle_replay_end(&replay);
	plan_free(&plan);
}

static void test_memory_runs_out(void **state)
{
	unsigned failures = 0;
	text = full;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		struct plan plan;
		bool well = plan_load(&text_source, "usher.yaml", stderr, false, &plan);
		(void)fail_alloc_stop();
		plan_free(&plan);
		failures += !well;
	}
	assert_true(failures > 10);
}

// --- Sockets

static struct plan plan_on(const struct address *addresses, size_t count)
{
	struct plan plan = {.bundle = -1, .listens = calloc(count, sizeof *plan.listens), .listen_count = count};
	assert_non_null(plan.listens);
	for (size_t i = 0; i < count; i++) {
		plan.listens[i].address = addresses[i];
		plan.listens[i].place = strdup("usher.yaml:1:1");
	}
	return plan;
}

static struct address address_of(const char *words)
{
	struct endpoint endpoint;
	struct address address;
	assert_true(endpoint_parse(slice_from_string(words), 0, &endpoint));
	assert_true(endpoint_to_address(&endpoint, &address));
	return address;
}

static bool connects(const struct address *address)
{
	int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool well = connect(descriptor, &address->any, address->length) == 0;
	close(descriptor);
	return well;
}

static void test_a_socket_for_each_thread(void **state)
{
	struct address address = address_of("127.0.0.1:0");
	struct plan plan = plan_on(&address, 1);
	struct sockets sockets;
	const struct plan_listen *failed;
	assert_int_equal(sockets_open(&plan, NULL, 3, &sockets, &failed), 0);
	assert_int_equal(sockets.count, 1);
	assert_int_equal(sockets.items[0].count, 3);
	assert_int_not_equal(address_port(&sockets.items[0].bound), 0);
	assert_true(connects(&sockets.items[0].bound));
	assert_non_null(sockets_find(&sockets, &address));
	struct address bound = sockets.items[0].bound;
	sockets_close(&sockets);
	assert_false(connects(&bound));
	plan_free(&plan);
}

static void test_address_in_use(void **state)
{
	struct address free_one = address_of("127.0.0.1:0");
	struct plan plan = plan_on(&free_one, 1);
	struct sockets sockets, none;
	const struct plan_listen *failed;
	assert_int_equal(sockets_open(&plan, NULL, 2, &sockets, &failed), 0);
	plan_free(&plan);
	// Although its own sockets are shared, others of the same user may not join in.
	struct address addresses[] = {free_one, sockets.items[0].bound};
	plan = plan_on(addresses, 2);
	assert_int_equal(sockets_open(&plan, NULL, 2, &none, &failed), -EADDRINUSE);
	assert_ptr_equal(failed, &plan.listens[1]);
	plan_free(&plan);
	sockets_close(&sockets);
}

static void test_reload_opens_and_closes(void **state)
{
	struct address address = address_of("127.0.0.1:0"), local = address_of("unix:/tmp/usher-test-socket");
	struct address both[] = {address, local};
	struct plan first = plan_on(&address, 1), second = plan_on(both, 2);
	struct sockets sockets, more;
	const struct plan_listen *failed;
	assert_int_equal(sockets_open(&first, NULL, 2, &sockets, &failed), 0);
	assert_int_equal(sockets_open(&second, &sockets, 2, &more, &failed), 0);
	assert_int_equal(more.count, 1); // the other one is held
	assert_int_equal(sockets_merge(&sockets, &more), 0);
	assert_int_equal(sockets.count, 2);
	assert_int_equal(more.count, 0);
	assert_true(connects(&local));
	sockets_keep(&sockets, &first);
	assert_int_equal(sockets.count, 1);
	assert_false(connects(&local));
	assert_int_equal(access("/tmp/usher-test-socket", F_OK), -1);
	assert_true(connects(&sockets.items[0].bound));
	sockets_close(&sockets);
	plan_free(&first);
	plan_free(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_shortest),
		cmocka_unit_test(test_standard_outputs_are_no_files),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_bundle_holds_all),
		cmocka_unit_test(test_memory_runs_out),
		cmocka_unit_test(test_a_socket_for_each_thread),
		cmocka_unit_test(test_address_in_use),
		cmocka_unit_test(test_reload_opens_and_closes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
