/*
 * test_sql_calls.c
 *		Whether all secrets of a statement are bound.
 */
#include <stdlib.h>
#include <string.h>

#include "format/sql_calls.h"
#include "tap.h"

static bool
on_copy(const char *text)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		bound;

	memcpy(copy, text, len);
	bound = kv_sql_binds_secrets(copy, len, false);
	free(copy);
	return bound;
}

#define is_bound(text) check(on_copy(text))
#define is_not_bound(text) check(!on_copy(text))

static void
bound(void)
{
	is_bound("SELECT key_vault.set($1, $2, $3)");
	is_bound("SELECT key_vault.set('user_a', 'gemini', $1, 'work', '2030-01-01')");
	is_bound("SELECT \"key_vault\" . /* c */ \"set\" ('user_a', lower('Gemini'), $1::text)");
	is_bound("SELECT key_vault.set('u', 'g', $1::pg_catalog.text), 'x'");
	is_bound("SELECT key_vault.set('u', 'g', CAST($1 AS text))");
	is_bound("SELECT key_vault.set(provider => 'g', api_key => $1, user_id => 'u')");
	is_bound("SELECT key_vault.set('u', 'g', label => 'x', api_key := $1)");
	is_bound("SELECT * FROM key_vault.import_dotenv('u', $1)");
	is_bound("SELECT * FROM key_vault.authenticate($1) WHERE true");
	is_bound("SELECT key_vault.set('u', 'g', $1), key_vault.set('u', 'h', $2)");
	is_bound("SELECT key_vault.set('u', 'g', $1), key_vault.get('u', 'h')");
}

static void
not_bound(void)
{
	is_not_bound("");
	is_not_bound("SELECT 1");
	is_not_bound("SELECT key_vault.get('u', 'g')");
	is_not_bound("SELECT key_vault.set('u', 'g', 'k')");
	is_not_bound("SELECT key_vault.set($1, $2, 'k')");
	is_not_bound("SELECT key_vault.set($1, $2, $3 || 'k')");
	is_not_bound("SELECT key_vault.set($1, $2, concat($3, 'k'))");
	is_not_bound("SELECT key_vault.set($1, $2, k) FROM (VALUES ('k')) v (k)");
	is_not_bound("SELECT key_vault.set($1, $2, $3), key_vault.set($1, $2, 'k')");
	is_not_bound("SELECT key_vault.set($1, $2, $3, key_vault.set($1, $2, 'k')::text)");
	is_not_bound("SELECT key_vault.set(api_key => 'k', user_id => $1, provider => $2)");
	is_not_bound("SELECT key_vault.set($1, $2, label => $3, api_key => 'k')");
	is_not_bound("SELECT key_vault.set($1, $2)");
	is_not_bound("SELECT key_vault.set($1, $2, $3");
	is_not_bound("SELECT key_vault.set($1, $2, $3), 'key_vault.set(1)'");
	is_not_bound("SELECT key_vault.set($1, $2, $3) /* key_vault.set(1) */");
	is_not_bound("DO $$ BEGIN PERFORM key_vault.set('u', 'g', 'k'); END $$");
	is_not_bound("SELECT * FROM key_vault.import_keys('SELECT 1', $1)");
	is_not_bound("SELECT key_vault.set");
	is_not_bound("SELECT key_vault.");
}

int
main(void)
{
	run(bound);
	run(not_bound);
	return finish();
}
