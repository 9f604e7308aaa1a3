#include "fake_h2.h"

#include "cmocka_all.h"

#include <stdlib.h>

struct h2_link *fake_links[FAKE_LINKS_MAX];
unsigned fake_link_count;
uint32_t fake_room = 100;

struct h2_link *h2_link_new(struct stream *stream, const struct h2_link_settings *settings,
			    void (*changed)(struct h2_link *link, void *argument), void *argument)
{
	struct h2_link *link = malloc(sizeof(*link));
	if (!link)
		return NULL;
	assert_true(fake_link_count < FAKE_LINKS_MAX);
	*link = (struct h2_link){
		.stream = stream,
		.settings = *settings,
		.changed = changed,
		.argument = argument,
		.room = fake_room,
	};
	fake_links[fake_link_count++] = link;
	return link;
}

bool h2_link_can_open(const struct h2_link *link)
{
	assert_false(link->closed);
	return !link->over && link->room > 0;
}

bool h2_link_is_over(const struct h2_link *link)
{
	assert_false(link->closed);
	return link->over;
}

void h2_link_close(struct h2_link *link)
{
	assert_false(link->closed);
	link->closed = true;
	stream_close(link->stream);
}

void fake_h2_forget(void)
{
	while (fake_link_count > 0) {
		assert_true(fake_links[fake_link_count - 1]->closed);
		free(fake_links[--fake_link_count]);
	}
	fake_room = 100;
}
