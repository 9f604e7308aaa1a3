// The extension server_name of a hello. What is taken out of it is a host that no two programs
// read differently, and reads the same when it is put into an extension again.
#include "support.h"
#include "tls/server_name.h"

static size_t put(struct slice host, char *extension)
{
	const size_t lengths[] = {host.length + 3, host.length};
	extension[0] = (char)(lengths[0] >> 8);
	extension[1] = (char)lengths[0];
	extension[2] = 0;
	extension[3] = (char)(lengths[1] >> 8);
	extension[4] = (char)lengths[1];
	memcpy(extension + 5, host.data, host.length);
	return 5 + host.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char buffer[SERVER_NAME_MAX], extension[5 + SERVER_NAME_MAX], again[SERVER_NAME_MAX];
	struct slice host, same;
	if (!server_name_parse(slice_from(data, size), buffer, &host))
		return 0;
	check(host.length > 0 && host.length <= SERVER_NAME_MAX &&
	      fuzz_is_inside(host, slice_from(buffer, sizeof(buffer))));
	check(host.data[0] != '.' && host.data[host.length - 1] != '.');
	for (size_t i = 0; i < host.length; i++) {
		check(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", host.data[i]) && host.data[i] != '\0');
		check(i == 0 || host.data[i] != '.' || host.data[i - 1] != '.');
	}
	check(server_name_parse(slice_from(extension, put(host, extension)), again, &same) && slice_equal(host, same));
	return 0;
}
