// Sets of certificates: for each host the best one of each kind, and a context for each set.
#include "tls/site.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HOST_BUFFER = 256 };

struct entry {
	struct slice name;
	const struct certificate *certificate;
	bool has_begun; // its time
};

struct building {
	struct config_load *load;
	struct tls_contexts *contexts;
	struct entry *entries; // by name, the better certificate first
	size_t count;
	struct tls_set **sets; // by certificate: those that begin with it
	SSL_CTX *(*new_context)(struct config_load *load, void *argument, const struct tls_set *set);
	void *argument;
};

static int compare_names(struct slice a, struct slice b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

// For one name, what is valid goes before what is not yet, then what is valid for longer: a
// renewed certificate may lie beside the one that it replaces.
static int compare_entries(const void *a, const void *b)
{
	const struct entry *one = a, *other = b;
	int order = compare_names(one->name, other->name);
	if (order != 0)
		return order;
	if (one->has_begun != other->has_begun)
		return one->has_begun ? -1 : 1;
	if (one->certificate->until_s != other->certificate->until_s)
		return one->certificate->until_s > other->certificate->until_s ? -1 : 1;
	return (one->certificate > other->certificate) - (one->certificate < other->certificate);
}

static bool collect(struct building *building)
{
	const struct tls_contexts *contexts = building->contexts;
	int64_t now_s = time(NULL);
	size_t names = 0;
	for (size_t i = 0; i < contexts->certificate_count; i++)
		names += contexts->certificates[i].name_count;
	building->entries = config_alloc(building->load, names * sizeof(*building->entries));
	building->sets = config_alloc(building->load, contexts->certificate_count * sizeof(struct tls_set *));
	if (!building->entries || !building->sets)
		return false;
	for (size_t i = 0; i < contexts->certificate_count; i++) {
		const struct certificate *certificate = &contexts->certificates[i];
		for (size_t j = 0; j < certificate->name_count; j++)
			building->entries[building->count++] =
				(struct entry){certificate->names[j], certificate, certificate->from_s <= now_s};
	}
	qsort(building->entries, building->count, sizeof(*building->entries), compare_entries);
	return true;
}

// The first entry that does not come before the name.
static size_t first_of(const struct building *building, struct slice name)
{
	size_t low = 0, high = building->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_names(building->entries[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

// Fills in the certificates of that very name, of kinds that the set does not have yet.
static void choose(const struct building *building, struct slice name, struct tls_set *set)
{
	for (size_t i = first_of(building, name); i < building->count && slice_equal(building->entries[i].name, name);
	     i++) {
		const struct certificate *certificate = building->entries[i].certificate;
		if (!set->certificates[certificate->kind])
			set->certificates[certificate->kind] = certificate;
	}
}

static const struct tls_set *find_or_make(struct building *building, const struct tls_set *wanted)
{
	const struct certificate *first = NULL;
	for (size_t i = 0; !first; i++)
		first = wanted->certificates[i];
	struct tls_set **sets = &building->sets[first - building->contexts->certificates];
	for (struct tls_set *set = *sets; set; set = set->next)
		if (memcmp(set->certificates, wanted->certificates, sizeof(set->certificates)) == 0)
			return set;
	struct tls_set *set = config_alloc(building->load, sizeof(*set));
	if (!set)
		return NULL;
	*set = *wanted;
	set->context = building->new_context(building->load, building->argument, set);
	if (!set->context)
		return NULL;
	set->next = *sets;
	*sets = set;
	return set;
}

// An exact name goes before a wildcard, for each kind on its own.
static const struct tls_set *set_for(struct building *building, struct slice name)
{
	char buffer[HOST_BUFFER];
	struct tls_set set = {0};
	choose(building, name, &set);
	struct slice wildcard = certificate_wildcard(name, buffer, sizeof(buffer));
	if (wildcard.data && name.data[0] != '*')
		choose(building, wildcard, &set);
	return find_or_make(building, &set);
}

static bool add_names(struct building *building)
{
	struct tls_contexts *contexts = building->contexts;
	contexts->names = config_alloc(building->load, building->count * sizeof(*contexts->names));
	if (!contexts->names)
		return false;
	for (size_t i = 0; i < building->count; i++) {
		struct slice name = building->entries[i].name;
		if (i > 0 && slice_equal(name, building->entries[i - 1].name))
			continue;
		const struct tls_set *set = set_for(building, name);
		if (!set)
			return false;
		contexts->names[contexts->name_count++] = (struct tls_name){name, set};
	}
	return true;
}

// The certificate that was named first speaks for all, with those that are for the same host.
static bool add_standard(struct building *building)
{
	struct tls_contexts *contexts = building->contexts;
	const struct certificate *first = &contexts->certificates[0];
	struct tls_set set = {0};
	set.certificates[first->kind] = first;
	contexts->standard = first->name_count > 0 ? set_for(building, first->names[0]) : find_or_make(building, &set);
	return contexts->standard != NULL;
}

// Whether some set has it.
static bool is_shown(const struct tls_contexts *contexts, const struct certificate *certificate)
{
	if (contexts->standard->certificates[certificate->kind] == certificate)
		return true;
	for (size_t i = 0; i < certificate->name_count; i++)
		if (tls_contexts_find(contexts, certificate->names[i])->certificates[certificate->kind] == certificate)
			return true;
	return false;
}

static void warn_of_hidden(const struct building *building)
{
	const struct tls_contexts *contexts = building->contexts;
	for (size_t i = 0; i < contexts->certificate_count; i++) {
		const struct certificate *certificate = &contexts->certificates[i];
		if (!is_shown(contexts, certificate))
			config_warning(building->load, certificate->place,
				       "the certificate in \"%s\" is shown to nobody: for each of its hosts there is a "
				       "better one",
				       certificate->path);
	}
}

bool tls_sets_build(struct config_load *load, struct tls_contexts *contexts,
		    SSL_CTX *(*new_context)(struct config_load *load, void *argument, const struct tls_set *set),
		    void *argument)
{
	struct building building = {
		.load = load, .contexts = contexts, .new_context = new_context, .argument = argument};
	if (!collect(&building) || !add_names(&building) || !add_standard(&building))
		return false;
	warn_of_hidden(&building);
	return true;
}

// --- In a handshake

static const struct tls_set *find_name(const struct tls_contexts *contexts, struct slice name)
{
	size_t low = 0, high = contexts->name_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_names(contexts->names[middle].name, name);
		if (order == 0)
			return contexts->names[middle].set;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct tls_set *tls_contexts_find(const struct tls_contexts *contexts, struct slice host)
{
	char buffer[HOST_BUFFER];
	const struct tls_set *set = find_name(contexts, host);
	if (set)
		return set;
	struct slice wildcard = certificate_wildcard(host, buffer, sizeof(buffer));
	set = wildcard.data ? find_name(contexts, wildcard) : NULL;
	return set ? set : contexts->standard;
}
