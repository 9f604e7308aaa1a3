#include "config/suggest.h"

#include "base/check.h"

enum { NAME_MAX_LENGTH = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

// Optimal string alignment: the rows of the table of all beginnings, three at a time.
unsigned suggest_distance(struct slice a, struct slice b, unsigned limit)
{
	if (a.length > NAME_MAX_LENGTH || b.length > NAME_MAX_LENGTH)
		return limit + 1;
	unsigned rows[3][NAME_MAX_LENGTH + 1];
	unsigned *before_last = rows[0], *last = rows[1], *row = rows[2];
	for (unsigned j = 0; j <= b.length; j++)
		last[j] = before_last[j] = j;
	for (unsigned i = 1; i <= a.length; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b.length; j++) {
			char x = ascii_lower(a.data[i - 1]), y = ascii_lower(b.data[j - 1]);
			row[j] = least(last[j - 1] + (x != y), least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x == ascii_lower(b.data[j - 2]) && y == ascii_lower(a.data[i - 2]))
				row[j] = least(row[j], before_last[j - 2] + 1);
		}
		unsigned *free_row = before_last;
		before_last = last;
		last = row;
		row = free_row;
	}
	return least(last[b.length], limit + 1);
}

void suggest_begin(struct suggestion *suggestion, struct slice given)
{
	// A third of the letters may be wrong, one at least: "tls" is not meant by "log".
	unsigned limit = given.length < 4 ? 1 : given.length < 9 ? 2 : 3;
	*suggestion = (struct suggestion){.given = given, .distance = limit + 1};
}

void suggest_compare(struct suggestion *suggestion, struct slice name)
{
	check(suggestion->distance > 0 || suggestion->nearest.data != NULL);
	if (suggestion->distance == 0)
		return;
	unsigned distance = suggest_distance(suggestion->given, name, suggestion->distance - 1);
	// What shares no letter is no misspelling, however short.
	if (distance < suggestion->distance && distance < name.length) {
		suggestion->distance = distance;
		suggestion->nearest = name;
	}
}
