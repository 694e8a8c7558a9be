/*
 * test_log_text.c
 *		What is left of messages, plans, audit records and contexts without literals.
 */
#include <stdlib.h>
#include <string.h>

#include "format/log_text.h"
#include "tap.h"

typedef size_t (*Hide) (char *, size_t, bool);
typedef size_t (*HideAlways) (char *, size_t);

static bool
is_left(const char *text, const char *copy, size_t len, const char *expected)
{
	bool		good = len == strlen(expected) && memcmp(copy, expected, len) == 0;

	if (!good)
		printf("# %s: %.*s\n", text, (int) len, copy);
	return good;
}

/* Of a copy of exactly len bytes, so that a read or write past its end is seen. */
static bool
leaves(Hide hide, const char *text, const char *expected)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		good;

	memcpy(copy, text, len);
	good = is_left(text, copy, hide(copy, len, false), expected);
	free(copy);
	return good;
}

static bool
leaves_always(HideAlways hide, const char *text, const char *expected)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		good;

	memcpy(copy, text, len);
	good = is_left(text, copy, hide(copy, len), expected);
	free(copy);
	return good;
}

#define message(text, expected) check(leaves(kv_log_hide_literals, text, expected))
#define plan(text, expected) check(leaves(kv_log_hide_in_plan, text, expected))
#define audit(text, expected) check(leaves(kv_log_hide_in_audit, text, expected))
#define quoted(text, expected) check(leaves_always(kv_log_hide_quoted, text, expected))
#define row(text, expected) check(leaves_always(kv_log_hide_row, text, expected))
#define copied(text, expected) check(leaves_always(kv_log_hide_copied, text, expected))
#define json(text, expected) check(leaves_always(kv_log_hide_json, text, expected))

static void
messages(void)
{
	message("parameters: $1 = 'secret', $2 = NULL, $3 = 'it''s'", "parameters: $1 = '****', $2 = NULL, $3 = '****'");
	message("SQL statement \"SELECT f('a', E'b\\'c', $$d$$)\"\nPL/pgSQL function f() line 1",
			"SQL statement \"SELECT f('*', '****', '***')\"\nPL/pgSQL function f() line 1");
	message("syntax error at or near \"'secret'\"", "syntax error at or near \"'****'\"");
	message("unterminated quoted string at or near \"'secret", "unterminated quoted string at or near \"'****'");
	message("duration: 12.345 ms", "duration: 12.345 ms");
	message("SELECT 'k' -- it's\n, 'l' /* m */", "SELECT '*' --\n, '*' /* */");
	message("relation \"it\" doesn't exist", "relation \"it\" doesn't exist");
	message("la relation n'existe pas", "la relation n'existe pas");
	message("l'index n'existe pas", "l'****'existe pas");
	message("", "");
	message("'", "*");
	message("''", "''");
}

static void
plans(void)
{
	plan("duration: 0.1 ms  plan:\nQuery Text: SELECT f('secret', \"it's\") -- it's\nResult  (cost=0.00..0.26)\n  Output: f('secret'::text)",
		 "duration: 0.1 ms  plan:\nQuery Text: SELECT f('****', \"it's\") --\nResult  (cost=0.00..0.26)\n  Output: f('****'::text)");
	plan("plan:\n{\n  \"Query Text\": \"SELECT f('secret')\",\n  \"Cost\": 0.26,\n  \"Output\": [\"f('secret'::text)\"]\n}",
		 "plan:\n{\n  \"Query Text\": \"SELECT f('****')\",\n  \"Cost\": 0.26,\n  \"Output\": [\"f('****'::text)\"]\n}");
	plan("plan:\n{\n  \"Query Text\": \"SELECT \\\"a\\\", f(E'a\\\\'secret')\",\n  \"Cost\": 0.26\n}",
		 "plan:\n{\n  \"Query Text\": \"SELECT \\\"a\\\", f(E****\",\n  \"Cost\": 0.26\n}");
	plan("plan:\n{\n  \"Query Text\": \"SELECT 1 -- it's\\n, f('secret')\"\n}", "plan:\n{\n  \"Query Text\": \"SELECT 1 ****\"\n}");
	plan("plan:\nQuery Text: \"SELECT f('secret')\"\nPlan: \n  Output: \n    - \"'secret'::text\"",
		 "plan:\nQuery Text: \"SELECT f('****')\"\nPlan: \n  Output: \n    - \"'****'::text\"");
	plan("plan:\n<explain xmlns=\"x\">\n  <Query-Text>SELECT f('secret') &lt; 1</Query-Text>\n",
		 "plan:\n<explain xmlns=\"x\">\n  <Query-Text>SELECT f('****') &lt; 1</Query-Text>\n");
	plan("plan: 'secret'", "plan: '****'");
	plan("Query", "Query");
	plan("\"Query Text\": \"SELECT '", "\"Query Text\": \"SELECT *");
	plan("\"Query Text\": \"SELECT \\", "\"Query Text\": \"SELECT \\");
}

static void
audits(void)
{
	audit("AUDIT: SESSION,1,1,READ,SELECT,,,\"SELECT f('secret', \"\"a,b\"\")\",\"user_a,secret\"",
		  "AUDIT: SESSION,1,1,READ,SELECT,,,\"SELECT f('****', \"\"a,b\"\")\",****");
	audit("AUDIT: SESSION,1,1,READ,SELECT,,,SELECT f('secret'),secret,5", "AUDIT: SESSION,1,1,READ,SELECT,,,SELECT f('****'),****,5");
	audit("AUDIT: SESSION,1,1,READ,SELECT,TABLE,\"public.a,b\",SELECT 'secret',<not logged>",
		  "AUDIT: SESSION,1,1,READ,SELECT,TABLE,\"public.a,b\",SELECT '****',<not logged>");
	audit("AUDIT: SESSION,1,1,READ,SELECT,,,<previously logged>,s", "AUDIT: SESSION,1,1,READ,SELECT,,,<previously logged>,*");
	audit("AUDIT: SESSION", "AUDIT: SESSION");
	audit("AUDIT: ,,,,,,,", "AUDIT: ,,,,,,,");
	audit("AUDIT: ,,,,,,,,", "AUDIT: ,,,,,,,,");
}

static void
quoted_values(void)
{
	quoted("invalid input syntax for type integer: \"secret\"", "invalid input syntax for type integer: ****");
	quoted("value \"secret\" is out of range for type integer", "value ****");
	quoted("ung\303\274ltig \303\253", "ung\303\274ltig \303\253");
	quoted("Wert \302\273secret\302\253 fehlt", "Wert ****");
	quoted("Wert \273secret\253 fehlt", "Wert ****");
	quoted("\342\200\236secret\342\200\234", "****");
	quoted("division by zero", "division by zero");
	quoted("", "");
}

static void
rows(void)
{
	row("Key (api_key)=(secret) already exists.", "Key (api_key)=****");
	row("Failing row contains (1, secret).", "Failing row contains ****");
	row("nothing", "nothing");
}

static void
copied_rows(void)
{
	copied("COPY t, line 1: \"a\tsecret\"", "COPY t, line 1: ****");
	copied("PL/pgSQL function f() line 1 at RAISE\nCOPY t, line 1, column k: \"secret\nmore\"",
		   "PL/pgSQL function f() line 1 at RAISE\nCOPY t, line 1, column k: ****");
	copied("COPY t, line 1", "COPY t, line 1");
	copied("SQL statement \"COPY t\"", "SQL statement \"COPY t\"");
	copied("", "");
}

static void
json_lines(void)
{
	json("JSON data, line 1: ...\"secret...", "JSON data, line 1: ****");
	json("JSON data, line 1: {\"k\": secret\nunnamed portal parameter $1", "JSON data, line 1: ****\nunnamed portal parameter $1");
	json("JSON-Daten, Zeile 1: ...\"secret", "JSON-Daten, Zeile 1: ****");
	json("donn\303\251es JSON, ligne 1 : secret", "donn\303\251es JSON, ligne 1 : ****");
	json("JSON 1 secret", "****");
	json("JSON: x", "JSON: *");
	json("JSON:", "JSON:");
	json("PL/pgSQL function f() line 1: at\nJSON data, line 1: x", "PL/pgSQL function f() line 1: at\nJSON data, line 1: x");
	json("", "");
}

int
main(void)
{
	run(messages);
	run(plans);
	run(audits);
	run(quoted_values);
	run(rows);
	run(copied_rows);
	run(json_lines);
	return finish();
}
