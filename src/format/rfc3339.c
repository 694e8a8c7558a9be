/*
 * rfc3339.c
 *		Times as RFC 3339 text, to the second.
 *
 * The calendar is our own, because libc's needs a time zone and answers for
 * fields that are out of range.
 */
#include "rfc3339.h"

#define SECONDS_PER_DAY		86400
#define DAYS_PER_ERA		146097	/* 400 years */
#define DAYS_TO_1970		719468	/* since 0000-03-01 */

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

/*
 * Days since 1970-01-01.  Years are counted from March, so that the leap day is
 * the last of its year.
 */
static int64_t
days_from_date(int year, int month, int day)
{
	int			march_year = month <= 2 ? year - 1 : year;
	int			era = (march_year >= 0 ? march_year : march_year - 399) / 400;
	int			year_of_era = march_year - era * 400;
	int			day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
	int			day_of_era = year_of_era * 365 + year_of_era / 4 -
		year_of_era / 100 + day_of_year;

	return (int64_t) era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static void
date_from_days(int64_t days, int *year, int *month, int *day)
{
	int64_t		shifted = days + DAYS_TO_1970;
	int64_t		era = (shifted >= 0 ? shifted : shifted - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int			day_of_era = (int) (shifted - era * DAYS_PER_ERA);
	int			year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
							   day_of_era / (DAYS_PER_ERA - 1)) / 365;
	int			day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 -
											year_of_era / 100);
	int			march_month = (5 * day_of_year + 2) / 153;

	*day = day_of_year - (153 * march_month + 2) / 5 + 1;
	*month = march_month < 10 ? march_month + 3 : march_month - 9;
	*year = (int) (era * 400) + year_of_era + (*month <= 2);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes exactly count digits from the front of the text. */
static bool
take_number(const char **text, const char *end, int count, int *number)
{
	*number = 0;
	for (int i = 0; i < count; i++)
	{
		if (*text == end || !is_digit(**text))
			return false;
		*number = *number * 10 + (*(*text)++ - '0');
	}
	return true;
}

static bool
take_char(const char **text, const char *end, char c)
{
	if (*text == end || **text != c)
		return false;
	(*text)++;
	return true;
}

/* Takes "Z" or "+hh:mm", as seconds east of UTC. */
static bool
take_offset(const char **text, const char *end, int *offset)
{
	int			hours;
	int			minutes;
	int			sign;

	*offset = 0;
	if (take_char(text, end, 'Z'))
		return true;

	if (take_char(text, end, '+'))
		sign = 1;
	else if (take_char(text, end, '-'))
		sign = -1;
	else
		return false;

	if (!take_number(text, end, 2, &hours) || hours > 23 ||
		!take_char(text, end, ':') ||
		!take_number(text, end, 2, &minutes) || minutes > 59)
		return false;
	*offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* Takes nothing, or a point and at least one digit. */
static bool
take_fraction(const char **text, const char *end)
{
	int			ignored;

	if (!take_char(text, end, '.'))
		return true;
	if (!take_number(text, end, 1, &ignored))
		return false;
	while (*text < end && is_digit(**text))
		(*text)++;
	return true;
}

bool
kv_rfc3339_parse(const char *text, size_t len, int64_t *seconds)
{
	const char *end = text + len;
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
	int			offset;

	if (!take_number(&text, end, 4, &year) || !take_char(&text, end, '-') ||
		!take_number(&text, end, 2, &month) || !take_char(&text, end, '-') ||
		!take_number(&text, end, 2, &day) || !take_char(&text, end, 'T') ||
		!take_number(&text, end, 2, &hour) || !take_char(&text, end, ':') ||
		!take_number(&text, end, 2, &minute) || !take_char(&text, end, ':') ||
		!take_number(&text, end, 2, &second) ||
		!take_fraction(&text, end) ||
		!take_offset(&text, end, &offset) ||
		text != end)
		return false;

	if (month < 1 || month > 12 ||
		day < 1 || day > days_in_month(year, month) ||
		hour > 23 || minute > 59 || second > 59)
		return false;

	*seconds = days_from_date(year, month, day) * SECONDS_PER_DAY +
		hour * 3600 + minute * 60 + second - offset;
	return true;
}

static void
put_number(char *text, int digits, int number)
{
	while (digits-- > 0)
	{
		text[digits] = (char) ('0' + number % 10);
		number /= 10;
	}
}

bool
kv_rfc3339_format(int64_t seconds, char text[static KV_RFC3339_LEN])
{
	static const char pattern[] = "0000-00-00T00:00:00Z";
	int64_t		days;
	int			rest;
	int			year;
	int			month;
	int			day;

	if (seconds < days_from_date(0, 1, 1) * SECONDS_PER_DAY ||
		seconds >= days_from_date(10000, 1, 1) * SECONDS_PER_DAY)
		return false;

	days = seconds / SECONDS_PER_DAY;
	rest = (int) (seconds % SECONDS_PER_DAY);
	if (rest < 0)
	{
		days--;
		rest += SECONDS_PER_DAY;
	}
	date_from_days(days, &year, &month, &day);

	for (int i = 0; i < KV_RFC3339_LEN; i++)
		text[i] = pattern[i];
	put_number(text, 4, year);
	put_number(text + 5, 2, month);
	put_number(text + 8, 2, day);
	put_number(text + 11, 2, rest / 3600);
	put_number(text + 14, 2, rest / 60 % 60);
	put_number(text + 17, 2, rest % 60);
	return true;
}
