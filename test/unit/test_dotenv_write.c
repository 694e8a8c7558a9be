/*
 * test_dotenv_write.c
 *		What a .env file looks like after one variable was changed.
 *
 * That other libraries read the same from it is for dotenv_differential.py.
 */
#include <stdlib.h>
#include <string.h>

#include "format/dotenv.h"
#include "tap.h"

static KvStatus
set_bytes(const char *text, size_t len, const char *name, const char *value,
		  size_t value_len, char **out, size_t *out_len, size_t *line)
{
	KvStatus	status;
	char	   *copy = malloc(len);

	if (len > 0)
		memcpy(copy, text, len);
	status = kv_dotenv_set(copy, len, name, value, value_len, out, out_len, line);
	check((status == KV_OK) == (*out != NULL));
	check(status != KV_OK || *line == 0);
	check(status == KV_OK || *out_len == 0);
	free(copy);
	return status;
}

/* Setting KEY to value turns text into expected. */
static void
sets(const char *text, const char *value, const char *expected)
{
	char	   *out;
	size_t		out_len;
	size_t		line;

	check(set_bytes(text, strlen(text), "KEY", value, strlen(value),
					&out, &out_len, &line) == KV_OK);
	check(out_len == strlen(expected) && memcmp(out, expected, out_len) == 0);
	if (!tap_passing)
		printf("# %s -> %.*s\n", text, (int) out_len, out != NULL ? out : "");
	kv_dotenv_free(out, out_len);
}

static void
refuses_bytes(const char *text, const char *value, size_t value_len,
			  KvStatus expected, size_t expected_line)
{
	char	   *out;
	size_t		out_len;
	size_t		line;

	check(set_bytes(text, strlen(text), "KEY", value, value_len,
					&out, &out_len, &line) == expected);
	check(line == expected_line);
	if (!tap_passing)
		printf("# %s <- %s\n", text, value);
	kv_dotenv_free(out, out_len);
}

static void
refuses(const char *value)
{
	refuses_bytes("", value, strlen(value), KV_UNREPRESENTABLE, 0);
}

static void
unsets(const char *text, const char *expected)
{
	char	   *out;
	size_t		out_len;
	size_t		line;

	check(kv_dotenv_unset(text, strlen(text), "KEY", &out, &out_len, &line) == KV_OK);
	check(out_len == strlen(expected) && memcmp(out, expected, out_len) == 0);
	if (!tap_passing)
		printf("# %s -> %.*s\n", text, (int) out_len, out != NULL ? out : "");
	kv_dotenv_free(out, out_len);
}

static void
a_new_variable_is_added_at_the_end(void)
{
	sets("", "value", "KEY=value\n");
	sets("A=1\n", "value", "A=1\nKEY=value\n");
	sets("A=1", "value", "A=1\nKEY=value\n");
	sets("A=1\r\nB=2", "value", "A=1\r\nB=2\r\nKEY=value\r\n");
	sets("A=1\rB=2", "value", "A=1\rB=2\rKEY=value\r");
	sets("# only a comment", "value", "# only a comment\nKEY=value\n");
	sets("A=1\n\n", "value", "A=1\n\nKEY=value\n");
	sets("#KEY=old\n", "value", "#KEY=old\nKEY=value\n");
	sets("KEYS=1\nMY_KEY=2\n", "value", "KEYS=1\nMY_KEY=2\nKEY=value\n");
	/* Not right behind the mark, where python-dotenv would not see it */
	sets("\xef\xbb\xbf", "value", "\xef\xbb\xbf\nKEY=value\n");
}

static void
all_else_stays_byte_for_byte(void)
{
	sets("# head\n\n  export KEY =  old  # why \nB = 2 # x\n\t\n#tail", "new",
		 "# head\n\n  export KEY =  new  # why \nB = 2 # x\n\t\n#tail");
	sets("A=1\r\nKEY=old\r\nB=2", "new", "A=1\r\nKEY=new\r\nB=2");
	sets("\xef\xbb\xbfKEY=old\n", "new", "\xef\xbb\xbfKEY=new\n");
	sets("KEY=old", "new", "KEY=new");
	sets("KEY=", "new", "KEY=new");
	sets("KEY= # put it here\n", "new", "KEY=new # put it here\n");
	sets("KEY=one\nA=x\nKEY=two\n", "new", "KEY=one\nA=x\nKEY=new\n");
	sets("KEY='multi\nline'\nB=2\n", "new", "KEY='new'\nB=2\n");
	sets("A=\xff\xfe\nKEY=old\n", "new", "A=\xff\xfe\nKEY=new\n");
	sets("some words\nKEY=old\n$x=1\n", "new", "some words\nKEY=new\n$x=1\n");
}

static void
a_name_alone_gets_the_value(void)
{
	sets("KEY=old\nexport KEY\n", "new", "KEY=old\nexport KEY=new\n");
	sets("KEY # why\n", "new", "KEY=new # why\n");
	sets("KEY#why\n", "new", "KEY='new'#why\n");
}

static void
the_kind_of_quotes_stays_if_it_can(void)
{
	sets("KEY='old'\n", "new", "KEY='new'\n");
	sets("KEY=\"old\"\n", "new", "KEY=\"new\"\n");
	sets("KEY=\"old\"\n", "it's", "KEY=\"it's\"\n");
	sets("KEY='old'\n", "it's", "KEY=\"it's\"\n");
	sets("KEY=\"old\"\n", "say \"hi\"", "KEY='say \"hi\"'\n");
	sets("KEY=old\n", "two words", "KEY='two words'\n");
	sets("KEY=old\n", "", "KEY=''\n");
	sets("KEY=\"old\"\n", "", "KEY=\"\"\n");
	sets("KEY='old'#c\n", "new", "KEY='new'#c\n");
	sets("KEY=old #c\n", "a#b", "KEY='a#b' #c\n");
}

static void
values_are_spelled_for_all_readers(void)
{
	sets("", "sk-proj_A1.b/c+d=e:f@g%h,i", "KEY=sk-proj_A1.b/c+d=e:f@g%h,i\n");
	sets("", " a ", "KEY=' a '\n");
	sets("", "a #b", "KEY='a #b'\n");
	sets("", "$HOME", "KEY='$HOME'\n");
	sets("", "a\\nb", "KEY='a\\nb'\n");
	sets("", "C:\\dir", "KEY='C:\\dir'\n");
	sets("", "a\nb\r\n", "KEY=\"a\\nb\\r\\n\"\n");
	sets("", "a\nDISABLE_AUTH=true", "KEY=\"a\\nDISABLE_AUTH=true\"\n");
	sets("", "a\rDISABLE_AUTH=true", "KEY=\"a\\rDISABLE_AUTH=true\"\n");
	sets("", "a'\nDISABLE_AUTH='1", "KEY=\"a'\\nDISABLE_AUTH='1\"\n");
	sets("", "it's \"both\"", "KEY=it's \"both\"\n");
	sets("", "a\\\\b", "KEY=a\\\\b\n");
	sets("", "a\\", "KEY=a\\\n");
	sets("", "\xe2\x80\xa8" "A=1", "KEY='\xe2\x80\xa8" "A=1'\n");
	sets("", "{\"a\":\"b\\nc\"}", "KEY='{\"a\":\"b\\nc\"}'\n");
	sets("", "${A:b}", "KEY='${A:b}'\n");
	sets("", "${A", "KEY='${A'\n");
	sets("", "\xf0\x9f\x94\x91", "KEY='\xf0\x9f\x94\x91'\n");
}

static void
what_nobody_could_read_back_is_refused(void)
{
	refuses("${HOME}");
	refuses("a${}b");
	refuses("${A:-b}");
	refuses("${${A}");
	refuses("${A:b} ${C}");
	refuses("it's a \"#\"");
	refuses("\"a\nb\"");
	refuses("a\\\nb");
	refuses("'\\");
	refuses_bytes("KEY=old #c\n", "it's \"both\" ", 12, KV_UNREPRESENTABLE, 0);
	refuses("\xff");
	refuses("\xc0\x80");
	refuses("\xed\xa0\x80");
	refuses("\xf4\x90\x80\x80");
	refuses("\xf0\x8f\x80\x80");
	refuses("\xe0\x9f\x80");
	refuses("a\xe2\x80");
	refuses_bytes("", "a\0b", 3, KV_UNREPRESENTABLE, 0);
}

/* A backquote, to npm's dotenv, closes one that is open further up. */
static void
the_rest_of_the_file_decides_as_well(void)
{
	sets("A=`x\n", "a b", "A=`x\nKEY='a b'\n");
	sets("A=`x\n", "a`b", "A=`x\nKEY='a`b'\n");
	refuses_bytes("A=`x\n", "a` #b", 5, KV_UNREPRESENTABLE, 0);
	/* The backslash only fails to escape because no other such quote follows */
	sets("A='C:\\'\n", "a b", "A='C:\\'\nKEY=\"a b\"\n");
	/* In single quotes A would end here, and KEY still be " # x" by its first line */
	sets("KEY=' # x'\nA='C:\\'\nKEY=two\n", " # x",
		 "KEY=' # x'\nA='C:\\'\nKEY=\" # x\"\n");
	refuses_bytes("A='C:\\'\nB=\"C:\\\"\n", "a #", 3, KV_UNREPRESENTABLE, 0);
	/* What stands open above must not be closed by a key's quotes */
	sets("A='open\n", "a b", "A='open\nKEY=\"a b\"\n");
	sets("A='open\nB=\"open\n", "ab", "A='open\nB=\"open\nKEY=ab\n");
	refuses_bytes("A='open\nB=\"open\n", "a #b", 4, KV_UNREPRESENTABLE, 0);
	/* In single quotes it would close the name, and '' still be python-dotenv's by line 1 */
	sets("KEY=''\n'A\nKEY=\xc2\x85x\n", "", "KEY=''\n'A\nKEY=\xc2\x85x\nKEY=\"\"\n");
	/* npm's dotenv takes a value behind "A:" from the next line */
	sets("A:", "value", "A:\n\nKEY=value\n");
	sets("B=1\r\nA:", "value", "B=1\r\nA:\r\n\r\nKEY=value\r\n");
	sets("KEY=old\nA:", "value", "KEY=value\nA:");
	sets("A:\n", "value", "A:\n\nKEY=value\n");
	sets("B=1\r\nA:\r\n", "value", "B=1\r\nA:\r\n\r\nKEY=value\r\n");
}

/* What it is that stands in an odd line stays there, byte for byte. */
static void
odd_lines_stay(void)
{
	sets("FOO: bar\nPASS='it's'\nA=\"a\" \"b\"\n\xc3\xa9=1\nsome words\n=x\nKEY=old\n}\n", "new",
		 "FOO: bar\nPASS='it's'\nA=\"a\" \"b\"\n\xc3\xa9=1\nsome words\n=x\nKEY=new\n}\n");
	sets("FOO: bar\n$A=`x`#c\n", "new", "FOO: bar\n$A=`x`#c\nKEY=new\n");
	unsets("FOO: bar\nPASS='it's'\nKEY=old\n}\n", "FOO: bar\nPASS='it's'\n}\n");
}

static void
a_variable_whose_own_line_is_odd_gets_another(void)
{
	sets("KEY: old\nA=1\n", "new", "KEY: old\nA=1\nKEY=new\n");
	sets("KEY='it's'\nA=1\n", "new", "KEY='it's'\nA=1\nKEY=new\n");
	sets("'KEY'=old\n", "new", "'KEY'=old\nKEY=new\n");
	sets("KEY='open\n", "new", "KEY='open\nKEY=new\n");
	sets("KEY=old\nKEY: older\n", "new", "KEY=old\nKEY: older\nKEY=new\n");
	sets("KEY\n=old\n", "new", "KEY=new\n=old\n");
	/* One that both find, and read differently, is mended where it stands */
	sets("A=1\nKEY=old#er\nB=2\n", "new", "A=1\nKEY=new\nB=2\n");
	sets("KEY=`old`\n", "new", "KEY=new\n");
	sets("KEY='${OLD}' # c\n", "new", "KEY='new' # c\n");
	sets("KEY=\"a\\tb\"\n", "new", "KEY=\"new\"\n");
	unsets("A=1\nKEY: old\nB=2\n", "A=1\nB=2\n");
	unsets("KEY='it's'\nB=2\n", "B=2\n");
	unsets("'KEY'=old\nKEY=`x`\nB=2\n", "B=2\n");
	unsets("KEY\n=old\nB=2\n", "B=2\n");
	unsets("KEY: old # c\n\n# c\nB=2\n", "\n# c\nB=2\n");
}

static void
cannot_unset(const char *text, size_t expected_line)
{
	char	   *out;
	size_t		out_len;
	size_t		line;

	check(kv_dotenv_unset(text, strlen(text), "KEY", &out, &out_len, &line) == KV_AMBIGUOUS);
	check(out == NULL && out_len == 0 && line == expected_line);
	if (!tap_passing)
		printf("# %s\n", text);
}

/* A line that to one of the readers is a part of another variable. */
static void
what_cannot_be_taken_away_alone_stays(void)
{
	cannot_unset("A:\nKEY=1\n", 2);
	cannot_unset("A=`x\nKEY=`\n", 2);
	cannot_unset("$A='x\nKEY=y'\nB='z'\n", 2);
}

static void
errors_of_the_text_come_first(void)
{
	char	   *out;
	size_t		out_len;
	size_t		line;

	check(set_bytes("A=1\nB=\0\n", 8, "KEY", "new", 3, &out, &out_len, &line) == KV_SYNTAX);
	check(line == 2);
	check(kv_dotenv_unset("A=1\n\0\n", 6, "KEY", &out, &out_len, &line) == KV_SYNTAX);
	check(out == NULL && out_len == 0 && line == 2);
}

static void
bad_names_are_refused(void)
{
	static const char *const bad[] = {"", "9A", "A B", "A=B", "A\nB", "A.B", "A#", "\xc3\xa9"};
	char	   *out;
	size_t		out_len;
	size_t		line;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		check(kv_dotenv_set("", 0, bad[i], "x", 1, &out, &out_len, &line) == KV_SYNTAX);
		check(out == NULL && line == 0);
		check(kv_dotenv_unset("", 0, bad[i], &out, &out_len, &line) == KV_SYNTAX);
		check(out == NULL && line == 0);
	}
}

static void
all_of_a_variable_is_removed(void)
{
	unsets("", "");
	unsets("A=1\n", "A=1\n");
	unsets("KEY=1\n", "");
	unsets("KEY=1", "");
	unsets("A=1\nKEY=1", "A=1\n");
	unsets("A=1\nexport KEY='x\ny' # c\nB=2\n", "A=1\nB=2\n");
	unsets("KEY=1\n# c\nKEY=2\nA=1\nKEY\nKEYS=3\n", "# c\nA=1\nKEYS=3\n");
	unsets("\xef\xbb\xbfKEY=1\r\nA=1\r\n", "\xef\xbb\xbf" "A=1\r\n");
	unsets("A=1\r\rKEY=1\rB=2\r", "A=1\r\rB=2\r");
}

static void
nothing_is_left_of_nothing(void)
{
	char	   *out;
	size_t		out_len;
	size_t		line;

	check(kv_dotenv_unset(NULL, 0, "KEY", &out, &out_len, &line) == KV_OK);
	check(out != NULL && out_len == 0);
	kv_dotenv_free(out, out_len);
}

static void
sizes(void)
{
	const size_t len = KV_DOTENV_MAX - strlen("\nKEY=value\n");
	char	   *text = malloc(KV_DOTENV_MAX + 1);
	char	   *value = malloc(KV_DOTENV_MAX + 1);
	char	   *out;
	size_t		out_len;
	size_t		line;

	memset(text, '#', KV_DOTENV_MAX + 1);
	memset(value, '$', KV_DOTENV_MAX + 1);
	check(kv_dotenv_set(text, len, "KEY", "value", 5, &out, &out_len, &line) == KV_OK);
	check(out_len == KV_DOTENV_MAX);
	kv_dotenv_free(out, out_len);
	check(kv_dotenv_set(text, len, "KEY", "value+", 6, &out, &out_len, &line) == KV_TOO_LARGE);
	check(kv_dotenv_set(text, KV_DOTENV_MAX + 1, "KEY", "", 0, &out, &out_len,
						&line) == KV_TOO_LARGE);
	check(kv_dotenv_unset(text, KV_DOTENV_MAX + 1, "KEY", &out, &out_len,
						  &line) == KV_TOO_LARGE);
	check(kv_dotenv_set("", 0, "KEY", value, KV_DOTENV_MAX + 1, &out, &out_len,
						&line) == KV_TOO_LARGE);

	/* Nothing takes the square of the length */
	for (size_t i = 1; i < 65536; i += 2)
		value[i] = '{';
	check(kv_dotenv_set("", 0, "KEY", value, 65536, &out, &out_len, &line) == KV_OK);
	kv_dotenv_free(out, out_len);
	free(text);
	free(value);
}

int
main(void)
{
	run(a_new_variable_is_added_at_the_end);
	run(all_else_stays_byte_for_byte);
	run(a_name_alone_gets_the_value);
	run(the_kind_of_quotes_stays_if_it_can);
	run(values_are_spelled_for_all_readers);
	run(what_nobody_could_read_back_is_refused);
	run(the_rest_of_the_file_decides_as_well);
	run(odd_lines_stay);
	run(a_variable_whose_own_line_is_odd_gets_another);
	run(what_cannot_be_taken_away_alone_stays);
	run(errors_of_the_text_come_first);
	run(bad_names_are_refused);
	run(all_of_a_variable_is_removed);
	run(nothing_is_left_of_nothing);
	run(sizes);
	return finish();
}
