#include "control/handoff.h"

#include "base/check.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// A worker whose main thread has not read for so long is stuck.
enum { SEND_TIMEOUT_SECONDS = 5 };

struct handoff_head {
	uint32_t kind;
	uint32_t descriptor_count;
	int64_t number;
};

union control_space {
	char bytes[CMSG_SPACE(sizeof(int) * HANDOFF_DESCRIPTORS_MAX)];
	struct cmsghdr align;
};

int handoff_pair(int ret_ends[2])
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	struct timeval timeout = {.tv_sec = SEND_TIMEOUT_SECONDS};
	for (int i = 0; i < 2; i++) {
		if (setsockopt(ends[i], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0) {
			int error = -errno;
			close(ends[0]);
			close(ends[1]);
			return error;
		}
	}
	memcpy(ret_ends, ends, sizeof ends);
	return 0;
}

int handoff_send(int end, const struct handoff_message *message)
{
	check(message->descriptor_count <= HANDOFF_DESCRIPTORS_MAX);
	struct handoff_head head = {
		.kind = message->kind, .descriptor_count = message->descriptor_count, .number = message->number};
	struct slice text = slice_first(message->text, HANDOFF_TEXT_MAX);
	struct iovec parts[] = {{&head, sizeof head}, {(char *)text.data, text.length}};
	struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
	union control_space space;
	if (message->descriptor_count > 0) {
		size_t size = sizeof(int) * message->descriptor_count;
		memset(&space, 0, sizeof space);
		packet.msg_control = space.bytes;
		packet.msg_controllen = CMSG_SPACE(size);
		struct cmsghdr *control = CMSG_FIRSTHDR(&packet);
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(control), message->descriptors, size);
	}
	ssize_t sent;
	do {
		sent = sendmsg(end, &packet, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int handoff_send_text(int end, enum handoff_kind kind, int64_t number, struct slice text)
{
	struct handoff_message message = {.kind = kind, .number = number, .text = text};
	return handoff_send(end, &message);
}

static void take_descriptors(struct msghdr *packet, struct handoff_message *message)
{
	for (struct cmsghdr *control = CMSG_FIRSTHDR(packet); control; control = CMSG_NXTHDR(packet, control)) {
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		size_t size = control->cmsg_len - CMSG_LEN(0);
		check(size <= sizeof message->descriptors);
		memcpy(message->descriptors, CMSG_DATA(control), size);
		message->descriptor_count = (unsigned)(size / sizeof(int));
	}
}

static bool is_known(uint32_t kind)
{
	return kind >= HANDOFF_LISTENER && kind <= HANDOFF_FAILED;
}

int handoff_receive(int end, char buffer[HANDOFF_TEXT_MAX], struct handoff_message *ret_message)
{
	struct handoff_head head;
	struct iovec parts[] = {{&head, sizeof head}, {buffer, HANDOFF_TEXT_MAX}};
	union control_space space;
	struct msghdr packet = {
		.msg_iov = parts, .msg_iovlen = 2, .msg_control = space.bytes, .msg_controllen = sizeof space.bytes};
	ssize_t got;
	do {
		got = recvmsg(end, &packet, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (got == 0)
		return -EPIPE;
	ret_message->descriptor_count = 0;
	take_descriptors(&packet, ret_message);
	if ((size_t)got < sizeof head || (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !is_known(head.kind) ||
	    head.descriptor_count != ret_message->descriptor_count) {
		handoff_close(ret_message);
		return -EBADMSG;
	}
	ret_message->kind = (enum handoff_kind)head.kind;
	ret_message->number = head.number;
	ret_message->text = slice_from(buffer, (size_t)got - sizeof head);
	return 0;
}

void handoff_close(struct handoff_message *message)
{
	for (unsigned i = 0; i < message->descriptor_count; i++)
		close(message->descriptors[i]);
	message->descriptor_count = 0;
}
