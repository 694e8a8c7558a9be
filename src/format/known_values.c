/*
 * known_values.c
 *		Values in texts, by every eight bytes of them.
 */
#include <string.h>

#include "format/known_values.h"

#define WINDOW KV_KNOWN_VALUE_MIN

/* The last eight bytes that count, and where each of them stands. */
typedef struct Window
{
	uint64_t	bytes;
	size_t		count;
	size_t		offsets[WINDOW];
} Window;

/* What is found, and where to look for more. */
typedef struct Search
{
	const KvKnownValues *known;
	const char *text;
	size_t		len;
	size_t		at;
	Window		window;
} Search;

/* Spellings differ in these: they are doubled, or have one of them in front. */
static bool
counts(char c)
{
	return c != '\'' && c != '"' && c != '\\';
}

/* True when the window is full. */
static bool
slide(Window *window, char c, size_t offset)
{
	window->bytes = window->bytes << 8 | (unsigned char) c;
	window->offsets[window->count++ % WINDOW] = offset;
	return window->count >= WINDOW;
}

static size_t
bit_of(uint64_t bytes)
{
	return (size_t) (bytes * UINT64_C(0x9e3779b97f4a7c15) >> 48);
}

void
kv_known_values_index(KvKnownValues *known, const KvKnownValue *values, size_t count)
{
	known->values = values;
	known->count = count;
	memset(known->filter, 0, sizeof(known->filter));
	for (size_t i = 0; i < count; i++)
	{
		Window		window = {0};

		for (size_t at = 0; at < values[i].len; at++)
			if (counts(values[i].data[at]) && slide(&window, values[i].data[at], at))
			{
				size_t		bit = bit_of(window.bytes);

				known->filter[bit / 8] |= (uint8_t) (1 << bit % 8);
			}
	}
}

static bool
is_known(const KvKnownValues *known, uint64_t bytes)
{
	size_t		bit = bit_of(bytes);

	if ((known->filter[bit / 8] & 1 << bit % 8) == 0)
		return false;
	for (size_t i = 0; i < known->count; i++)
	{
		const KvKnownValue *value = &known->values[i];
		Window		window = {0};

		for (size_t at = 0; at < value->len; at++)
			if (counts(value->data[at]) && slide(&window, value->data[at], at) &&
				window.bytes == bytes)
				return true;
	}
	return false;
}

/* How many bytes of a value a literal shows that was cut early; its quote is at an offset. */
static size_t
cut_value(const Search *search, size_t quote)
{
	for (size_t shown = 1; shown < WINDOW && quote + shown + 5 <= search->len; shown++)
	{
		const char *begin = search->text + quote + 1;

		if (memcmp(begin + shown, "...'", 4) != 0)
			continue;
		for (size_t i = 0; i < search->known->count; i++)
			if (search->known->values[i].len >= shown &&
				memcmp(search->known->values[i].data, begin, shown) == 0)
				return shown;
	}
	return 0;
}

/* The next range that shows a value, or a part of one. */
static bool
next_range(Search *search, size_t *start, size_t *end)
{
	for (; search->at < search->len; search->at++)
	{
		size_t		at = search->at;
		size_t		shown;

		if (search->text[at] == '\'' && (shown = cut_value(search, at)) > 0)
		{
			*start = at + 1;
			*end = *start + shown;
			search->at = *end;
			search->window.count = 0;
			return true;
		}
		if (counts(search->text[at]) && slide(&search->window, search->text[at], at) &&
			is_known(search->known, search->window.bytes))
		{
			*start = search->window.offsets[search->window.count % WINDOW];
			*end = at + 1;
			search->at++;
			return true;
		}
	}
	return false;
}

bool
kv_known_values_stand_in(const KvKnownValues *known, const char *text, size_t len)
{
	Search		search = {.known = known, .text = text, .len = len};
	size_t		start;
	size_t		end;

	return known->count > 0 && next_range(&search, &start, &end);
}

size_t
kv_known_values_hide(const KvKnownValues *known, char *text, size_t len)
{
	Search		search = {.known = known, .text = text, .len = len};
	size_t		start;
	size_t		end;
	size_t		read = 0;
	size_t		written = 0;
	bool		more = known->count > 0 && next_range(&search, &start, &end);

	while (more)
	{
		size_t		range_start = start;
		size_t		range_end = end;
		size_t		stars;

		while ((more = next_range(&search, &start, &end)) && start <= range_end)
			range_end = end;
		stars = range_end - range_start < 4 ? range_end - range_start : 4;
		memmove(text + written, text + read, range_start - read);
		written += range_start - read;
		memset(text + written, '*', stars);
		written += stars;
		read = range_end;
	}
	memmove(text + written, text + read, len - read);
	return written + len - read;
}
