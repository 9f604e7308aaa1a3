#include "base/list.h"
#include "cmocka_all.h"

struct item {
	int number;
	struct list_link link;
};

static void assert_numbers(const struct list_link *head, const char *digits)
{
	const struct list_link *link = head->next;
	for (; *digits != '\0'; digits++, link = link->next) {
		assert_ptr_not_equal(link, head);
		assert_int_equal(LIST_ENTRY(link, struct item, link)->number, *digits - '0');
		assert_ptr_equal(link->next->previous, link);
	}
	assert_ptr_equal(link, head);
}

static void keeps_order(void **state)
{
	struct list_link head;
	struct item items[5];
	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_null(list_pop_front(&head));
	for (int i = 0; i < 5; i++)
		items[i].number = i;
	list_push_back(&head, &items[2].link);
	list_push_back(&head, &items[3].link);
	list_push_front(&head, &items[1].link);
	list_insert_before(&items[1].link, &items[0].link);
	list_push_back(&head, &items[4].link);
	assert_numbers(&head, "01234");
	list_remove(&items[2].link);
	list_remove(&items[2].link);
	assert_numbers(&head, "0134");
	assert_ptr_equal(list_pop_front(&head), &items[0].link);
	assert_numbers(&head, "134");
	assert_false(list_is_empty(&head));
}

static void moves_all(void **state)
{
	struct list_link from, to;
	struct item items[4];
	list_init(&from);
	list_init(&to);
	for (int i = 0; i < 4; i++) {
		items[i].number = i;
		list_push_back(i < 2 ? &to : &from, &items[i].link);
	}
	list_move_all(&from, &to);
	assert_numbers(&to, "0123");
	assert_true(list_is_empty(&from));
	list_move_all(&from, &to);
	assert_numbers(&to, "0123");
	list_move_all(&to, &from);
	assert_numbers(&from, "0123");
	assert_true(list_is_empty(&to));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(moves_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
