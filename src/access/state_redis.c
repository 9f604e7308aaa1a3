#include "access/state_redis.h"

#include "base/text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 256, ID_MAX = 64, MEMBER_MAX = KEPT_SUBJECT_MAX + 8, NUMBER_MAX = 24, AT_ONCE = 500 };

_Static_assert((int)REDIS_REASON_MAX == (int)STATE_REASON_MAX, "both hold the same words");

struct state_redis {
	const struct state_redis_settings *settings;
	struct redis *connection;
	char kept[NAME_MAX_BYTES], until[NAME_MAX_BYTES], log[NAME_MAX_BYTES], secret[NAME_MAX_BYTES];
	char last[ID_MAX]; // of the stream, that was seen; empty: nothing was read yet
};

// A value only grows; 1 when it did. The stream keeps what ushers that are connected may not have seen.
#define PUT_SCRIPT                                                                                                     \
	"local old = redis.call('HGET', KEYS[1], ARGV[1]) "                                                            \
	"if old and tonumber(string.match(old, '^%d+')) >= tonumber(ARGV[2]) then return 0 end "                       \
	"redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3]) "                                             \
	"redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1]) "                                                               \
	"redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', ARGV[1], ARGV[2] .. ' ' .. ARGV[3]) return 1"

#define DROP_SCRIPT                                                                                                    \
	"local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1000) "                         \
	"if #old > 0 then redis.call('HDEL', KEYS[1], unpack(old)) redis.call('ZREM', KEYS[2], unpack(old)) end "      \
	"return #old"

static redisReply *ask(struct state_redis *redis, const struct slice *words, unsigned count, int type,
		       char ret_why[STATE_REASON_MAX])
{
	return redis_send(redis->connection, words, count, ret_why) ? redis_receive(redis->connection, type, ret_why)
								    : NULL;
}

// --- Beginning and end

static void name_key(char name[NAME_MAX_BYTES], const char *prefix, const char *rest)
{
	snprintf(name, NAME_MAX_BYTES, "%.200s:%s", prefix, rest);
}

struct state_redis *state_redis_open(const struct state_redis_settings *settings, char ret_why[STATE_REASON_MAX])
{
	struct state_redis *redis = calloc(1, sizeof *redis);
	if (!redis) {
		snprintf(ret_why, STATE_REASON_MAX, "no memory");
		return NULL;
	}
	redis->settings = settings;
	name_key(redis->kept, settings->prefix, "kept");
	name_key(redis->until, settings->prefix, "until");
	name_key(redis->log, settings->prefix, "log");
	name_key(redis->secret, settings->prefix, "secret");
	redis->connection = redis_connect(&settings->address, ret_why);
	if (redis->connection)
		return redis;
	state_redis_close(redis);
	return NULL;
}

void state_redis_close(struct state_redis *redis)
{
	if (!redis)
		return;
	redis_free(redis->connection);
	free(redis);
}

// --- Writing

// A kind's digit, and the subject.
static struct slice member_of(const struct kept *kept, char room[MEMBER_MAX])
{
	struct text text;
	text_init(&text, room, MEMBER_MAX);
	text_add_number(&text, kept->kind);
	text_add_char(&text, ' ');
	text_add(&text, kept_subject(kept));
	return text_slice(&text);
}

static struct slice number_of(int64_t number, char room[NUMBER_MAX])
{
	struct text text;
	text_init(&text, room, NUMBER_MAX);
	text_add_signed(&text, number);
	return text_slice(&text);
}

static bool send_put(struct state_redis *redis, const struct kept *kept, char ret_why[STATE_REASON_MAX])
{
	char member[MEMBER_MAX], value[NUMBER_MAX], until[NUMBER_MAX];
	const struct slice words[] = {SLICE("EVAL"),
				      SLICE(PUT_SCRIPT),
				      SLICE("3"),
				      slice_from_string(redis->kept),
				      slice_from_string(redis->until),
				      slice_from_string(redis->log),
				      member_of(kept, member),
				      number_of(kept->value, value),
				      number_of(kept->until_s, until)};
	return redis_send(redis->connection, words, sizeof words / sizeof *words, ret_why);
}

bool state_redis_write(struct state_redis *redis, const struct kept *const *kept, bool *ret_new, unsigned count,
		       char ret_why[STATE_REASON_MAX])
{
	for (unsigned i = 0; i < count; i++)
		if (!send_put(redis, kept[i], ret_why))
			return false;
	for (unsigned i = 0; i < count; i++) {
		redisReply *answer = redis_receive(redis->connection, REDIS_REPLY_INTEGER, ret_why);
		if (!answer)
			return false;
		ret_new[i] = answer->integer == 1;
		freeReplyObject(answer);
	}
	return true;
}

bool state_redis_drop_old(struct state_redis *redis, int64_t now_s, char ret_why[STATE_REASON_MAX])
{
	char now[NUMBER_MAX];
	const struct slice words[] = {SLICE("EVAL"),
				      SLICE(DROP_SCRIPT),
				      SLICE("2"),
				      slice_from_string(redis->kept),
				      slice_from_string(redis->until),
				      number_of(now_s, now)};
	for (bool more = true; more;) {
		redisReply *answer = ask(redis, words, sizeof words / sizeof *words, REDIS_REPLY_INTEGER, ret_why);
		if (!answer)
			return false;
		more = answer->integer > 0;
		freeReplyObject(answer);
	}
	return true;
}

// --- Learning

static struct slice text_of(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING ? slice_from(reply->str, reply->len) : SLICE_EMPTY;
}

// False for what none of us has put there.
static bool read_pair(const redisReply *member, const redisReply *value, struct kept *ret_kept)
{
	struct slice kind, subject, number, until;
	uint64_t kind_number, value_number, until_number;
	if (!slice_cut(text_of(member), ' ', &kind, &subject) || !slice_cut(text_of(value), ' ', &number, &until) ||
	    !slice_to_number(kind, &kind_number) || kind_number >= KEPT_KINDS || subject.length > KEPT_SUBJECT_MAX ||
	    !slice_to_number(number, &value_number) || !slice_to_number(until, &until_number) ||
	    value_number > INT64_MAX || until_number > INT64_MAX)
		return false;
	*ret_kept = (struct kept){
		.kind = (enum kept_kind)kind_number,
		.value = (int64_t)value_number,
		.until_s = (int64_t)until_number,
		.subject_length = (unsigned)subject.length,
	};
	if (subject.length > 0)
		memcpy(ret_kept->subject, subject.data, subject.length);
	return true;
}

// Members and their values by turns.
static void learn_pairs(const redisReply *pairs, state_file_visitor *each, void *argument)
{
	struct kept kept;
	for (size_t i = 0; pairs->type == REDIS_REPLY_ARRAY && i + 1 < pairs->elements; i += 2) {
		if (!read_pair(pairs->element[i], pairs->element[i + 1], &kept))
			continue;
		(void)kept_put(&kept);
		if (each)
			each(argument, &kept);
	}
}

static bool is_array(const redisReply *reply, size_t least)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements >= least;
}

static bool note_last(struct state_redis *redis, const redisReply *id)
{
	struct slice text = text_of(id);
	if (text.length == 0 || text.length >= ID_MAX)
		return false;
	memcpy(redis->last, text.data, text.length);
	redis->last[text.length] = '\0';
	return true;
}

static bool answer_is_wrong(char ret_why[STATE_REASON_MAX])
{
	snprintf(ret_why, STATE_REASON_MAX, "it answers what was not asked for");
	return false;
}

// Where the stream ends, before all is read: what comes meanwhile is seen twice rather than never.
static bool find_last(struct state_redis *redis, char ret_why[STATE_REASON_MAX])
{
	const struct slice words[] = {
		SLICE("XREVRANGE"), slice_from_string(redis->log), SLICE("+"), SLICE("-"), SLICE("COUNT"), SLICE("1")};
	redisReply *answer = ask(redis, words, 6, REDIS_REPLY_ARRAY, ret_why);
	if (!answer)
		return false;
	bool is_empty = answer->elements == 0;
	bool good = is_empty || (is_array(answer->element[0], 2) && note_last(redis, answer->element[0]->element[0]));
	if (is_empty)
		snprintf(redis->last, ID_MAX, "0-0");
	freeReplyObject(answer);
	return good || answer_is_wrong(ret_why);
}

static bool learn_all(struct state_redis *redis, state_file_visitor *each, void *argument,
		      char ret_why[STATE_REASON_MAX])
{
	char cursor[NUMBER_MAX] = "0";
	do {
		const struct slice words[] = {SLICE("HSCAN"), slice_from_string(redis->kept), slice_from_string(cursor),
					      SLICE("COUNT"), SLICE("500")};
		redisReply *answer = ask(redis, words, 5, REDIS_REPLY_ARRAY, ret_why);
		if (!answer)
			return false;
		bool good = answer->elements == 2 && text_of(answer->element[0]).length > 0;
		if (good) {
			snprintf(cursor, sizeof cursor, "%s", answer->element[0]->str);
			learn_pairs(answer->element[1], each, argument);
		}
		freeReplyObject(answer);
		if (!good)
			return answer_is_wrong(ret_why);
	} while (strcmp(cursor, "0") != 0);
	return true;
}

// The streams of an answer to XREAD: [[name, [[id, [member, value]], ...]]]. How many there were, or -1.
static int learn_entries(struct state_redis *redis, const redisReply *answer, state_file_visitor *each, void *argument)
{
	if (answer->type == REDIS_REPLY_NIL)
		return 0;
	if (!is_array(answer, 1) || !is_array(answer->element[0], 2) || !is_array(answer->element[0]->element[1], 1))
		return -1;
	const redisReply *entries = answer->element[0]->element[1];
	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *entry = entries->element[i];
		if (!is_array(entry, 2) || !note_last(redis, entry->element[0]))
			return -1;
		learn_pairs(entry->element[1], each, argument);
	}
	return (int)entries->elements;
}

static bool learn_newer(struct state_redis *redis, state_file_visitor *each, void *argument,
			char ret_why[STATE_REASON_MAX])
{
	for (int count = AT_ONCE; count == AT_ONCE;) {
		const struct slice words[] = {SLICE("XREAD"),
					      SLICE("COUNT"),
					      SLICE("500"),
					      SLICE("STREAMS"),
					      slice_from_string(redis->log),
					      slice_from_string(redis->last)};
		redisReply *answer = ask(redis, words, 6, 0, ret_why);
		if (!answer)
			return false;
		count = learn_entries(redis, answer, each, argument);
		freeReplyObject(answer);
		if (count < 0)
			return answer_is_wrong(ret_why);
	}
	return true;
}

bool state_redis_learn(struct state_redis *redis, state_file_visitor *each, void *argument,
		       char ret_why[STATE_REASON_MAX])
{
	if (redis->last[0] != '\0')
		return learn_newer(redis, each, argument, ret_why);
	bool good = find_last(redis, ret_why) && learn_all(redis, each, argument, ret_why);
	if (!good)
		redis->last[0] = '\0';
	return good;
}

// --- The secret

bool state_redis_secret(struct state_redis *redis, unsigned char secret[SEAL_KEY_BYTES], char ret_why[STATE_REASON_MAX])
{
	struct slice name = slice_from_string(redis->secret), own = slice_from((const char *)secret, SEAL_KEY_BYTES);
	const struct slice set[] = {SLICE("SETNX"), name, own}, get[] = {SLICE("GET"), name};
	redisReply *answer = ask(redis, set, 3, REDIS_REPLY_INTEGER, ret_why);
	freeReplyObject(answer);
	answer = answer ? ask(redis, get, 2, REDIS_REPLY_STRING, ret_why) : NULL;
	if (!answer)
		return false;
	bool good = answer->len == SEAL_KEY_BYTES;
	if (good)
		memcpy(secret, answer->str, SEAL_KEY_BYTES);
	OPENSSL_cleanse(answer->str, answer->len);
	freeReplyObject(answer);
	return good || answer_is_wrong(ret_why);
}
