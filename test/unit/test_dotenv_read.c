/*
 * test_dotenv_read.c
 *		What is read from a .env file, what its readers do not agree on, and which lines
 *		are odd.
 *
 * dotenv_differential.py compares this with the two readers themselves; here is what
 * must hold without them.
 */
#include <stdlib.h>
#include <string.h>

#include "format/dotenv.h"
#include "format/dotenv_readers.h"
#include "tap.h"

static char got[KV_DOTENV_MAX + 1];

/* Looks a name up in a copy of exactly len bytes, so that a read past it is seen. */
static KvStatus
look_up(const char *text, size_t len, const char *name, KvDotenvValue *value, size_t *line)
{
	char	   *copy = malloc(len);
	KvStatus	status;

	if (len > 0)
		memcpy(copy, text, len);
	value->data = got;
	value->size = sizeof(got);
	status = kv_dotenv_get(copy, len, name, value, line);
	check((status == KV_OK) == (*line == 0) || status == KV_TOO_LARGE);
	check(status == KV_OK || !value->found);
	free(copy);
	return status;
}

static void
reads_bytes(const char *text, const char *name, const char *expected, size_t expected_len)
{
	KvDotenvValue value;
	size_t		line;

	check(look_up(text, strlen(text), name, &value, &line) == KV_OK);
	check(value.found && value.len == expected_len &&
		  memcmp(got, expected, expected_len) == 0);
	if (!tap_passing)
		printf("# %s\n", text);
}

/* KEY has this value; or none, for NULL. */
static void
reads(const char *text, const char *expected)
{
	KvDotenvValue value;
	size_t		line;

	if (expected != NULL)
	{
		reads_bytes(text, "KEY", expected, strlen(expected));
		return;
	}
	check(look_up(text, strlen(text), "KEY", &value, &line) == KV_OK && !value.found);
	if (!tap_passing)
		printf("# %s\n", text);
}

/* The readers do not agree on KEY, which they find on these lines; 0 for not at all. */
static void
differs(const char *text, size_t python_line, size_t npm_line)
{
	KvDotenvValue value;
	size_t		line;

	check(look_up(text, strlen(text), "KEY", &value, &line) == KV_AMBIGUOUS);
	check(value.python_line == python_line && value.npm_line == npm_line);
	check(line == (python_line > npm_line ? python_line : npm_line));
	if (!tap_passing)
		printf("# %s\n", text);
}

/* The odd lines, as digits: "13" for the first and the third. */
static void
is_odd(const char *text, const char *expected)
{
	size_t		lines[9];
	size_t		count = kv_dotenv_odd_lines(text, strlen(text), lines, 9);

	check(count == strlen(expected));
	for (size_t i = 0; i < count && i < strlen(expected); i++)
		check(lines[i] == (size_t) (expected[i] - '0'));
	if (!tap_passing)
		printf("# %s\n", text);
}

static void
plain_assignments(void)
{
	reads("KEY=value\n", "value");
	reads("KEY=value", "value");
	reads("A=1\nKEY=value\nB=2\n", "value");
	reads("export KEY=value\n", "value");
	reads("export\t KEY=value\n", "value");
	reads("  KEY = value  \n", "value");
	reads("\tKEY\t=\tvalue\t\n", "value");
	reads("KEY=two words\n", "two words");
	reads("KEY=it's \"so\"\n", "it's \"so\"");
	reads("KEY=a\\nb\n", "a\\nb");
	reads("KEY=a=b==\n", "a=b==");
	reads("KEY=$HOME {y} ${A:b}\n", "$HOME {y} ${A:b}");
	reads("KEY=\n", "");
	reads("KEY=", "");
	reads("KEY=   \nB=1\n", "");
	reads("KEY=\xc2\xa0value\xc2\xa0\n", "value");
	reads("", NULL);
	reads("KEYS=1\nMY_KEY=2\nkey=3\n", NULL);
	reads("#KEY=value\n", NULL);
	reads("KEY\n", NULL);
	reads("MY KEY=value\n", NULL);
	reads("exportKEY=value\n", NULL);
}

static void
the_last_one_wins(void)
{
	reads("KEY=one\nB=x\nKEY=two\n", "two");
	reads("KEY=one\nexport KEY='two'\n", "two");
	reads("KEY=one\nKEY=\n", "");
	reads("KEY\nexport KEY\nKEY=one\n", "one");
}

static void
comments(void)
{
	reads("# it's a comment\nKEY=value\n", "value");
	reads("KEY=value # it's a comment\n", "value");
	reads("KEY=value\t#c\n", "value");
	reads("KEY= # put it here\n", "");
	reads("KEY='a#b' # c\n", "a#b");
	reads("KEY=\"a # b\"#c\n", "a # b");
	reads("# KEY='a\nKEY=b\n# '\n", "b");
}

static void
line_ends_and_byte_order_marks(void)
{
	reads("A=1\r\nKEY=value\r\nB=2\r\n", "value");
	reads("A=1\rKEY=value\rB=2\r", "value");
	reads("KEY=value\r", "value");
	reads("KEY='value'\r\n", "value");
	reads("\xef\xbb\xbfKEY=value\n", "value");
	reads("\xef\xbb\xbf", NULL);
	reads("KEY='a\r\nb\rc\nd'\r\n", "a\nb\nc\nd");
	reads("KEY='a\r\r\nb'", "a\n\nb");
	reads("KEY='\r'", "\n");
}

static void
quotes_and_escapes(void)
{
	reads("KEY=''\n", "");
	reads("KEY=\"\"\n", "");
	reads("KEY=' a '\n", " a ");
	reads("KEY='say \"hi\"'\n", "say \"hi\"");
	reads("KEY=\"it's\"\n", "it's");
	reads("KEY=`a`b\n", "`a`b");
	reads("KEY='a`b'\n", "a`b");
	reads("KEY=\"a\\nb\\rc\"\n", "a\nb\rc");
	reads("KEY=\"a\\\nb\"\n", "a\\\nb");
	reads("KEY='a\\nb\\\"c'\n", "a\\nb\\\"c");
	reads("KEY=\"multi\nline # no comment\n\"  # c\nB=1\n", "multi\nline # no comment\n");
	reads("A='x\nKEY=inside\n'\n", NULL);
	/* A quote behind a backslash closes only when no other one does */
	reads("KEY='C:\\dir\\'\nB=2\n", "C:\\dir\\");
}

static void
values_that_the_readers_do_not_agree_on(void)
{
	/* a # without white space before it, backquotes, escapes, variables */
	differs("KEY=value#c\n", 1, 1);
	differs("KEY=#value\n", 1, 1);
	differs("KEY=`a`\n", 1, 1);
	differs("KEY='it\\'s'\n", 1, 1);
	differs("KEY=\"say \\\"hi\\\"\"\n", 1, 1);
	differs("KEY=\"a\\tb\"\n", 1, 1);
	differs("KEY=\"a\\\\\"\n", 1, 1);
	differs("A=1\nKEY='${HOME}'\n", 2, 2);
	differs("KEY=a${A:-b}\n", 1, 1);
	/* the last one counts for each */
	differs("KEY=\"a\\tb\"\nKEY=a`\nKEY=`a`\n", 3, 3);
	reads("KEY=`a`\nKEY=b\n", "b");
	differs("KEY=one\nKEY\n", 0, 1);
	differs("KEY=one\nKEY: two\n", 1, 2);
	reads("KEY: one\nKEY=two\n", "two");
	/* what only one of them takes for an assignment */
	differs("KEY: value\n", 0, 1);
	differs("export KEY: value\n", 0, 1);
	differs("KEY='open\n", 0, 1);
	differs("KEY='a' b\n", 0, 1);
	differs("KEY='it's'\n", 0, 1);
	differs("KEY=\"a\" \"b\"\n", 0, 1);
	differs("KEY\n=value\n", 0, 1);
	differs("'KEY'=value\n", 1, 0);
	differs("A=1\n\xef\xbb\xbfKEY=value\n", 0, 2);
	differs("\x1cKEY=value\n", 1, 0);
	differs("# x\n# a\xe2\x80\xa8KEY=value\n", 0, 2);
	differs("A='x' # \xe2\x80\xa9KEY=value\n", 0, 1);
	differs("KEY=x\xc2\x85\n", 1, 1);
	differs("KEY=\xef\xbb\xbf'x'\n", 1, 1);
	/* what another line does to it */
	differs("A:\nKEY=1\n", 2, 0);
	differs("A=1\nB=`a\nKEY=`", 3, 0);
	differs("$A='x\nKEY=y'\n", 0, 2);
}

static void
odd_lines_take_no_other_variable_away(void)
{
	reads("FOO: bar\nKEY=value\n", "value");
	reads("PASS='it's'\nKEY=value\n", "value");
	reads("A=\"a\" \"b\"\nKEY=value\n", "value");
	reads("\xc3\xa9=1\nKEY=value\n", "value");
	reads("A='open\nKEY=value\n", "value");
	reads("some words\nKEY=value\n", "value");
	reads("=x\nexport =y\n'z\nKEY=value\n", "value");
	reads("A=`a\nKEY=1\n", "1");
	reads("A:b\nKEY=1\n", "1");
	reads("$A='x'\nKEY=y\n", "y");
	reads("A=${B}\nKEY=y\n", "y");
	reads("A=\xff\xfe\nKEY=y\n", "y");
	reads("KEY='a\xe2\x80\xa8\xc2\x85\xef\xbb\xbf\x1c'\n", "a\xe2\x80\xa8\xc2\x85\xef\xbb\xbf\x1c");
}

static void
odd_lines_are_found(void)
{
	is_odd("", "");
	is_odd("# c\n\nA=1\nexport B='x\ny' # c\nC\nexport D\nE= # c\nF=a#b\nG=`x`\n", "");
	is_odd("FOO: bar\nA=1\n", "1");
	is_odd("A=1\nPASS='it's'\nB=2\n\nC=\"a\" \"b\"\n", "25");
	is_odd("\xc3\xa9=1\n$A=1\nA/B=1\n'C'=1\n", "1234");
	is_odd("some words\n}\n=x\nA='open\n", "1234");
	is_odd("A='1\n2'\r\nB='open\r\n", "3");
	is_odd("A\n=1\n", "12");
	is_odd("A:\nB=1\n", "12");
	is_odd("# a\xe2\x80\xa8" "B=1\n", "1");
	is_odd("$A='x\nB=y'\n", "12");
	is_odd("\xef\xbb\xbf" "A=1\n\xef\xbb\xbf" "B=1\n", "2");
	is_odd("1\n2\n3x y\n4\n5x y\n6\n7\n8\n9x y\n", "359");
}

static void
more_odd_lines_than_asked_for_are_counted(void)
{
	size_t		lines[3] = {0, 0, 77};

	check(kv_dotenv_odd_lines("a b\nc d\ne f\n", 12, lines, 2) == 3);
	check(lines[0] == 1 && lines[1] == 2 && lines[2] == 77);
	check(kv_dotenv_odd_lines(NULL, 0, lines, 2) == 0);
}

static void
a_NUL_is_refused_wherever_it_stands(void)
{
	static const char text[] = "A=1\r\n# c\nKEY='a\nb' # c\nB=2\n";
	const size_t len = sizeof(text) - 1;
	char		copy[sizeof(text)];
	KvDotenvValue value;
	size_t		line;
	size_t		expected = 1;

	for (size_t i = 0; i < len; i++)
	{
		memcpy(copy, text, len);
		copy[i] = '\0';
		check(look_up(copy, len, "KEY", &value, &line) == KV_SYNTAX);
		/* Without its LF, the CR of a CRLF still ends a line */
		check(line == (i > 0 && text[i - 1] == '\r' ? expected + 1 : expected));
		expected += text[i] == '\n';
	}
}

static void
sizes(void)
{
	char	   *text = malloc(KV_DOTENV_MAX + 1);
	KvDotenvValue value;
	size_t		line;

	memset(text, 'x', KV_DOTENV_MAX + 1);
	memcpy(text, "KEY=", 4);
	check(look_up(text, KV_DOTENV_MAX, "KEY", &value, &line) == KV_OK);
	check(value.found && value.len == KV_DOTENV_MAX - 4);
	check(look_up(text, KV_DOTENV_MAX + 1, "KEY", &value, &line) == KV_TOO_LARGE);
	check(line == 0);

	/* The caller's buffer counts what is spelled */
	value.data = got;
	value.size = 6;
	check(kv_dotenv_get("A=1\nKEY='value'\n", 16, "KEY", &value, &line) == KV_TOO_LARGE);
	check(line == 2 && !value.found);
	value.size = 7;
	check(kv_dotenv_get("A=1\nKEY='value'\n", 16, "KEY", &value, &line) == KV_OK);
	check(value.found && value.len == 5 && value.python_line == 2 && value.npm_line == 2);
	check(kv_dotenv_get(NULL, 0, "KEY", &value, &line) == KV_OK && !value.found);
	free(text);
}

/* Where an entry lies: all of it, its name, its value as it is spelled. */
typedef struct Expected
{
	const char *whole;
	const char *name;
	const char *spelled;
	size_t		line;
	bool		has_value;
	char		quote;
} Expected;

static void
check_entry(const char *text, const KvDotenvEntry *entry, const Expected *expected)
{
	check(entry->end - entry->start == strlen(expected->whole));
	check(memcmp(text + entry->start, expected->whole, strlen(expected->whole)) == 0);
	check(entry->name_len == strlen(expected->name));
	check(memcmp(text + entry->name, expected->name, entry->name_len) == 0);
	check(entry->value_len == strlen(expected->spelled));
	check(memcmp(text + entry->value, expected->spelled, entry->value_len) == 0);
	check(entry->line == expected->line);
	check(entry->has_value == expected->has_value);
	check(entry->quote == expected->quote);
	check(!entry->has_value || text[entry->equals] == '=' || text[entry->equals] == ':');
}

static const char places[] =
	"\xef\xbb\xbf# c\nexport A = 'x\ny'  # c\r\n\nB\n$C=1\nD= # c\nF: v\nE=z z ";

static void
entries_of_python_dotenv_and_their_places(void)
{
	static const Expected expected[] = {
		{"export A = 'x\ny'  # c\r\n", "A", "'x\ny'", 2, true, '\''},
		{"B\n", "B", "", 5, false, '\0'},
		{"$C=1\n", "$C", "1", 6, true, '\0'},
		{"D= # c\n", "D", "# c", 7, true, '\0'},
		{"F: v\n", "F:", "", 8, false, '\0'},	/* which it cannot read */
		{"E=z z ", "E", "z z", 9, true, '\0'}
	};
	KvDotenvReader reader;
	KvDotenvEntry entry;

	kv_dotenv_begin(&reader, places, sizeof(places) - 1);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
	{
		require(kv_dotenv_python_next(&reader, &entry) ==
				(i == 4 ? KV_DOTENV_ODD : KV_DOTENV_ENTRY));
		check_entry(places, &entry, &expected[i]);
	}
	check(kv_dotenv_python_next(&reader, &entry) == KV_DOTENV_END);
	check(kv_dotenv_python_next(&reader, &entry) == KV_DOTENV_END);
}

static void
entries_of_npm_s_dotenv_and_their_places(void)
{
	static const Expected expected[] = {
		{"export A = 'x\ny'  # c\r\n", "A", "'x\ny'", 2, true, '\0'},
		{"D= # c\n", "D", "", 7, true, '\0'},
		{"F: v\n", "F", "v", 8, true, '\0'},
		{"E=z z ", "E", "z z", 9, true, '\0'}
	};
	KvDotenvReader reader;
	KvDotenvEntry entry;

	kv_dotenv_begin(&reader, places, sizeof(places) - 1);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
	{
		require(kv_dotenv_npm_next(&reader, &entry));
		check_entry(places, &entry, &expected[i]);
	}
	check(!kv_dotenv_npm_next(&reader, &entry));
	check(!kv_dotenv_npm_next(&reader, &entry));
}

static void
names(void)
{
	check(kv_dotenv_name_is_good("GEMINI_API_KEY"));
	check(kv_dotenv_name_is_good("_a9"));
	check(!kv_dotenv_name_is_good(""));
	check(!kv_dotenv_name_is_good("9A"));
	check(!kv_dotenv_name_is_good("A.B"));
	check(!kv_dotenv_name_is_good("A-B"));
	check(!kv_dotenv_name_is_good("A B"));
	check(!kv_dotenv_name_is_good("A=B"));
	check(!kv_dotenv_name_is_good("A\nB"));
	check(!kv_dotenv_name_is_good("\xc3\xa9"));
}

int
main(void)
{
	run(plain_assignments);
	run(the_last_one_wins);
	run(comments);
	run(line_ends_and_byte_order_marks);
	run(quotes_and_escapes);
	run(values_that_the_readers_do_not_agree_on);
	run(odd_lines_take_no_other_variable_away);
	run(odd_lines_are_found);
	run(more_odd_lines_than_asked_for_are_counted);
	run(a_NUL_is_refused_wherever_it_stands);
	run(sizes);
	run(entries_of_python_dotenv_and_their_places);
	run(entries_of_npm_s_dotenv_and_their_places);
	run(names);
	return finish();
}
