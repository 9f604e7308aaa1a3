#include "http/message.h"

enum method method_of(struct slice name)
{
	static const struct {
		struct slice name;
		enum method method;
	} methods[] = {
		{{"GET", 3}, METHOD_GET},     {{"HEAD", 4}, METHOD_HEAD},     {{"POST", 4}, METHOD_POST},
		{{"PUT", 3}, METHOD_PUT},     {{"DELETE", 6}, METHOD_DELETE}, {{"OPTIONS", 7}, METHOD_OPTIONS},
		{{"PATCH", 5}, METHOD_PATCH}, {{"TRACE", 5}, METHOD_TRACE},   {{"CONNECT", 7}, METHOD_CONNECT},
	};
	// Methods are case-sensitive (RFC 9110 section 9.1).
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (slice_equal(name, methods[i].name))
			return methods[i].method;
	}
	return METHOD_OTHER;
}

bool method_is_safe(enum method method)
{
	return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_OPTIONS || method == METHOD_TRACE;
}

bool method_is_idempotent(enum method method)
{
	return method_is_safe(method) || method == METHOD_PUT || method == METHOD_DELETE;
}

struct slice http_protocol(unsigned major, unsigned minor)
{
	return major == 2 ? SLICE("HTTP/2.0") : minor == 0 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1");
}

struct slice http_via(unsigned major, unsigned minor)
{
	return major == 2 ? SLICE("2.0 usher") : minor == 0 ? SLICE("1.0 usher") : SLICE("1.1 usher");
}

// RFC 9110 section 15 and the IANA registry of status codes.
static const char *const reasons[] = {
	[100] = "Continue",
	[101] = "Switching Protocols",
	[102] = "Processing",
	[103] = "Early Hints",
	[200] = "OK",
	[201] = "Created",
	[202] = "Accepted",
	[203] = "Non-Authoritative Information",
	[204] = "No Content",
	[205] = "Reset Content",
	[206] = "Partial Content",
	[207] = "Multi-Status",
	[208] = "Already Reported",
	[226] = "IM Used",
	[300] = "Multiple Choices",
	[301] = "Moved Permanently",
	[302] = "Found",
	[303] = "See Other",
	[304] = "Not Modified",
	[305] = "Use Proxy",
	[307] = "Temporary Redirect",
	[308] = "Permanent Redirect",
	[400] = "Bad Request",
	[401] = "Unauthorized",
	[402] = "Payment Required",
	[403] = "Forbidden",
	[404] = "Not Found",
	[405] = "Method Not Allowed",
	[406] = "Not Acceptable",
	[407] = "Proxy Authentication Required",
	[408] = "Request Timeout",
	[409] = "Conflict",
	[410] = "Gone",
	[411] = "Length Required",
	[412] = "Precondition Failed",
	[413] = "Content Too Large",
	[414] = "URI Too Long",
	[415] = "Unsupported Media Type",
	[416] = "Range Not Satisfiable",
	[417] = "Expectation Failed",
	[421] = "Misdirected Request",
	[422] = "Unprocessable Content",
	[423] = "Locked",
	[424] = "Failed Dependency",
	[425] = "Too Early",
	[426] = "Upgrade Required",
	[428] = "Precondition Required",
	[429] = "Too Many Requests",
	[431] = "Request Header Fields Too Large",
	[451] = "Unavailable For Legal Reasons",
	[500] = "Internal Server Error",
	[501] = "Not Implemented",
	[502] = "Bad Gateway",
	[503] = "Service Unavailable",
	[504] = "Gateway Timeout",
	[505] = "HTTP Version Not Supported",
	[506] = "Variant Also Negotiates",
	[507] = "Insufficient Storage",
	[508] = "Loop Detected",
	[511] = "Network Authentication Required",
};

struct slice status_reason(unsigned status)
{
	if (status >= sizeof(reasons) / sizeof(reasons[0]) || reasons[status] == NULL)
		return SLICE("");
	return slice_from_string(reasons[status]);
}

bool response_has_no_content(enum method method, unsigned status)
{
	return method == METHOD_HEAD || status / 100 == 1 || status == 204 || status == 304 ||
	       (method == METHOD_CONNECT && status / 100 == 2);
}
