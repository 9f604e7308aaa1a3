// What becomes of a configuration: sites, routes, chains of handlers, and what is inherited.
#include "stubs.h"

static void test_shortest(void **state)
{
	struct snapshot *snapshot = test_load_good("answer: all\n", &stub_registry);
	char buffer[ADDRESS_TEXT_MAX];
	assert_int_equal(snapshot->listen_count, 1);
	assert_slice(address_format(&snapshot->listens[0].address, buffer), "[::]:8080");
	assert_true(snapshot->workers >= 1);
	assert_null(snapshot->access_log_settings.path);
	assert_null(snapshot->error_log);
	assert_null(snapshot->pid_file);
	assert_null(snapshot->user.text.data);
	assert_int_equal(snapshot->site_count, 1);
	const struct site *site = site_find(snapshot, SLICE("anything.example"));
	assert_ptr_equal(site, &snapshot->all_sites[0]);
	assert_slice(site->name, "default");
	assert_int_equal(site->route_count, 1);
	assert_slice(site->routes[0].path_text, "*");
	assert_slice(site->routes[0].name, "usher.yaml:1");
	assert_slice(stub_name(&site->routes[0]), "all");
	snapshot_unref(snapshot);
}

static void test_top(void **state)
{
	struct snapshot *snapshot = test_load_good("listen: [\":80\", {address: \"127.0.0.1:81\"}, \"[::1]:82\"]\n"
						   "workers: 3\n"
						   "access_log: {path: logs/access.log, format: json}\n"
						   "error_log: /var/log/usher.log\n"
						   "pid_file: usher.pid\n"
						   "user: nobody\n"
						   "trusted_proxies: [10.0.0.0/8, 192.0.2.7, unix]\n"
						   "answer: all\n",
						   &stub_registry);
	char buffer[ADDRESS_TEXT_MAX];
	assert_int_equal(snapshot->listen_count, 3);
	assert_slice(snapshot->listens[0].text.text, ":80");
	assert_slice(address_format(&snapshot->listens[1].address, buffer), "127.0.0.1:81");
	assert_slice(address_format(&snapshot->listens[2].address, buffer), "[::1]:82");
	assert_int_equal(snapshot->workers, 3);
	assert_non_null(strstr(snapshot->access_log_settings.path, "logs/access.log"));
	assert_slice(snapshot->access_log_settings.format, "json");
	assert_string_equal(snapshot->error_log, "/var/log/usher.log");
	assert_non_null(strstr(snapshot->pid_file, "usher.pid"));
	assert_slice(snapshot->user.text, "nobody");
	assert_true(snapshot->trusted_proxies.local);
	struct address address;
	assert_true(address_parse_ip(SLICE("10.1.2.3"), 1, &address));
	assert_true(network_set_contains(&snapshot->trusted_proxies, &address));
	assert_true(address_parse_ip(SLICE("192.0.2.8"), 1, &address));
	assert_false(network_set_contains(&snapshot->trusted_proxies, &address));
	snapshot_unref(snapshot);
}

static void test_listen_options(void **state)
{
	struct snapshot *snapshot =
		test_load_good("listen:\n"
			       "  - \":80\"\n"
			       "  - {address: \":81\", h2c: true}\n"
			       "  - {address: \"127.0.0.1:82\", http2: false}\n"
			       "http2: {streams: 7, window: 2MiB, stream_window: 64KiB, resets: 3, controls: 0}\n"
			       "limits: {handshakes: 4, handshake_rate: 5, handshake_burst: 6}\n"
			       "timeouts: {handshake: 3s}\n"
			       "answer: all\n",
			       &stub_registry);
	assert_true(snapshot->listens[0].http2);
	assert_false(snapshot->listens[0].h2c);
	assert_false(snapshot->listens[0].tls);
	assert_true(snapshot->listens[1].h2c);
	assert_false(snapshot->listens[2].http2);
	assert_int_equal(snapshot->http2.streams, 7);
	assert_int_equal(snapshot->http2.window, 2 << 20);
	assert_int_equal(snapshot->http2.stream_window, 64 << 10);
	assert_int_equal(snapshot->http2.resets, 3);
	assert_int_equal(snapshot->http2.controls, 0);
	assert_int_equal(snapshot->limits->handshakes, 4);
	assert_int_equal(snapshot->limits->handshake_rate, 5);
	assert_int_equal(snapshot->limits->handshake_burst, 6);
	assert_int_equal(snapshot->timeouts->handshake_ns, 3 * SECOND_NS);
	snapshot_unref(snapshot);
	snapshot = test_load_good("answer: all\n", &stub_registry);
	assert_int_equal(snapshot->http2.streams, 128);
	assert_int_equal(snapshot->http2.window, 1 << 20);
	snapshot_unref(snapshot);
}

static void test_access_log_words(void **state)
{
	struct snapshot *snapshot = test_load_good("access_log: stdout\nanswer: all\n", &stub_registry);
	assert_string_equal(snapshot->access_log_settings.path, "stdout");
	assert_slice(snapshot->access_log_settings.format, "combined");
	snapshot_unref(snapshot);
	snapshot = test_load_good("access_log: off\nanswer: all\n", &stub_registry);
	assert_null(snapshot->access_log_settings.path);
	snapshot_unref(snapshot);
}

// The innermost key rules; handlers stand in the order of the program.
static void test_scopes(void **state)
{
	struct snapshot *snapshot = test_load_good("outer: top\n"
						   "inner: top\n"
						   "answer: top\n"
						   "sites:\n"
						   "  - host: a.example\n"
						   "    inner: site\n"
						   "    answer: site\n"
						   "    routes:\n"
						   "      - {path: /1, answer: route, inner: route}\n"
						   "      - {path: /2, other: route}\n"
						   "      - {path: /3, limits: {body: 1KiB}}\n"
						   "  - host: b.example\n",
						   &stub_registry);
	const struct site *a = site_find(snapshot, SLICE("a.example"));
	const struct site *b = site_find(snapshot, SLICE("b.example"));
	assert_null(site_find(snapshot, SLICE("c.example")));
	assert_int_equal(a->route_count, 4); // and what they leave
	const struct handler_step *steps = a->routes[0].steps;
	assert_ptr_equal(steps[0].type, &stub_outer);
	assert_ptr_equal(steps[1].type, &stub_inner);
	assert_ptr_equal(steps[2].type, &stub_answer);
	assert_null(steps[3].type);
	assert_slice(((const struct config_text *)steps[0].config)->text, "top");
	assert_slice(((const struct config_text *)steps[1].config)->text, "route");
	assert_slice(((const struct config_text *)steps[2].config)->text, "route");
	// A route's own ending handler takes the place of another one of the site.
	steps = a->routes[1].steps;
	assert_ptr_equal(steps[1].type, &stub_other);
	assert_ptr_equal(steps[2].type, &stub_inner);
	assert_slice(((const struct config_text *)steps[2].config)->text, "site");
	assert_null(steps[3].type);
	// Types without a key say themselves where they apply.
	steps = a->routes[2].steps;
	assert_ptr_equal(steps[0].type, &stub_bound);
	assert_null(steps[0].config);
	assert_slice(stub_name(&a->routes[2]), "site");
	assert_slice(stub_name(&a->routes[3]), "site");
	assert_slice(a->routes[3].path_text, "*");
	assert_int_equal(b->route_count, 1);
	assert_slice(stub_name(&b->routes[0]), "top");
	snapshot_unref(snapshot);
}

static void test_no_catch_all_without_an_answer(void **state)
{
	struct snapshot *snapshot = test_load_good("routes: [{path: /x, answer: x}]\n", &stub_registry);
	assert_int_equal(snapshot->all_sites[0].route_count, 1);
	struct exchange exchange;
	assert_null(test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/y"}));
	assert_false(exchange_failed(&exchange));
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// Limits and timeouts are inherited field by field.
static void test_fields_inherited(void **state)
{
	struct snapshot *snapshot = test_load_good("answer: top\n"
						   "limits: {header: 8KiB, body: 1MiB}\n"
						   "timeouts: {connect: 1s, read: 2s}\n"
						   "sites:\n"
						   "  - host: a.example\n"
						   "    timeouts: {read: 3s}\n"
						   "    routes:\n"
						   "      - {path: /1, limits: {body: off}, timeouts: {response: 4s}}\n"
						   "      - {}\n",
						   &stub_registry);
	const struct site *site = site_find(snapshot, SLICE("a.example"));
	assert_int_equal(snapshot->limits->header_bytes, 8192);
	assert_int_equal(snapshot->limits->fields, 200);
	assert_int_equal(site->routes[0].limits->header_bytes, 8192);
	assert_int_equal(site->routes[0].limits->body_bytes, 0);
	assert_int_equal(site->routes[1].limits->body_bytes, 1 << 20);
	assert_ptr_equal(site->routes[1].limits, snapshot->limits);
	assert_int_equal(site->routes[0].timeouts->connect_ns, SECOND_NS);
	assert_int_equal(site->routes[0].timeouts->read_ns, 3 * SECOND_NS);
	assert_int_equal(site->routes[0].timeouts->response_ns, 4 * SECOND_NS);
	assert_int_equal(site->routes[1].timeouts->response_ns, 60 * SECOND_NS);
	assert_int_equal(snapshot->timeouts->read_ns, 2 * SECOND_NS);
	snapshot_unref(snapshot);
}

// What the tables say is the default is what stands when nothing is written.
static void test_standards(void **state)
{
	struct snapshot *written = test_load_good("answer: x\nlimits: {}\ntimeouts: {}\n", &stub_registry);
	struct snapshot *absent = test_load_good("answer: x\n", &stub_registry);
	struct limits limits = *written->limits;
	struct timeouts timeouts = *written->timeouts;
	limits.place = absent->limits->place;
	timeouts.place = absent->timeouts->place;
	assert_memory_equal(&limits, absent->limits, sizeof limits);
	assert_memory_equal(&timeouts, absent->timeouts, sizeof timeouts);
	snapshot_unref(written);
	snapshot_unref(absent);
}

static void test_merge_slashes(void **state)
{
	struct snapshot *snapshot = test_load_good("answer: x\nmerge_slashes: true\n"
						   "sites: [{host: a}, {host: b, merge_slashes: false}]\n",
						   &stub_registry);
	assert_true(site_find(snapshot, SLICE("a"))->merge_slashes);
	assert_false(site_find(snapshot, SLICE("b"))->merge_slashes);
	snapshot_unref(snapshot);
}

// Errors name the place, and all come in one go.
static void test_errors(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"", "nothing answers these requests; add \"answer\" or \"other\" here, to the site or at the top"},
		{"listen: \":80\"\n", "usher.yaml:1:1: nothing answers these requests"},
		{"answer: a\nother: b\n", "usher.yaml:2:1: \"other\" and \"answer\" (line 1) both answer"},
		{"answer: a\nsites: [{host: x, answer: a, other: b}]\n", "both answer the request"},
		{"sites:\n  - host: a.example\n    routes:\n      - path: /\n", "usher.yaml:4:9: nothing answers"},
		{"listen: 80\nanswer: x\n",
		 "usher.yaml:1:9: \"80\" is no address to listen on; expected one such as \":80\""},
		{"listen: [\":80\", \":81\", \":80\"]\nanswer: x\n",
		 "usher.yaml:1:24: the address :80 is listened on at usher.yaml:1 already"},
		{"listen: {address: \":80\", tls: true, h2c: true}\nanswer: x\n",
		 "usher.yaml:1:37: h2c is HTTP/2 without TLS"},
		{"answer: x\nroutes: [{limits: {handshakes: 1}}]\n", "\"limits.handshakes\" rules whole connections"},
		{"trusted_proxies: [10.0.0.1/8]\nanswer: x\n", "usher.yaml:1:19: \"10.0.0.1/8\" is no network"},
		{"access_log: {path: x, format: $nothing}\nanswer: x\n",
		 "usher.yaml:1:31: the format of an access log"},
		{"workers: 0\nanswer: x\n", "usher.yaml:1:10:"},
		{"answer: x\nsites: [{host: a}, {host: [b, A.]}]\n",
		 "usher.yaml:2:31: the host \"A.\" is named at usher.yaml:2 already"},
		{"answer: x\nsites: [{host: a}, {}, {host: \"*\"}]\n",
		 "there is a default site (one without a host) at "
		 "usher.yaml:2 already"},
		{"answer: x\nsites: [{host: \"a:80\"}]\n", "its host has none"},
		{"answer: x\nsites: [{host: \"http://a\"}]\n", "it has neither scheme nor path"},
		{"answer: x\nsites: [{host: \"a.*.b\"}]\n", "stands only for whole labels at the start"},
		{"answer: x\nsites: [{host: \"caf\xc3\xa9.example\"}]\n", "xn-- form"},
		{"answer: x\nsites: [{host: \"2001:db8::1\"}]\n", "an IPv6 address stands in brackets"},
		{"answer: x\nsites: [{host: \"a b\"}]\n", "it is not valid"},
		{"answer: x\nroutes: [{path: /a}]\nsites: [{host: a}]\n", "usher.yaml:2:1: \"routes\" stands either"},
		{"answer: x\nroutes: [{path: a}]\n", "usher.yaml:2:17: a path starts with \"/\""},
		{"answer: x\nroutes: [{path: /a?b}]\n", "a path has no query"},
		{"answer: x\nroutes: [{path: /a%2}]\n", "\"%\" begins no percent-encoding"},
		{"answer: x\nroutes: [{path: \"~ ^/(a\"}]\n", "usher.yaml:2:17: the regular expression \"^/(a\" is "
							      "wrong at its character 5: missing closing parenthesis"},
		{"answer: x\nroutes: [{match: {method: \"G T\"}}]\n", "\"G T\" is no method"},
		{"answer: x\nroutes: [{match: {header: {\"a b\": c}}}]\n", "\"a b\" is no name of a field"},
		{"answer: x\nroutes: [{match: {header: {a: \"~ (\"}}}]\n", "the regular expression"},
		{"answer: x\nroutes: [{match: {client: nobody}}]\n", "\"nobody\" is no network"},
		{"answer: x\nroutes: [{limits: {header: 1MiB}}]\n", "\"limits.header\" rules whole connections"},
		{"answer: x\nroutes: [{timeouts: {idle: 1s}}]\n", "\"timeouts.idle\" rules whole connections"},
		{"answer: x\nrouts: []\n", "did you mean \"routes\"?"},
		{"inner: bad\nanswer: x\n", "usher.yaml:1:8: inner cannot be bad"},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_refused(rows[i].text, rows[i].expected, &stub_registry);
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;
	for (const char *at = text; (at = strstr(at, part)); at++)
		count++;
	return count;
}

static void test_all_errors_at_once(void **state)
{
	struct test_loaded loaded = test_load("listen: nowhere\n"
					      "inner: bad\n"
					      "answer: x\n"
					      "sites:\n"
					      "  - {host: \"a:1\", routes: [{path: /1}, {path: bad}, {path: /2}]}\n"
					      "  - {host: b, routes: [{path: \"~ (\"}]}\n",
					      &stub_registry);
	assert_null(loaded.snapshot);
	assert_non_null(strstr(loaded.messages, "usher.yaml:1:9:"));
	assert_int_equal(count_of(loaded.messages, "inner cannot be bad"), 1);
	assert_non_null(strstr(loaded.messages, "its host has none"));
	assert_non_null(strstr(loaded.messages, "a path starts with"));
	assert_non_null(strstr(loaded.messages, "regular expression"));
	test_unload(&loaded);
}

static void test_unreachable(void **state)
{
	static const struct {
		const char *routes;
		unsigned warnings;
	} rows[] = {
		{"[{path: /a}, {path: /a}]", 1},
		{"[{path: /a/}, {path: /a/b}]", 1},
		{"[{path: /a/}, {path: /a/b/}]", 1},
		{"[{path: /a/b}, {path: /a/}]", 0},
		{"[{path: /a/}, {path: /a}]", 0},
		{"[{}, {path: /a}, {path: \"~ x\"}]", 2},
		{"[{path: /}, {path: \"~ x\"}]", 1},
		{"[{path: \"~ ^/a\"}, {path: /a/b}, {path: /a/}]", 1},
		{"[{path: /a, match: {method: GET}}, {path: /a}]", 0},
		{"[{path: /a}, {path: /a, match: {method: GET}}]", 1},
		{"[{path: /caf%c3%a9}, {path: /caf\xc3\xa9}]", 1},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];
		snprintf(text, sizeof text, "answer: x\nroutes: %s\n", rows[i].routes);
		struct test_loaded loaded = test_load(text, &stub_registry);
		assert_non_null(loaded.snapshot);
		if (count_of(loaded.messages, "this route is never reached") != rows[i].warnings)
			fail_msg("%s: %s", rows[i].routes, loaded.messages);
		test_unload(&loaded);
	}
}

// --- Sections of the top level

static unsigned section_loads, section_finishes, section_frees;

static void count_free(void *object)
{
	section_frees++;
}

static bool load_counted(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section)
{
	section_loads++;
	*ret_section = value;
	return config_at_free(load, count_free, value);
}

static bool finish_counted(struct config_load *load, struct snapshot *snapshot, void *section)
{
	section_finishes++;
	return true;
}

static void test_sections(void **state)
{
	static const struct top_section_type counted = {
		.key = {"counted", CONFIG_TEXT, .help = "x"}, .load = load_counted, .finish = finish_counted};
	static const struct top_section_type plain = {.key = {"plain", CONFIG_TEXT, .help = "x"}};
	static const struct top_section_type *const sections[] = {&counted, &plain, NULL};
	static const struct snapshot_registry registry = {stub_handlers, sections};
	struct snapshot *snapshot = test_load_good("answer: x\nplain: yes\ncounted: well\n", &registry);
	assert_slice(((struct config_text *)snapshot_section(snapshot, &counted))->text, "well");
	assert_slice(((struct config_text *)snapshot_section(snapshot, &plain))->text, "yes");
	assert_int_equal(section_loads, 1);
	assert_int_equal(section_finishes, 1);
	snapshot_ref(snapshot);
	snapshot_unref(snapshot);
	assert_int_equal(section_frees, 0);
	snapshot_unref(snapshot);
	assert_int_equal(section_frees, 1);
	assert_refused("plain: yes\nsites: [{plain: no}]\n", "unknown key \"plain\"", &registry);
	snapshot = test_load_good("answer: x\n", &registry);
	assert_null(snapshot_section(snapshot, &plain));
	snapshot_unref(snapshot);
	assert_int_equal(section_frees, 3);
}

static void test_schema(void **state)
{
	struct snapshot_schema *schema = snapshot_schema_new(&stub_registry);
	assert_non_null(schema);
	const struct config_section *root = snapshot_schema_root(schema);
	bool answer = false, sites = false;
	for (const struct config_key *const *extra = root->extra; *extra; extra++)
		answer = answer || strcmp((*extra)->name, "answer") == 0;
	for (const struct config_key *key = root->keys; key->name; key++)
		sites = sites || (strcmp(key->name, "sites") == 0 && key->section && key->section->keys);
	assert_true(answer);
	assert_true(sites);
	snapshot_schema_free(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shortest),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_listen_options),
		cmocka_unit_test(test_access_log_words),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_no_catch_all_without_an_answer),
		cmocka_unit_test(test_fields_inherited),
		cmocka_unit_test(test_standards),
		cmocka_unit_test(test_merge_slashes),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
