// JSON Web Tokens and sets of keys: whatever the bytes, no token holds that was not signed, and no set has a key that
// it does not say.
#include "access/jwt.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jwt_keys *keys;
	const char *why;
	if (!keys)
		keys = jwt_keys_read(
			SLICE("{\"keys\":[{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"},"
			      "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
			      "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"),
			true, &why);
	check(keys != NULL);
	struct slice bytes = slice_from((const char *)data, size);
	const struct jwt_rules rules = {.keys = keys};
	check(!jwt_verify(&rules, bytes, false, 1000, &why) && why);
	json_t *claims = jwt_verify(&rules, bytes, true, 1000, &why); // as if its signature were right
	check(claims ? json_is_object(claims) : why != NULL);
	json_decref(claims);
	struct jwt_keys *read = jwt_keys_read(bytes, true, &why);
	check(read || why);
	jwt_keys_free(read);
	return 0;
}
