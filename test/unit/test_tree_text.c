/*
 * test_tree_text.c
 *		The bytes of constants in a printed tree.
 */
#include <string.h>

#include "format/tree_text.h"
#include "tap.h"

/* All bytes, with a | behind what one call brings. */
static bool
reads(const char *text, size_t size, const char *expected)
{
	char		bytes[16];
	char		all[64] = "";
	size_t		at = 0;
	size_t		count;

	while (kv_tree_next_bytes(text, strlen(text), &at, bytes, size, &count))
	{
		strncat(all, bytes, count);
		strcat(all, "|");
	}
	return strcmp(all, expected) == 0;
}

static void
constants(void)
{
	check(reads(":constvalue 3 [ 97 98 99 ] :x 5 [ 100 ]", 16, "abc|d|"));
	check(reads(":constvalue 3 [ 97 98\n\t\t99 ]", 16, "abc|"));
	check(reads(":constvalue 2 [ -61 -92 ]", 16, "\303\244|"));
	check(reads(":constvalue 5 [ 97 98 99 100 101 ]", 2, "ab|cd|e|"));
	check(reads(":args ({VAR 1} [] [x] [97", 16, "a|"));
	check(reads(":constvalue <> [", 16, ""));
	check(reads("", 16, ""));
	check(reads("[ 99999999999999999999999 - ]", 16, "\377|"));
}

int
main(void)
{
	run(constants);
	return finish();
}
