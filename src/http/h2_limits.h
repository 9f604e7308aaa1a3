// What an HTTP/2 client may ask of a connection that serves nobody (RFC 9113 section 10.5):
// counted in windows of ten seconds, and bounded. Beyond a bound the connection ends.
#ifndef USHER_HTTP_H2_LIMITS_H
#define USHER_HTTP_H2_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_server_settings;

enum h2_abuse {
	H2_ABUSE_NONE,
	H2_ABUSE_RESETS,	 // streams opened to be reset, by the client or for its errors (CVE-2023-44487,
				 // CVE-2025-8671)
	H2_ABUSE_CONTROLS,	 // PING, SETTINGS, PRIORITY and the like; empty frames; tiny windows
	H2_ABUSE_CONTINUATIONS,	 // a header section in too many frames, or too large (CVE-2024-27316)
	H2_ABUSE_HEADER_EXPANDS, // a header section that is small on the wire and large in memory
	H2_ABUSE_ACKS,		 // answers to PING and SETTINGS that it does not take
};

struct h2_limits {
	int64_t since_ns;   // when this window of time began
	uint32_t resets;    // in it
	uint32_t controls;  // in it
	uint32_t grants;    // window updates and the like that it may send for what it got
	uint32_t taken;	    // bytes of DATA that it took, which excuse tiny frames
	uint32_t frames;    // of the header section under way
	uint32_t bytes;	    // ... on the wire
	enum h2_abuse over; // the bound that was passed
};

// Each notes what came, and returns whether it is still within bounds.

// The header of a frame was read. `now_ns` as of the loop.
bool h2_limits_frame(struct h2_limits *limits, const struct h2_server_settings *settings, uint8_t type, size_t length,
		     int64_t now_ns);

// A stream ended before its time, by the client's RST_STREAM, or by one of ours for its error.
bool h2_limits_reset(struct h2_limits *limits, const struct h2_server_settings *settings, int64_t now_ns);

// DATA of so many bytes is sent; `tiny`: of a few, because the client's window has room for no
// more. Who gives back the window frame by frame brings that about now and then, and ever more
// often in a long transfer, since what was once sent in pieces comes back in pieces.
bool h2_limits_data(struct h2_limits *limits, const struct h2_server_settings *settings, size_t length, bool tiny,
		    int64_t now_ns);

// Something that costs work and brings nothing, such as an empty frame.
bool h2_limits_control(struct h2_limits *limits, const struct h2_server_settings *settings, int64_t now_ns);

// The header section under way takes so much memory now.
bool h2_limits_section(struct h2_limits *limits, const struct h2_server_settings *settings, uint32_t bytes);

// Something was done for the client (a request began, data was sent), for which it may send
// window updates and priorities without being suspected.
void h2_limits_grant(struct h2_limits *limits);

// For logs, metrics and the configuration: what was passed in a few words, as a label, and
// the key of the bound or NULL.
const char *h2_abuse_words(enum h2_abuse abuse);
const char *h2_abuse_label(enum h2_abuse abuse);
const char *h2_abuse_setting(enum h2_abuse abuse);

#endif
