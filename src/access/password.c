#include "access/password.h"

#include <argon2.h>
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define OLD_SHA1 "{SHA}"
#define OLD_APACHE_MD5 "$apr1$"

enum password_kind password_kind_of(struct slice hash)
{
	static const struct {
		const char *start;
		enum password_kind kind;
	} kinds[] = {
		{"$2a$", PASSWORD_BCRYPT},	 {"$2b$", PASSWORD_BCRYPT},	 {"$2y$", PASSWORD_BCRYPT},
		{"$5$", PASSWORD_SHA256},	 {"$6$", PASSWORD_SHA512},	 {"$y$", PASSWORD_YESCRYPT},
		{"$argon2id$", PASSWORD_ARGON2}, {"$argon2i$", PASSWORD_ARGON2}, {"$1$", PASSWORD_OLD},
		{OLD_SHA1, PASSWORD_OLD},	 {OLD_APACHE_MD5, PASSWORD_OLD},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (slice_starts_with(hash, slice_from_string(kinds[i].start)))
			return kinds[i].kind;
	enum { DES_LENGTH = 13 };
	return hash.length == DES_LENGTH && hash.data[0] != '$' ? PASSWORD_OLD : PASSWORD_UNKNOWN;
}

// --- Old ones that libcrypt does not know

static bool verify_sha1(struct slice hash, struct slice password)
{
	unsigned char digest[EVP_MAX_MD_SIZE], text[64];
	unsigned length;
	if (EVP_Digest(password.data, password.length, digest, &length, EVP_sha1(), NULL) != 1)
		return false;
	int size = EVP_EncodeBlock(text, digest, (int)length);
	struct slice wanted = slice_after(hash, strlen(OLD_SHA1));
	return (size_t)size == wanted.length && CRYPTO_memcmp(text, wanted.data, wanted.length) == 0;
}

// --- Verifying

static bool verify_argon2(const char *hash, struct slice password)
{
	argon2_type type = strncmp(hash, "$argon2id$", 10) == 0 ? Argon2_id : Argon2_i;
	return argon2_verify(hash, password.data, password.length, type) == ARGON2_OK;
}

static bool verify_crypt(const char *hash, const char *password)
{
	void *room = NULL;
	int size = 0;
	const char *made = crypt_ra(password, hash, &room, &size);
	size_t length = strlen(hash);
	bool is_same = made && strlen(made) == length && CRYPTO_memcmp(made, hash, length) == 0;
	if (room)
		OPENSSL_cleanse(room, (size_t)size);
	free(room);
	return is_same;
}

bool password_verify(struct slice hash, struct slice password)
{
	if (password.length > PASSWORD_MAX || strlen(password.data) != password.length)
		return false;
	switch (password_kind_of(hash)) {
	case PASSWORD_UNKNOWN:
		return false;
	case PASSWORD_ARGON2:
		return verify_argon2(hash.data, password);
	case PASSWORD_OLD:
		if (slice_starts_with(hash, SLICE(OLD_SHA1)))
			return verify_sha1(hash, password);
		return verify_crypt(hash.data, password.data);
	case PASSWORD_BCRYPT:
	case PASSWORD_SHA256:
	case PASSWORD_SHA512:
	case PASSWORD_YESCRYPT:
		return verify_crypt(hash.data, password.data);
	}
	return false;
}

int password_hash(struct slice password, char ret_hash[PASSWORD_HASH_MAX])
{
	void *room = NULL;
	int size = 0;
	if (password.length > PASSWORD_MAX || strlen(password.data) != password.length)
		return -EINVAL;
	char *setting = crypt_gensalt_ra("$y$", 0, NULL, 0);
	const char *made = setting ? crypt_ra(password.data, setting, &room, &size) : NULL;
	bool good = made && made[0] == '$' && strlen(made) < PASSWORD_HASH_MAX;
	if (good)
		memcpy(ret_hash, made, strlen(made) + 1);
	if (room)
		OPENSSL_cleanse(room, (size_t)size);
	free(room);
	free(setting);
	return good ? 0 : -EIO;
}
