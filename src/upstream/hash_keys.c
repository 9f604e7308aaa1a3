#include "upstream/hash_keys.h"

#include "base/hash.h"
#include "config/load.h"
#include "upstream/balance_hash.h"
#include "upstream/pool_config.h"
#include "upstream/pool_keys.h"

static const char *const method_names[] = {[HASH_MAGLEV] = "maglev", [HASH_RING] = "ring", NULL};

enum { BOUND_MIN_PERCENT = 101, BOUND_MAX_PERCENT = 10000 };

static bool read_bound(struct config_load *load, struct pool_hash_config *hash)
{
	return percent_load(load, &hash->bound, BOUND_MIN_PERCENT, BOUND_MAX_PERCENT, &hash->bound_percent);
}

// Without a secret the key is the same everywhere, and anybody can find requests that meet one server.
static void read_secret(struct pool_hash_config *hash)
{
	uint64_t low = hash_fast(hash->secret.text);
	hash->hash_key = (struct hash_key){{low, hash_number(low + hash->secret.text.length)}};
}

static bool finish(struct config_load *load, void *section_struct)
{
	struct pool_hash_config *hash = section_struct;
	read_secret(hash);
	bool good = !hash->by.text.data || pick_key_load(load, &hash->by, &hash->key);
	return read_bound(load, hash) && good;
}

static const struct config_key keys[] = {
	{
		.name = "by",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct pool_hash_config, by),
		.standard = "client",
		.help = "`client` (its address; of IPv6 the /64), `host`, `path`, `uri` (with the query), `header "
			"NAME`, "
			"`cookie NAME` or `query NAME`. Requests without that header, cookie or parameter count by "
			"their client.",
		.form = PICK_KEY_FORM,
	},
	{
		.name = "method",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct pool_hash_config, method),
		.standard = "maglev",
		.choices = method_names,
		.help = "`maglev`: exact shares, and a look-up in one step; `ring`: a heavier server, or a new one, "
			"moves "
			"only the keys that it gets.",
	},
	{
		.name = "bound",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct pool_hash_config, bound),
		.standard = "off",
		.help = "How much more than its share of the requests under way a server may have, such as 125%; what "
			"would be more goes to the next server of its key.",
		.form = "off, or a percentage such as 125%",
	},
	{
		.name = "secret",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct pool_hash_config, secret),
		.help = "Any text: who does not know it cannot find requests that all meet one server. Several ushers "
			"with "
			"the same text choose the same servers.",
		.secret = true,
	},
	{0},
};

const struct config_section hash_section = {
	.name = "pools.NAME.hash",
	.help = "What requests must have in common to meet the same server, with `balance: hash`.",
	.size = sizeof(struct pool_hash_config),
	.keys = keys,
	.place_offset = offsetof(struct pool_hash_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.finish = finish,
	.shorthand = "by",
};
