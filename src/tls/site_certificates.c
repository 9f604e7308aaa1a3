// Which certificates a `tls` names: files one by one, or those of a folder.
#include "tls/site.h"

#include <string.h>

struct loading {
	struct config_load *load;
	struct certificate *items;
	size_t count;
};

static bool load_one(struct loading *loading, const struct config_text *path, const struct config_text *key_path)
{
	if (!certificate_load(loading->load, path, key_path, &loading->items[loading->count]))
		return false;
	loading->count++;
	return true;
}

static bool load_files(struct loading *loading, const struct tls_site_config *config)
{
	bool good = true;
	loading->items = config_alloc(loading->load, config->certificates.count * sizeof(*loading->items));
	for (size_t i = 0; loading->items && i < config->certificates.count; i++) {
		const struct config_text *path = &config->certificates.items[i];
		good = load_one(loading, path, config->keys.count > 0 ? &config->keys.items[i] : path) && good;
	}
	return good && loading->items;
}

// --- Folders

struct folder {
	struct loading *loading;
	const struct config_text *text;
	struct slice keys; // paths of *.key
};

// Paths below the folder that match a pattern.
static bool list(const struct folder *folder, const char *pattern, struct slice *ret_paths)
{
	struct config_load *load = folder->loading->load;
	struct slice text = arena_printf(config_arena(load), "%s/%s", folder->text->text.data, pattern);
	struct config_text whole = {text, folder->text->place};
	return text.data && config_glob_watched(load, &whole, ret_paths);
}

static bool next_path(struct slice *paths, struct slice *ret_path)
{
	if (paths->length == 0)
		return false;
	*ret_path = slice_first(*paths, slice_find(*paths, '\0'));
	*paths = slice_after(*paths, ret_path->length + 1);
	return true;
}

static size_t count_paths(struct slice paths)
{
	size_t count = 0;
	for (struct slice path; next_path(&paths, &path);)
		count++;
	return count;
}

// The last `parts` parts of a path: what a listed one is called within the folder.
static struct slice tail(struct slice path, unsigned parts)
{
	size_t at = path.length;
	while (at > 0 && (path.data[at - 1] != '/' || --parts > 0))
		at--;
	return slice_after(path, at);
}

static bool contains(struct slice paths, struct slice name)
{
	for (struct slice path; next_path(&paths, &path);)
		if (slice_equal(tail(path, 1), name))
			return true;
	return false;
}

static struct config_text in_folder(const struct folder *folder, struct slice name)
{
	return (struct config_text){arena_printf(config_arena(folder->loading->load), "%s/%.*s",
						 folder->text->text.data, SLICE_ARGUMENTS(name)),
				    folder->text->place};
}

static bool load_named(const struct folder *folder, struct slice name, struct slice key_name)
{
	struct config_text path = in_folder(folder, name), key_path = in_folder(folder, key_name);
	return path.text.data && key_path.text.data && load_one(folder->loading, &path, &key_path);
}

// NAME.pem or NAME.crt, whose key is in NAME.key, where there is one, or in the same file.
static bool load_flat(const struct folder *folder, struct slice paths)
{
	bool good = true;
	for (struct slice path; next_path(&paths, &path);) {
		struct slice name = tail(path, 1), stem = slice_first(name, name.length - strlen(".pem"));
		struct slice key = arena_printf(config_arena(folder->loading->load), "%.*s.key", SLICE_ARGUMENTS(stem));
		good = key.data && load_named(folder, name, contains(folder->keys, key) ? key : name) && good;
	}
	return good;
}

// NAME/fullchain.pem with NAME/privkey.pem, as certbot has them.
static bool load_nested(const struct folder *folder, struct slice paths)
{
	bool good = true;
	for (struct slice path; next_path(&paths, &path);) {
		struct slice name = tail(path, 2), stem = slice_first(name, name.length - strlen("fullchain.pem"));
		struct slice key =
			arena_printf(config_arena(folder->loading->load), "%.*sprivkey.pem", SLICE_ARGUMENTS(stem));
		good = key.data && load_named(folder, name, key) && good;
	}
	return good;
}

static bool load_folder(struct loading *loading, const struct config_text *text)
{
	struct folder folder = {.loading = loading, .text = text};
	struct slice pem, crt, nested;
	if (!list(&folder, "*.key", &folder.keys) || !list(&folder, "*.pem", &pem) || !list(&folder, "*.crt", &crt) ||
	    !list(&folder, "*/fullchain.pem", &nested))
		return false;
	size_t count = count_paths(pem) + count_paths(crt) + count_paths(nested);
	if (count == 0) {
		config_error(loading->load, text->place,
			     "\"%s\" holds no certificate: neither NAME.pem nor NAME.crt nor NAME/fullchain.pem",
			     text->text.data);
		return false;
	}
	loading->items = config_alloc(loading->load, count * sizeof(*loading->items));
	bool good = loading->items && load_flat(&folder, pem);
	good = loading->items && load_flat(&folder, crt) && good;
	return loading->items && load_nested(&folder, nested) && good;
}

// --- Both

// Once for all of them: where one is open, they often are.
static void warn_of_open_keys(const struct loading *loading)
{
	const struct certificate *first = NULL;
	size_t others = 0;
	for (size_t i = 0; i < loading->count; i++) {
		if (!config_is_open_to_others(loading->load, loading->items[i].key_path))
			continue;
		others += first != NULL;
		first = first ? first : &loading->items[i];
	}
	if (others > 0)
		config_warning(loading->load, first->place,
			       "everybody on this machine may read the private key in \"%s\", and %zu more",
			       first->key_path, others);
	else if (first)
		config_warning(loading->load, first->place,
			       "everybody on this machine may read the private key in \"%s\"", first->key_path);
}

bool site_certificates_load(struct config_load *load, const struct tls_site_config *config,
			    struct certificate **ret_certificates, size_t *ret_count)
{
	struct loading loading = {.load = load};
	bool good = config->folder.text.data ? load_folder(&loading, &config->folder) : load_files(&loading, config);
	if (!good)
		return false;
	warn_of_open_keys(&loading);
	*ret_certificates = loading.items;
	*ret_count = loading.count;
	return true;
}
