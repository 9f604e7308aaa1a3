#include "access/hours.h"

enum { DAYS = 7, DAY_MINUTES = 24 * 60, DAY_SECONDS = 24 * 60 * 60 };

bool hours_have(const struct hours *hours, const struct time_zone *zone, int64_t time_s)
{
	int64_t local_s = time_s + time_zone_offset_s(zone, time_s);
	int64_t in_week_s = (local_s + 3 * DAY_SECONDS) % (DAYS * DAY_SECONDS); // 1970 began on a Thursday
	if (in_week_s < 0)
		in_week_s += DAYS * DAY_SECONDS;
	int64_t minute = in_week_s / 60;
	return hours->minutes[minute / 8] >> minute % 8 & 1;
}

// --- Reading

static const char *const form =
	"is no time; expected one such as Mon-Fri 08:00-18:00, Sat,Sun 10:00-16:00 or 00:00-24:00";
static const char *const no_day = "names no day; expected Mon, Tue, Wed, Thu, Fri, Sat, Sun, or days such as Mon-Fri";

static int day_of(struct slice name)
{
	static const struct slice names[DAYS] = {{"Mon", 3}, {"Tue", 3}, {"Wed", 3}, {"Thu", 3},
						 {"Fri", 3}, {"Sat", 3}, {"Sun", 3}};
	for (int day = 0; day < DAYS; day++)
		if (slice_equal_nocase(names[day], name))
			return day;
	return -1;
}

// "Mon,Wed,Fri-Sun": a bit for each.
static bool read_days(struct slice text, unsigned *ret_days)
{
	struct slice part, first, last;
	unsigned days = 0;
	for (bool more = true; more;) {
		more = slice_cut(text, ',', &part, &text);
		bool is_range = slice_cut(slice_trim(part), '-', &first, &last);
		int begin = day_of(slice_trim(first)), end = is_range ? day_of(slice_trim(last)) : begin;
		if (begin < 0 || end < 0)
			return false;
		for (int day = begin; day != end; day = (day + 1) % DAYS)
			days |= 1U << day;
		days |= 1U << end;
	}
	*ret_days = days;
	return true;
}

static bool read_two_digits(const char *digits, unsigned *ret_number)
{
	if (digits[0] < '0' || digits[0] > '9' || digits[1] < '0' || digits[1] > '9')
		return false;
	*ret_number = (unsigned)(digits[0] - '0') * 10 + (unsigned)(digits[1] - '0');
	return true;
}

// "08:00", up to "24:00".
static bool read_time(struct slice text, unsigned *ret_minute)
{
	unsigned hour, minute;
	if (text.length != 5 || text.data[2] != ':' || !read_two_digits(text.data, &hour) ||
	    !read_two_digits(text.data + 3, &minute) || minute > 59)
		return false;
	*ret_minute = hour * 60 + minute;
	return *ret_minute <= DAY_MINUTES;
}

static void add(struct hours *hours, unsigned begin, unsigned length)
{
	for (unsigned i = 0; i < length; i++) {
		unsigned minute = (begin + i) % HOURS_MINUTES;
		hours->minutes[minute / 8] |= (uint8_t)(1U << minute % 8);
	}
}

const char *hours_add(struct hours *hours, struct slice text)
{
	struct slice first, last;
	unsigned days = (1U << DAYS) - 1, begin, end;
	text = slice_trim(text);
	size_t at = text.length; // of what follows the last blank
	while (at > 0 && text.data[at - 1] != ' ')
		at--;
	if (!slice_cut(slice_after(text, at), '-', &first, &last) || !read_time(first, &begin) ||
	    !read_time(last, &end) || begin == DAY_MINUTES)
		return form;
	if (at > 0 && !read_days(slice_trim(slice_first(text, at)), &days))
		return no_day;
	if (begin == end)
		return "begins when it ends; the whole day is 00:00-24:00";
	for (unsigned day = 0; day < DAYS; day++)
		if (days >> day & 1)
			add(hours, day * DAY_MINUTES + begin, end > begin ? end - begin : end + DAY_MINUTES - begin);
	return NULL;
}
