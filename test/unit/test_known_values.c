/*
 * test_known_values.c
 *		Values are found in any spelling and cut, and masked.
 */
#include <stdlib.h>
#include <string.h>

#include "format/known_values.h"
#include "tap.h"

static KvKnownValues known;

static bool
leaves(const char *value, const char *text, const char *expected)
{
	KvKnownValue values[] = {{"another one", 11}, {value, strlen(value)}};
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		stands;
	bool		good;

	memcpy(copy, text, len);
	kv_known_values_index(&known, values, 2);
	stands = kv_known_values_stand_in(&known, copy, len);
	len = kv_known_values_hide(&known, copy, len);
	good = len == strlen(expected) && memcmp(copy, expected, len) == 0 &&
		stands == (strcmp(text, expected) != 0);
	if (!good)
		printf("# %s: %.*s\n", text, (int) len, copy);
	free(copy);
	return good;
}

#define masks(value, text, expected) check(leaves(value, text, expected))

static void
whole_values(void)
{
	masks("12345678", "12345678", "****");
	masks("12345678", "a 12345678 b 12345678", "a **** b ****");
	masks("12345678", "1234567812345678", "****");
	masks("12345678", "1234567 2345678", "1234567 2345678");
	masks("123456789abc", "x123456789abcx another one", "x****x ****");
	masks("1234567", "1234567", "1234567");
	masks("", "text", "text");
	masks("12345678", "", "");
}

static void
parts_of_values(void)
{
	masks("123456789abcdef", "$1 = '123456789...'", "$1 = '****...'");
	masks("123456789abcdef", "x9abcdefx", "x9abcdefx");
	masks("123456789abcdef", "x789abcdefx", "x****x");
	masks("123456789abcdef", "$1 = '1...', $2 = '2...'", "$1 = '*...', $2 = '2...'");
	masks("123456789abcdef", "$1 = '1234567...'", "$1 = '****...'");
	masks("123456789abcdef", "'1234567'", "'1234567'");
}

static void
other_spellings(void)
{
	masks("it's \"my\\key\"", "'it''s \"my\\key\"'", "'****\"'");
	masks("it's \"my\\key\"", "\"it's \\\"my\\\\key\\\"\"", "\"****\\\"\"");
	masks("it's \"my\\key\"", "E'it\\'s \"my\\\\key\"'", "E'****\"'");
	masks("ab'cd\"ef\\gh", "ab''cd\"\"ef\\\\gh", "****");
	masks("ab&cd<ef>gh\rij", "<Filter>ab&amp;cd&lt;ef&gt;gh&#x0d;ij</Filter>", "<Filter>****</Filter>");
	masks("ab&amp;cd&lt;efgh", "ab&amp;amp;cd&amp;lt;efgh ab&amp;cd&lt;efgh", "**** ****");
	masks("ab<amp;cdefghi>lt;", "ab&lt;amp;cdefghi&gt;lt; ab<amp;cdefghi>lt;", "****&gt;lt; ****>lt;");
	masks("a&b&c&d&e&f&g&h", "a&amp;b&c&d&e&f&g&h&am", "****&am");
	masks("12345678", "1234&amp5678", "1234&amp5678");
	masks("\303\244\303\266\303\274\303\237", "x\303\244\303\266\303\274\303\237x", "x****x");
}

int
main(void)
{
	run(whole_values);
	run(parts_of_values);
	run(other_spellings);
	return finish();
}
