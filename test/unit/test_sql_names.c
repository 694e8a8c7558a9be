/*
 * test_sql_names.c
 *		Which texts name a function of key_vault that takes a secret, or a name of a list.
 */
#include <stdlib.h>
#include <string.h>

#include "format/sql_names.h"
#include "tap.h"

/* On a copy of exactly len bytes, so that a read past its end is seen. */
static bool
on_copy(bool (*names) (const char *, size_t), const char *text)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		found;

	memcpy(copy, text, len);
	found = names(copy, len);
	free(copy);
	return found;
}

#define ours(text) check(on_copy(kv_sql_names_ours, text))
#define not_ours(text) check(!on_copy(kv_sql_names_ours, text))
#define calls(text) check(on_copy(kv_sql_calls_ours, text))
#define does_not_call(text) check(!on_copy(kv_sql_calls_ours, text))

static void
qualified(void)
{
	ours("SELECT key_vault.set($1, $2, $3)");
	ours("key_vault.set");
	ours("SELECT KEY_VAULT.Set()");
	ours("SELECT \"key_vault\".\"set\"()");
	ours("SELECT key_vault /* c */ . -- c\n set()");
	ours("SELECT key_vault.get(), key_vault.import_dotenv()");
	ours("CALL key_vault.import_keys()");
	ours("SELECT key_vault.inspect_key(), 1");
	ours("SELECT * FROM key_vault.authenticate($1)");
	ours("SELECT key_vault.trust_issuer()");
	ours("DO $$BEGIN PERFORM key_vault.set(); END$$");
	ours("EXECUTE $$key_vault.set()$$");
	ours("SELECT format('SELECT key_vault.set(%L)', 'k')");
}

static void
qualified_in_other_spellings(void)
{
	ours("\"Query Text\": \"SELECT\\nkey_vault.set()\"");
	ours("\"Query Text\": \"SELECT \\\"key_vault\\\".\\\"set\\\"()\"");
	ours("AUDIT: SESSION,1,1,READ,SELECT,,,\"SELECT \"\"key_vault\"\".\"\"set\"\"('u', 'g')\",<none>");
	ours("<Query-Text>SELECT a &lt;key_vault.set()</Query-Text>");
}

static void
qualified_with_escapes(void)
{
	ours("SELECT U&\"key\\005fvault\".set()");
	ours("SELECT u&\"\\006b\\+000065y_vault\" . U&\"s\\0065t\"()");
	ours("SELECT key_vault.u&\"s\\0065T\"()");
	ours("SELECT U&\"key!005fvault\" UESCAPE '!' . \"set\"()");
	ours("SELECT U&\"key!005fvault\"/* c */ uescape\n'!'.set()");
	ours("SELECT U&\"key_vault\" UESCAPE '!' . set()");
	ours("DO 'BEGIN EXECUTE ''SELECT U&\"key!005fvault\" UESCAPE !.set()''; END'");
	ours("DO E'BEGIN PERFORM U&\"key\\\\005fvault\".set(); END'");
	ours("\"Query Text\": \"SELECT U&\\\"key\\\\005fvault\\\".set()\"");
	ours("AUDIT: SESSION,1,1,READ,SELECT,,,\"SELECT U&\"\"key\\005fvault\"\".\"\"set\"\"('u', 'g')\",<none>");
	not_ours("SELECT U&\"key\\005evault\".set()");
	not_ours("SELECT U&\"key\\005fvaults\".set()");
	not_ours("SELECT U&\"key\\005fvault\".get()");
	not_ours("SELECT U&\"key\\05fvault\".set()");
	not_ours("SELECT U&\"key\\00e9vault\".set()");
	not_ours("SELECT U&'key\\005fvault.set()'");
	not_ours("SELECT MU&\"key\\005fvault\".set()");
	not_ours("SELECT U&\"key\\005fvault");
	not_ours("SELECT U&\"key\\005f");
	not_ours("SELECT U&\"key\\005");
	not_ours("U&\"");
	not_ours("U&");
	not_ours("&");
}

static void
bare_where_the_schema_is_named(void)
{
	ours("SET search_path = key_vault; SELECT set('u', 'g', 'k')");
	ours("SELECT set_config('search_path', 'key_vault', false); SELECT import_dotenv('u', 'k')");
	not_ours("UPDATE key_vault.t SET (a, b, c) = (1, 2, 3)");
	not_ours("SET search_path = key_vault; SELECT get('u', 'g')");
}

static void
others(void)
{
	not_ours("");
	not_ours("SELECT key_vault.get($1, $2)");
	not_ours("SELECT key_vault.settle()");
	not_ours("SELECT my_key_vault.set()");
	not_ours("SELECT key_vaults.set()");
	not_ours("SELECT set()");
	not_ours("SELECT key_vault, set()");
	not_ours("SELECT key_vault.");
	not_ours("key_vault");
	not_ours("key_vaul");
	not_ours("SELECT \303\251key_vault.set()");
	not_ours("SET key_vault.user_id = 'user_a'");
}

static void
bare(void)
{
	calls("SELECT set($1, $2, $3)");
	calls("SELECT \"set\"('u', 'g', 'k')");
	calls("SELECT Set (user_id => 'u', provider => 'g', api_key => 'k')");
	calls("SELECT set(user_id := 'u', provider := 'g', api_key := 'k')");
	calls("SELECT set('u', 'g', ");
	calls("UPDATE t SET a = set('u', 'g', 'k')");
	calls("SELECT import_dotenv('u', 'k')");
	calls("SELECT authenticate('k')");
	does_not_call("UPDATE t SET (a, b, c) = (1, 2, 3)");
	does_not_call("UPDATE t SET a = 'k', b = 'l', c = 'm'");
	does_not_call("ALTER TABLE t SET (fillfactor = 70, autovacuum_enabled = off, parallel_workers = 2)");
	does_not_call("SET a TO 'b', 'c', 'd'");
	does_not_call("SELECT other.set(1, 2, 3)");
	does_not_call("SELECT set_config('a', 'b', true)");
	does_not_call("SELECT authenticate FROM t");
	does_not_call("SELECT set(1, 2)");
}

static void
listed(void)
{
	KvSqlName	names[4];
	size_t		count;
	const char *text;

	require(kv_sql_names_parse("app.save_key, api_keys ,\"My App\".\"Keys\"", names, 4, &count));
	require(count == 3);
#define is_listed(t) (text = (t), kv_sql_names_listed(text, strlen(text), names, count))
	check(is_listed("SELECT app.save_key('u', 'k')"));
	check(is_listed("SELECT save_key('u', 'k')"));
	check(is_listed("SELECT \"App\" . \"save_key\"('u', 'k')"));
	check(!is_listed("SELECT other.save_key('u', 'k')"));
	check(!is_listed("SELECT my_app.save_key('u', 'k')"));
	check(is_listed("SELECT other.save_key('u', 'k'), save_key('u', 'k')"));
	check(is_listed("INSERT INTO public.api_keys VALUES ($1)"));
	check(is_listed("INSERT INTO api_keys VALUES ($1)"));
	check(!is_listed("INSERT INTO api_keys_old VALUES ($1)"));
	check(is_listed("INSERT INTO \"My App\".\"Keys\" VALUES ($1)"));
	check(!is_listed("INSERT INTO \"My\".\"Keys\" VALUES ($1)"));
	check(is_listed("SELECT U&\"save\\005fkey\"('u', 'k')"));
	check(is_listed("SELECT app.U&\"save\\005fkey\"('u', 'k')"));
	check(is_listed("SELECT U&\"\\0061pp\".save_key('u', 'k')"));
	check(is_listed("SELECT U&\"!0061pp\" UESCAPE '!' . save_key('u', 'k')"));
	check(!is_listed("SELECT other.U&\"save\\005fkey\"('u', 'k')"));
	check(!is_listed("SELECT \"oth er\".save_key('u', 'k')"));
	check(is_listed("SELECT SAVE_KEY('u', 'k')"));
	check(is_listed("save_key"));
	check(!is_listed(".save_ke"));
	check(!is_listed(""));
	require(kv_sql_names_parse("schl\303\274ssel", names, 4, &count));
	check(is_listed("SELECT schl\303\274ssel()"));
	check(is_listed("SELECT U&\"schl\\00fcssel\"()"));
	check(!is_listed("SELECT U&\"schl\\0075ssel\"()"));
#undef is_listed
}

static bool
parses(const char *list, size_t expected)
{
	KvSqlName	names[2];
	size_t		count;

	return kv_sql_names_parse(list, names, 2, &count) && count == expected;
}

static void
lists(void)
{
	check(parses("", 0));
	check(parses("  ", 0));
	check(parses("a", 1));
	check(parses(" a . b , c", 2));
	check(parses("\"a.b\"", 1));
	check(!parses("a, b, c", 0) && !parses("a, b, c", 3));
	check(!parses("a,", 1));
	check(!parses(",a", 1));
	check(!parses("a b", 1));
	check(!parses("a.b.c", 1));
	check(!parses("a.", 1));
	check(!parses("'a'", 1));
	check(!parses("\"\"", 1));
	check(!parses("a234567890123456789012345678901234567890123456789012345678901234", 1));
	check(parses("a23456789012345678901234567890123456789012345678901234567890123", 1));
}

static bool
is_same_name(const char *name, void *argument)
{
	return strcmp(name, argument) == 0;
}

static void
executed(void)
{
	static const char *const expected[] = {"p", "Q q", "r", ""};
	const char *text = "EXECUTE p('k'); EXPLAIN ANALYZE execute\n\"Q q\"(1); executes x; EXECUTE 'k'; CREATE TABLE t AS EXECUTE R";

#define is_executed(t, name) kv_sql_any_executed((t), strlen(t), is_same_name, (void *) (name))
	for (int i = 0; i < 3; i++)
		check(is_executed(text, expected[i]));
	check(!is_executed(text, "x"));
	check(!is_executed(text, "k"));
	check(!is_executed(text, ""));
	check(!is_executed("EXECUTE", ""));
	/* what cannot be told is told to be so */
	check(is_executed("EXECUTE U&\"\\0070\"('k')", ""));
	check(is_executed("EXECUTE \"a\"\"b\"('k')", ""));
	check(is_executed("EXECUTE a2345678901234567890123456789012345678901234567890123456789012345('k')", ""));
#undef is_executed
}

int
main(void)
{
	run(qualified);
	run(qualified_in_other_spellings);
	run(qualified_with_escapes);
	run(bare_where_the_schema_is_named);
	run(others);
	run(bare);
	run(listed);
	run(lists);
	run(executed);
	return finish();
}
