#include "control/bundle.h"

#include "base/check.h"
#include "base/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum bundle_kind { BUNDLE_FILE = 1, BUNDLE_GLOB, BUNDLE_ENVIRONMENT };

// In the bundle, each record is this head, the name with a NUL, and the value with a NUL,
// and fills up to a multiple of 8 bytes. The head is not aligned for whoever reads it.
struct bundle_record_head {
	uint32_t kind;
	int32_t result; // 0 or -errno of the answer
	uint64_t name_length, value_length;
};

struct bundle_entry {
	struct bundle_record_head head;
	struct slice name, value;
	size_t end; // where the next one begins
};

static size_t padding(size_t size)
{
	return (8 - size % 8) % 8;
}

// --- Recording

static void write_all(struct bundle_recorder *recorder, struct iovec *parts, int count)
{
	while (count > 0 && !recorder->error) {
		ssize_t written = writev(recorder->descriptor, parts, count);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			recorder->error = written < 0 ? -errno : -EIO;
			return;
		}
		for (; count > 0 && (size_t)written >= parts->iov_len; parts++, count--)
			written -= (ssize_t)parts->iov_len;
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + written;
			parts->iov_len -= (size_t)written;
		}
	}
}

static void record(struct bundle_recorder *recorder, enum bundle_kind kind, const char *name, int result,
		   struct slice value)
{
	static const char zeros[8];
	struct bundle_record_head head = {
		.kind = kind, .result = result, .name_length = strlen(name), .value_length = value.length};
	size_t size = sizeof head + head.name_length + 1 + value.length + 1;
	struct iovec parts[] = {
		{&head, sizeof head}, {(char *)name, head.name_length + 1}, {(char *)value.data, value.length},
		{(char *)zeros, 1},   {(char *)zeros, padding(size)},
	};
	write_all(recorder, parts, 5);
}

static int read_from(struct bundle_recorder *recorder, struct config_source *from, const char *path,
		     struct slice *ret_content)
{
	struct slice content = SLICE_EMPTY;
	int result = from->read_file(from, path, &content);
	record(recorder, BUNDLE_FILE, path, result, content);
	if (result == 0)
		*ret_content = content;
	return result;
}

static int glob_from(struct bundle_recorder *recorder, struct config_source *from, const char *pattern,
		     struct slice *ret_names)
{
	struct slice names = SLICE_EMPTY;
	int result = from->glob(from, pattern, &names);
	record(recorder, BUNDLE_GLOB, pattern, result, names);
	if (result == 0)
		*ret_names = names;
	return result;
}

static int recorder_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	struct bundle_recorder *recorder = LIST_ENTRY(source, struct bundle_recorder, source);
	return read_from(recorder, recorder->inner, path, ret_content);
}

static int recorder_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	struct bundle_recorder *recorder = LIST_ENTRY(source, struct bundle_recorder, source);
	return glob_from(recorder, recorder->inner, pattern, ret_names);
}

static const char *recorder_environment(struct config_source *source, const char *name)
{
	struct bundle_recorder *recorder = LIST_ENTRY(source, struct bundle_recorder, source);
	const char *value = recorder->inner->environment(recorder->inner, name);
	record(recorder, BUNDLE_ENVIRONMENT, name, value ? 0 : -ENOENT, value ? slice_from_string(value) : SLICE_EMPTY);
	return value;
}

// --- Recording what is watched

static struct config_source *watched_inner(const struct bundle_recorder *recorder)
{
	return recorder->inner->watched ? recorder->inner->watched : recorder->inner;
}

// Before it is read: then what is written meanwhile shows as a change.
static void watch(struct bundle_recorder *recorder, const char *name, bool is_pattern)
{
	if (!watch_list_add(&recorder->watched, name, is_pattern) && !recorder->error)
		recorder->error = -ENOMEM;
}

static int watched_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	struct bundle_recorder *recorder = LIST_ENTRY(source, struct bundle_recorder, watched_source);
	watch(recorder, path, false);
	return read_from(recorder, watched_inner(recorder), path, ret_content);
}

static int watched_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	struct bundle_recorder *recorder = LIST_ENTRY(source, struct bundle_recorder, watched_source);
	watch(recorder, pattern, true);
	return glob_from(recorder, watched_inner(recorder), pattern, ret_names);
}

// Not recorded: the worker has nobody to warn.
static bool watched_is_open_to_others(struct config_source *source, const char *path)
{
	struct config_source *inner = watched_inner(LIST_ENTRY(source, struct bundle_recorder, watched_source));
	return inner->is_open_to_others && inner->is_open_to_others(inner, path);
}

// --- Beginning and end

int bundle_record(struct bundle_recorder *recorder, struct config_source *inner)
{
	int descriptor = memfd_create("usher configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (descriptor < 0)
		return -errno;
	// Private keys will be in it: nobody is to open it by way of /proc.
	if (fchmod(descriptor, 0) < 0) {
		int error = -errno;
		close(descriptor);
		return error;
	}
	*recorder = (struct bundle_recorder){
		.source = {.read_file = recorder_read_file,
			   .glob = recorder_glob,
			   .environment = recorder_environment,
			   .watched = &recorder->watched_source},
		.watched_source = {.read_file = watched_read_file,
				   .glob = watched_glob,
				   .is_open_to_others = watched_is_open_to_others},
		.inner = inner,
		.descriptor = descriptor,
	};
	return 0;
}

int bundle_finish(struct bundle_recorder *recorder)
{
	check(recorder->descriptor >= 0);
	int error = recorder->error;
	if (!error &&
	    fcntl(recorder->descriptor, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		error = -errno;
	if (error) {
		bundle_discard(recorder);
		return error;
	}
	int descriptor = recorder->descriptor;
	recorder->descriptor = -1;
	return descriptor;
}

void bundle_discard(struct bundle_recorder *recorder)
{
	if (recorder->descriptor >= 0)
		close(recorder->descriptor);
	recorder->descriptor = -1;
}

// --- Replaying

// The record at `at`; false at the end, or when what is there is none.
static bool entry_at(const struct bundle_replay *replay, size_t at, struct bundle_entry *ret_entry)
{
	struct bundle_entry entry;
	if (at > replay->size || replay->size - at < sizeof entry.head)
		return false;
	memcpy(&entry.head, replay->data + at, sizeof entry.head);
	size_t left = replay->size - at - sizeof entry.head;
	if (entry.head.name_length >= left || entry.head.value_length >= left - entry.head.name_length - 1)
		return false;
	const char *name = replay->data + at + sizeof entry.head;
	entry.name = slice_from(name, entry.head.name_length);
	entry.value = slice_from(name + entry.head.name_length + 1, entry.head.value_length);
	size_t size = sizeof entry.head + entry.head.name_length + 1 + entry.head.value_length + 1;
	if (name[entry.name.length] != '\0' || entry.value.data[entry.value.length] != '\0' ||
	    size + padding(size) > replay->size - at)
		return false;
	entry.end = at + size + padding(size);
	*ret_entry = entry;
	return true;
}

// What was asked next is what is asked next; only a loading that went another way has to
// search.
static bool find(struct bundle_replay *replay, enum bundle_kind kind, const char *name, struct bundle_entry *ret_entry)
{
	struct slice wanted = slice_from_string(name);
	struct bundle_entry entry;
	for (size_t round = 0, at = replay->next; round < 2; round++, at = 0) {
		for (; entry_at(replay, at, &entry); at = entry.end) {
			if (entry.head.kind != kind || !slice_equal(entry.name, wanted))
				continue;
			replay->next = entry.end;
			*ret_entry = entry;
			return true;
		}
	}
	return false;
}

static int replay_copy(struct bundle_replay *replay, enum bundle_kind kind, const char *name, struct slice *ret_value)
{
	struct bundle_entry entry;
	if (!find(replay, kind, name, &entry))
		return -ENOENT;
	if (entry.head.result != 0)
		return entry.head.result;
	char *copy = malloc(entry.value.length + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, entry.value.data, entry.value.length + 1);
	*ret_value = slice_from(copy, entry.value.length);
	return 0;
}

static int replay_read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	return replay_copy((struct bundle_replay *)source, BUNDLE_FILE, path, ret_content);
}

static int replay_glob(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	return replay_copy((struct bundle_replay *)source, BUNDLE_GLOB, pattern, ret_names);
}

static const char *replay_environment(struct config_source *source, const char *name)
{
	struct bundle_entry entry;
	if (!find((struct bundle_replay *)source, BUNDLE_ENVIRONMENT, name, &entry) || entry.head.result != 0)
		return NULL;
	return entry.value.data;
}

static bool is_whole(const struct bundle_replay *replay)
{
	struct bundle_entry entry;
	size_t at = 0;
	while (at < replay->size) {
		if (!entry_at(replay, at, &entry))
			return false;
		check(entry.end > at);
		at = entry.end;
	}
	return true;
}

int bundle_replay(struct bundle_replay *replay, int descriptor)
{
	struct stat status;
	if (fstat(descriptor, &status) < 0)
		return -errno;
	if (status.st_size <= 0)
		return -EBADMSG;
	void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
	if (data == MAP_FAILED)
		return -errno;
	*replay = (struct bundle_replay){
		.source = {.read_file = replay_read_file, .glob = replay_glob, .environment = replay_environment},
		.data = data,
		.size = (size_t)status.st_size,
	};
	if (is_whole(replay))
		return 0;
	bundle_replay_end(replay);
	return -EBADMSG;
}

static struct slice content_of(const struct bundle_replay *replay)
{
	return slice_from(replay->data, replay->size);
}

bool bundle_equal(int one, int other)
{
	struct bundle_replay a = {0}, b = {0};
	bool equal = bundle_replay(&a, one) == 0 && bundle_replay(&b, other) == 0 &&
		     slice_equal(content_of(&a), content_of(&b));
	bundle_replay_end(&a);
	bundle_replay_end(&b);
	return equal;
}

void bundle_replay_end(struct bundle_replay *replay)
{
	if (replay->data)
		munmap((void *)replay->data, replay->size);
	*replay = (struct bundle_replay){0};
}
