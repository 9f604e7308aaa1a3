// What deciding who gets in costs a request:
//
//	ninja -C build bench/bench_access && build/bench/bench_access
#include "access/concurrent.h"
#include "access/hours.h"
#include "access/jwt.h"
#include "access/jwt_kept.h"
#include "access/jwt_sign.h"
#include "access/kept.h"
#include "access/remembered.h"
#include "access/session.h"
#include "access/users.h"
#include "measure.h"
#include "net/address.h"
#include "net/country_database.h"
#include "net/rate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ROUNDS = 20,
	NETWORKS = 100000,
	CALLS = 200000,
	TOKENS = 2000,
	KEYS = 1000,
	COUNTRY_NODES = 1000000,
	ENDED = 10000,
};

static uint64_t state = 1;

static struct network_set set;
static struct address addresses[1024];
static struct seal_key key;
static struct slice cookie;
static unsigned found;

static void contains(unsigned call)
{
	found += network_set_contains(&set, &addresses[call % 1024]);
}

static void read_session(unsigned call)
{
	char room[SESSION_TEXT_MAX];
	struct session session;
	found += session_read(&key, cookie, SLICE("intranet.example.com"), room, &session) &&
		 !session_is_ended(&session);
}

// Of a user with 400 groups, of 24 bytes each: what stands in one cookie, and in three more.
static struct slice large_cookie, large_more;

static void make_large_session(struct arena *arena)
{
	static char groups[400 * 25];
	size_t length = 0;
	for (unsigned i = 0; i < 400; i++)
		length += (size_t)snprintf(groups + length, sizeof groups - length, "%sdepartment-of-things-%03u",
					   i ? "," : "", i);
	const struct session session = {
		.id = 1,
		.created_s = 2,
		.login = SLICE("staff"),
		.user = SLICE("ann"),
		.groups = slice_from(groups, length),
	};
	large_cookie = session_write(&key, &session, SLICE("intranet.example.com"), arena);
	large_more = session_write_more(&key, &session, SLICE("intranet.example.com"), arena);
}

static void read_large_session(unsigned call)
{
	char room[SESSION_TEXT_MAX], more_room[SEAL_TEXT_MAX];
	struct session session;
	found += session_read(&key, large_cookie, SLICE("intranet.example.com"), room, &session) &&
		 session_read_more(&key, large_more, SLICE("intranet.example.com"), more_room, &session);
}

// Others, as many as a large site has.
static void end_sessions(void)
{
	for (unsigned id = 2; id < ENDED; id++) {
		struct kept kept = {.kind = KEPT_SESSION, .value = 2, .until_s = INT64_MAX};
		kept_set_session(&kept, id);
		(void)kept_put(&kept);
	}
}

static void take_rate(unsigned call)
{
	static const struct rate rate = {100000000, 2000000000};
	uint64_t client[2];
	(void)address_client_key(&addresses[call % 1024], client);
	uint64_t rate_of = rate_key(7, slice_from(client, sizeof client));
	found += rate_take(&rate, rate_of, (int64_t)call * 1000).is_within;
}

static void remember(unsigned call)
{
	const struct remembered_login login = {7, SLICE("ann"), SLICE("correct horse battery staple")};
	found += remembered_has(&login, 1);
}

static void take_place(unsigned call)
{
	uint64_t client[2];
	struct concurrent *place;
	(void)address_client_key(&addresses[call % 1024], client);
	if (concurrent_take(rate_key(8, slice_from(client, sizeof client)), 20, &place) != CONCURRENT_TAKEN)
		abort();
	concurrent_give(place);
	found++;
}

// Made once, of a key that was thrown away; it holds until 2100.
static const char token_keys[] = "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"kid\": \"a\", "
				 "\"x\": \"y2Li2X_snS0U3-FdZ70sttb9Nj0MdODnCMh5-_MCrUw\", "
				 "\"y\": \"3b0WzNHpH8uaJb0cUML5nNo7SGdY8832YMxU5BKODq4\"}]}";
static const char token[] =
	"eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImEifQ."
	"eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhbXBsZS5jb20iLCAiYXVkIjogInNob3AiLCAic3ViIjogImFubiIsICJncm91cHMiOiBbIm1h"
	"a2VycyJdLCAiZXhwIjogNDEwMjQ0NDgwMH0."
	"bkyyLL5dHuncgoNARJiUAS7dn82H1vCap2OCg1ui71zafaUTp12_pR9nzveNma-Galg2VaM0WVYPw4z0Y-bzQQ";
static struct jwt_rules token_rules = {.issuer = {"https://issuer.example.com", 26}, .audience = {"shop", 4}};

static void read_token(bool is_known)
{
	const char *why;
	json_t *claims = jwt_verify(&token_rules, slice_from_string(token), is_known, 1800000000, &why);
	if (!claims)
		abort();
	json_decref(claims);
	found++;
}

static void verify_token(unsigned call)
{
	(void)call;
	read_token(false);
}

static const struct remembered_login known_token = {8, {"", 0}, {token, sizeof token - 1}};

static void remember_token(unsigned call)
{
	(void)call;
	read_token(remembered_has(&known_token, 1));
}

// --- Tokens for servers

#define CLAIMS SLICE("{\"sub\":\"ann\",\"groups\":[\"makers\",\"admins\"]}")
static struct jwt_signer *signer;

static struct jwt_signer *make_signer(void)
{
	const char *why;
	char *bytes;
	EVP_PKEY *private = EVP_EC_gen("P-256");
	BIO *pem = BIO_new(BIO_s_mem());
	if (!private || !pem || PEM_write_bio_PrivateKey(pem, private, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	long length = BIO_get_mem_data(pem, &bytes);
	struct jwt_signer *made = jwt_signer_by_key(slice_from(bytes, (size_t)length), &why);
	BIO_free(pem);
	EVP_PKEY_free(private);
	return made;
}

static void sign_token(unsigned call)
{
	struct arena arena;
	(void)call;
	arena_init(&arena, 1 << 20);
	found += jwt_sign(signer, SLICE("k1"), CLAIMS, &arena).length > 0;
	arena_fini(&arena);
}

static void send_kept_token(unsigned call)
{
	struct arena arena;
	(void)call;
	arena_init(&arena, 1 << 20);
	found += jwt_kept_find(7, CLAIMS, 1, &arena).length > 0;
	arena_fini(&arena);
}

// --- API keys

static struct users api_keys;

static void find_key(unsigned call)
{
	char text[16];
	size_t length = (size_t)snprintf(text, sizeof text, "key%u", call % KEYS);
	found += users_find_key(&api_keys, slice_from(text, length)) != NULL;
}

static void make_keys(struct arena *arena)
{
	struct users_fault fault;
	struct slice content = SLICE("");
	for (unsigned i = 0; i < KEYS; i++) {
		char text[16], digits[API_KEY_DIGITS + 1];
		size_t length = (size_t)snprintf(text, sizeof text, "key%u", i);
		if (!api_key_digest(slice_from(text, length), digits))
			abort();
		content = arena_printf(arena, "%.*s%s:%s\n", SLICE_ARGUMENTS(content), text, digits);
	}
	if (!users_read_keys(&api_keys, content, arena, &fault))
		abort();
}

// --- Countries: a tree of as many nodes as GeoLite2-Country has, whose shape is drawn, with addresses at every depth

static struct country_database *countries;

static void put_node(char *tree, unsigned node, unsigned side, uint32_t record)
{
	char *at = tree + node * 6 + side * 3;
	at[0] = (char)(record >> 16);
	at[1] = (char)(record >> 8);
	at[2] = (char)record;
}

// Each node is put at a leaf of those that are there, found by walking as random an address does.
static void make_tree(char *tree, unsigned count)
{
	static const uint32_t data = COUNTRY_NODES + 16;
	put_node(tree, 0, 0, data);
	put_node(tree, 0, 1, data);
	for (unsigned made = 1; made < count;) {
		uint64_t bits = next_random(&state);
		unsigned at = 0;
		for (unsigned depth = 0; depth < 32; depth++, bits >>= 1) {
			const unsigned char *record = (const unsigned char *)tree + at * 6 + (bits & 1) * 3;
			unsigned next = (unsigned)record[0] << 16 | (unsigned)record[1] << 8 | record[2];
			if (next < count) {
				at = next;
				continue;
			}
			put_node(tree, at, bits & 1, made);
			put_node(tree, made, 0, data);
			put_node(tree, made, 1, data);
			made++;
			break;
		}
	}
}

static void read_countries(void)
{
	static const char end[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				  "\xe1\x47"
				  "country\xe1\x48"
				  "iso_code\x42"
				  "CH\xab\xcd\xef"
				  "MaxMind.com\xe4\x4a"
				  "node_count\xc3\x0f\x42\x40\x4b"
				  "record_size\xa1\x18\x4a"
				  "ip_version\xa1\x04\x5b"
				  "binary_format_major_version\xa1\x02";
	size_t length = COUNTRY_NODES * 6 + sizeof end - 1;
	char *bytes = malloc(length);
	const char *why;
	if (!bytes)
		abort();
	make_tree(bytes, COUNTRY_NODES);
	memcpy(bytes + COUNTRY_NODES * 6, end, sizeof end - 1);
	int64_t began_ns = now_ns();
	countries = country_database_read(slice_from(bytes, length), &why);
	if (!countries)
		abort();
	printf("countries, of %u nodes: read in %.0f ms\n", COUNTRY_NODES, (double)(now_ns() - began_ns) / 1e6);
	free(bytes);
}

static void find_country(unsigned call)
{
	found += country_database_find(countries, &addresses[call % 1024]);
}

static struct hours hours;
static struct time_zone zone;

static void look_at_hours(unsigned call)
{
	found += hours_have(&hours, &zone, 1700000000 + (int64_t)call * 60);
}

// The shortest of many rounds counts: other programs disturb the rest.
static void measure(const char *what, void (*call)(unsigned), unsigned calls)
{
	int64_t best_ns = INT64_MAX;
	for (unsigned round = 0; round < ROUNDS; round++) {
		int64_t began_ns = now_ns();
		for (unsigned i = 0; i < calls; i++)
			call(i);
		int64_t took_ns = now_ns() - began_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	printf("%-45s %7.1f ns\n", what, (double)best_ns / calls);
}

int main(void)
{
	const char *why;
	set.networks = calloc(NETWORKS, sizeof *set.networks);
	if (!set.networks)
		abort();
	int64_t began_ns = now_ns();
	for (unsigned i = 0; i < NETWORKS; i++) {
		char text[64];
		uint32_t number = (uint32_t)(next_random(&state) >> 16);
		size_t length = (size_t)snprintf(text, sizeof text, "%u.%u.%u.0/24", number >> 24, number >> 16 & 255,
						 number >> 8 & 255);
		set.count += network_parse(slice_from(text, length), &set.networks[set.count]);
	}
	network_set_freeze(&set);
	printf("%u networks: read in %.0f ms\n", NETWORKS, (double)(now_ns() - began_ns) / 1e6);
	for (unsigned i = 0; i < 1024; i++) {
		char text[64];
		uint32_t number = (uint32_t)(next_random(&state) >> 16);
		size_t length = (size_t)snprintf(text, sizeof text, "%u.%u.%u.%u", number >> 24, number >> 16 & 255,
						 number >> 8 & 255, number & 255);
		if (!address_parse_ip(slice_from(text, length), 0, &addresses[i]))
			abort();
	}
	seal_key_make(SLICE("a secret of this benchmark"), &key);
	const struct session session = {.id = 1,
					.created_s = 2,
					.seen_s = 3,
					.ends_s = 4,
					.proof = 5,
					.login = SLICE("staff"),
					.user = SLICE("ann")};
	const struct remembered_login login = {7, SLICE("ann"), SLICE("correct horse battery staple")};
	remembered_put(&login, INT64_MAX);
	remembered_put(&known_token, INT64_MAX);
	token_rules.keys = jwt_keys_read(slice_from_string(token_keys), true, &why);
	struct arena arena;
	arena_init(&arena, 256 << 20);
	cookie = session_write(&key, &session, SLICE("intranet.example.com"), &arena);
	make_large_session(&arena);
	make_keys(&arena);
	signer = make_signer();
	jwt_kept_put(7, CLAIMS, jwt_sign(signer, SLICE("k1"), CLAIMS, &arena), 2);
	read_countries();
	(void)hours_add(&hours, SLICE("Mon-Fri 08:00-18:00"));
	if (!time_zone_parse(SLICE("CET-1CEST,M3.5.0,M10.5.0/3"), &zone))
		abort();
	measure("an address among 100,000 networks", contains, CALLS);
	measure("the country of an address", find_country, CALLS);
	measure("hours of the week", look_at_hours, CALLS);
	end_sessions();
	measure("a session's cookie", read_session, CALLS);
	measure("a session's cookies, of 400 groups", read_large_session, CALLS / 10);
	measure("a rate", take_rate, CALLS);
	measure("a password that is remembered", remember, CALLS);
	measure("a place of those under way", take_place, CALLS);
	measure("a token signed by ES256", verify_token, TOKENS);
	measure("a token that is remembered", remember_token, CALLS);
	measure("an API key among 1,000", find_key, CALLS);
	measure("a token for servers, signed by ES256", sign_token, TOKENS);
	measure("the same, signed before", send_kept_token, CALLS);
	return found > 0 ? 0 : 1;
}
