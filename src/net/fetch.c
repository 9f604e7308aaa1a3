#include "net/fetch.h"

#include "base/check.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool is_ending;

static void start_library(void)
{
	check(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

void fetch_end_all(void)
{
	atomic_store(&is_ending, true);
}

// --- What libcurl calls

struct transfer {
	struct fetch_answer *answer;
	bool is_too_large;
};

static size_t take_content(char *bytes, size_t size, size_t count, void *argument)
{
	struct transfer *transfer = argument;
	struct fetch_answer *answer = transfer->answer;
	size_t added = size * count, length = answer->content.length;
	transfer->is_too_large = added > FETCH_BYTES_MAX - length;
	if (transfer->is_too_large)
		return 0;
	char *content = realloc((char *)answer->content.data, length + added + 1);
	if (!content)
		return 0;
	memcpy(content + length, bytes, added);
	answer->content = slice_from(content, length + added);
	return added;
}

static size_t take_field(char *bytes, size_t size, size_t count, void *argument)
{
	struct fetch_answer *answer = ((struct transfer *)argument)->answer;
	struct slice line = slice_from(bytes, size * count), name, value;
	while (line.length > 0 && (line.data[line.length - 1] == '\n' || line.data[line.length - 1] == '\r'))
		line.length--;
	if (!slice_cut(line, ':', &name, &value) || !slice_equal_nocase(name, SLICE("Cache-Control")))
		return size * count;
	value = slice_trim(value);
	if (value.length < sizeof answer->cache_control)
		(void)snprintf(answer->cache_control, sizeof answer->cache_control, "%.*s", SLICE_ARGUMENTS(value));
	return size * count;
}

// Called about once a second.
static int look_whether_to_end(void *argument, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up)
{
	return atomic_load(&is_ending);
}

// --- Asking

static struct curl_slist *make_fields(const struct fetch_request *request)
{
	struct curl_slist *fields = curl_slist_append(NULL, "Accept: application/json");
	char *field = NULL;
	if (!fields || !request->authorization)
		return fields;
	int length = asprintf(&field, "Authorization: %s", request->authorization);
	struct curl_slist *more = length > 0 ? curl_slist_append(fields, field) : NULL;
	if (length > 0)
		OPENSSL_cleanse(field, (size_t)length);
	free(length > 0 ? field : NULL);
	if (!more)
		curl_slist_free_all(fields);
	return more;
}

static CURLcode configure(CURL *handle, const struct fetch_request *request, struct transfer *transfer)
{
	struct curl_blob authorities = {(void *)request->authorities.data, request->authorities.length, CURL_BLOB_COPY};
	CURLcode code = CURLE_OK;
#define SET(option, value) code = code == CURLE_OK ? curl_easy_setopt(handle, option, value) : code
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PROTOCOLS_STR, request->http_allowed ? "http,https" : "https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, (long)FETCH_CONNECT_SECONDS);
	SET(CURLOPT_TIMEOUT, (long)FETCH_SECONDS);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_USERAGENT, "usher");
	SET(CURLOPT_ERRORBUFFER, transfer->answer->why);
	SET(CURLOPT_WRITEFUNCTION, take_content);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, take_field);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_XFERINFOFUNCTION, look_whether_to_end);
	SET(CURLOPT_NOPROGRESS, 0L);
	if (request->form)
		SET(CURLOPT_POSTFIELDS, request->form);
	if (authorities.len > 0)
		SET(CURLOPT_CAINFO_BLOB, &authorities);
#undef SET
	return code;
}

static bool fail(struct transfer *transfer, const char *why)
{
	struct fetch_answer *answer = transfer->answer;
	if (transfer->is_too_large)
		(void)snprintf(answer->why, sizeof answer->why, "the answer has more than %d bytes", FETCH_BYTES_MAX);
	else if (answer->why[0] == '\0')
		(void)snprintf(answer->why, sizeof answer->why, "%s", why);
	fetch_answer_free(answer);
	return false;
}

bool fetch(const struct fetch_request *request, struct fetch_answer *ret_answer)
{
	_Static_assert(sizeof ret_answer->why >= CURL_ERROR_SIZE, "libcurl's own words have to fit");
	*ret_answer = (struct fetch_answer){0};
	(void)pthread_once(&once, start_library);
	struct transfer transfer = {.answer = ret_answer};
	CURL *handle = curl_easy_init();
	struct curl_slist *fields = make_fields(request);
	CURLcode code = handle && fields ? configure(handle, request, &transfer) : CURLE_OUT_OF_MEMORY;
	long status = 0;
	if (code == CURLE_OK)
		code = curl_easy_setopt(handle, CURLOPT_HTTPHEADER, fields);
	if (code == CURLE_OK)
		code = curl_easy_perform(handle);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
	ret_answer->status = (unsigned)status;
	curl_easy_cleanup(handle);
	curl_slist_free_all(fields);
	return code == CURLE_OK || fail(&transfer, curl_easy_strerror(code));
}

void fetch_answer_free(struct fetch_answer *answer)
{
	free((char *)answer->content.data);
	answer->content = SLICE_EMPTY;
}

// --- URLs

bool fetch_is_url(struct slice text, bool http_allowed)
{
	bool has_tls = slice_starts_with(text, SLICE("https://"));
	if (!has_tls && !(http_allowed && slice_starts_with(text, SLICE("http://"))))
		return false;
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("\"#<>\\^`{|}", text.data[i]))
			return false;
	struct slice rest = slice_after(text, has_tls ? 8 : 7), host, path;
	(void)slice_cut(rest, '/', &host, &path);
	return host.length > 0 && host.data[0] != '?' && slice_find(host, '@') == host.length;
}
