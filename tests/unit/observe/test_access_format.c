#include "observe/access_format.h"
#include "observe/trace.h"
#include "support.h"

#include <time.h>

static char line[ACCESS_LINE_MAX];

static struct slice format_line(const char *format, const struct access_record *record)
{
	struct access_format *compiled;
	struct slice wrong;
	assert_int_equal(access_format_new(slice_from_string(format), &compiled, &wrong), 0);
	// Alone, so that the sanitizer sees a step too far.
	char *to = test_malloc(ACCESS_LINE_MAX);
	size_t length = access_format_line(compiled, record, to);
	assert_true(length > 0 && to[length - 1] == '\n');
	assert_null(memchr(to, '\n', length - 1));
	memcpy(line, to, length);
	test_free(to);
	access_format_free(compiled);
	return slice_from(line, length - 1);
}

static struct access_record ordinary(void)
{
	return (struct access_record){
		.time_ns = INT64_C(971211336123456789), // 2000-10-10T20:55:36Z
		.duration_ns = 12045678,
		.client = SLICE("192.0.2.7"),
		.request_id = SLICE("5f3c"),
		.method = SLICE("GET"),
		.scheme = SLICE("http"),
		.host = SLICE("shop.example.com"),
		.target = SLICE("/apache_pb.gif?a=1"),
		.path = SLICE("/apache_pb.gif"),
		.query = SLICE("a=1"),
		.protocol = SLICE("HTTP/1.1"),
		.status = 200,
		.bytes_received = 17,
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
		.user_agent = SLICE("Mozilla/4.08 [en] (Win98; I ;Nav)"),
	};
}

static void writes_combined(void **state)
{
	struct access_record record = ordinary();
	assert_text(format_line("combined", &record),
		    "192.0.2.7 - - [10/Oct/2000:20:55:36 +0000] \"GET /apache_pb.gif?a=1 HTTP/1.1\" 200 2326 "
		    "\"http://www.example.com/start.html\" \"Mozilla/4.08 [en] (Win98; I ;Nav)\"");
	// Absent, empty, and nothing sent, as Apache writes them.
	record.user = SLICE("frank");
	record.referer = SLICE_EMPTY;
	record.user_agent = SLICE("");
	record.body_bytes_sent = 0;
	record.status = 304;
	assert_text(
		format_line("combined", &record),
		"192.0.2.7 - frank [10/Oct/2000:20:55:36 +0000] \"GET /apache_pb.gif?a=1 HTTP/1.1\" 304 - \"-\" \"\"");
	record.user = SLICE("");
	assert_true(slice_starts_with(format_line("combined", &record), SLICE("192.0.2.7 - \"\" [")));
	// What never became a request.
	struct access_record bad = {.client = SLICE("::1"), .status = 400};
	assert_text(format_line("combined", &bad), "::1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 - \"-\" \"-\"");
}

static void combined_cannot_be_forged(void **state)
{
	struct access_record record = ordinary();
	record.target = SLICE("/\" 200 1 \"-\" \"-\"\n192.0.2.66 - - [");
	record.user_agent = SLICE("\\\" \x1b[2J\xff");
	record.user = SLICE("a b");
	assert_text(format_line("combined", &record),
		    "192.0.2.7 - a\\x20b [10/Oct/2000:20:55:36 +0000] \"GET /\\\" 200 1 \\\"-\\\" "
		    "\\\"-\\\"\\n192.0.2.66 - - [ "
		    "HTTP/1.1\" 200 2326 \"http://www.example.com/start.html\" \"\\\\\\\" \\x1b[2J\\xff\"");
}

static void writes_json(void **state)
{
	struct access_record record = ordinary();
	assert_text(format_line("json", &record),
		    "{\"time\":\"2000-10-10T20:55:36.123Z\",\"client\":\"192.0.2.7\",\"request_id\":\"5f3c\","
		    "\"method\":\"GET\",\"scheme\":\"http\",\"host\":\"shop.example.com\",\"path\":\"/apache_pb.gif\","
		    "\"query\":\"a=1\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes_received\":17,"
		    "\"bytes_sent\":2526,\"body_bytes_sent\":2326,\"duration_ms\":12.045,\"site\":\"shop.example.com\","
		    "\"route\":\"shop.yaml:12\",\"pool\":\"api\",\"server\":\"10.0.0.1:80\",\"server_status\":200,"
		    "\"tries\":1,\"reused\":true,\"response_ms\":3.000,"
		    "\"referer\":\"http://www.example.com/start.html\","
		    "\"user_agent\":\"Mozilla/4.08 [en] (Win98; I ;Nav)\"}");
	record.fault = "connect_refused";
	record.fault_step = "connect";
	record.fault_detail = "nobody \"listens\"";
	record.fault_setting = "limits.header";
	struct trace trace = {.count = 1,
			      .records = {{.what = "site", .by = "a b", .by_length = 3, .value = TRACE_NO_VALUE}}};
	record.trace = &trace;
	struct slice text = format_line("json", &record);
	assert_true(test_is_json(text));
	assert_text(test_json_member(text, "fault"), "\"connect_refused\"");
	assert_text(test_json_member(text, "fault_detail"), "\"nobody \\\"listens\\\"\"");
	assert_text(test_json_member(text, "fault_setting"), "\"limits.header\"");
	assert_text(test_json_member(text, "trace"), "\"site=a\\\\x20b\"");
	struct access_record nothing = {.connect_ns = -1, .response_ns = -1, .duration_ns = -1};
	assert_true(test_is_json(format_line("json", &nothing)));
}

// What certificates say is chosen by whoever made them.
static void tells_of_tls(void **state)
{
	struct access_record record = ordinary();
	static const char own[] = "$tls_version $tls_cipher $tls_server_name $tls_resumed "
				  "\"$client_certificate_subject\" $client_certificate_fingerprint "
				  "$client_certificate_verification";
	assert_text(format_line(own, &record), "- - - - \"-\" - -");
	assert_null(test_json_member(format_line("json", &record), "tls_resumed").data);
	record.tls_version = "TLSv1.3";
	record.tls_cipher = "TLS_AES_128_GCM_SHA256";
	assert_text(format_line(own, &record), "TLSv1.3 TLS_AES_128_GCM_SHA256 - false \"-\" - -");
	record.tls_resumed = true;
	record.tls_server_name = SLICE("shop.example.com");
	record.certificate_subject = SLICE("CN=\"\n1.2.3.4 - -");
	record.certificate_fingerprint = SLICE("00ff");
	record.certificate_verification = SLICE("FAILED:certificate has expired");
	assert_text(format_line(own, &record),
		    "TLSv1.3 TLS_AES_128_GCM_SHA256 shop.example.com true \"CN=\\\"\\n1.2.3.4 - -\" 00ff "
		    "FAILED:certificate\\x20has\\x20expired");
	struct slice text = format_line("json", &record);
	assert_true(test_is_json(text));
	assert_text(test_json_member(text, "tls_version"), "\"TLSv1.3\"");
	assert_text(test_json_member(text, "tls_resumed"), "true");
	assert_text(test_json_member(text, "client_certificate_subject"), "\"CN=\\\"\\u000a1.2.3.4 - -\"");
}

static void writes_formats_of_ones_own(void **state)
{
	struct access_record record = ordinary();
	record.path = SLICE("/a b\"c");
	assert_text(format_line("$client $method \"$path\" $path $$5 $status$tries $connect_ms $response_ms,", &record),
		    "192.0.2.7 GET \"/a b\\\"c\" /a\\x20b\\\"c $5 2001 - 3.000,");
	assert_text(format_line("$time_iso [$time]", &record), "2000-10-10T20:55:36.123Z [10/Oct/2000:20:55:36 +0000]");
	assert_text(format_line("no variable", &record), "no variable");
	assert_text(format_line("$user|$fault|$server_status|$trace|$reused", &record), "-|-|200|-|true");
	assert_text(format_line("$request", &record), "GET /apache_pb.gif?a=1 HTTP/1.1");
}

static void refuses_bad_formats(void **state)
{
	static const struct {
		const char *format, *wrong;
	} cases[] = {
		{"$client $nonsense x", "$nonsense"},
		{"$", "$"},
		{"$$ $", "$"},
		{"a $Client", "$"},
		{"$body_bytes_sent_or_none", "$body_bytes_sent_or_none"},
		{"", ""},
		{"two\nlines", "two\nlines"},
	};
	struct slice wrong;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(access_log_check_format(slice_from_string(cases[i].format), &wrong));
		assert_text(wrong, cases[i].wrong);
	}
	assert_true(access_log_check_format(SLICE("combined"), &wrong));
	assert_true(access_log_check_format(SLICE("json"), &wrong));
	char long_format[20 * 6 + 1] = "";
	for (int i = 0; i < 20; i++)
		memcpy(long_format + i * 6, "$path ", 7);
	assert_false(access_log_check_format(slice_from_string(long_format), &wrong));
	assert_text(wrong, long_format);
}

static struct slice random_slice(unsigned *seed, char *bytes, size_t size)
{
	if (rand_r(seed) % 6 == 0)
		return SLICE_EMPTY;
	size_t length = (size_t)rand_r(seed) % (rand_r(seed) % 20 ? 40 : size);
	int kind = rand_r(seed) % 3;
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)(kind == 0	     ? rand_r(seed)
				  : kind == 1	     ? 'a' + rand_r(seed) % 26
				  : rand_r(seed) % 2 ? 1
						     : 0xc3);
	return slice_from(bytes, length);
}

// Whatever the bytes and however many: one line, valid, and within its bound.
static void any_bytes_make_one_line(void **state)
{
	enum { SLICES = 16, SIZE = 20000 };
	char(*bytes)[SIZE] = test_malloc(SLICES * SIZE);
	unsigned seed = 11;
	for (int round = 0; round < 400; round++) {
		struct access_record record = {.time_ns = rand_r(&seed), .duration_ns = rand_r(&seed)};
		struct slice *slices[SLICES] = {
			&record.client, &record.user,	  &record.request_id, &record.method,
			&record.scheme, &record.host,	  &record.target,     &record.path,
			&record.query,	&record.protocol, &record.site,	      &record.route,
			&record.pool,	&record.server,	  &record.referer,    &record.user_agent,
		};
		for (int i = 0; i < SLICES; i++)
			*slices[i] = random_slice(&seed, bytes[i], SIZE);
		assert_true(test_is_json(format_line("json", &record)));
		struct slice text = format_line("combined", &record);
		unsigned quotes = 0;
		for (size_t i = 0; i < text.length; i++) {
			assert_true(text.data[i] >= 0x20 && text.data[i] < 0x7f);
			if (text.data[i] == '\\')
				i++;
			else
				quotes += text.data[i] == '"';
		}
		assert_true(quotes == 6 || quotes == 8); // 8: the user's name is there, but empty
	}
	test_free(bytes);
}

int main(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_combined),
		cmocka_unit_test(combined_cannot_be_forged),
		cmocka_unit_test(writes_json),
		cmocka_unit_test(tells_of_tls),
		cmocka_unit_test(writes_formats_of_ones_own),
		cmocka_unit_test(refuses_bad_formats),
		cmocka_unit_test(any_bytes_make_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
