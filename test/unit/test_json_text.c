/*
 * test_json_text.c
 *		One value has one spelling, and it never grows beyond its buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "format/json_text.h"
#include "tap.h"

#define LEN(literal) (sizeof(literal) - 1)

/* Whether a string is spelled so, in a buffer of just that size and in no smaller one. */
static bool
is_spelled(const char *string, size_t len, const char *spelled)
{
	size_t		room = strlen(spelled);
	bool		right = true;

	for (size_t size = 0; size <= room; size++)
	{
		/* Its own allocation, so that a write past the end is seen */
		KvJsonText	text = {.bytes = malloc(size), .size = size};
		bool		fits = kv_json_put_string(&text, string, len);

		right = right && fits == (size == room) && text.len <= size &&
			(!fits || memcmp(text.bytes, spelled, room) == 0);
		free(text.bytes);
	}
	return right;
}

static void
strings_have_no_more_escapes_than_they_need(void)
{
	check(is_spelled("", 0, "\"\""));
	check(is_spelled("eu/west 1 ~\x7f", LEN("eu/west 1 ~\x7f"), "\"eu/west 1 ~\x7f\""));
	check(is_spelled("\"\\", 2, "\"\\\"\\\\\""));
	check(is_spelled("\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\""));
	check(is_spelled("\x01\x0b\x1f", 3, "\"\\u0001\\u000b\\u001f\""));
	check(is_spelled("\xc3\xa9\xf0\x9f\x94\x91", 6, "\"\xc3\xa9\xf0\x9f\x94\x91\""));
}

static void
what_has_no_room_is_not_put(void)
{
	char		buffer[4] = {'x', 'x', 'x', 'x'};
	KvJsonText	text = {.bytes = buffer, .size = 3};

	check(kv_json_put(&text, "{}", 2));
	check(!kv_json_put(&text, "[]", 2));
	check(text.len == 2);
	check(kv_json_put(&text, "", 0));
	check(kv_json_put(&text, ",", 1));
	check(text.len == 3);
	check(!kv_json_put(&text, "1", 1));
	check(kv_json_put(&text, "", 0));
	check(memcmp(buffer, "{},x", 4) == 0);
}

/* Not as jsonb has them, which puts shorter names first. */
static void
names_stand_in_the_order_of_their_bytes(void)
{
	static const char *const names[] = {"", "A", "a", "aa", "ab", "b", "z\x7f", "\xc3\xa9", "\xc3\xa9\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91"};
	const int	count = sizeof(names) / sizeof(names[0]);

	for (int i = 0; i < count; i++)
	{
		for (int j = 0; j < count; j++)
		{
			int			order = kv_json_compare_names(names[i], strlen(names[i]), names[j], strlen(names[j]));

			check((order < 0) == (i < j) && (order > 0) == (i > j));
		}
	}
	check(kv_json_compare_names(NULL, 0, NULL, 0) == 0);
}

int
main(void)
{
	run(strings_have_no_more_escapes_than_they_need);
	run(what_has_no_room_is_not_put);
	run(names_stand_in_the_order_of_their_bytes);
	return finish();
}
