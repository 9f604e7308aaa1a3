#include "http/h2_limits.h"

#include "fiber/loop.h"
#include "http/h2_server.h"

#include <nghttp2/nghttp2.h>

enum {
	// CONTINUATION frames in a header section. A section of 64 KiB needs three.
	CONTINUATIONS_MAX = 7,
	// Names, values and their overhead may be this many times limits.header before the
	// section is taken for an attack: up to there it is answered with 431.
	SECTION_TIMES_MAX = 4,
	GRANTS_EACH = 2, // for the stream and for the connection
	GRANTS_MAX = 1024,
	// Of what a client took, so many bytes excuse one tiny frame; they are remembered up to a bound.
	TAKEN_EACH = 2048,
	TAKEN_MAX = 1024 * 1024,
	// RFC 9218 section 7.1; the types of RFC 9113 section 6 end at CONTINUATION.
	TYPE_PRIORITY_UPDATE = 0x10,
	// A header section on the wire is never larger than in memory, but for codes that no
	// sane encoder chooses, and padding.
	SECTION_SLACK_BYTES = 16 * 1024,
};
#define WINDOW_NS (10 * SECOND_NS)

static bool pass(struct h2_limits *limits, enum h2_abuse abuse)
{
	if (limits->over == H2_ABUSE_NONE)
		limits->over = abuse;
	return false;
}

static void turn_window(struct h2_limits *limits, int64_t now_ns)
{
	if (now_ns - limits->since_ns < WINDOW_NS)
		return;
	limits->since_ns = now_ns;
	limits->resets = limits->controls = 0;
}

static bool count(struct h2_limits *limits, uint32_t *counter, uint32_t most, enum h2_abuse abuse, int64_t now_ns)
{
	turn_window(limits, now_ns);
	++*counter;
	return most == 0 || *counter <= most || pass(limits, abuse);
}

bool h2_limits_reset(struct h2_limits *limits, const struct h2_server_settings *settings, int64_t now_ns)
{
	return count(limits, &limits->resets, settings->resets, H2_ABUSE_RESETS, now_ns);
}

bool h2_limits_control(struct h2_limits *limits, const struct h2_server_settings *settings, int64_t now_ns)
{
	return count(limits, &limits->controls, settings->controls, H2_ABUSE_CONTROLS, now_ns);
}

bool h2_limits_data(struct h2_limits *limits, const struct h2_server_settings *settings, size_t length, bool tiny,
		    int64_t now_ns)
{
	size_t room = TAKEN_MAX - limits->taken;
	limits->taken += (uint32_t)(length < room ? length : room);
	if (!tiny)
		return true;
	if (limits->taken >= TAKEN_EACH) {
		limits->taken -= TAKEN_EACH;
		return true;
	}
	return h2_limits_control(limits, settings, now_ns);
}

static bool section_frame(struct h2_limits *limits, const struct h2_server_settings *settings, bool is_first,
			  size_t length)
{
	if (is_first)
		limits->frames = limits->bytes = 0;
	limits->frames += !is_first;
	limits->bytes += (uint32_t)length; // at most 2^24 - 1, a few times
	uint64_t most = (uint64_t)settings->header_bytes * 2 + SECTION_SLACK_BYTES;
	return (limits->frames <= CONTINUATIONS_MAX && limits->bytes <= most) || pass(limits, H2_ABUSE_CONTINUATIONS);
}

bool h2_limits_frame(struct h2_limits *limits, const struct h2_server_settings *settings, uint8_t type, size_t length,
		     int64_t now_ns)
{
	switch (type) {
	case NGHTTP2_DATA:
	case NGHTTP2_RST_STREAM:
		return true; // counted where more is known of them
	case NGHTTP2_HEADERS:
		h2_limits_grant(limits);
		return section_frame(limits, settings, true, length);
	case NGHTTP2_CONTINUATION:
		return section_frame(limits, settings, false, length);
	case NGHTTP2_WINDOW_UPDATE:
	case TYPE_PRIORITY_UPDATE:
		if (limits->grants > 0) {
			limits->grants--;
			return true;
		}
		return h2_limits_control(limits, settings, now_ns);
	default:
		return h2_limits_control(limits, settings, now_ns);
	}
}

bool h2_limits_section(struct h2_limits *limits, const struct h2_server_settings *settings, uint32_t bytes)
{
	return bytes <= (uint64_t)settings->header_bytes * SECTION_TIMES_MAX || pass(limits, H2_ABUSE_HEADER_EXPANDS);
}

void h2_limits_grant(struct h2_limits *limits)
{
	if (limits->grants < GRANTS_MAX)
		limits->grants += GRANTS_EACH;
}

static const struct {
	const char *words, *label, *setting;
} abuses[] = {
	[H2_ABUSE_NONE] = {"nothing", "none", NULL},
	[H2_ABUSE_RESETS] = {"too many streams reset in 10 s", "resets", "http2.resets"},
	[H2_ABUSE_CONTROLS] = {"too many frames that serve nobody in 10 s", "controls", "http2.controls"},
	[H2_ABUSE_CONTINUATIONS] = {"a header section in too many frames", "continuations", NULL},
	[H2_ABUSE_HEADER_EXPANDS] = {"a header section far larger than allowed", "header_expands", "limits.header"},
	[H2_ABUSE_ACKS] = {"too many frames to be acknowledged at once", "acks", NULL},
};

const char *h2_abuse_words(enum h2_abuse abuse)
{
	return abuses[abuse].words;
}

const char *h2_abuse_label(enum h2_abuse abuse)
{
	return abuses[abuse].label;
}

const char *h2_abuse_setting(enum h2_abuse abuse)
{
	return abuses[abuse].setting;
}
