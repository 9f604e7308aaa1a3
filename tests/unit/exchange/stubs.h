// Handlers and sections that do nothing, for tests of what is made of a configuration.
#ifndef USHER_TESTS_UNIT_EXCHANGE_STUBS_H
#define USHER_TESTS_UNIT_EXCHANGE_STUBS_H

#include "support.h"

// `answer: NAME` and `other: NAME` end; `inner: NAME` and `outer: NAME` do not; the one
// without a key is in routes whose bodies are bounded.
static inline void stub_handle(struct exchange *exchange, const void *config)
{
}

static inline bool stub_load_inner(struct config_load *load, struct snapshot *snapshot, const struct route *route,
				   void *value, const void **ret_config)
{
	const struct config_text *text = value;
	if (slice_equal(text->text, SLICE("bad"))) {
		config_error(load, text->place, "inner cannot be bad");
		return false;
	}
	*ret_config = text;
	return true;
}

static inline bool stub_applies(const struct route *route)
{
	return route->limits->body_bytes > 0;
}

static const struct handler_type stub_answer = {
	.order = HANDLER_PROXY, .key = {"answer", CONFIG_TEXT, .help = "x"}, .handle = stub_handle, .ends = true};
static const struct handler_type stub_other = {
	.order = HANDLER_REDIRECT, .key = {"other", CONFIG_TEXT, .help = "x"}, .handle = stub_handle, .ends = true};
static const struct handler_type stub_inner = {.order = HANDLER_REWRITE,
					       .key = {"inner", CONFIG_TEXT, .help = "x"},
					       .load = stub_load_inner,
					       .handle = stub_handle};
static const struct handler_type stub_outer = {
	.order = HANDLER_ACCESS, .key = {"outer", CONFIG_TEXT, .help = "x"}, .handle = stub_handle};
static const struct handler_type stub_bound = {.order = HANDLER_LIMITS, .applies = stub_applies, .handle = stub_handle};

static const struct handler_type *const stub_handlers[] = {&stub_answer, &stub_inner, &stub_other,
							   &stub_outer,	 &stub_bound, NULL};
static const struct top_section_type *const stub_sections[] = {NULL};
static const struct snapshot_registry stub_registry = {stub_handlers, stub_sections};

// What the last handler of a route was given: the NAME of `answer`.
static inline struct slice stub_name(const struct route *route)
{
	const struct handler_step *step = route->steps;
	while (step[1].type)
		step++;
	return ((const struct config_text *)step->config)->text;
}

#endif
