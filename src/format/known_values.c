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

/*
 * How many bytes at an offset do not count, because spellings differ in them.  Quotes and
 * backslashes are doubled, or have a backslash in front.  XML has &amp; for &, and the like:
 * such names do not count behind what may stand for one of these, so that a value that has
 * them itself is the same in either spelling.
 */
static size_t
passed_over(const char *text, size_t len, size_t at)
{
	static const char *const names[] = {"amp;", "lt;", "gt;", "#x0d;"};
	const size_t count = sizeof(names) / sizeof(names[0]);
	size_t		end = at + 1;

	switch (text[at])
	{
		case '\'':
		case '"':
		case '\\':
			return 1;
		case '&':
		case '<':
		case '>':
		case '\r':
			break;
		default:
			return 0;
	}
	for (size_t i = 0; i < count; i++)
	{
		size_t		name_len = strlen(names[i]);

		if (len - end >= name_len && memcmp(text + end, names[i], name_len) == 0)
		{
			end += name_len;
			i = (size_t) -1;	/* another may follow */
		}
	}
	return end - at;
}

/* Takes a byte that counts; true when the window is full. */
static bool
slide(Window *window, char c, size_t offset)
{
	window->bytes = window->bytes << 8 | (unsigned char) c;
	window->offsets[window->count++ % WINDOW] = offset;
	return window->count >= WINDOW;
}

/* Moves to the next byte that counts, from this one on; false at the end. */
static bool
next_byte(const KvKnownValue *value, size_t *at)
{
	size_t		over;

	while (*at < value->len && (over = passed_over(value->data, value->len, *at)) > 0)
		*at += over;
	return *at < value->len;
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

		for (size_t at = 0; next_byte(&values[i], &at); at++)
			if (slide(&window, values[i].data[at], at))
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

		for (size_t at = 0; next_byte(value, &at); at++)
			if (slide(&window, value->data[at], at) && window.bytes == bytes)
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
	while (search->at < search->len)
	{
		size_t		at = search->at;
		size_t		over = passed_over(search->text, search->len, at);
		size_t		shown;

		if (search->text[at] == '\'' && (shown = cut_value(search, at)) > 0)
		{
			*start = at + 1;
			*end = *start + shown;
			search->at = *end;
			search->window.count = 0;
			return true;
		}
		search->at += over > 0 ? over : 1;
		if (over == 0 && slide(&search->window, search->text[at], at) &&
			is_known(search->known, search->window.bytes))
		{
			*start = search->window.offsets[search->window.count % WINDOW];
			*end = at + 1;
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
