// Scalars: text to typed values, and what is expected of each kind in words.
#ifndef USHER_CONFIG_VALUE_H
#define USHER_CONFIG_VALUE_H

#include "config/loading.h"

// Units of durations and sizes, the largest last.
struct value_unit {
	const char *name;
	int64_t factor;
};

extern const struct value_unit value_duration_units[]; // end with a row without name
extern const struct value_unit value_size_units[];

// Each is false for text that is not of its kind or out of bounds.
bool value_bool(struct slice text, bool *ret_value);
bool value_integer(const struct config_key *key, struct slice text, int64_t *ret_value);
bool value_duration(const struct config_key *key, struct slice text, int64_t *ret_value);
bool value_size(const struct config_key *key, struct slice text, int64_t *ret_value);
bool value_choice(const struct config_key *key, struct slice text, int *ret_value);

// Whether a number of this key may be written "off".
bool value_may_be_off(const struct config_key *key);

// "a duration such as 250ms, 10s or 1m, at least 1s": what is expected of the key.
void value_expected(const struct config_key *key, char *buffer, size_t size);

// A duration or a size in its largest whole unit: "90s", "64KiB".
void value_format(const struct value_unit *units, int64_t value, char *buffer, size_t size);

#endif
