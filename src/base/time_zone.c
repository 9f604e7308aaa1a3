#include "base/time_zone.h"

enum {
	HOUR = 3600,
	DAY = 24 * HOUR,
	// RFC 8536 section 3.2.
	OFFSET_MIN = -89999,
	OFFSET_MAX = 93599,
	HOURS_MAX = 167,
};

// --- Offsets

// Days from 1970 to the first of January; years before 1 are not asked for.
static int64_t days_before_year(int64_t year)
{
	int64_t before = year - 1;
	return before * 365 + before / 4 - before / 100 + before / 400 - 719162;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t year_of(int64_t days)
{
	int64_t year = 1970 + days / 366;
	while (days_before_year(year + 1) <= days)
		year++;
	return year;
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

// Day `day` (0: Sunday) of the week-th week of a month; the fifth is the last there is.
static int64_t day_of_month_rule(const struct time_zone_change *change, int64_t year)
{
	int64_t first = days_before_year(year);
	for (int month = 1; month < change->month; month++)
		first += days_in_month(year, month);
	int64_t weekday = (first + 4) % 7; // 1970 began on a Thursday
	int64_t in_month = (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
	if (in_month >= days_in_month(year, change->month))
		in_month -= 7;
	return first + in_month;
}

// When a change is due in a year, by the clock before it, in seconds since 1970.
static int64_t time_of_change(const struct time_zone_change *change, int64_t year)
{
	int64_t day = days_before_year(year) + change->day;
	if (change->kind == 'M')
		day = day_of_month_rule(change, year);
	else if (change->kind == 'J')
		day += (is_leap(year) && change->day >= 60) - 1;
	return day * DAY + change->seconds;
}

static int32_t offset_by_rule(const struct time_zone_rule *rule, int64_t time_s)
{
	if (!rule->has_summer)
		return rule->standard_s;
	int64_t local_s = time_s + rule->standard_s;
	int64_t year = year_of(local_s / DAY);
	int64_t begin_s = time_of_change(&rule->begin, year) - rule->standard_s;
	int64_t end_s = time_of_change(&rule->end, year) - rule->summer_s;
	bool is_summer = begin_s < end_s ? begin_s <= time_s && time_s < end_s : !(end_s <= time_s && time_s < begin_s);
	return is_summer ? rule->summer_s : rule->standard_s;
}

int32_t time_zone_offset_s(const struct time_zone *zone, int64_t time_s)
{
	size_t below = 0, above = zone->count; // the change that holds is one of [below - 1, above - 1]
	// Rules are for years that clocks show, and there are none before 1970.
	if (zone->has_rule && time_s > DAY && (zone->count == 0 || time_s >= zone->times[zone->count - 1]) &&
	    time_s < INT64_C(1) << 40)
		return offset_by_rule(&zone->rule, time_s);
	while (below < above) {
		size_t middle = below + (above - below) / 2;
		if (zone->times[middle] <= time_s)
			below = middle + 1;
		else
			above = middle;
	}
	return below > 0 ? zone->offsets_s[below - 1] : zone->first_offset_s;
}

// --- TZ texts

static bool take(struct slice *rest, char byte)
{
	if (rest->length == 0 || rest->data[0] != byte)
		return false;
	*rest = slice_after(*rest, 1);
	return true;
}

static bool is_letter(char byte)
{
	return ascii_lower(byte) >= 'a' && ascii_lower(byte) <= 'z';
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

// At least three letters, or in brackets letters, digits and signs.
static bool take_name(struct slice *rest)
{
	size_t length = 0;
	bool in_brackets = take(rest, '<');
	while (length < rest->length && (is_letter(rest->data[length]) ||
					 (in_brackets && (is_digit(rest->data[length]) || rest->data[length] == '+' ||
							  rest->data[length] == '-'))))
		length++;
	*rest = slice_after(*rest, length);
	return length >= 3 && (!in_brackets || take(rest, '>'));
}

static bool take_number(struct slice *rest, int least, int most, int *ret_number)
{
	int number = 0;
	size_t length = 0;
	while (length < rest->length && length < 3 && is_digit(rest->data[length]))
		number = number * 10 + (rest->data[length++] - '0');
	*rest = slice_after(*rest, length);
	*ret_number = number;
	return length > 0 && number >= least && number <= most;
}

// [+-]hh[:mm[:ss]]
static bool take_time(struct slice *rest, int32_t *ret_seconds)
{
	int hours, minutes = 0, seconds = 0;
	bool is_negative = take(rest, '-');
	if (!is_negative)
		(void)take(rest, '+');
	if (!take_number(rest, 0, HOURS_MAX, &hours))
		return false;
	if (take(rest, ':') &&
	    (!take_number(rest, 0, 59, &minutes) || (take(rest, ':') && !take_number(rest, 0, 59, &seconds))))
		return false;
	int32_t all = hours * HOUR + minutes * 60 + seconds;
	*ret_seconds = is_negative ? -all : all;
	return true;
}

static bool take_change(struct slice *rest, struct time_zone_change *ret_change)
{
	struct time_zone_change change = {.kind = 'D', .seconds = 2 * HOUR};
	bool good;
	if (!take(rest, ','))
		return false;
	if (take(rest, 'M')) {
		change.kind = 'M';
		good = take_number(rest, 1, 12, &change.month) && take(rest, '.') &&
		       take_number(rest, 1, 5, &change.week) && take(rest, '.') && take_number(rest, 0, 6, &change.day);
	} else if (take(rest, 'J')) {
		change.kind = 'J';
		good = take_number(rest, 1, 365, &change.day);
	} else {
		good = take_number(rest, 0, 365, &change.day);
	}
	if (good && take(rest, '/'))
		good = take_time(rest, &change.seconds);
	*ret_change = change;
	return good;
}

// West of Greenwich is positive there.
static bool take_offset(struct slice *rest, int32_t *ret_offset_s)
{
	int32_t west_s;
	if (!take_time(rest, &west_s))
		return false;
	*ret_offset_s = -west_s;
	return *ret_offset_s >= OFFSET_MIN && *ret_offset_s <= OFFSET_MAX;
}

static bool parse_rule(struct slice text, struct time_zone_rule *ret_rule)
{
	struct time_zone_rule rule = {0};
	if (!take_name(&text) || !take_offset(&text, &rule.standard_s))
		return false;
	rule.has_summer = text.length > 0;
	if (rule.has_summer) {
		rule.summer_s = rule.standard_s + HOUR;
		if (!take_name(&text) ||
		    (text.length > 0 && text.data[0] != ',' && !take_offset(&text, &rule.summer_s)) ||
		    !take_change(&text, &rule.begin) || !take_change(&text, &rule.end))
			return false;
	}
	*ret_rule = rule;
	return text.length == 0;
}

bool time_zone_parse(struct slice text, struct time_zone *ret_zone)
{
	struct time_zone zone = {.has_rule = true};
	if (!parse_rule(text, &zone.rule))
		return false;
	zone.first_offset_s = zone.rule.standard_s;
	*ret_zone = zone;
	return true;
}

// --- Files (RFC 8536 section 3)

static int64_t big_endian(const char *bytes, size_t size)
{
	uint64_t number = bytes[0] & 0x80 ? ~UINT64_C(0) : 0;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | (uint8_t)bytes[i];
	return (int64_t)number;
}

enum { HEADER = 44, TYPE = 6 };

struct block {
	uint64_t utc_flags, standard_flags, leaps, times, types, name_bytes;
	size_t time_size;
	struct slice bytes; // behind the header
};

// The header at the start of the content, and the block behind it, which is all there.
static bool read_block(struct slice content, size_t time_size, struct block *ret_block, struct slice *ret_rest)
{
	uint64_t counts[6];
	if (content.length < HEADER || !slice_starts_with(content, SLICE("TZif")))
		return false;
	for (size_t i = 0; i < 6; i++)
		counts[i] = (uint32_t)big_endian(content.data + 20 + 4 * i, 4);
	struct block block = {counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], time_size, SLICE_EMPTY};
	uint64_t size = block.times * (time_size + 1) + block.types * TYPE + block.name_bytes +
			block.leaps * (time_size + 4) + block.standard_flags + block.utc_flags;
	if (size > content.length - HEADER)
		return false;
	block.bytes = slice_first(slice_after(content, HEADER), size);
	*ret_block = block;
	*ret_rest = slice_after(content, HEADER + size);
	return true;
}

static bool read_offset(const struct block *block, size_t type, int32_t *ret_offset_s)
{
	if (type >= block->types)
		return false;
	const char *types = block->bytes.data + block->times * (block->time_size + 1);
	*ret_offset_s = (int32_t)big_endian(types + type * TYPE, 4);
	return *ret_offset_s >= OFFSET_MIN && *ret_offset_s <= OFFSET_MAX;
}

static bool read_times(const struct block *block, struct arena *arena, struct time_zone *zone)
{
	if (block->leaps > 0 || !read_offset(block, 0, &zone->first_offset_s))
		return false;
	if (block->times == 0)
		return true;
	int64_t *times = arena_alloc(arena, block->times * sizeof *times);
	int32_t *offsets_s = arena_alloc(arena, block->times * sizeof *offsets_s);
	if (!times || !offsets_s)
		return false;
	for (size_t i = 0; i < block->times; i++) {
		const char *type = block->bytes.data + block->times * block->time_size + i;
		times[i] = big_endian(block->bytes.data + i * block->time_size, block->time_size);
		if ((i > 0 && times[i] <= times[i - 1]) || !read_offset(block, (uint8_t)*type, &offsets_s[i]))
			return false;
	}
	zone->times = times;
	zone->offsets_s = offsets_s;
	zone->count = block->times;
	return true;
}

bool time_zone_read(struct slice content, struct arena *arena, struct time_zone *ret_zone)
{
	struct time_zone zone = {0};
	struct block block;
	struct slice rest, text;
	if (!read_block(content, 4, &block, &rest))
		return false;
	if (content.data[4] >= '2') {
		if (!read_block(rest, 8, &block, &rest))
			return false;
		// What holds after the last time stands between two line feeds; nothing, where the file does not know.
		if (!take(&rest, '\n') || slice_find(rest, '\n') == rest.length)
			return false;
		text = slice_first(rest, slice_find(rest, '\n'));
		zone.has_rule = text.length > 0;
		if (zone.has_rule && !parse_rule(text, &zone.rule))
			return false;
	}
	if (!read_times(&block, arena, &zone))
		return false;
	*ret_zone = zone;
	return true;
}
