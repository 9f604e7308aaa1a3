#include "base/date.h"

#include "base/check.h"

#include <time.h>

enum { DAY = 24 * 60 * 60 };

static const int64_t FIRST_SECOND = INT64_C(-62167219200); // 0000-01-01T00:00:00Z
static const int64_t LAST_SECOND = INT64_C(253402300799);  // 9999-12-31T23:59:59Z

static const char *const WEEKDAYS[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct civil {
	int year, month, day; // month and day from 1
	int hour, minute, second;
	int weekday; // 0: Sunday
};

// Years are counted from March here, so that a leap day is the last of its year: the days
// before a month are then a linear function of it. 400 years have 146,097 days.
static int64_t days_from_civil(int year, int month, int day)
{
	int64_t march_year = month > 2 ? year : year - 1;
	int64_t era = (march_year >= 0 ? march_year : march_year - 399) / 400;
	int64_t year_of_era = march_year - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468; // from 0000-03-01 to 1970-01-01
}

static struct civil civil_from_seconds(int64_t seconds)
{
	if (seconds < FIRST_SECOND)
		seconds = FIRST_SECOND;
	if (seconds > LAST_SECOND)
		seconds = LAST_SECOND;
	int64_t days = (seconds - FIRST_SECOND) / DAY; // since 0000-01-01
	int second_of_day = (int)((seconds - FIRST_SECOND) % DAY);

	int64_t shifted = days - 60 + 146097; // since -0400-03-01
	int64_t era = shifted / 146097;
	int64_t day_of_era = shifted % 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153;
	int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
	return (struct civil){
		.year = (int)(year_of_era + (era - 1) * 400 + (month <= 2)),
		.month = month,
		.day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
		.hour = second_of_day / 3600,
		.minute = second_of_day / 60 % 60,
		.second = second_of_day % 60,
		.weekday = (int)((days + 6) % 7), // 0000-01-01 was a Saturday
	};
}

static char *put_digits(char *to, int number, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		to[i] = (char)('0' + number % 10);
		number /= 10;
	}
	return to + digits;
}

static char *put(char *to, const char *from, size_t length)
{
	memcpy(to, from, length);
	return to + length;
}

static char *put_time(char *to, const struct civil *civil)
{
	to = put_digits(to, civil->hour, 2);
	*to++ = ':';
	to = put_digits(to, civil->minute, 2);
	*to++ = ':';
	return put_digits(to, civil->second, 2);
}

static const char *month_name(int month)
{
	check(month >= 1 && month <= 12);
	return MONTHS + (month - 1) * 3;
}

void date_format_http(int64_t seconds, char ret_text[DATE_HTTP_LENGTH])
{
	struct civil civil = civil_from_seconds(seconds);
	char *to = put(ret_text, WEEKDAYS[civil.weekday], 3);
	to = put(to, ", ", 2);
	to = put_digits(to, civil.day, 2);
	*to++ = ' ';
	to = put(to, month_name(civil.month), 3);
	*to++ = ' ';
	to = put_digits(to, civil.year, 4);
	*to++ = ' ';
	to = put_time(to, &civil);
	to = put(to, " GMT", 4);
	check(to == ret_text + DATE_HTTP_LENGTH);
}

struct slice date_http(int64_t seconds)
{
	static _Thread_local char text[DATE_HTTP_LENGTH];
	static _Thread_local int64_t cached = INT64_MIN;
	if (cached != seconds) {
		date_format_http(seconds, text);
		cached = seconds;
	}
	return slice_from(text, sizeof text);
}

struct slice date_log(int64_t seconds)
{
	static _Thread_local char text[DATE_LOG_LENGTH];
	static _Thread_local int64_t cached = INT64_MIN;
	if (cached == seconds)
		return slice_from(text, sizeof text);

	time_t when = (time_t)seconds;
	struct tm local = {0};
	long offset = localtime_r(&when, &local) != NULL ? local.tm_gmtoff : 0;
	struct civil civil = civil_from_seconds(seconds + offset);
	char *to = put_digits(text, civil.day, 2);
	*to++ = '/';
	to = put(to, month_name(civil.month), 3);
	*to++ = '/';
	to = put_digits(to, civil.year, 4);
	*to++ = ':';
	to = put_time(to, &civil);
	*to++ = ' ';
	*to++ = offset < 0 ? '-' : '+';
	int minutes = (int)((offset < 0 ? -offset : offset) / 60);
	to = put_digits(to, minutes / 60, 2);
	to = put_digits(to, minutes % 60, 2);
	check(to == text + DATE_LOG_LENGTH);
	cached = seconds;
	return slice_from(text, sizeof text);
}

void date_format_rfc3339(int64_t nanoseconds, char ret_text[DATE_RFC3339_LENGTH])
{
	int64_t milliseconds = nanoseconds / 1000000 - (nanoseconds % 1000000 < 0);
	int64_t seconds = milliseconds / 1000 - (milliseconds % 1000 < 0);
	struct civil civil = civil_from_seconds(seconds);
	char *to = put_digits(ret_text, civil.year, 4);
	*to++ = '-';
	to = put_digits(to, civil.month, 2);
	*to++ = '-';
	to = put_digits(to, civil.day, 2);
	*to++ = 'T';
	to = put_time(to, &civil);
	*to++ = '.';
	to = put_digits(to, (int)(milliseconds - seconds * 1000), 3);
	*to++ = 'Z';
	check(to == ret_text + DATE_RFC3339_LENGTH);
}

// --- Parsing: each step takes something off the front, and says whether it was there.

static bool take(struct slice *rest, const char *literal)
{
	struct slice expected = slice_from_string(literal);
	if (!slice_starts_with(*rest, expected))
		return false;
	*rest = slice_after(*rest, expected.length);
	return true;
}

static bool take_digits(struct slice *rest, size_t digits, int *ret_number)
{
	uint64_t number;
	if (rest->length < digits || !slice_to_number(slice_first(*rest, digits), &number))
		return false;
	*rest = slice_after(*rest, digits);
	*ret_number = (int)number;
	return true;
}

static bool take_month(struct slice *rest, int *ret_month)
{
	for (int month = 1; month <= 12; month++) {
		if (slice_starts_with(*rest, slice_from(month_name(month), 3))) {
			*rest = slice_after(*rest, 3);
			*ret_month = month;
			return true;
		}
	}
	return false;
}

static bool take_time(struct slice *rest, struct civil *civil)
{
	return take_digits(rest, 2, &civil->hour) && take(rest, ":") && take_digits(rest, 2, &civil->minute) &&
	       take(rest, ":") && take_digits(rest, 2, &civil->second);
}

// "Sun" or "Sunday", whose length tells the form; which day it is does not matter.
static bool take_weekday(struct slice *rest, bool *ret_long)
{
	for (size_t i = 0; i < sizeof WEEKDAYS / sizeof WEEKDAYS[0]; i++) {
		if (take(rest, WEEKDAYS[i])) {
			*ret_long = true;
			return true;
		}
		if (slice_starts_with(*rest, slice_from(WEEKDAYS[i], 3))) {
			*rest = slice_after(*rest, 3);
			*ret_long = false;
			return true;
		}
	}
	return false;
}

// ", 06 Nov 1994 08:49:37 GMT"
static bool take_imf(struct slice *rest, struct civil *civil)
{
	return take(rest, ", ") && take_digits(rest, 2, &civil->day) && take(rest, " ") &&
	       take_month(rest, &civil->month) && take(rest, " ") && take_digits(rest, 4, &civil->year) &&
	       take(rest, " ") && take_time(rest, civil) && take(rest, " GMT");
}

// ", 06-Nov-94 08:49:37 GMT"
static bool take_rfc850(struct slice *rest, int64_t now_seconds, struct civil *civil)
{
	int short_year;
	if (!(take(rest, ", ") && take_digits(rest, 2, &civil->day) && take(rest, "-") &&
	      take_month(rest, &civil->month) && take(rest, "-") && take_digits(rest, 2, &short_year) &&
	      take(rest, " ") && take_time(rest, civil) && take(rest, " GMT")))
		return false;
	int now_year = civil_from_seconds(now_seconds).year;
	civil->year = now_year - now_year % 100 + short_year;
	if (civil->year > now_year + 50)
		civil->year -= 100;
	else if (civil->year <= now_year - 50)
		civil->year += 100;
	return true;
}

// " Nov  6 08:49:37 1994"
static bool take_asctime(struct slice *rest, struct civil *civil)
{
	if (!(take(rest, " ") && take_month(rest, &civil->month) && take(rest, " ")))
		return false;
	bool day = take(rest, " ") ? take_digits(rest, 1, &civil->day) : take_digits(rest, 2, &civil->day);
	return day && take(rest, " ") && take_time(rest, civil) && take(rest, " ") &&
	       take_digits(rest, 4, &civil->year);
}

static int days_in_month(int year, int month)
{
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return month == 2 ? 28 + leap : 30 + (month + month / 8) % 2;
}

bool date_parse_http(struct slice text, int64_t now_seconds, int64_t *ret_seconds)
{
	struct civil civil = {0};
	bool long_weekday;
	if (!take_weekday(&text, &long_weekday))
		return false;
	bool taken;
	if (long_weekday)
		taken = take_rfc850(&text, now_seconds, &civil);
	else if (slice_starts_with(text, SLICE(",")))
		taken = take_imf(&text, &civil);
	else
		taken = take_asctime(&text, &civil);
	if (!taken || text.length > 0)
		return false;
	// A second of 60 is a leap second (RFC 9110 section 5.6.7); it counts as the next one.
	if (civil.day < 1 || civil.day > days_in_month(civil.year, civil.month) || civil.hour > 23 ||
	    civil.minute > 59 || civil.second > 60)
		return false;
	*ret_seconds = days_from_civil(civil.year, civil.month, civil.day) * DAY + civil.hour * 3600 +
		       civil.minute * 60 + civil.second;
	return true;
}
