/*
 * test_dotenv_read.c
 *		What is read from a .env file, what is refused, and on which line.
 *
 * dotenv_differential.py compares this with other libraries; here is what must
 * hold without them.
 */
#include <stdlib.h>
#include <string.h>

#include "format/dotenv.h"
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

static void
refuses(const char *text, size_t expected_line)
{
	KvDotenvValue value;
	size_t		line;

	check(look_up(text, strlen(text), "KEY", &value, &line) == KV_SYNTAX);
	check(line == expected_line);
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
	reads("KEY=${HOME} $x\n", "${HOME} $x");
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
	reads("KEY=one\nKEY\nexport KEY\n", "one");
}

static void
comments(void)
{
	reads("# it's a comment\nKEY=value\n", "value");
	reads("KEY=value # it's a comment\n", "value");
	reads("KEY=value\t#c\n", "value");
	reads("KEY=value#c\n", "value#c");
	reads("KEY=#value\n", "#value");
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
	reads("KEY='it\\'s'\n", "it's");
	reads("KEY=\"say \\\"hi\\\"\"\n", "say \"hi\"");
	reads("KEY='a\\\\b\\nc\\\"d'\n", "a\\b\\nc\\\"d");
	reads("KEY=\"\\\\ \\' \\a\\b\\f\\n\\r\\t\\v \\x \\$ \\ \"\n",
		  "\\ ' \a\b\f\n\r\t\v \\x \\$ \\ ");
	reads("KEY=\"a\\\nb\"\n", "a\\\nb");
	reads("KEY=`a`\n", "`a`");
	reads("KEY='a`b'\n", "a`b");
	reads("KEY=\"multi\nline # no comment\n\"  # c\nB=1\n", "multi\nline # no comment\n");
	reads("A='x\nKEY=inside\n'\n", NULL);
	/* A quote behind a backslash closes only when no other one does */
	reads("KEY='C:\\dir\\'\nB=2\n", "C:\\dir\\");
	reads("KEY=\"a\\\\\"\n", "a\\");
	reads("KEY=\"a\\\"b\"\n", "a\"b");
}

static void
what_the_libraries_would_not_agree_on(void)
{
	refuses("KEY='open\n", 1);
	refuses("A=1\nB=\"open\nKEY=1\n", 2);
	refuses("A=1\r\nB=2\r\n\r\nKEY='open\r\n", 4);
	refuses("A='1\n2'\nKEY='open", 3);
	refuses("KEY='a' b\n", 1);
	refuses("KEY='a'b'\n", 1);
	refuses("KEY='C:\\dir\\'\nB='x'\n", 1);
	refuses("A=1\nB=`a\nKEY=`", 2);
	refuses("KEY: value\n", 1);
	refuses("A:\nKEY=1\n", 1);
	refuses("export KEY: value\n", 1);
	refuses("KEY\n=value\n", 2);
	refuses("export =value\n", 1);
	refuses("'KEY'=value\n", 1);
	refuses("A=\n\"x\"\n", 2);
	refuses("`x`\n", 1);
	refuses("\xc3\xa9=1\n", 1);
	refuses("A=1\n\xef\xbb\xbfKEY=value\n", 2);
	refuses("# x\n# a\xe2\x80\xa8KEY=value\n", 2);
	refuses("A='x' # \xe2\x80\xa9KEY=value\n", 1);
	refuses("KEY\xc2\x85=value\n", 1);
	refuses("\x1cKEY=value\n", 1);
	refuses("KEY=x\x1f\n", 1);
	refuses("KEY=x\xc2\x85\n", 1);
	refuses("KEY=\xef\xbb\xbf'x'\n", 1);
	refuses("$A='x\nKEY=y'\n", 1);
	reads("$A='x'\nKEY=y\n", "y");
	reads("KEY='a\xe2\x80\xa8\xc2\x85\xef\xbb\xbf\x1c'\n", "a\xe2\x80\xa8\xc2\x85\xef\xbb\xbf\x1c");
	reads("A=`a\nKEY=1\n", "1");
	reads("A:b\nKEY=1\n", "1");
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
	check(value.found && value.len == 5 && value.line == 2);
	check(kv_dotenv_get(NULL, 0, "KEY", &value, &line) == KV_OK && !value.found);
	free(text);
}

static void
entries_in_order_with_their_places(void)
{
	static const char text[] =
		"\xef\xbb\xbf# c\nexport A = 'x\ny'  # c\r\n\nB\n$C=1\nD= # c\nE=z z ";
	static const struct
	{
		const char *name;
		const char *spelled;
		const char *whole;
		size_t		line;
		bool		has_value;
		char		quote;
	}			expected[] = {
		{"A", "'x\ny'", "export A = 'x\ny'  # c\r\n", 2, true, '\''},
		{"B", "", "B\n", 5, false, '\0'},
		{"D", "", "D= # c\n", 7, true, '\0'},
		{"E", "z z", "E=z z ", 8, true, '\0'}
	};
	KvDotenvReader reader;
	KvDotenvEntry entry;
	bool		found;

	require(kv_dotenv_begin(&reader, text, sizeof(text) - 1) == KV_OK);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
	{
		require(kv_dotenv_next(&reader, &entry, &found) == KV_OK && found);
		check(entry.name_len == strlen(expected[i].name));
		check(memcmp(text + entry.name, expected[i].name, entry.name_len) == 0);
		check(entry.has_value == expected[i].has_value);
		check(entry.value_len == strlen(expected[i].spelled));
		check(memcmp(text + entry.value, expected[i].spelled, entry.value_len) == 0);
		check(entry.end - entry.start == strlen(expected[i].whole));
		check(memcmp(text + entry.start, expected[i].whole, entry.end - entry.start) == 0);
		check(entry.line == expected[i].line);
		check(entry.quote == expected[i].quote);
	}
	check(kv_dotenv_next(&reader, &entry, &found) == KV_OK && !found);
	check(kv_dotenv_next(&reader, &entry, &found) == KV_OK && !found);
}

/* An error is not the end: asking again says the same. */
static void
an_error_stays(void)
{
	static const char text[] = "A=1\nB='x\nC=2\n";
	KvDotenvReader reader;
	KvDotenvEntry entry;
	bool		found;

	require(kv_dotenv_begin(&reader, text, sizeof(text) - 1) == KV_OK);
	check(kv_dotenv_next(&reader, &entry, &found) == KV_OK && found);
	for (int i = 0; i < 2; i++)
	{
		check(kv_dotenv_next(&reader, &entry, &found) == KV_SYNTAX && !found);
		check(reader.line == 2);
	}
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
	run(what_the_libraries_would_not_agree_on);
	run(a_NUL_is_refused_wherever_it_stands);
	run(sizes);
	run(entries_in_order_with_their_places);
	run(an_error_stays);
	run(names);
	return finish();
}
