/*
 * test_sql_literals.c
 *		Which bytes of an SQL text are literals, and the text without them.
 */
#include <stdlib.h>
#include <string.h>

#include "format/sql_literals.h"
#include "format/sql_redact.h"
#include "format/sql_token.h"
#include "tap.h"

/* Of a copy of exactly len bytes, so that a read past its end is seen. */
static bool
redacts_bytes(const char *text, size_t len, bool backslashes, const char *expected)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	char		out[512];
	char		cut[512];
	size_t		full;
	bool		good;

	memcpy(copy, text, len);
	full = kv_sql_redact(copy, len, backslashes, out, sizeof(out));
	good = full == strlen(expected) && strcmp(out, expected) == 0;
	if (!good)
		printf("# %.*s: %s\n", (int) len, text, out);

	/* what is cut is a beginning of it, and the length is that of the whole */
	for (size_t size = 0; size <= full + 1 && size < sizeof(cut); size++)
	{
		memset(cut, 'x', sizeof(cut));
		good = good && kv_sql_redact(copy, len, backslashes, cut, size) == full;
		good = good && (size == 0 || (strlen(cut) == size - 1 && memcmp(cut, out, size - 1) == 0));
		good = good && cut[size] == 'x';
	}
	free(copy);
	return good;
}

#define redacts(text, expected) check(redacts_bytes(text, strlen(text), false, expected))
#define redacts_with_backslashes(text, expected) check(redacts_bytes(text, strlen(text), true, expected))

static void
strings(void)
{
	redacts("SELECT key_vault.set('u', 'g', 'k')", "SELECT key_vault.set($1, $2, $3)");
	redacts("SELECT ''", "SELECT $1");
	redacts("SELECT 'it''s'", "SELECT $1");
	redacts("SELECT 'a\\', 'b'", "SELECT $1, $2");
	redacts("SELECT E'a\\'b', 'c'", "SELECT $1, $2");
	redacts("SELECT e'a\\\\', 'c'", "SELECT $1, $2");
	redacts("SELECT N'a', B'01', x'1F', b'0''1'", "SELECT $1, $2, $3, $4 $5");
	redacts("SELECT U&'\\00e9\\', 'c'", "SELECT $1, $2");
	redacts("SELECT U&'!00e9' UESCAPE '!', 'c'", "SELECT $1, $2");
	redacts("SELECT u&'!00e9' /* why */ uescape '!' , 'c'", "SELECT $1 , $2");
	redacts("SELECT U&'a' UESCAPED, 'c'", "SELECT $1 UESCAPED, $2");
	redacts("SELECT U & 'a'", "SELECT U & $1");
}

static void
strings_that_go_on_in_another_line(void)
{
	redacts("SELECT 'a'\n'b'", "SELECT $1");
	redacts("SELECT 'a' \t\n\n 'b', 'c'", "SELECT $1, $2");
	redacts("SELECT 'a' -- it's\n 'b'", "SELECT $1");
	redacts("SELECT 'a' -- it's\n -- that's\n 'b'", "SELECT $1");
	redacts("SELECT 'a' 'b'", "SELECT $1 $2");
	redacts("SELECT 'a' /* \n */ 'b'", "SELECT $1 /* */ $2");
	redacts("SELECT 'a'\n-- 'b'", "SELECT $1\n--");
	redacts("SELECT E'a'\n'\\'b'", "SELECT $1");
	redacts("SELECT 'a'\nE'b'", "SELECT $1\n$2");
	redacts("SELECT 'a'\n- 'b'", "SELECT $1\n- $2");
	redacts("SELECT $$a$$\n'b'", "SELECT $1\n$2");
	redacts("SELECT x'0'\n'1'", "SELECT $1");
}

static void
dollar_quotes(void)
{
	redacts("SELECT $$it's$$, 'b'", "SELECT $1, $2");
	redacts("SELECT $k$a$$b$l$c$k$, 'b'", "SELECT $1, $2");
	redacts("SELECT $k$a$b$k$, 'b'", "SELECT $1, $2");
	redacts("SELECT $k$$k$", "SELECT $1");
	redacts("SELECT $k_1\303\251$a$k_1\303\251$", "SELECT $1");
	redacts("SELECT $1$$a$$", "SELECT $1 $2");
	redacts("SELECT a$$b, 'c', d$$", "SELECT a$$b, $1, d$$");
	redacts("SELECT $k 'a'", "SELECT $k $1");
	redacts("SELECT $1a$ 'a'", "SELECT $1a$ $2");
	redacts("DO $do$ BEGIN PERFORM key_vault.set('u', 'g', $$k$$); END $do$", "DO $1");
}

static void
numbers(void)
{
	redacts("SELECT 1, 1.5, .5, 5., 1e10, 1.5E-3, 1e", "SELECT $1, $2, $3, $4, $5, $6, $7");
	redacts("SELECT a1, _1, a.b1", "SELECT a1, _1, a.b1");
	redacts("SELECT 1..10", "SELECT $1..$2");
	redacts("SELECT 0x1F, 1_000", "SELECT $1, $2");
	redacts("SELECT 1+2-3", "SELECT $1+$2-$3");
	redacts("SELECT 12ab34, 'k'", "SELECT $1, $2");
	redacts("SELECT 1e+, 2", "SELECT $1+, $2");
	redacts("SELECT 1$$k$$, 1$k", "SELECT $1 $2, $3 $k");
	redacts("SELECT x[1:2]", "SELECT x[$1:$2]");
}

static void
comments(void)
{
	redacts("SELECT 1 -- it's\n, 'k'", "SELECT $1 --\n, $2");
	redacts("SELECT 1 -- it's\r, 'k'", "SELECT $1 --\r, $2");
	redacts("SELECT /* it's /* k */ ' */ 'k'", "SELECT /* */ $1");
	redacts("SELECT /* k", "SELECT /* */");
	redacts("SELECT /*/ k */ 1", "SELECT /* */ $1");
	redacts("SELECT 1 +-- k\n 2", "SELECT $1 +--\n $2");
	redacts("SELECT 1 */* k */ 2", "SELECT $1 */* */ $2");
	redacts("SELECT '/*', 'k', '*/'", "SELECT $1, $2, $3");
	redacts("SELECT '--', 'k'", "SELECT $1, $2");
	redacts("SELECT a - - 'k'", "SELECT a - - $1");
	redacts("SELECT $$--$$, \"--\", 'k'", "SELECT $1, \"--\", $2");
}

static void
names(void)
{
	redacts("SELECT \"it's\", 'k'", "SELECT \"it's\", $1");
	redacts("SELECT \"a\"\"'b\", 'k'", "SELECT \"a\"\"'b\", $1");
	redacts("SELECT U&\"a'b\", 'k'", "SELECT U&\"a'b\", $1");
	redacts("SELECT fooE'k', \303\251'k'", "SELECT fooE $1, \303\251 $2");
	redacts("SELECT 'k'::text, date'k'", "SELECT $1::text, date $2");
	redacts("SELECT $1, $12, 'k'", "SELECT $1, $12, $13");
	redacts("SELECT a$1, 'k'", "SELECT a$1, $1");
	redacts("", "");
}

static void
quoted_strings_in_double_quotes(void)
{
	redacts("SELECT key_vault.set('u', 'g', \"secret-0123456789abc\")", "SELECT key_vault.set($1, $2, $3)");
	redacts("SELECT set(a => \"secret-0123456789abc\"::text)", "SELECT set(a => $1::text)");
	redacts("SELECT \"secret-0123456789abc\"", "SELECT \"secret-0123456789abc\"");
	redacts("SELECT set(\"a\", \"secret-0123456789abc\".\"b\")", "SELECT set(\"a\", \"secret-0123456789abc\".\"b\")");
	redacts("INSERT INTO t (\"providerOfTheKey\", \"key2\") VALUES ($1)", "INSERT INTO t (\"providerOfTheKey\", \"key2\") VALUES ($1)");
}

static void
quotes_that_are_not_doubled(void)
{
	redacts("SELECT set('u', 'g', 'ab'cd-EF12')", "SELECT set($1, $2, $3 $4");
	redacts("SELECT set('u', 'g', 'ab'cd-EF12, 'c')", "SELECT set($1, $2, $3, $4)");
	redacts("SELECT 'k'::text, 'l'||'m', 'n')", "SELECT $1::text, $2||$3, $4)");
	redacts("SELECT'k'AS a", "SELECT $1 a");
	redacts("DO $$k$$LANGUAGE plpgsql", "DO $1 LANGUAGE plpgsql");
}

static void
without_an_end(void)
{
	redacts("SELECT 'k", "SELECT $1");
	redacts("SELECT '", "SELECT $1");
	redacts("SELECT 'k'''", "SELECT $1");
	redacts("SELECT E'k\\", "SELECT $1");
	redacts("SELECT E'k\\'", "SELECT $1");
	redacts("SELECT U&'", "SELECT $1");
	redacts("SELECT $$k", "SELECT $1");
	redacts("SELECT $k$k$k", "SELECT $1");
	redacts("SELECT $k$", "SELECT $1");
	redacts("SELECT $", "SELECT $");
	redacts("SELECT \"a", "SELECT \"a");
	redacts("SELECT 'k'\n", "SELECT $1\n");
	redacts("SELECT 'k'\n--", "SELECT $1\n--");
}

static void
backslashes_in_plain_strings(void)
{
	redacts_with_backslashes("SELECT 'a\\'b', 'c'", "SELECT $1, $2");
	redacts_with_backslashes("SELECT N'a\\'b', 'c'", "SELECT $1, $2");
	redacts_with_backslashes("SELECT $$a\\$$, 'c'", "SELECT $1, $2");
	redacts_with_backslashes("SELECT x'1\\', 'c'", "SELECT $1, $2");
}

static void
bytes_that_are_no_text(void)
{
	static const char with_nul[] = "SELECT '\0k', \0 'k\377'";
	char		out[64];

	check(kv_sql_redact(with_nul, sizeof(with_nul) - 1, false, out, sizeof(out)) == 15);
	check(memcmp(out, "SELECT $1, \0 $2", 16) == 0);
	redacts("SELECT \377'k\377'", "SELECT \377 $1");
}

static void
content_is_between_the_quotes(void)
{
	static const struct
	{
		const char *text;
		const char *content;
	}			cases[] = {
		{"'a'", "a"}, {"''", ""}, {"'", ""}, {"'a", "a"}, {"E'a'", "a"}, {"U&'a'", "a"},
		{"\"a\"", "a"}, {"U&\"a\"", "a"}, {"$$a$$", "a"}, {"$t$a$t$", "a"}, {"$t$a", "a"},
		{"$t$t$", "t$"}, {"$$$", "$"}, {"'a'\n'b'", "a'\n'b"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		KvSqlScanner scanner = {.text = cases[i].text, .len = strlen(cases[i].text)};
		KvSqlToken	token;
		size_t		start;
		size_t		end;

		require(kv_sql_next(&scanner, &token));
		kv_sql_content(scanner.text, &token, &start, &end);
		check(end - start == strlen(cases[i].content));
		check(memcmp(scanner.text + start, cases[i].content, end - start) == 0);
	}
}

int
main(void)
{
	run(strings);
	run(strings_that_go_on_in_another_line);
	run(dollar_quotes);
	run(numbers);
	run(comments);
	run(names);
	run(quoted_strings_in_double_quotes);
	run(quotes_that_are_not_doubled);
	run(without_an_end);
	run(backslashes_in_plain_strings);
	run(bytes_that_are_no_text);
	run(content_is_between_the_quotes);
	return finish();
}
