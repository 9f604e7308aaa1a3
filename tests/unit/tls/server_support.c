#include "server_support.h"

#include "tls/context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

// --- What a stream would be to the contexts: the names are those of tls/context.h

struct standing {
	const struct tls_server *server;
	const struct tls_site *site;
	const char *reason;
};

const struct tls_server *tls_stream_server(const SSL *ssl)
{
	return ((struct standing *)SSL_get_app_data(ssl))->server;
}

bool tls_stream_note_server_name(SSL *ssl, struct slice host)
{
	return true;
}

void tls_stream_note_site(SSL *ssl, const struct tls_site *site)
{
	((struct standing *)SSL_get_app_data(ssl))->site = site;
}

void tls_stream_note_reason(SSL *ssl, const char *reason)
{
	struct standing *standing = SSL_get_app_data(ssl);
	standing->reason = standing->reason ? standing->reason : reason;
}

// --- Configurations

struct site {
	struct config_texts hosts;
	struct tls_site_config *tls;
};

struct root {
	struct config_list sites;
	void *extra[3];
};

static struct config_key site_keys[] = {
	{"host", CONFIG_TEXTS, offsetof(struct site, hosts)},
	{.name = "tls", .kind = CONFIG_OPTIONAL, .offset = offsetof(struct site, tls)},
	{0},
};

static const struct config_section site_section = {
	.name = "site",
	.size = sizeof(struct site),
	.keys = site_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key root_keys[] = {
	{"sites", CONFIG_LIST, offsetof(struct root, sites), .section = &site_section},
	{0},
};

static const struct config_key *const extra_keys[] = {&tls_key, &tls_policy_key, NULL};

static const struct config_section root_section = {
	.name = "root",
	.size = sizeof(struct root),
	.keys = root_keys,
	.extra = extra_keys,
	.extra_offset = offsetof(struct root, extra),
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct tls_site *find(const struct tls_server *server, struct slice host)
{
	const struct test_server *test =
		(const struct test_server *)((const char *)server - offsetof(struct test_server, server));
	for (size_t i = 0; i < test->count; i++) {
		for (size_t j = 0; test->hosts[i] && j < test->hosts[i]->count; j++) {
			struct slice wanted = test->hosts[i]->items[j].text;
			bool wildcard = slice_starts_with(wanted, SLICE("*."));
			if (wildcard ? slice_ends_with(host, slice_after(wanted, 1)) : slice_equal(host, wanted))
				return test->sites[i];
		}
	}
	return NULL;
}

static void load_sites(struct config_load *load, struct root *root, struct test_server *test)
{
	for (size_t i = 0; i < root->sites.count; i++) {
		struct site *site = (struct site *)root->sites.items + i;
		struct tls_site_config *tls = tls_site_inherit(load, site->tls, root->extra[0], root->extra[1]);
		if (!tls)
			continue;
		assert_true(test->count < TEST_SITES_MAX);
		test->hosts[test->count] = &site->hosts;
		test->sites[test->count] = tls_site_load(load, tls, &site->hosts);
		if (site->hosts.count == 0)
			test->server.standard = test->sites[test->count];
		test->count++;
	}
	if (test->count > 0 && config_error_count(load) == 0)
		(void)tls_server_prepare(load, &test->server); // reports what fails
}

struct test_server test_server_load(const char *text)
{
	struct test_server test = {.server = {.find = find, .http2 = true}};
	void *root = NULL;
	site_keys[1].section = tls_key.section;
	struct config_load *load =
		config_load_begin(pki_source(), "a.yaml", slice_from_string(text), &root_section, &root);
	if (!load)
		return test;
	if (root)
		load_sites(load, root, &test);
	size_t size;
	FILE *messages = open_memstream(&test.messages, &size);
	assert_non_null(messages);
	test.good = config_load_end(load, messages, false, &test.config);
	assert_int_equal(fclose(messages), 0);
	assert_int_equal(ERR_peek_error(), 0);
	return test;
}

void test_server_free(struct test_server *server)
{
	if (server->good)
		config_free(server->config);
	free(server->messages);
}

struct test_server test_server_good(const char *text)
{
	struct test_server test = test_server_load(text);
	assert_string_equal(test.messages, "");
	assert_true(test.good);
	return test;
}

// Only the first line of each message counts; the lines of the file that follow it do not.
static char *first_lines(const char *messages)
{
	char *lines = calloc(1, strlen(messages) + 1), *to = lines;
	for (const char *line = messages; *line;) {
		size_t length = strcspn(line, "\n") + 1;
		if (strncmp(line, "a.yaml:", 7) == 0) {
			memcpy(to, line, length);
			to += length;
		}
		line += length;
	}
	return lines;
}

void test_server_expect(const char *text, bool good, const char *messages)
{
	struct test_server test = test_server_load(text);
	char *lines = first_lines(test.messages);
	assert_string_equal(lines, messages);
	assert_int_equal(test.good, good);
	free(lines);
	test_server_free(&test);
}

// --- Handshakes

static void note_alert(const SSL *ssl, int where, int value)
{
	if (where & SSL_CB_ALERT && where & SSL_CB_READ)
		((struct test_handshake *)SSL_get_app_data(ssl))->alert = value & 0xff;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct test_handshake *handshake = SSL_get_app_data(ssl);
	SSL_SESSION_free(handshake->session);
	handshake->session = session;
	return 1;
}

static SSL_CTX *client_context(const struct test_client *wishes)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	assert_non_null(context);
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_min_proto_version(context, wishes->version);
	SSL_CTX_set_max_proto_version(context, wishes->version);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	SSL_CTX_set_info_callback(context, note_alert);
	if (wishes->suites)
		assert_int_equal(SSL_CTX_set_cipher_list(context, wishes->suites), 1);
	if (wishes->signatures)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(context, wishes->signatures), 1);
	if (wishes->groups)
		assert_int_equal(SSL_CTX_set1_groups_list(context, wishes->groups), 1);
	if (wishes->certificate) {
		assert_int_equal(SSL_CTX_use_certificate(context, wishes->certificate->certificate), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(context, wishes->certificate->key), 1);
	}
	return context;
}

static SSL *client_new(SSL_CTX *context, const struct test_client *wishes, struct test_handshake *handshake)
{
	SSL *client = SSL_new(context);
	assert_non_null(client);
	SSL_set_connect_state(client);
	SSL_set_app_data(client, handshake);
	if (wishes->name)
		SSL_set_tlsext_host_name(client, wishes->name);
	if (wishes->protocols.length > 0)
		assert_int_equal(SSL_set_alpn_protos(client, (const unsigned char *)wishes->protocols.data,
						     (unsigned)wishes->protocols.length),
				 0);
	if (wishes->session)
		assert_int_equal(SSL_set_session(client, wishes->session), 1);
	if (wishes->wants_staple)
		SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
	return client;
}

static void connect_both(SSL *client, SSL *server)
{
	BIO *one, *other;
	assert_int_equal(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16), 1);
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, other, other);
}

// Tickets and late alerts come after the client's handshake is done.
static void run_both(SSL *client, SSL *server, struct test_handshake *handshake)
{
	char byte;
	bool client_done = false, server_done = false;
	for (int round = 0; round < 8; round++) {
		client_done = client_done || SSL_do_handshake(client) == 1;
		server_done = server_done || SSL_do_handshake(server) == 1;
		if (client_done)
			assert_true(SSL_read(client, &byte, 1) <= 0);
	}
	handshake->done = client_done && server_done;
	ERR_clear_error();
}

static void look_at(SSL *client, SSL *server, struct test_handshake *handshake)
{
	const unsigned char *protocol, *staple;
	unsigned length;
	handshake->version = SSL_version(server);
	handshake->resumed = SSL_session_reused(server) == 1;
	handshake->verify_result = SSL_get_verify_result(server);
	handshake->showed_certificate = SSL_get0_peer_certificate(server) != NULL;
	handshake->certificate = SSL_get1_peer_certificate(client);
	(void)snprintf(handshake->cipher, sizeof(handshake->cipher), "%s", SSL_get_cipher_name(client));
	const char *group = OBJ_nid2sn((int)(SSL_get_negotiated_group(server) & 0xffff));
	(void)snprintf(handshake->group, sizeof(handshake->group), "%s", group ? group : "");
	SSL_get0_alpn_selected(client, &protocol, &length);
	(void)snprintf(handshake->protocol, sizeof(handshake->protocol), "%.*s", (int)length, (const char *)protocol);
	long staple_length = SSL_get_tlsext_status_ocsp_resp(client, &staple);
	if (staple_length > 0)
		handshake->staple = slice_from(OPENSSL_memdup(staple, (size_t)staple_length), (size_t)staple_length);
}

struct test_handshake test_handshake(const struct test_server *test, const struct test_client *wishes)
{
	struct test_handshake handshake = {0};
	struct standing standing = {.server = &test->server};
	SSL_CTX *context = client_context(wishes);
	SSL *client = client_new(context, wishes, &handshake), *server = SSL_new(test->server.first);
	assert_non_null(server);
	SSL_set_accept_state(server);
	SSL_set_app_data(server, &standing);
	connect_both(client, server);
	run_both(client, server, &handshake);
	if (handshake.done)
		look_at(client, server, &handshake);
	handshake.site = standing.site;
	handshake.reason = standing.reason;
	SSL_shutdown(client); // or OpenSSL would not let its session be resumed
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(context);
	return handshake;
}

void test_handshake_free(struct test_handshake *handshake)
{
	X509_free(handshake->certificate);
	SSL_SESSION_free(handshake->session);
	OPENSSL_free((void *)handshake->staple.data);
	*handshake = (struct test_handshake){0};
}
